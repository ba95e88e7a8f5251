"""The layers that blocks are made of."""

import torch
from torch import Tensor, nn

from scalesearch.networks.arch import Arch, Stage, half
from scalesearch.networks.blocks.fast import (
    BatchNorm2d,
    DepthwiseConv2d,
    GlobalAvgPool2d,
    PointwiseConv2d,
)


class ScaledTanh(nn.Module):
    """1.7159 tanh(2 x / 3), LeNet-5's activation (LeCun et al. 1998, appendix A)."""

    def forward(self, x: Tensor) -> Tensor:
        return 1.7159 * torch.tanh(x * (2 / 3))


# not in place: on a view, as the fast layers return, that copies the map and its gradient twice
ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "silu": nn.SiLU,
    "tanh": ScaledTanh,
}


def square(stage: Stage) -> int:
    """The side of a row's kernel. Raises ValueError for one that is not square."""
    if isinstance(stage.kernel, int):
        return stage.kernel
    raise ValueError(f"{stage.block} needs a square kernel, got {stage.kernel}")


def check_groups(in_width: int, width: int, groups: int) -> None:
    """Raises ValueError for a convolution whose groups do not divide its channels."""
    if in_width % groups or width % groups:
        raise ValueError(
            f"groups must divide the channels, got {groups} groups for {in_width} to {width}"
        )


class ConvNorm(nn.Sequential):
    """Convolution (padding half the kernel unless given), batch norm, and the arch's activation."""

    def __init__(
        self,
        arch: Arch,
        in_width: int,
        width: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        groups: int = 1,
        activate: bool = True,
        padding: int | tuple[int, int] | None = None,
        bias: bool = False,
    ) -> None:
        check_groups(in_width, width, groups)
        pad = half(kernel) if padding is None else padding
        convolution: type[nn.Conv2d] = nn.Conv2d
        if kernel == stride == groups == 1 and pad == 0:
            convolution = PointwiseConv2d
        elif groups == in_width == width and isinstance(kernel, int) and pad == (kernel - 1) / 2:
            convolution = DepthwiseConv2d
        layers: list[nn.Module] = [
            convolution(in_width, width, kernel, stride, pad, groups=groups, bias=bias),
            BatchNorm2d(width, arch.norm_eps, arch.norm_momentum),
        ]
        if activate:
            layers.append(ACTIVATIONS[arch.activation]())
        super().__init__(*layers)


class StochasticDepth(nn.Module):
    """Drops its input for whole examples with probability `drop` while training."""

    def __init__(self, drop: float) -> None:
        super().__init__()
        self.drop = drop

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.drop == 0:
            return x
        keep = torch.empty(len(x), 1, 1, 1, dtype=x.dtype, device=x.device)
        return x * keep.bernoulli_(1 - self.drop).div_(1 - self.drop)


class SqueezeExcite(nn.Module):
    """Channel gates from globally pooled features (Hu et al. 2018, arXiv:1709.01507)."""

    def __init__(self, arch: Arch, width: int, squeezed: int) -> None:
        super().__init__()
        self.pool = GlobalAvgPool2d()
        self.reduce = PointwiseConv2d(width, squeezed, 1)
        self.activation = ACTIVATIONS[arch.activation]()
        self.expand = PointwiseConv2d(squeezed, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        gates = self.expand(self.activation(self.reduce(self.pool(x))))
        return x * torch.sigmoid(gates)


class EvenPool(nn.Module):
    """Average pooling to `side` pixels by equal windows at equal strides (17 to 5: 5 by 3)."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] < self.side:  # too small for equal windows without gaps
            return nn.functional.adaptive_avg_pool2d(x, self.side)
        stride = x.shape[-1] // self.side
        return nn.functional.avg_pool2d(x, x.shape[-1] - (self.side - 1) * stride, stride)
