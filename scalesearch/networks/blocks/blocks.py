"""The blocks that stage tables name: the layer that each row becomes.

A block is declared once: networks are built of the layer, and an exported Python file is written
of it and of its class. A new one is a function here, or imported here, and an entry in BLOCKS.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from scalesearch.networks.arch import Stage
from scalesearch.networks.blocks.fast import MaxPool2d
from scalesearch.networks.blocks.layer import Layer, layer, sequence
from scalesearch.networks.blocks.layers import (
    Branches,
    ConvBias,
    ConvNorm,
    EvenPool,
    Separable,
    Style,
)
from scalesearch.networks.blocks.lenet import SPARSE_C3, SparseConv, Subsample
from scalesearch.networks.blocks.residual import BasicBlock, Bottleneck, FusedMBConv, MBConv

# the columns of a row that only some blocks read, with what they are where a row does not say
COLUMNS = {"padding": None, "groups": 1, "expand": 1.0, "squeeze": 0.0, "branches": ()}


@dataclass(frozen=True, slots=True)
class Block:
    """A kind of block: the layer of a row, and which of COLUMNS it reads.

    `layer` is called with the network's style, the row with its width written out, input
    channels, stride and the probability of stochastic depth.
    """

    layer: Callable[[Style, Stage, int, int, float], Layer]
    reads: tuple[str, ...] = ()


def conv(style: Style, row: Stage, inputs: int, stride: int, drop: float) -> Layer:
    """A convolution with batch norm and activation; `conv_bias_norm` has a bias too."""
    check_groups(inputs, row.width, row.groups)
    return layer(
        ConvNorm,
        style,
        inputs,
        row.width,
        kernel=row.kernel,
        stride=stride,
        padding=row.padding,
        groups=row.groups,
        bias=row.block == "conv_bias_norm",
    )


def conv_bias(style: Style, row: Stage, inputs: int, stride: int, drop: float) -> Layer:
    """A convolution with bias and activation, as before batch norm."""
    check_groups(inputs, row.width, row.groups)
    return layer(
        ConvBias,
        style,
        inputs,
        row.width,
        kernel=row.kernel,
        stride=stride,
        padding=row.padding,
        groups=row.groups,
    )


def separable(style: Style, row: Stage, inputs: int, stride: int, drop: float) -> Layer:
    """A depthwise convolution, then a pointwise one."""
    return layer(Separable, style, inputs, row.width, kernel=row.kernel, stride=stride)


def pool(style: Style, row: Stage, inputs: int, stride: int, drop: float) -> Layer:
    """Max or average pooling; `max_pool_ceil` keeps a last window that is cut off by the border."""
    if row.width != inputs:
        raise ValueError(f"{row.block} keeps its input's {inputs} channels, got {row.width}")
    if row.block == "avg_pool":
        return layer(nn.AvgPool2d, row.kernel, stride, row.kernel_padding)
    ceil = row.block == "max_pool_ceil"
    return layer(MaxPool2d, row.kernel, stride, row.kernel_padding, ceil_mode=ceil)


def pool_to(style: Style, row: Stage, inputs: int, stride: int, drop: float) -> Layer:
    """Average pooling to `kernel` pixels a side, by torch's adaptive windows or by equal ones."""
    side = square(row)
    return layer(EvenPool if row.block == "even_pool" else nn.AdaptiveAvgPool2d, side)


def mbconv(style: Style, row: Stage, inputs: int, stride: int, drop: float) -> Layer:
    """An inverted residual; its squeezed width follows the block's input, not the inner width."""
    return layer(
        MBConv,
        style,
        inputs,
        row.width,
        kernel=row.kernel,
        inner=round(inputs * row.expand),
        stride=stride,
        squeezed=max(1, int(inputs * row.squeeze)) if row.squeeze else 0,
        drop=drop,
    )


def fused_mbconv(style: Style, row: Stage, inputs: int, stride: int, drop: float) -> Layer:
    """An inverted residual without a depthwise convolution."""
    inner = round(inputs * row.expand)
    return layer(
        FusedMBConv,
        style,
        inputs,
        row.width,
        kernel=row.kernel,
        inner=inner,
        stride=stride,
        drop=drop,
    )


def basic(style: Style, row: Stage, inputs: int, stride: int, drop: float) -> Layer:
    """ResNet's block of two convolutions."""
    return layer(BasicBlock, style, inputs, row.width, kernel=row.kernel, stride=stride, drop=drop)


def bottleneck(style: Style, row: Stage, inputs: int, stride: int, drop: float) -> Layer:
    """ResNet's block of three convolutions; its inner width is `expand` times the output's."""
    inner = round(row.width * row.expand)
    check_groups(inner, inner, row.groups)
    return layer(
        Bottleneck,
        style,
        inputs,
        row.width,
        kernel=row.kernel,
        inner=inner,
        stride=stride,
        groups=row.groups,
        drop=drop,
    )


def branches(style: Style, row: Stage, inputs: int, stride: int, drop: float) -> Layer:
    """Sequences of rows side by side."""
    sides = (sequence(*row_layers(style, rows, inputs)) for rows in row.branches)
    return Layer(Branches, tuple(sides))


def sparse_conv(style: Style, row: Stage, inputs: int, stride: int, drop: float) -> Layer:
    """LeNet-5's layer C3."""
    if (inputs, row.width) != (6, len(SPARSE_C3)):
        raise ValueError(f"sparse_conv must join 6 maps to 16, got {inputs} to {row.width}")
    return layer(SparseConv, style, row.kernel, stride, row.kernel_padding)


def subsample(style: Style, row: Stage, inputs: int, stride: int, drop: float) -> Layer:
    """LeNet-5's layers S2 and S4."""
    return layer(Subsample, style, inputs, square(row), stride)


BLOCKS: dict[str, Block] = {
    "conv": Block(conv, ("padding", "groups")),
    "conv_bias": Block(conv_bias, ("padding", "groups")),
    "conv_bias_norm": Block(conv, ("padding", "groups")),
    "max_pool": Block(pool, ("padding",)),
    "max_pool_ceil": Block(pool, ("padding",)),
    "avg_pool": Block(pool, ("padding",)),
    "adaptive_pool": Block(pool_to),
    "even_pool": Block(pool_to),
    "separable": Block(separable),
    "mbconv": Block(mbconv, ("expand", "squeeze")),
    "fused_mbconv": Block(fused_mbconv, ("expand",)),
    "basic": Block(basic),
    "bottleneck": Block(bottleneck, ("expand", "groups")),
    "branches": Block(branches, ("branches",)),
    "sparse_conv": Block(sparse_conv, ("padding",)),
    "subsample": Block(subsample),
}


def square(row: Stage) -> int:
    """The side of a row's kernel. Raises ValueError for one that is not square."""
    if isinstance(row.kernel, int):
        return row.kernel
    raise ValueError(f"{row.block} needs a square kernel, got {row.kernel}")


def check_groups(inputs: int, outputs: int, groups: int) -> None:
    """Raise ValueError for a convolution whose groups do not divide its channels."""
    if inputs % groups or outputs % groups:
        raise ValueError(
            f"groups must divide the channels, got {groups} groups for {inputs} to {outputs}"
        )


def block_layer(
    style: Style, row: Stage, inputs: int, stride: int | None = None, drop: float = 0.0
) -> Layer:
    """The layer that one block of a row is, with the row's stride unless another is given.

    Raises ValueError, stating the rule, for a row that no block can be made of.
    """
    if row.block not in BLOCKS:
        raise ValueError(f"a block must be one of {', '.join(sorted(BLOCKS))}; got {row.block!r}")
    block = BLOCKS[row.block]
    for column, default in COLUMNS.items():
        if column not in block.reads and getattr(row, column) != default:
            raise ValueError(f"{row.block} has no {column}, got {getattr(row, column)}")
    return block.layer(style, row.with_width(inputs), inputs, stride or row.stride, drop)


def row_layers(style: Style, rows: tuple[Stage, ...], inputs: int) -> list[Layer]:
    """The layers of rows that follow one another, each of one block, on that many channels."""
    layers = []
    for row in rows:
        layers.append(block_layer(style, row, inputs))
        inputs = row.width_after(inputs)
    return layers
