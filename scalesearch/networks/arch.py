"""Archs: fully literal networks, as tables of stages. No torch here."""

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, reduce
from typing import Any, ClassVar, Literal

# pydantic's, of tables that are read from files: other keys are errors, and the text under a key
# is its description in the JSON schema
STRICT: dict[str, Any] = {"extra": "forbid", "use_attribute_docstrings": True}


# columns of rows by the names that files of the first version have for them
RENAMED = {"once": "fixed_depth"}


# the least and the most of what a table says: no network has needed more, and a number beyond them
# is a slip of the hand that would take for ever, or all memory, to be found out
SIDES, WIDTHS = (1, 2**16), (0, 2**16)
LIMITS: dict[str, tuple[int, int]] = {
    **{"resolution": SIDES, "channels": SIDES, "pool": (1, 1024), "classes": (1, 2**24)},
    **{"width": WIDTHS, "depth": (1, 1000), "stride": (1, 64), "kernel": (1, 1024)},
    **{"padding": (0, 1024), "groups": SIDES, "squeeze": (0, 64)},
    **{"divisor": SIDES, "pixels": SIDES, "train_resolution": (0, 2**16)},
}
MOST_EXPAND = 64
MOST_BLOCKS = 2000
OF_ARCH = ("resolution", "channels", "classes", "pool", "train_resolution")
OF_ROW = ("depth", "stride", "groups", "width", "squeeze")


class InputTooSmall(ValueError):
    """A resolution so small that a stride or kernel of the network has no pixels to work on."""


def within_limits(field: str, value: float, place: str, least: int | None = None) -> None:
    """Raise ValueError, naming the place, for a number beyond the LIMITS of its field."""
    lowest, most = LIMITS[field]
    lowest = lowest if least is None else least
    if not value >= lowest:  # which NaN is not
        raise ValueError(f"{place}: {field} must be at least {lowest}, got {value}")
    if value > most:
        got = f"{value:g}" if value < 1e300 else "more than 1e300"  # which no float may hold
        raise ValueError(f"{place}: {field} must be at most {most}, got {got}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One row of a paper's table: `depth` blocks of one kind."""

    __pydantic_config__: ClassVar = STRICT

    block: str
    """The kind of block, by its name in `scalesearch/networks/blocks/blocks.py`."""
    width: int = 0
    """Output channels; 0 leaves them to the block: a pool keeps its input's, branches add up."""
    depth: int = 1
    """How many blocks."""
    stride: int = 1
    """Of the first block; the others have 1."""
    kernel: int | tuple[int, int] = 3
    """The side of the kernel, or its height and width."""
    padding: int | None = None
    """Half the kernel unless given."""
    groups: int = 1
    """Groups of the block's spatial convolution."""
    expand: float = 1.0
    """Inner width over input width (inverted residuals) or output width (bottlenecks)."""
    squeeze: float = 0.0
    """Squeeze-excitation's width over the block's input width; 0 for none."""
    branches: tuple[tuple["Stage", ...], ...] = ()
    """Sequences of rows side by side, their outputs put together."""
    fixed_depth: bool = False
    """Whether scaling leaves the row's depth alone."""

    def width_after(self, in_width: int) -> int:
        """Output channels of the row, given its input's."""
        if self.branches:
            return sum(width_after(rows, in_width) for rows in self.branches)
        return self.width or in_width

    def with_width(self, in_width: int) -> "Stage":
        """The row with its output channels written out."""
        width = self.width_after(in_width)
        return self if width == self.width else replace(self, width=width)

    @property
    def kernel_padding(self) -> int | tuple[int, int]:
        """The padding given, or the kernel's half."""
        return half(self.kernel) if self.padding is None else self.padding


@dataclass(frozen=True, slots=True)
class Hidden:
    """A fully connected layer before the classifier."""

    __pydantic_config__: ClassVar = STRICT

    width: int
    """Its outputs."""
    dropout: float = 0.0
    """Of what the layer is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Auxiliary:
    """A second classifier amid the stages, there in training only: no part of the cost."""

    __pydantic_config__: ClassVar = STRICT

    after: int
    """The stage row, from 1, whose output it classifies."""
    weight: float
    """How much its loss counts."""
    rows: tuple[Stage, ...] = ()
    """Rows before its pooling."""
    pool: int = 1
    """Pixels a side that average pooling leaves."""
    hidden: tuple[Hidden, ...] = ()
    """Fully connected layers after the pooling."""
    dropout: float = 0.0
    """Before its classifier."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How a family rounds what a scale asks of it."""

    __pydantic_config__: ClassVar = STRICT

    divisor: int = 8
    """Widths go to the nearest multiple of it."""
    max_loss: float = 0.1
    """Up one multiple where rounding loses more than this share of the width."""
    depth: Literal["ceil", "round"] = "ceil"
    """Depths go up, or to the nearest whole number."""
    pixels: int = 1
    """The resolution goes to the nearest multiple of it."""
    widen_head_only: bool = False
    """Whether the head never gets narrower than the baseline's (MobileNetV2)."""
    fixed: tuple[tuple[Literal["depth", "width", "resolution"], str], ...] = ()
    """Axes without a meaning for the family, each with the reason."""

    def __post_init__(self) -> None:
        for field in ("divisor", "pixels"):
            within_limits(field, getattr(self, field), "rules")


@dataclass(frozen=True, slots=True, kw_only=True)
class Arch:
    """One fully literal network: stem, stages, head, input resolution (pixels)."""

    __pydantic_config__: ClassVar = STRICT

    name: str
    """What it is called; two archs that differ in it alone are the same network."""
    resolution: int
    """The side of its images, pixels."""
    stem: tuple[Stage, ...]
    """Rows before the stages; their depth is never scaled."""
    stages: tuple[Stage, ...]
    """The rows that scaling deepens and widens."""
    head: tuple[Stage, ...] = ()
    """Rows after the stages; their depth is never scaled."""
    pool: int = 1
    """Pixels a side that the average pooling after the head leaves."""
    hidden: tuple[Hidden, ...] = ()
    """Fully connected layers between the pooling and the classifier."""
    auxiliary: tuple[Auxiliary, ...] = ()
    """Second classifiers, there in training only."""
    classifier: Literal["linear", "rbf"] = "linear"
    """The last layer: linear, or LeNet-5's radial basis functions."""
    activation: Literal["relu", "relu6", "silu", "tanh"] = "relu"
    """Of every block that has one."""
    init: str = "efficientnet"
    """The reference whose initialisation is used: efficientnet, resnet, vgg, ..."""
    norm_eps: float = 1e-5
    """Batch norm's epsilon."""
    norm_momentum: float = 0.1
    """Batch norm's momentum, torch's convention."""
    dropout: float = 0.0
    """Before the classifier."""
    stochastic_depth: float = 0.0
    """How often blocks are skipped in training, from 0 at the first up to this."""
    channels: int = 3
    """Of the images."""
    classes: int = 1000
    """Logits."""
    train_resolution: int = 0
    """The side of training images that are cropped, where it is another; 0 for the same."""
    rules: Rules = Rules()
    """How the family rounds."""

    def __post_init__(self) -> None:
        for field in OF_ARCH:
            within_limits(field, getattr(self, field), self.name)
        for part, stages in self.parts:
            for row, stage in enumerate(stages, 1):
                _check(stage, f"{self.name}, {part} row {row}")
        _check_hidden(self.hidden, self.name)
        if (blocks := sum(_blocks(row) for _, rows in self.parts for row in rows)) > MOST_BLOCKS:
            raise ValueError(f"{self.name} must have at most {MOST_BLOCKS} blocks, got {blocks}")
        for number, extra in enumerate(self.auxiliary, 1):
            if not 1 <= extra.after <= len(self.stages):
                raise ValueError(
                    f"{self.name}, auxiliary {number}: after must be a stage row, "
                    f"1 to {len(self.stages)}, got {extra.after}"
                )
            place = f"{self.name}, auxiliary {number}"
            within_limits("pool", extra.pool, place)
            _check_hidden(extra.hidden, place)
            for row, stage in enumerate(extra.rows, 1):
                _check(stage, f"{place} row {row}")

    @property
    def parts(self) -> tuple[tuple[str, tuple[Stage, ...]], ...]:
        """The rows by the part of the network that they make, in order."""
        return ("stem", self.stem), ("stages", self.stages), ("head", self.head)

    @property
    def key(self) -> str:
        """Twelve hex digits of all that makes the network: archs that differ in name share it."""
        content = {
            field: tuple(map(_content, value)) if isinstance(value, tuple) else value
            for field in self.__slots__
            if field not in ("name", "rules")
            for value in (getattr(self, field),)
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def depths(self) -> tuple[int, ...]:
        """Blocks of each stage."""
        return tuple(stage.depth for stage in self.stages)

    @property
    def widths(self) -> tuple[int, ...]:
        """Output channels of each stage."""
        width = width_after(self.stem, self.channels)
        return tuple(width := stage.width_after(width) for stage in self.stages)


TABLES = (Arch, Stage, Rules, Hidden, Auxiliary)  # of what a YAML file of a network is made


@lru_cache(maxsize=65536)
def _content(row: Stage | Hidden | Auxiliary) -> dict[str, Any]:
    """A row as plain values, for keys of archs: the networks of a grid share most of their rows."""
    return asdict(row, dict_factory=_first_names)


def _first_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Columns by the names that they first had, so that studies keep the keys of their networks."""
    first = {new: old for old, new in RENAMED.items()}
    return {first.get(name, name): value for name, value in pairs}


def width_after(rows: tuple[Stage, ...], in_width: int) -> int:
    """Output channels of rows that follow one another, given the first one's input channels."""
    return reduce(lambda width, row: row.width_after(width), rows, in_width)


def _check(stage: Stage, place: str) -> None:
    """Raises ValueError, naming the row's place, for a row that says nothing."""
    for field in OF_ROW:
        within_limits(field, getattr(stage, field), place)
    for side in stage.kernel if isinstance(stage.kernel, tuple) else (stage.kernel,):
        within_limits("kernel", side, place)
    if stage.padding is not None:
        within_limits("padding", stage.padding, place)
    if not 0 < stage.expand <= MOST_EXPAND:
        rule = f"at most {MOST_EXPAND}" if stage.expand > 0 else "above 0"
        raise ValueError(f"{place}: expand must be {rule}, got {stage.expand}")
    for number, branch in enumerate(stage.branches, 1):
        for row, inner in enumerate(branch, 1):
            _check(inner, f"{place}, branch {number} row {row}")


def _check_hidden(layers: tuple[Hidden, ...], place: str) -> None:
    """Raises ValueError, naming the place, for layers of no outputs or of too many."""
    for layer in layers:
        within_limits("width", layer.width, f"{place}, hidden", 1)


def _blocks(stage: Stage) -> int:
    """How many blocks a row is, those of its branches counted one by one."""
    inner = sum(_blocks(row) for branch in stage.branches for row in branch)
    return stage.depth * max(1, inner)


def half(kernel: int | tuple[int, int]) -> int | tuple[int, int]:
    """The padding that keeps a map's size under an odd `kernel`."""
    return (kernel[0] // 2, kernel[1] // 2) if isinstance(kernel, tuple) else kernel // 2
