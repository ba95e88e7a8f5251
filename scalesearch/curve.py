"""Where the curve of the coefficients, alpha^phi, beta^phi, gamma^phi, meets a cost."""

import math
from dataclasses import dataclass

from scalesearch.arch import Coefficients
from scalesearch.budget import NAMES, Measure
from scalesearch.cost import count
from scalesearch.latency import Repeats, Timings, conditions_here, timed
from scalesearch.limits import figure
from scalesearch.models import Model, scale_model

ROUNDS = 6  # the fewest that have an interval of 95 %
TRIES = 6
LONGEST = 1000.0  # milliseconds; a family's larger members would take minutes each to time


@dataclass(frozen=True, slots=True)
class Timed:
    """A network on the curve, its latency and the baseline's in the same rounds."""

    phi: float
    arch: Model
    latency: Repeats
    baseline: Repeats


def nominal(c: Coefficients, measure: Measure) -> float:
    """What one step of phi is taken to multiply a measure by: only its direction matters."""
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
    """The phi, below 0 to go against the coefficients, at which the formula crosses a target.

    Raises ValueError when the coefficients cannot reach it.
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
    """The phi and the network on the curve whose parameters come nearest to a target.

    They grow by steps, and the two networks at the step that crosses the target are compared.
    """
    found = [
        (phi, scale_model(baseline, coefficients.at(phi)))
        for phi in bracket(baseline, coefficients, target, "params")
    ]
    return min(found, key=lambda item: abs(math.log(count(item[1]).params / target)))


def nearest_latency(
    baseline: Model, coefficients: Coefficients, target: float, batch: int, enough: float
) -> Timed:
    """The network on the curve whose latency is nearest to `target` milliseconds, of TRIES.

    Latency goes roughly with a power of flops: each try is at the flops that the tries before it
    tell. It ends within `enough` of the target. Each try is timed beside the baseline. Raises
    ValueError for a target above LONGEST.
    """
    if target > LONGEST:
        raise ValueError(
            f"{baseline.name}: a member's latency must be at most {LONGEST:g} ms for its timing "
            f"to end soon, got a target of {target:.4g} ms: scale it by flops"
        )
    tries: list[tuple[float, Timed]] = []
    first = timed(Timings(conditions_here(batch)), {"baseline": baseline}, ROUNDS)["baseline"]
    known = [(math.log(count(baseline).flops), math.log(first.median))]
    while len(tries) < TRIES:
        wanted = flops_for(known, math.log(target))
        phi = solve_phi(baseline, coefficients, math.exp(wanted))
        arch = scale_model(baseline, coefficients.at(phi))
        if arch.key in [done.arch.key for _, done in tries]:
            break
        timings = timed(
            Timings(conditions_here(batch)), {"baseline": baseline, "arch": arch}, ROUNDS
        )
        miss = math.log(timings["arch"].median / target)
        tries.append((abs(miss), Timed(phi, arch, timings["arch"], timings["baseline"])))
        if abs(miss) <= enough:
            break
        known.append((math.log(count(arch).flops), math.log(timings["arch"].median)))
    return min(tries, key=lambda found: found[0])[1]


def flops_for(known: list[tuple[float, float]], target: float) -> float:
    """The log flops at which the log latency is `target`, from pairs of both.

    On the line through the two nearest pairs; from one pair, latency going as flops.
    """
    near = sorted(known, key=lambda pair: abs(pair[1] - target))
    (x, y), slope = near[0], 1.0
    if len(near) > 1 and near[1][0] != x:
        slope = min(2.0, max(0.2, (near[1][1] - y) / (near[1][0] - x)))
    return x + (target - y) / slope
