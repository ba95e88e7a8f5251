"""Families: the baseline scaled up by the published table, the formula, or to a measured budget.

The three are never conflated: published members do not follow the formula, and the formula's
members do not cost 2^phi.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from scalesearch import zoo
from scalesearch.arch import Coefficients, Scale
from scalesearch.cost import Cost, cost, count
from scalesearch.models import Model, scale_model
from scalesearch.plan import solve_resolution

BUDGET_TOLERANCE = 0.01


@dataclass(frozen=True, slots=True)
class Member:
    """One scaled arch, its measured cost and its ratio to the baseline's flops.

    `depth`, `width` and `resolution` are multipliers of the baseline, before rounding.
    """

    name: str
    phi: float | None
    scale: Scale
    arch: Model
    cost: Cost
    ratio: float


def member(name: str, phi: float | None, scale: Scale, arch: Model, baseline: Cost) -> Member:
    """`arch` as a member of a family, measured."""
    measured = cost(arch)
    return Member(
        name, phi, scale, replace(arch, name=name), measured, measured.flops / baseline.flops
    )


def published(family: str) -> list[Member]:
    """The published scale-ups of a family, by its own table. Raises ValueError if it has none."""
    table = getattr(zoo.FAMILIES.get(family), "PUBLISHED", None)
    if table is None:
        known = ", ".join(name for name, room in zoo.FAMILIES.items() if hasattr(room, "PUBLISHED"))
        raise ValueError(f"a family with a published table must be one of {known}; got {family!r}")
    archs = [zoo.MODELS[name] for name in table]
    base = cost(archs[0])
    return [
        member(
            arch.name,
            None,
            Scale(depth, width, arch.resolution / archs[0].resolution),
            arch,
            base,
        )
        for arch, (depth, width, *_) in zip(archs, table.values(), strict=True)
    ]


def by_formula(
    baseline: Model, coefficients: Coefficients, phis: Iterable[float], names: Sequence[str] = ()
) -> list[Member]:
    """The baseline scaled by alpha^phi, beta^phi, gamma^phi for each phi, whatever that costs."""
    base = cost(baseline)
    members = []
    for i, phi in enumerate(phis):
        name = names[i] if i < len(names) else f"{baseline.name}_phi{phi:g}"
        scale = coefficients.at(phi)
        members.append(member(name, phi, scale, scale_model(baseline, scale), base))
    return members


def by_budget(
    baseline: Model,
    coefficients: Coefficients,
    target_flops: float,
    name: str,
    phi: float | None = None,
    tolerance: float = BUDGET_TOLERANCE,
) -> Member:
    """The scale-up along `coefficients` whose measured flops meet a target, within 1 % unless said.

    Rounding makes cost a staircase, so phi alone cannot meet a target: depths and widths along
    the curve near it are each completed by the resolution that does, and of those the network
    that strays least from the curve is taken. `phi` is only noted, for a target of 2^phi.
    Raises ValueError where none meets the target.
    """
    near = solve_phi(baseline, coefficients, target_flops)
    wanted = coefficients.at(near).resolution * baseline.resolution
    best: tuple[float, float, Model] | None = None
    for at_phi, shape in shapes_near(baseline, coefficients, near):
        if best and abs(at_phi - near) >= best[0]:
            break  # the rest strays more by its phi alone
        arch = solve_resolution(shape, target_flops)
        miss = abs(count(arch).flops / target_flops - 1)
        strays = abs(at_phi - near) + abs(arch.resolution / wanted - 1) + miss
        if miss <= tolerance and (best is None or strays < best[0]):
            best = (strays, at_phi, arch)
    if best is None:
        raise ValueError(
            f"{baseline.name}: a member must cost within {tolerance:.0%} of "
            f"{target_flops:.4g} flops, and no network along alpha {coefficients.alpha:g}, beta "
            f"{coefficients.beta:g}, gamma {coefficients.gamma:g} does"
        )
    _, at_phi, arch = best
    at = coefficients.at(at_phi)
    scale = Scale(at.depth, at.width, arch.resolution / baseline.resolution)
    return member(name, phi, scale, arch, cost(baseline))


def shapes_near(
    baseline: Model, coefficients: Coefficients, near: float
) -> Iterator[tuple[float, Model]]:
    """Distinct depths and widths along the curve within two phi of `near`, nearest first."""
    seen = set()
    for step in sorted(range(-200, 201), key=abs):
        phi = near + step / 100
        shape = scale_model(baseline, replace(coefficients.at(phi), resolution=1.0))
        if shape.key not in seen:
            seen.add(shape.key)
            yield phi, shape


def solve_phi(baseline: Model, coefficients: Coefficients, target_flops: float) -> float:
    """The phi, below 0 to go against the coefficients, at which the formula crosses a target.

    Raises ValueError when the coefficients cannot reach it.
    """

    def flops(phi: float) -> int:
        return count(scale_model(baseline, coefficients.at(phi))).flops

    grows = coefficients.nominal > 1
    if coefficients.nominal == 1:
        raise ValueError("alpha * beta^2 * gamma^2 must not be 1 for a budget, got 1")
    upward = target_flops > count(baseline).flops
    low, high = (0.0, 1.0) if grows == upward else (-1.0, 0.0)
    while abs(low) < 32 and (flops(low) > target_flops) == grows:
        low *= 2
    while abs(high) < 32 and (flops(high) < target_flops) == grows:
        high *= 2
    while high - low > 1e-3:
        middle = (low + high) / 2
        low, high = (middle, high) if (flops(middle) < target_flops) == grows else (low, middle)
    return (low + high) / 2


def matched(
    names: Iterable[str], coefficients: Coefficients, targets: Sequence[Member]
) -> dict[str, list[Member]]:
    """Other models scaled along `coefficients` to the measured flops of each target."""
    return {
        name: [
            by_budget(zoo.find(name), coefficients, target.cost.flops, f"{name}_as_{target.name}")
            for target in targets
        ]
        for name in names
    }
