"""Members of a family: the baseline by the published table, the formula, or a measured budget.

The three are never conflated: published members do not follow the formula, and the formula's
members do not cost 2^phi.

A budget is met by one measure. Flops and activations are met by solving the resolution.
Parameters do not depend on it, and a latency is a measurement: there the member is the network that
comes nearest along the coefficients, and what it costs stands beside it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from scalesearch.families.solve import nearest_latency, nearest_params, solve_phi, time_one
from scalesearch.networks import zoo
from scalesearch.networks.cost import Cost, cost
from scalesearch.networks.count import count
from scalesearch.networks.measured import Measured, measured
from scalesearch.networks.models import Model, at_output_stride, at_resolution, scale_model
from scalesearch.networks.scaling import Coefficients, Scale
from scalesearch.plans.grid import solve_resolution
from scalesearch.plans.limits import figure, share
from scalesearch.units import NAMES, Measure

TABLE = "COEFFICIENT_TABLE"  # by this name in a family's file of the zoo
# how far a member may be from its target: parameters come in steps, of a third at the most in the
# zoo, and latency jumps and is noisy
TOLERANCE: dict[Measure, float] = {
    "flops": 0.01,
    "activations": 0.01,
    "params": 0.35,
    "ms": 0.35,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Member(Measured):
    """One scaled network, its measured cost, and its ratio to the baseline by `measure`.

    depth, width and `resolution_ratio` multiply the baseline's, before rounding. A latency is of
    `batch` images.
    """

    name: str
    phi: float | None
    depth: float
    width: float
    resolution_ratio: float
    ratio: float
    measure: Measure = "flops"
    batch: int = 1

    @property
    def scale(self) -> Scale:
        """What multiplies the baseline."""
        return Scale(self.depth, self.width, self.resolution_ratio)

    @property
    def figure(self) -> float:
        """What it costs by its measure."""
        value: float = getattr(self, self.measure)
        return value


def member(
    name: str,
    phi: float | None,
    scale: Scale,
    arch: Model,
    baseline: Cost,
    measure: Measure = "flops",
) -> Member:
    """`arch` as a member of a family, measured; not by a latency."""
    found = cost(arch)
    return Member(
        name=name,
        phi=phi,
        depth=scale.depth,
        width=scale.width,
        resolution_ratio=scale.resolution,
        ratio=share(found, baseline, measure),
        measure=measure,
        **measured(replace(arch, name=name), found),
    )


def by_table(family: str) -> list[Member]:
    """The published scale-ups of a family, by its own table. Raises ValueError if it has none."""
    table = getattr(zoo.FAMILIES.get(family), TABLE, None)
    if table is None:
        known = ", ".join(name for name, room in zoo.FAMILIES.items() if hasattr(room, TABLE))
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


def by_ratio(
    baseline: Model,
    coefficients: Coefficients,
    ratio: float,
    name: str,
    phi: float | None = None,
    measure: Measure = "flops",
    batch: int = 1,
    tolerance: float | None = None,
    source: str | None = None,
) -> Member:
    """The scale-up along `coefficients` that costs `ratio` times the baseline by `measure`.

    A latency is one of `batch` images on the `source` cpu or cuda, or as a function tells it.
    Raises ValueError as `by_budget`.
    """
    if measure == "ms":
        return by_latency(baseline, coefficients, ratio, name, phi, batch, tolerance, source)
    target = figure(cost(baseline), measure) * ratio
    return by_budget(baseline, coefficients, target, name, phi, tolerance, measure)


def by_amount(
    baseline: Model,
    coefficients: Coefficients,
    amount: float,
    name: str,
    measure: Measure = "flops",
    batch: int = 1,
    source: str | None = None,
) -> Member:
    """The scale-up along `coefficients` that costs `amount` by `measure`, a latency as in
    `by_ratio`."""
    if measure != "ms":
        return by_budget(baseline, coefficients, amount, name, measure=measure)
    ratio = amount / time_one(baseline, batch, source).median
    return by_latency(baseline, coefficients, ratio, name, None, batch, source=source)


def by_budget(
    baseline: Model,
    coefficients: Coefficients,
    target: float,
    name: str,
    phi: float | None = None,
    tolerance: float | None = None,
    measure: Measure = "flops",
) -> Member:
    """The scale-up along `coefficients` that costs `target` by `measure`, which is counted.

    `phi` is only noted, for a target of 2^phi. Raises ValueError where none is within the
    tolerance, that of TOLERANCE unless given.
    """
    within = TOLERANCE[measure] if tolerance is None else tolerance
    if measure == "params":
        at_phi, arch = nearest_params(baseline, coefficients, target)
        found = member(name, phi, coefficients.at(at_phi), arch, cost(baseline), measure)
        if abs(found.cost.params / target - 1) > within:
            missed = nothing_along(baseline, coefficients, target, measure, within)
            raise ValueError(f"{missed}; the nearest has {found.cost.params:.4g}")
        return found
    at_phi, arch = completed(baseline, coefficients, target, within, measure)
    at = coefficients.at(at_phi)
    scale = Scale(at.depth, at.width, arch.resolution / baseline.resolution)
    return member(name, phi, scale, arch, cost(baseline), measure)


def nothing_along(
    baseline: Model, c: Coefficients, target: float, measure: Measure, tolerance: float
) -> str:
    """What to say where no network along the coefficients meets a target."""
    return (
        f"{baseline.name}: a member must cost within {tolerance:.0%} of {target:.4g} "
        f"{NAMES[measure]}, and no network along alpha {c.alpha:g}, beta {c.beta:g}, gamma "
        f"{c.gamma:g} does"
    )


def by_latency(
    baseline: Model,
    coefficients: Coefficients,
    ratio: float,
    name: str,
    phi: float | None = None,
    batch: int = 1,
    tolerance: float | None = None,
    source: str | None = None,
) -> Member:
    """The network along `coefficients` whose latency is nearest to `ratio` times the baseline's.

    Both are timed in the same rounds. Raises ValueError where it is further than the tolerance.
    """
    within = TOLERANCE["ms"] if tolerance is None else tolerance
    found = nearest_latency(baseline, coefficients, ratio, batch, within / 5, source)
    reached, arch = found.ratio.median, replace(found.arch, name=name)
    if abs(reached / ratio - 1) > within:
        raise ValueError(
            f"{baseline.name}: a member's latency must be within {within:.0%} of {ratio:.4g}x the "
            f"baseline's, and of those timed along the coefficients the nearest is {reached:.4g}x"
        )
    at = coefficients.at(found.phi)
    return Member(
        name=name,
        phi=phi,
        depth=at.depth,
        width=at.width,
        resolution_ratio=at.resolution,
        ratio=reached,
        measure="ms",
        batch=batch,
        **measured(arch, cost(arch), found.latency),
    )


def completed(
    baseline: Model,
    coefficients: Coefficients,
    target: float,
    tolerance: float,
    measure: Measure,
    most: int | None = None,
) -> tuple[float, Model]:
    """The phi and the network near the coefficients whose solved resolution meets a target.

    Rounding makes cost a staircase, so phi alone cannot meet a target: depths and widths of
    phis near it are each completed by the resolution that does, and of those the network that
    strays least from the coefficients is taken. With `most` none has more pixels than that: where
    the coefficients lead there, depth and width grow on from that resolution alone.
    """
    near = solve_phi(baseline, coefficients, target, measure)
    pixels = coefficients.at(near).resolution * baseline.resolution
    if most is not None and pixels > most:
        if coefficients.alpha == coefficients.beta == 1:
            raise ValueError(
                f"{baseline.name}: a member must have at most the images' {most} px, and "
                f"resolution alone leads to {pixels:.0f}"
            )
        baseline, coefficients = at_resolution(baseline, most), replace(coefficients, gamma=1.0)
        near = solve_phi(baseline, coefficients, target, measure)
    wanted = coefficients.at(near).resolution * baseline.resolution
    best: tuple[float, float, Model] | None = None
    for at_phi, shape in shapes_near(baseline, coefficients, near):
        if best and abs(at_phi - near) >= best[0]:
            break  # the rest strays more by its phi alone
        arch = solve_resolution(shape, target, measure)
        if most is not None and arch.resolution > most:
            continue
        miss = abs(figure(count(arch), measure) / target - 1)
        strays = abs(at_phi - near) + abs(arch.resolution / wanted - 1) + miss
        if miss <= tolerance and (best is None or strays < best[0]):
            best = (strays, at_phi, arch)
    if best is None:
        raise ValueError(nothing_along(baseline, coefficients, target, measure, tolerance))
    return best[1], best[2]


def shapes_near(
    baseline: Model, coefficients: Coefficients, near: float
) -> Iterator[tuple[float, Model]]:
    """Distinct depths and widths along `coefficients` within two phi of `near`, nearest first."""
    seen = set()
    for step in sorted(range(-200, 201), key=abs):
        phi = near + step / 100
        shape = scale_model(baseline, replace(coefficients.at(phi), resolution=1.0))
        if shape.key not in seen:
            seen.add(shape.key)
            yield phi, shape


def matched(
    names: Iterable[str],
    coefficients: Coefficients,
    targets: Sequence[Member],
    output_stride: int | None = None,
    source: str | None = None,
) -> dict[str, tuple[Member, ...]]:
    """Other models scaled along `coefficients` to what each target costs by its own measure.

    A latency is as in `by_ratio`.
    """
    others = {name: at_output_stride(zoo.find(name), output_stride) for name in names}
    return {
        name: tuple(
            by_amount(
                *(other, coefficients, target.figure, f"{name}_as_{target.name}"),
                *(target.measure, target.batch, source),
            )
            for target in targets
        )
        for name, other in others.items()
    }
