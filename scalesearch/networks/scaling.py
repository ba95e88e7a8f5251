"""The scale that turns one arch into another, and how it rounds. No torch here."""

import math
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal

from scalesearch.networks.arch import Arch, Hidden, Rules, Stage

MOST = 1000.0  # of one multiplier, of one axis


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
        """The scale (alpha^phi, beta^phi, gamma^phi). Raises ValueError for more than MOST."""
        with suppress(OverflowError):
            scale = Scale(self.alpha**phi, self.beta**phi, self.gamma**phi)
            if max(scale.depth, scale.width, scale.resolution) <= MOST:
                return scale
        raise ValueError(
            f"a network must be scaled by at most {MOST:g}, got "
            f"{self.alpha:g}, {self.beta:g}, {self.gamma:g} at phi {phi:g}"
        )

    @property
    def nominal(self) -> float:
        """The cost alpha * beta^2 * gamma^2 that the paper's constraint assumes, not measured."""
        return self.alpha * self.beta**2 * self.gamma**2

    @property
    def label(self) -> str:
        """The three in brief: 1/1.4/1.143."""
        return f"{self.alpha:.4g}/{self.beta:.4g}/{self.gamma:.4g}"


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
            row if row.fixed_depth else replace(row, depth=_deepen(row.depth, scale, arch.rules))
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
