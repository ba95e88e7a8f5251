"""Blocks with a shortcut: inverted residuals and ResNet's."""

from torch import Tensor, nn

from scalesearch.networks.arch import Arch, Stage
from scalesearch.networks.blocks.layers import ACTIVATIONS, ConvNorm, SqueezeExcite, StochasticDepth


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


class FusedMBConv(nn.Module):
    """EfficientNetV2's inverted residual, whose widening and depthwise convolutions are one.

    Where there is nothing to widen it is a single convolution.
    """

    def __init__(self, arch: Arch, stage: Stage, in_width: int, stride: int, drop: float) -> None:
        super().__init__()
        inner = round(in_width * stage.expand)
        if inner == in_width:
            layers = [ConvNorm(arch, in_width, stage.width, stage.kernel, stride)]
        else:
            layers = [
                ConvNorm(arch, in_width, inner, stage.kernel, stride),
                ConvNorm(arch, inner, stage.width, 1, activate=False),
            ]
        self.layers = nn.Sequential(*layers)
        self.skip = stride == 1 and in_width == stage.width
        self.drop = StochasticDepth(drop)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return self.drop(y) + x if self.skip else y


class Residual(nn.Module):
    """ResNet's basic block and bottleneck: layers, plus the input, projected where shapes differ.

    A bottleneck's inner width is `expand` times its output width; ResNeXt's has groups.
    """

    def __init__(self, arch: Arch, stage: Stage, in_width: int, stride: int, drop: float) -> None:
        super().__init__()
        if stage.block == "bottleneck":
            inner = round(stage.width * stage.expand)
            layers = [
                ConvNorm(arch, in_width, inner, 1),
                ConvNorm(arch, inner, inner, stage.kernel, stride, stage.groups),
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
        self.activation = ACTIVATIONS[arch.activation]()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.activation(self.drop(self.layers(x)) + self.shortcut(x))
        return out
