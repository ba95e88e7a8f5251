"""The blocks that stage tables name. A new block is one class and one entry in BLOCKS."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from scalesearch.arch import Arch, Stage
from scalesearch.nets.fast import BatchNorm2d, DepthwiseConv2d, GlobalAvgPool2d, PointwiseConv2d

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "silu": nn.SiLU,
}


class ConvNorm(nn.Sequential):
    """Convolution without bias (padding kernel // 2), batch norm, and the arch's activation."""

    def __init__(
        self,
        arch: Arch,
        in_width: int,
        width: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        activate: bool = True,
    ) -> None:
        convolution: type[nn.Conv2d] = nn.Conv2d
        if kernel == stride == groups == 1:
            convolution = PointwiseConv2d
        elif groups == in_width == width and kernel % 2:
            convolution = DepthwiseConv2d
        layers: list[nn.Module] = [
            convolution(in_width, width, kernel, stride, kernel // 2, groups=groups, bias=False),
            BatchNorm2d(width, arch.norm_eps, arch.norm_momentum),
        ]
        if activate:
            layers.append(ACTIVATIONS[arch.activation](inplace=True))
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
        self.activation = ACTIVATIONS[arch.activation](inplace=True)
        self.expand = PointwiseConv2d(squeezed, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        gates = self.expand(self.activation(self.reduce(self.pool(x))))
        return x * torch.sigmoid(gates)


class MBConv(nn.Module):
    """Inverted residual: widen, depthwise, squeeze-excite if asked for, narrow; skip if it fits.

    MobileNetV2 without squeeze-excitation, EfficientNet with it; its width follows the block's
    input width, not the expanded one.
    """

    def __init__(self, arch: Arch, stage: Stage, in_width: int, stride: int, drop: float) -> None:
        super().__init__()
        inner = round(in_width * stage.expand)
        layers: list[nn.Module] = []
        if inner != in_width:
            layers.append(ConvNorm(arch, in_width, inner, 1))
        layers.append(ConvNorm(arch, inner, inner, stage.kernel, stride, groups=inner))
        if stage.squeeze:
            squeezed = max(1, int(in_width * stage.squeeze))
            layers.append(SqueezeExcite(arch, inner, squeezed))
        layers.append(ConvNorm(arch, inner, stage.width, 1, activate=False))
        self.layers = nn.Sequential(*layers)
        self.skip = stride == 1 and in_width == stage.width
        self.drop = StochasticDepth(drop)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return self.drop(y) + x if self.skip else y


class Residual(nn.Module):
    """ResNet's basic block and bottleneck: layers, plus the input, projected where shapes differ.

    A bottleneck's inner width is `expand` times its output width.
    """

    def __init__(self, arch: Arch, stage: Stage, in_width: int, stride: int, drop: float) -> None:
        super().__init__()
        if stage.block == "bottleneck":
            inner = round(stage.width * stage.expand)
            layers = [
                ConvNorm(arch, in_width, inner, 1),
                ConvNorm(arch, inner, inner, stage.kernel, stride),
                ConvNorm(arch, inner, stage.width, 1, activate=False),
            ]
        else:
            layers = [
                ConvNorm(arch, in_width, stage.width, stage.kernel, stride),
                ConvNorm(arch, stage.width, stage.width, stage.kernel, activate=False),
            ]
        self.layers = nn.Sequential(*layers)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_width != stage.width:
            self.shortcut = ConvNorm(arch, in_width, stage.width, 1, stride, activate=False)
        self.drop = StochasticDepth(drop)
        self.activation = ACTIVATIONS[arch.activation](inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.activation(self.drop(self.layers(x)) + self.shortcut(x))
        return out


def conv(arch: Arch, stage: Stage, in_width: int, stride: int, drop: float) -> nn.Module:
    """A convolution with batch norm and activation."""
    return ConvNorm(arch, in_width, stage.width, stage.kernel, stride)


def separable(arch: Arch, stage: Stage, in_width: int, stride: int, drop: float) -> nn.Module:
    """MobileNetV1's block: a depthwise convolution, then a pointwise one."""
    return nn.Sequential(
        ConvNorm(arch, in_width, in_width, stage.kernel, stride, groups=in_width),
        ConvNorm(arch, in_width, stage.width, 1),
    )


def max_pool(arch: Arch, stage: Stage, in_width: int, stride: int, drop: float) -> nn.Module:
    """Max pooling; a row that must keep the width it is given."""
    if stage.width != in_width:
        raise ValueError(f"max_pool keeps its input's {in_width} channels, got {stage.width}")
    return nn.MaxPool2d(stage.kernel, stride, stage.kernel // 2)


# arch, stage, input width, stride, probability of stochastic depth -> one block
BLOCKS: dict[str, Callable[[Arch, Stage, int, int, float], nn.Module]] = {
    "conv": conv,
    "max_pool": max_pool,
    "separable": separable,
    "mbconv": MBConv,
    "basic": Residual,
    "bottleneck": Residual,
}
