"""The layers that blocks are made of.

An exported Python file takes from here, word for word, the definitions that its network needs:
they see numbers, a `Style` and modules, never a stage table.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from scalesearch.networks.arch import Arch, half
from scalesearch.networks.blocks.fast import AdaptiveAvgPool2d, BatchNorm2d, Conv2d


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


@dataclass(frozen=True, slots=True)
class Style:
    """What all layers of a network share: its activation, and batch norm's epsilon and momentum."""

    activation: type[nn.Module]
    norm_eps: float = 1e-5
    norm_momentum: float = 0.1


def style_of(arch: Arch) -> Style:
    """The style of an arch's layers."""
    return Style(ACTIVATIONS[arch.activation], arch.norm_eps, arch.norm_momentum)


class ConvNorm(nn.Sequential):
    """Convolution (padding half the kernel unless given), batch norm and activation."""

    def __init__(
        self,
        style: Style,
        inputs: int,
        outputs: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        padding: int | None = None,
        groups: int = 1,
        bias: bool = False,
        activate: bool = True,
    ) -> None:
        pad = half(kernel) if padding is None else padding
        layers: list[nn.Module] = [
            Conv2d(inputs, outputs, kernel, stride, pad, groups=groups, bias=bias),
            BatchNorm2d(outputs, style.norm_eps, style.norm_momentum),
        ]
        if activate:
            layers.append(style.activation())
        super().__init__(*layers)


class ConvBias(nn.Sequential):
    """Convolution with bias (padding half the kernel unless given) and activation."""

    def __init__(
        self,
        style: Style,
        inputs: int,
        outputs: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        padding: int | None = None,
        groups: int = 1,
    ) -> None:
        pad = half(kernel) if padding is None else padding
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, pad, groups=groups), style.activation()
        )


class Separable(nn.Sequential):
    """MobileNetV1's block: a depthwise convolution, then a pointwise one."""

    def __init__(
        self,
        style: Style,
        inputs: int,
        outputs: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
    ) -> None:
        super().__init__(
            ConvNorm(style, inputs, inputs, kernel, stride, groups=inputs),
            ConvNorm(style, inputs, outputs, kernel=1),
        )


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

    def __init__(self, style: Style, width: int, squeezed: int) -> None:
        super().__init__()
        self.pool = AdaptiveAvgPool2d(1)
        self.reduce = Conv2d(width, squeezed, 1)
        self.activation = style.activation()
        self.expand = Conv2d(squeezed, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        gates = self.expand(self.activation(self.reduce(self.pool(x))))
        return x * torch.sigmoid(gates)


class Branches(nn.Module):
    """Sequences of layers side by side on one input, their outputs concatenated (Inception)."""

    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


class EvenPool(nn.Module):
    """Average pooling to `side` pixels by equal windows at equal strides (17 to 5: 5 by 3)."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] < self.side:  # too small for equal windows without gaps
            return F.adaptive_avg_pool2d(x, self.side)
        stride = x.shape[-1] // self.side
        return F.avg_pool2d(x, x.shape[-1] - (self.side - 1) * stride, stride)
