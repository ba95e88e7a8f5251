"""Archs: fully literal networks, and the scale that turns one into another. No torch here."""

import hashlib
import json
import math
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Literal

# tables read from a file have no other keys than these (read by pydantic, in space.py)
STRICT: dict[str, Any] = {"extra": "forbid"}


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
    """One row of a paper's table: `depth` blocks of one kind.

    `width` counts output channels; the first block has the stride. `expand` is the block's inner
    width over its input width (inverted residuals) or over its output width (bottlenecks);
    `squeeze` the squeeze-excitation width over the block's input width.
    """

    __pydantic_config__: ClassVar = STRICT

    block: str
    width: int
    depth: int = 1
    stride: int = 1
    kernel: int = 3
    expand: float = 1.0
    squeeze: float = 0.0

    def __post_init__(self) -> None:
        for field in ("width", "depth", "stride", "kernel"):
            if getattr(self, field) < 1:
                raise ValueError(
                    f"stage {self.block}: {field} must be at least 1, got {getattr(self, field)}"
                )
        if self.expand <= 0 or self.squeeze < 0:
            raise ValueError(
                f"stage {self.block}: expand must be above 0 and squeeze at least 0, "
                f"got {self.expand} and {self.squeeze}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How a family rounds what a scale asks of it.

    Widths go to the nearest multiple of `divisor`, and up one when that loses more than
    `max_loss` of the width asked for; depths up (`ceil`) or to the nearest (`round`).
    `widen_head_only` keeps the head from getting narrower than the baseline's (MobileNetV2).
    """

    __pydantic_config__: ClassVar = STRICT

    divisor: int = 8
    max_loss: float = 0.1
    depth: Literal["ceil", "round"] = "ceil"
    widen_head_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Arch:
    """One fully literal network: stem, stages, head, input resolution (pixels).

    Stem and head are convolutions whose depth is never scaled; after them come global pooling,
    dropout and the classifier. Batch norm's `norm_eps` and `norm_momentum` are torch's.
    """

    __pydantic_config__: ClassVar = STRICT

    name: str
    resolution: int
    stem: tuple[Stage, ...]
    stages: tuple[Stage, ...]
    head: tuple[Stage, ...] = ()
    activation: Literal["relu", "relu6", "silu"] = "relu"
    norm_eps: float = 1e-5
    norm_momentum: float = 0.1
    dropout: float = 0.0
    stochastic_depth: float = 0.0
    channels: int = 3
    classes: int = 1000
    rules: Rules = Rules()

    def __post_init__(self) -> None:
        for field in ("resolution", "channels", "classes"):
            if getattr(self, field) < 1:
                raise ValueError(
                    f"{self.name}: {field} must be at least 1, got {getattr(self, field)}"
                )

    @property
    def key(self) -> str:
        """Twelve hex digits that name the network itself: equal archs, whatever their name."""
        content = {k: v for k, v in asdict(self).items() if k not in ("name", "rules")}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def depths(self) -> tuple[int, ...]:
        """Blocks of each stage."""
        return tuple(stage.depth for stage in self.stages)

    @property
    def widths(self) -> tuple[int, ...]:
        """Output channels of each stage."""
        return tuple(stage.width for stage in self.stages)


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


def round_resolution(resolution: float) -> int:
    """The nearest whole pixel, halves up, at least 1."""
    return max(1, math.floor(round(resolution, 6) + 0.5))


def scale_arch(arch: Arch, scale: Scale, name: str | None = None) -> Arch:
    """`arch` with depth, width and resolution multiplied by `scale`, rounded by its own rules."""

    def widen(stage: Stage, multiplier: float) -> Stage:
        if multiplier == 1:
            return stage
        # a bottleneck's inner width, expand times its own, stays on the divisor too
        unit = arch.rules.divisor * max(1, round(1 / stage.expand))
        width = round_width(stage.width * multiplier, unit, arch.rules.max_loss)
        return replace(stage, width=width)

    def deepen(stage: Stage) -> Stage:
        return replace(stage, depth=round_depth(stage.depth * scale.depth, arch.rules.depth))

    head_width = max(1.0, scale.width) if arch.rules.widen_head_only else scale.width
    return replace(
        arch,
        name=name or arch.name,
        resolution=round_resolution(arch.resolution * scale.resolution),
        stem=tuple(widen(stage, scale.width) for stage in arch.stem),
        stages=tuple(deepen(widen(stage, scale.width)) for stage in arch.stages),
        head=tuple(widen(stage, head_width) for stage in arch.head),
    )
