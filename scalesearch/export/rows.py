"""The rows of a stage table as Python: calls of the blocks in `plain`."""

from collections.abc import Callable
from dataclasses import dataclass

from scalesearch.networks.arch import Stage, half
from scalesearch.networks.blocks.layout import Placed

WIDTH = 100  # characters of a line


@dataclass(frozen=True, slots=True)
class Call:
    """A call to be written: what is called, and its arguments, code or calls themselves."""

    name: str
    arguments: tuple["str | Call", ...]


def flat(code: str | Call) -> str:
    """Code in one line."""
    if isinstance(code, str):
        return code
    return f"{code.name}({', '.join(flat(a) for a in code.arguments)})"


def written(code: str | Call, indent: int, end: str = "") -> str:
    """Code at that indentation, broken where the line would be too long, as formatters do."""
    space = " " * indent
    line = f"{space}{flat(code)}{end}"
    if len(line) <= WIDTH or isinstance(code, str):
        return line
    inner = f"{space}    {', '.join(flat(a) for a in code.arguments)}"
    if len(inner) > WIDTH:
        inner = "\n".join(written(a, indent + 4, ",") for a in code.arguments)
    return f"{space}{code.name}(\n{inner}\n{space}){end}"


def block_call(place: Placed) -> Call:
    """The call that makes the block; what is left to its default is not written."""
    return CALLS[place.stage.block](place)


def optional(place: Placed, *names: str) -> tuple[str, ...]:
    """Those of the named arguments that differ from their defaults."""
    row = place.stage
    padding = None if row.kernel_padding == half(row.kernel) else row.padding
    found = {
        "stride": (place.stride, 1),
        "padding": (padding, None),
        "groups": (row.groups, 1),
        "drop": (float(f"{place.drop:.6g}"), 0.0),
    }
    return tuple(f"{name}={found[name][0]!r}" for name in names if found[name][0] != found[name][1])


def sizes(place: Placed) -> tuple[str, ...]:
    """Channels in, channels out, and the kernel: what every convolution is given first."""
    return str(place.in_width), str(place.stage.width), f"kernel={place.stage.kernel!r}"


def convolution(place: Placed) -> Call:
    """A convolution with batch norm, with or without a bias."""
    bias = ("bias=True",) if place.stage.block == "conv_bias_norm" else ()
    options = optional(place, "stride", "padding", "groups")
    return Call("ConvNorm", (*sizes(place), *options, *bias))


def biased(place: Placed) -> Call:
    """A convolution with bias and no norm."""
    return Call("ConvBias", (*sizes(place), *optional(place, "stride", "padding", "groups")))


def separable(place: Placed) -> Call:
    """MobileNetV1's block."""
    return Call("Separable", (*sizes(place), *optional(place, "stride")))


def pooling(place: Placed) -> Call:
    """Max or average pooling."""
    row = place.stage
    ceil = ("ceil_mode=True",) if row.block == "max_pool_ceil" else ()
    name = "nn.AvgPool2d" if row.block == "avg_pool" else "nn.MaxPool2d"
    return Call(name, (repr(row.kernel), repr(place.stride), repr(row.kernel_padding), *ceil))


def pooling_to(place: Placed) -> Call:
    """Average pooling to a number of pixels."""
    name = "EvenPool" if place.stage.block == "even_pool" else "nn.AdaptiveAvgPool2d"
    return Call(name, (repr(place.stage.kernel),))


def inverted(place: Placed) -> Call:
    """An inverted residual, fused or not."""
    row = place.stage
    inner = f"inner={round(place.in_width * row.expand)}"
    if row.block == "fused_mbconv":
        return Call("FusedMBConv", (*sizes(place), inner, *optional(place, "stride", "drop")))
    squeezed = f"squeezed={max(1, int(place.in_width * row.squeeze))}"
    options = (*optional(place, "stride"), *((squeezed,) if row.squeeze else ()))
    return Call("MBConv", (*sizes(place), inner, *options, *optional(place, "drop")))


def residual(place: Placed) -> Call:
    """ResNet's blocks."""
    row = place.stage
    if row.block == "basic":
        return Call("BasicBlock", (*sizes(place), *optional(place, "stride", "drop")))
    inner = f"inner={round(row.width * row.expand)}"
    options = optional(place, "stride", "groups", "drop")
    return Call("Bottleneck", (*sizes(place), inner, *options))


def branches(place: Placed) -> Call:
    """Sequences of blocks side by side."""
    sequences = []
    for rows in place.stage.branches:
        calls, width = [], place.in_width
        for row in rows:
            calls.append(block_call(inner_place(row, width)))
            width = row.width_after(width)
        sequences.append(Call("nn.Sequential", tuple(calls)))
    return Call("Branches", tuple(sequences))


def inner_place(row: Stage, in_width: int) -> Placed:
    """A branch's row as a place of its own."""
    return Placed("", 0, row.with_width(in_width), in_width, row.stride, 0.0)


def sparse(place: Placed) -> Call:
    """LeNet-5's C3."""
    row = place.stage
    return Call("SparseConv", (repr(row.kernel), repr(place.stride), repr(row.kernel_padding)))


def subsample(place: Placed) -> Call:
    """LeNet-5's S2 and S4."""
    return Call("Subsample", (str(place.in_width), repr(place.stage.kernel), repr(place.stride)))


CALLS: dict[str, Callable[[Placed], Call]] = {
    "conv": convolution,
    "conv_bias": biased,
    "conv_bias_norm": convolution,
    "max_pool": pooling,
    "max_pool_ceil": pooling,
    "avg_pool": pooling,
    "adaptive_pool": pooling_to,
    "even_pool": pooling_to,
    "separable": separable,
    "mbconv": inverted,
    "fused_mbconv": inverted,
    "basic": residual,
    "bottleneck": residual,
    "branches": branches,
    "sparse_conv": sparse,
    "subsample": subsample,
}
