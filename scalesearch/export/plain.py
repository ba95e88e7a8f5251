"""The blocks of stage tables in torch alone: what exported Python files are made of.

An exported file takes from here the definitions that it needs, word for word, so each of them uses
torch, the constants below and the others of this file only. Their names and layers are those of
`scalesearch.networks.blocks`, so that a state dict of one fits the other.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ACTIVATION: type[nn.Module] = nn.ReLU
NORM_EPS = 1e-5
NORM_MOMENTUM = 0.1


class ScaledTanh(nn.Module):
    """1.7159 tanh(2 x / 3), LeNet-5's activation (LeCun et al. 1998, appendix A)."""

    def forward(self, x: Tensor) -> Tensor:
        return 1.7159 * torch.tanh(x * (2 / 3))


class ConvNorm(nn.Sequential):
    """Convolution (padding half the kernel unless given), batch norm and activation."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        padding: int | None = None,
        groups: int = 1,
        bias: bool = False,
        activate: bool = True,
    ) -> None:
        height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
        pad = (height // 2, width // 2) if padding is None else (padding, padding)
        layers: list[nn.Module] = [
            nn.Conv2d(inputs, outputs, (height, width), stride, pad, groups=groups, bias=bias),
            nn.BatchNorm2d(outputs, NORM_EPS, NORM_MOMENTUM),
        ]
        if activate:
            layers.append(ACTIVATION())
        super().__init__(*layers)


class ConvBias(nn.Sequential):
    """Convolution with bias (padding half the kernel unless given) and activation."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        padding: int | None = None,
        groups: int = 1,
    ) -> None:
        height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
        pad = (height // 2, width // 2) if padding is None else (padding, padding)
        super().__init__(
            nn.Conv2d(inputs, outputs, (height, width), stride, pad, groups=groups),
            ACTIVATION(),
        )


class Separable(nn.Sequential):
    """MobileNetV1's block: a depthwise convolution, then a pointwise one."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1) -> None:
        super().__init__(
            ConvNorm(inputs, inputs, kernel, stride, groups=inputs),
            ConvNorm(inputs, outputs, kernel=1),
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

    def __init__(self, width: int, squeezed: int) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(width, squeezed, 1)
        self.activation = ACTIVATION()
        self.expand = nn.Conv2d(squeezed, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        gates = self.expand(self.activation(self.reduce(self.pool(x))))
        return x * torch.sigmoid(gates)


class MBConv(nn.Module):
    """Inverted residual: widen to `inner`, depthwise, squeeze-excite if asked for, narrow."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        inner: int,
        stride: int = 1,
        squeezed: int = 0,
        drop: float = 0.0,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        if inner != inputs:
            layers.append(ConvNorm(inputs, inner, kernel=1))
        layers.append(ConvNorm(inner, inner, kernel, stride, groups=inner))
        if squeezed:
            layers.append(SqueezeExcite(inner, squeezed))
        layers.append(ConvNorm(inner, outputs, kernel=1, activate=False))
        self.layers = nn.Sequential(*layers)
        self.skip = stride == 1 and inputs == outputs
        self.drop = StochasticDepth(drop)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return self.drop(y) + x if self.skip else y


class FusedMBConv(nn.Module):
    """Inverted residual whose widening and depthwise convolutions are one."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        inner: int,
        stride: int = 1,
        drop: float = 0.0,
    ) -> None:
        super().__init__()
        if inner == inputs:
            layers = [ConvNorm(inputs, outputs, kernel, stride)]
        else:
            layers = [
                ConvNorm(inputs, inner, kernel, stride),
                ConvNorm(inner, outputs, kernel=1, activate=False),
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
        self, inputs: int, outputs: int, stride: int, drop: float, *layers: nn.Module
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = ConvNorm(inputs, outputs, 1, stride, activate=False)
        self.drop = StochasticDepth(drop)
        self.activation = ACTIVATION()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.activation(self.drop(self.layers(x)) + self.shortcut(x))
        return out


class BasicBlock(Residual):
    """ResNet's block of two convolutions."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int = 1, drop: float = 0.0
    ) -> None:
        super().__init__(
            inputs,
            outputs,
            stride,
            drop,
            ConvNorm(inputs, outputs, kernel, stride),
            ConvNorm(outputs, outputs, kernel, activate=False),
        )


class Bottleneck(Residual):
    """ResNet's block of three convolutions, the stride in the middle one; ResNeXt's has groups."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        inner: int,
        stride: int = 1,
        groups: int = 1,
        drop: float = 0.0,
    ) -> None:
        super().__init__(
            inputs,
            outputs,
            stride,
            drop,
            ConvNorm(inputs, inner, kernel=1),
            ConvNorm(inner, inner, kernel, stride, groups=groups),
            ConvNorm(inner, outputs, kernel=1, activate=False),
        )


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


# Table I: the maps of S2 that each map of C3 sees; 60 of 96 pairs are joined
SPARSE_C3 = (
    *((0, 1, 2), (1, 2, 3), (2, 3, 4), (3, 4, 5), (0, 4, 5), (0, 1, 5)),
    *((0, 1, 2, 3), (1, 2, 3, 4), (2, 3, 4, 5), (0, 3, 4, 5), (0, 1, 4, 5), (0, 1, 2, 5)),
    *((0, 1, 3, 4), (1, 2, 4, 5), (0, 2, 3, 5)),
    (0, 1, 2, 3, 4, 5),
)


class SparseConv(nn.Module):
    """LeNet-5's C3: each of 16 maps is convolved from its own few of 6, with bias."""

    def __init__(self, kernel: int, stride: int, padding: int) -> None:
        super().__init__()
        self.inputs: list[list[int]] = []  # as many maps seen, one grouped convolution
        self.convs = nn.ModuleList()
        for seen in sorted({len(maps) for maps in SPARSE_C3}):
            groups = [maps for maps in SPARSE_C3 if len(maps) == seen]
            n = len(groups)
            self.inputs.append([i for maps in groups for i in maps])
            self.convs.append(nn.Conv2d(n * seen, n, kernel, stride, padding, groups=n))
        self.activation = ACTIVATION()

    def forward(self, x: Tensor) -> Tensor:
        parts = [
            conv(torch.cat([x[:, i : i + 1] for i in seen], 1))
            for seen, conv in zip(self.inputs, self.convs, strict=True)
        ]
        out: Tensor = self.activation(torch.cat(parts, 1))
        return out


class Subsample(nn.Module):
    """LeNet-5's S2 and S4: sums of kernel by kernel pixels, times a weight, plus a bias, a map."""

    def __init__(self, width: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.weight = nn.Parameter(torch.ones(width, 1, 1))
        self.bias = nn.Parameter(torch.zeros(width, 1, 1))
        self.activation = ACTIVATION()

    def forward(self, x: Tensor) -> Tensor:
        sums = F.avg_pool2d(x, self.kernel, self.stride) * self.kernel**2
        out: Tensor = self.activation(sums * self.weight + self.bias)
        return out


class RadialBasis(nn.Module):
    """LeNet-5's output: minus the squared distance to each class's code of fixed +1 and -1."""

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        codes = [
            [(-1.0) ** ((i + 1) & j).bit_count() for j in range(width)] for i in range(classes)
        ]
        self.register_buffer("codes", torch.tensor(codes))
        self.codes: Tensor

    def forward(self, x: Tensor) -> Tensor:
        squares = x.pow(2).sum(1, keepdim=True) + self.codes.shape[1]
        return 2 * F.linear(x, self.codes) - squares


def draw(
    network: nn.Module,
    conv: Callable[[Tensor], object],
    dense: Callable[[Tensor], object] | None = None,
    zero_bias: bool = True,
) -> None:
    """Draw the weights of every convolution and fully connected layer that a rule is given for."""
    for module in network.modules():
        rule = conv if isinstance(module, nn.Conv2d) else dense
        if isinstance(module, nn.Conv2d | nn.Linear) and rule is not None:
            rule(module.weight)
            if zero_bias and module.bias is not None:
                nn.init.zeros_(module.bias)


def he(weight: Tensor) -> None:
    """Normal, variance 2 / fan_out (He et al. 2015)."""
    nn.init.kaiming_normal_(weight, mode="fan_out")


def init_efficientnet(network: nn.Module) -> None:
    """He; dense layers uniform within 1 / sqrt(outputs)."""

    def dense(weight: Tensor) -> None:
        nn.init.uniform_(weight, -1 / math.sqrt(len(weight)), 1 / math.sqrt(len(weight)))

    draw(network, he, dense)


def init_resnet(network: nn.Module) -> None:
    """He; dense layers as torch makes them."""
    draw(network, he)


def init_vgg(network: nn.Module) -> None:
    """He; dense layers normal with standard deviation 0.01."""
    draw(network, he, lambda weight: nn.init.normal_(weight, std=0.01))


def normal(std: float) -> Callable[[Tensor], object]:
    """Normal with a standard deviation, cut off at 2."""
    return lambda weight: nn.init.trunc_normal_(weight, std=std, a=-2, b=2)


def init_googlenet(network: nn.Module) -> None:
    """Normal with standard deviation 0.01; biases as torch makes them."""
    draw(network, normal(0.01), normal(0.01), zero_bias=False)


def init_inception(network: nn.Module) -> None:
    """Normal with standard deviation 0.1; biases as torch makes them."""
    draw(network, normal(0.1), normal(0.1), zero_bias=False)


def init_lenet(network: nn.Module) -> None:
    """Uniform within 2.4 / fan_in, biases too (LeCun et al. 1998, appendix A)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear | Subsample):
            fan_in = module.kernel**2 if isinstance(module, Subsample) else module.weight[0].numel()
            for parameter in module.parameters(recurse=False):
                nn.init.uniform_(parameter, -2.4 / fan_in, 2.4 / fan_in)
