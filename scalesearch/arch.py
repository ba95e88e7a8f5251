"""Archs: fully literal networks, and the scale that turns one into another. No torch here."""

import hashlib
import json
import math
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, reduce
from typing import Any, ClassVar, Literal

# tables read from a file have no other keys than these (read by pydantic, in space.py), and what
# stands under a key says what it means
STRICT: dict[str, Any] = {"extra": "forbid", "use_attribute_docstrings": True}


class InputTooSmall(ValueError):
    """A resolution that a network's strides or kernels leave nothing of."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Multipliers of depth, width and resolution; the three never travel apart."""

    depth: float = 1.0
    width: float = 1.0
    resolution: float = 1.0


@dataclass(frozen=True, slots=True, order=True)
class Coefficients:
    """The compound-scaling bases of Tan & Le 2019 (arXiv:1905.11946, equation 3)."""

    alpha: float
    beta: float
    gamma: float

    def at(self, phi: float) -> Scale:
        """The scale (alpha^phi, beta^phi, gamma^phi)."""
        return Scale(self.alpha**phi, self.beta**phi, self.gamma**phi)

    @property
    def nominal(self) -> float:
        """The cost alpha * beta^2 * gamma^2 that the paper's constraint assumes, not measured."""
        return self.alpha * self.beta**2 * self.gamma**2


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One row of a paper's table: `depth` blocks of one kind."""

    __pydantic_config__: ClassVar = STRICT

    block: str
    """The kind of block, by its name in `scalesearch/nets/blocks.py`."""
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
    once: bool = False
    """Whether scaling leaves the row's depth alone."""

    def width_after(self, in_width: int) -> int:
        """Output channels of the row, given its input's."""
        if self.branches:
            return sum(_width_after(branch, in_width) for branch in self.branches)
        return self.width or in_width

    def with_width(self, in_width: int) -> "Stage":
        """The row with its output channels written out."""
        return replace(self, width=self.width_after(in_width))

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
    """The side of training images where it is another; 0 for the same."""
    rules: Rules = Rules()
    """How the family rounds."""

    def __post_init__(self) -> None:
        for field in ("resolution", "channels", "classes", "pool"):
            if getattr(self, field) < 1:
                raise ValueError(
                    f"{self.name}: {field} must be at least 1, got {getattr(self, field)}"
                )
        for part, stages in self.parts:
            for row, stage in enumerate(stages, 1):
                _check(stage, f"{self.name}, {part} row {row}")
        for number, extra in enumerate(self.auxiliary, 1):
            if not 1 <= extra.after <= len(self.stages):
                raise ValueError(
                    f"{self.name}, auxiliary {number}: after must be a stage row, "
                    f"1 to {len(self.stages)}, got {extra.after}"
                )

    @property
    def parts(self) -> tuple[tuple[str, tuple[Stage, ...]], ...]:
        """The rows by the part of the network that they make, in order."""
        return ("stem", self.stem), ("stages", self.stages), ("head", self.head)

    @property
    def key(self) -> str:
        """Twelve hex digits that name the network itself: equal archs, whatever their name."""
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
        width = _width_after(self.stem, self.channels)
        return tuple(width := stage.width_after(width) for stage in self.stages)


@lru_cache(maxsize=65536)
def _content(row: Stage | Hidden | Auxiliary) -> dict[str, Any]:
    """A row as plain values, for keys: a grid's networks share most of theirs."""
    return asdict(row)


def _width_after(rows: tuple[Stage, ...], in_width: int) -> int:
    return reduce(lambda width, row: row.width_after(width), rows, in_width)


def _check(stage: Stage, place: str) -> None:
    """Raises ValueError, naming the row's place, for a row that says nothing."""
    kernel = min(stage.kernel) if isinstance(stage.kernel, tuple) else stage.kernel
    least = {"depth": 1, "stride": 1, "groups": 1, "width": 0, "squeeze": 0}
    for field, value in {**{f: getattr(stage, f) for f in least}, "kernel": kernel}.items():
        if value < least.get(field, 1):
            raise ValueError(
                f"{place}: {field} must be at least {least.get(field, 1)}, got {value}"
            )
    if stage.expand <= 0:
        raise ValueError(f"{place}: expand must be above 0, got {stage.expand}")
    for number, branch in enumerate(stage.branches, 1):
        for row, inner in enumerate(branch, 1):
            _check(inner, f"{place}, branch {number} row {row}")


def half(kernel: int | tuple[int, int]) -> int | tuple[int, int]:
    """The padding that keeps a map's size under an odd `kernel`."""
    return (kernel[0] // 2, kernel[1] // 2) if isinstance(kernel, tuple) else kernel // 2


def round_width(width: float, divisor: int, max_loss: float = 0.1) -> int:
    """The multiple of `divisor` nearest to `width`, at least `divisor`.

    One more divisor when rounding down loses more than `max_loss`: `round_filters` of
    tensorflow/tpu `efficientnet_model.py`, `_make_divisible` of torchvision.
    """
    width = round(width, 6)  # 40 * 1.1 is 44.00000000000001 in binary
    rounded = max(divisor, int(width + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < (1 - max_loss) * width else rounded


def round_depth(depth: float, how: Literal["ceil", "round"]) -> int:
    """A whole number of blocks, at least 1: rounded up, or to the nearest with halves up."""
    depth = round(depth, 6)
    return max(1, math.ceil(depth) if how == "ceil" else math.floor(depth + 0.5))


def round_resolution(resolution: float, pixels: int = 1) -> int:
    """The nearest multiple of `pixels`, halves up, at least `pixels`."""
    return pixels * max(1, math.floor(round(resolution / pixels, 6) + 0.5))


def scale_arch(arch: Arch, scale: Scale, name: str | None = None) -> Arch:
    """`arch` with depth, width and resolution multiplied by `scale`, rounded by its own rules.

    Raises ValueError for an axis that has no meaning for the arch.
    """
    for axis, reason in arch.rules.fixed:
        if getattr(scale, axis) != 1:
            raise ValueError(
                f"{arch.name}: {axis} cannot be scaled, for {reason}; got {getattr(scale, axis)}"
            )
    head_width = max(1.0, scale.width) if arch.rules.widen_head_only else scale.width
    return replace(
        arch,
        name=name or arch.name,
        resolution=_enlarge(arch, arch.resolution, scale),
        train_resolution=_enlarge(arch, arch.train_resolution, scale),
        stem=_widen(arch.stem, scale.width, arch.rules),
        stages=tuple(
            row if row.once else replace(row, depth=_deepen(row.depth, scale, arch.rules))
            for row in _widen(arch.stages, scale.width, arch.rules)
        ),
        head=_widen(arch.head, head_width, arch.rules),
        hidden=_widen_hidden(arch.hidden, scale.width, arch.rules),
        auxiliary=tuple(
            replace(
                extra,
                rows=_widen(extra.rows, scale.width, arch.rules),
                hidden=_widen_hidden(extra.hidden, scale.width, arch.rules),
            )
            for extra in arch.auxiliary
        ),
    )


def _enlarge(arch: Arch, resolution: int, scale: Scale) -> int:
    if scale.resolution == 1 or not resolution:
        return resolution
    return round_resolution(resolution * scale.resolution, arch.rules.pixels)


def _deepen(depth: int, scale: Scale, rules: Rules) -> int:
    return depth if scale.depth == 1 else round_depth(depth * scale.depth, rules.depth)


def _widen(rows: tuple[Stage, ...], multiplier: float, rules: Rules) -> tuple[Stage, ...]:
    """The rows and their branches with every width that they state rounded by the rules."""
    return rows if multiplier == 1 else tuple(_widen_row(row, multiplier, rules) for row in rows)


def _widen_row(row: Stage, multiplier: float, rules: Rules) -> Stage:
    # a bottleneck's inner width, expand times its own, stays on the divisor and the groups too
    unit = math.lcm(rules.divisor, row.groups) * max(1, round(1 / row.expand))
    return replace(
        row,
        width=row.width and round_width(row.width * multiplier, unit, rules.max_loss),
        branches=tuple(_widen(branch, multiplier, rules) for branch in row.branches),
    )


def _widen_hidden(
    layers: tuple[Hidden, ...], multiplier: float, rules: Rules
) -> tuple[Hidden, ...]:
    if multiplier == 1:
        return layers
    return tuple(
        replace(x, width=round_width(x.width * multiplier, rules.divisor, rules.max_loss))
        for x in layers
    )
