"""Blocks with a shortcut: inverted residuals and ResNet's. Exported word for word, as layers."""

from torch import Tensor, nn

from scalesearch.networks.blocks.layers import ConvNorm, SqueezeExcite, StochasticDepth, Style


class MBConv(nn.Module):
    """Inverted residual: widen to `inner`, depthwise, squeeze-excite if asked for, narrow.

    MobileNetV2's (Sandler et al. 2018, arXiv:1801.04381) has no squeeze-excitation,
    EfficientNet's has. The input is added where the shapes allow it.
    """

    def __init__(
        self,
        style: Style,
        inputs: int,
        outputs: int,
        kernel: int | tuple[int, int],
        inner: int,
        stride: int = 1,
        squeezed: int = 0,
        drop: float = 0.0,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        if inner != inputs:
            layers.append(ConvNorm(style, inputs, inner, kernel=1))
        layers.append(ConvNorm(style, inner, inner, kernel, stride, groups=inner))
        if squeezed:
            layers.append(SqueezeExcite(style, inner, squeezed))
        layers.append(ConvNorm(style, inner, outputs, kernel=1, activate=False))
        self.layers = nn.Sequential(*layers)
        self.skip = stride == 1 and inputs == outputs
        self.drop = StochasticDepth(drop)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return self.drop(y) + x if self.skip else y


class FusedMBConv(nn.Module):
    """Inverted residual whose widening and depthwise convolutions are one (EfficientNetV2).

    Where there is nothing to widen it is a single convolution.
    """

    def __init__(
        self,
        style: Style,
        inputs: int,
        outputs: int,
        kernel: int | tuple[int, int],
        inner: int,
        stride: int = 1,
        drop: float = 0.0,
    ) -> None:
        super().__init__()
        if inner == inputs:
            layers = [ConvNorm(style, inputs, outputs, kernel, stride)]
        else:
            layers = [
                ConvNorm(style, inputs, inner, kernel, stride),
                ConvNorm(style, inner, outputs, kernel=1, activate=False),
            ]
        self.layers = nn.Sequential(*layers)
        self.skip = stride == 1 and inputs == outputs
        self.drop = StochasticDepth(drop)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return self.drop(y) + x if self.skip else y


class Residual(nn.Module):
    """Layers, plus their input, projected where shapes differ (He et al. 2015)."""

    def __init__(
        self,
        style: Style,
        inputs: int,
        outputs: int,
        stride: int,
        drop: float,
        *layers: nn.Module,
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = ConvNorm(style, inputs, outputs, 1, stride, activate=False)
        self.drop = StochasticDepth(drop)
        self.activation = style.activation()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.activation(self.drop(self.layers(x)) + self.shortcut(x))
        return out


class BasicBlock(Residual):
    """ResNet's block of two convolutions."""

    def __init__(
        self,
        style: Style,
        inputs: int,
        outputs: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        drop: float = 0.0,
    ) -> None:
        super().__init__(
            style,
            inputs,
            outputs,
            stride,
            drop,
            ConvNorm(style, inputs, outputs, kernel, stride),
            ConvNorm(style, outputs, outputs, kernel, activate=False),
        )


class Bottleneck(Residual):
    """ResNet's block of three convolutions, the stride in the middle one; ResNeXt's has groups."""

    def __init__(
        self,
        style: Style,
        inputs: int,
        outputs: int,
        kernel: int | tuple[int, int],
        inner: int,
        stride: int = 1,
        groups: int = 1,
        drop: float = 0.0,
    ) -> None:
        super().__init__(
            style,
            inputs,
            outputs,
            stride,
            drop,
            ConvNorm(style, inputs, inner, kernel=1),
            ConvNorm(style, inner, inner, kernel, stride, groups=groups),
            ConvNorm(style, inner, outputs, kernel=1, activate=False),
        )
