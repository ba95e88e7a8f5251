"""The phi at which alpha^phi, beta^phi, gamma^phi meet a cost."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scalesearch.networks.count import count
from scalesearch.networks.latency import Repeats, Timings, conditions_of, timed
from scalesearch.networks.models import Model, scale_model
from scalesearch.networks.scaling import Coefficients
from scalesearch.networks.told import is_told
from scalesearch.plans.limits import figure
from scalesearch.units import NAMES, Measure

ROUNDS = 6  # the fewest that have an interval of 95 %
TRIES = 8
LONGEST = 1000.0  # milliseconds; a family's larger members would take minutes each to time


@dataclass(frozen=True, slots=True)
class Timed:
    """A network at some phi, its latency, and the ratio to the baseline's, round by round."""

    phi: float
    arch: Model
    latency: Repeats
    ratio: Repeats


def nominal(c: Coefficients, measure: Measure) -> float:
    """What one step of phi nominally multiplies a measure by: above 1 where it grows with phi."""
    factors: dict[Measure, float] = {
        "flops": c.nominal,
        "params": c.alpha * c.beta**2,
        "activations": c.alpha * c.beta * c.gamma**2,
        "ms": c.nominal,
    }
    return factors[measure]


def solve_phi(
    baseline: Model, coefficients: Coefficients, target: float, measure: Measure = "flops"
) -> float:
    """The phi at which the formula's network crosses a target, counted by that measure.

    It is below 0 for a target on the other side of the baseline than the coefficients lead to.
    Raises ValueError for coefficients whose nominal cost is 1 by the measure.
    """
    low, high = bracket(baseline, coefficients, target, measure)
    return (low + high) / 2


def bracket(
    baseline: Model, coefficients: Coefficients, target: float, measure: Measure
) -> tuple[float, float]:
    """Two phis, a thousandth apart, on either side of where the formula crosses a target."""

    def costs(phi: float) -> int:
        return figure(count(scale_model(baseline, coefficients.at(phi))), measure)

    step = nominal(coefficients, measure)
    if step == 1:
        what = {"params": "alpha * beta^2", "activations": "alpha * beta * gamma^2"}
        raise ValueError(
            f"{what.get(measure, 'alpha * beta^2 * gamma^2')} must not be 1 for a budget in "
            f"{NAMES[measure]}, got 1"
        )
    grows = step > 1
    upward = target > figure(count(baseline), measure)
    low, high = (0.0, 1.0) if grows == upward else (-1.0, 0.0)
    while abs(low) < 32 and (costs(low) > target) == grows:
        low *= 2
    while abs(high) < 32 and (costs(high) < target) == grows:
        high *= 2
    while high - low > 1e-3:
        middle = (low + high) / 2
        low, high = (middle, high) if (costs(middle) < target) == grows else (low, middle)
    return low, high


def nearest_params(
    baseline: Model, coefficients: Coefficients, target: float
) -> tuple[float, Model]:
    """The phi whose network has the parameters nearest to a target, and that network.

    They grow by steps, and the two networks at the step that crosses the target are compared.
    """
    found = [
        (phi, scale_model(baseline, coefficients.at(phi)))
        for phi in bracket(baseline, coefficients, target, "params")
    ]
    return min(found, key=lambda item: abs(math.log(count(item[1]).params / target)))


def time_one(model: Model, batch: int, source: str | None = None) -> Repeats:
    """The latency of one model for `batch` images, in milliseconds, over ROUNDS rounds.

    On cpu or cuda, or as a function tells it.
    """
    return timed(Timings(conditions_of(batch, source)), {"one": model}, ROUNDS)["one"]


def nearest_latency(
    baseline: Model,
    coefficients: Coefficients,
    ratio: float,
    batch: int,
    enough: float,
    source: str | None = None,
) -> Timed:
    """The network along the coefficients whose latency is nearest to `ratio` times the baseline's.

    Of TRIES at most, that is: latency goes roughly with a power of flops, by which each phi is
    guessed from those before it, and the search ends within `enough`, a share of the ratio.
    Latencies are of `batch` images, and told by a function where `source` is one. Raises ValueError
    for one to be timed that is expected above LONGEST.
    """
    expected = ratio * time_one(baseline, batch, source).median
    if expected > LONGEST and not (source and is_told(source)):
        raise ValueError(
            f"{baseline.name}: a member's latency must be at most {LONGEST:g} ms for its timing "
            f"to end soon, got {expected:.4g} ms: scale by flops"
        )
    tries: dict[str, Timed] = {}
    known = [(math.log(count(baseline).flops), 0.0)]
    while len(tries) < TRIES:
        flops = math.exp(flops_for(known, math.log(ratio)))
        phi = solve_phi(baseline, coefficients, flops)
        arch = scale_model(baseline, coefficients.at(phi))
        if arch.key in tries:
            break
        timings = timed(
            Timings(conditions_of(batch, source)), {"baseline": baseline, "arch": arch}, ROUNDS
        )
        found = Timed(phi, arch, timings["arch"], timings["arch"].over(timings["baseline"]))
        tries[arch.key] = found
        if abs(found.ratio.median / ratio - 1) <= enough:
            break
        known.append((math.log(count(arch).flops), math.log(found.ratio.median)))
    return min(tries.values(), key=lambda found: abs(math.log(found.ratio.median / ratio)))


def flops_for(known: Sequence[tuple[float, float]], target: float) -> float:
    """The log flops at which the log latency is `target`, from pairs of both.

    On the line through the two nearest pairs; from one pair, latency going as flops.
    """
    near = sorted(known, key=lambda pair: abs(pair[1] - target))
    (x, y), slope = near[0], 1.0
    if len(near) > 1 and near[1][0] != x:
        slope = min(2.0, max(0.2, (near[1][1] - y) / (near[1][0] - x)))
    return x + (target - y) / slope
