"""The blocks that stage tables name. A new one is a class or function and an entry in BLOCKS."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from scalesearch.networks.arch import Arch, Stage
from scalesearch.networks.blocks.layers import ACTIVATIONS, ConvNorm, EvenPool, check_groups, square
from scalesearch.networks.blocks.lenet import SparseConv, Subsample
from scalesearch.networks.blocks.residual import FusedMBConv, MBConv, Residual


class Branches(nn.Module):
    """Sequences of blocks side by side on one input, their outputs concatenated (Inception)."""

    def __init__(self, arch: Arch, stage: Stage, in_width: int, stride: int, drop: float) -> None:
        super().__init__()
        self.branches = nn.ModuleList()
        for rows in stage.branches:
            blocks, width = [], in_width
            for row in rows:
                blocks.append(make_block(arch, row, width))
                width = row.width_after(width)
            self.branches.append(nn.Sequential(*blocks))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


def conv(arch: Arch, stage: Stage, in_width: int, stride: int, drop: float) -> nn.Module:
    """A convolution with batch norm and activation; `conv_bias_norm` has a bias too."""
    return ConvNorm(
        arch,
        in_width,
        stage.width,
        stage.kernel,
        stride,
        stage.groups,
        padding=stage.kernel_padding,
        bias=stage.block == "conv_bias_norm",
    )


def conv_bias(arch: Arch, stage: Stage, in_width: int, stride: int, drop: float) -> nn.Module:
    """A convolution with bias and activation, as before batch norm."""
    check_groups(in_width, stage.width, stage.groups)
    return nn.Sequential(
        nn.Conv2d(
            in_width,
            stage.width,
            stage.kernel,
            stride,
            stage.kernel_padding,
            groups=stage.groups,
        ),
        ACTIVATIONS[arch.activation](),
    )


def separable(arch: Arch, stage: Stage, in_width: int, stride: int, drop: float) -> nn.Module:
    """MobileNetV1's block: a depthwise convolution, then a pointwise one."""
    return nn.Sequential(
        ConvNorm(arch, in_width, in_width, stage.kernel, stride, groups=in_width),
        ConvNorm(arch, in_width, stage.width, 1),
    )


def pool(arch: Arch, stage: Stage, in_width: int, stride: int, drop: float) -> nn.Module:
    """Max or average pooling; `max_pool_ceil` keeps a last window that is cut off by the border."""
    if stage.width != in_width:
        raise ValueError(f"{stage.block} keeps its input's {in_width} channels, got {stage.width}")
    if stage.block == "avg_pool":
        return nn.AvgPool2d(stage.kernel, stride, stage.kernel_padding)
    ceil = stage.block == "max_pool_ceil"
    return nn.MaxPool2d(stage.kernel, stride, stage.kernel_padding, ceil_mode=ceil)


def pool_to(arch: Arch, stage: Stage, in_width: int, stride: int, drop: float) -> nn.Module:
    """Average pooling to `kernel` pixels a side, by torch's adaptive windows or by equal ones."""
    side = square(stage)
    return EvenPool(side) if stage.block == "even_pool" else nn.AdaptiveAvgPool2d(side)


# arch, stage, input width, stride, probability of stochastic depth -> one block
BLOCKS: dict[str, Callable[[Arch, Stage, int, int, float], nn.Module]] = {
    "conv": conv,
    "conv_bias": conv_bias,
    "conv_bias_norm": conv,
    "max_pool": pool,
    "max_pool_ceil": pool,
    "avg_pool": pool,
    "adaptive_pool": pool_to,
    "even_pool": pool_to,
    "separable": separable,
    "mbconv": MBConv,
    "fused_mbconv": FusedMBConv,
    "basic": Residual,
    "bottleneck": Residual,
    "branches": Branches,
    "sparse_conv": SparseConv,
    "subsample": Subsample,
}
# the columns of a row, beside width, depth, stride and kernel, that a block reads; one that is
# not listed may read them all
READS: dict[str, set[str]] = {
    "conv": {"padding", "groups"},
    "conv_bias": {"padding", "groups"},
    "conv_bias_norm": {"padding", "groups"},
    "max_pool": {"padding"},
    "max_pool_ceil": {"padding"},
    "avg_pool": {"padding"},
    "adaptive_pool": set(),
    "even_pool": set(),
    "separable": set(),
    "mbconv": {"expand", "squeeze"},
    "fused_mbconv": {"expand"},
    "basic": set(),
    "bottleneck": {"expand", "groups"},
    "branches": {"branches"},
    "sparse_conv": {"padding"},
    "subsample": set(),
}
COLUMNS = {"padding": None, "groups": 1, "expand": 1.0, "squeeze": 0.0, "branches": ()}


def make_block(
    arch: Arch, stage: Stage, in_width: int, stride: int | None = None, drop: float = 0.0
) -> nn.Module:
    """One block of the row `stage`, with its stride unless another is given.

    Raises ValueError, stating the rule, for a row that no block can be made of.
    """
    if stage.block not in BLOCKS:
        raise ValueError(f"a block must be one of {', '.join(sorted(BLOCKS))}; got {stage.block!r}")
    read = READS.get(stage.block, COLUMNS.keys())
    for column, default in COLUMNS.items():
        if column not in read and getattr(stage, column) != default:
            raise ValueError(f"{stage.block} has no {column}, got {getattr(stage, column)}")
    stage = stage.with_width(in_width)
    return BLOCKS[stage.block](arch, stage, in_width, stride or stage.stride, drop)
