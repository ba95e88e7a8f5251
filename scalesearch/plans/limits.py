"""A budget as one proxy is held to it: ratios to its baseline, and what to say of a miss."""

import math
from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass

from scalesearch.networks.cost import Cost, cost
from scalesearch.networks.latency import Repeats, Timings, timed
from scalesearch.networks.models import Model, realised
from scalesearch.networks.scaling import Coefficients
from scalesearch.spaces.budget import Budget, Term
from scalesearch.spaces.proxy import baseline
from scalesearch.spaces.space import Space
from scalesearch.units import NAMES, Measure

# a latency is first looked at in SCREEN rounds; what is not off by SCREEN_MARGIN is timed further
SCREEN, SCREEN_MARGIN = 3, 1.3
ROUNDS = (9, 18, 27)  # the later ones for networks on the edge of the budget alone
MOST_TIMED = 1000
OWN = "own"  # the label of the space's own model among the timings
Networks = Mapping[str, tuple[Model, Sequence[Coefficients]]]


@dataclass(frozen=True, slots=True)
class Limit:
    """A term of the budget as a ratio to the proxy's baseline.

    With a tolerance it is the target, without one a cap.
    """

    term: Term
    ratio: float
    tolerance: float | None

    @property
    def measure(self) -> Measure:
        """What is limited."""
        return self.term.measure

    def allows(self, ratio: float) -> bool:
        """Whether a network of that ratio is within the budget."""
        if self.tolerance is None:
            return ratio <= self.ratio * (1 + 1e-12)
        return abs(ratio / self.ratio - 1) <= self.tolerance

    def allows_all(self, interval: tuple[float, float]) -> bool:
        """Whether every ratio of an interval is within the budget."""
        return all(self.allows(end) for end in interval)

    def unclear(self, interval: tuple[float, float]) -> bool:
        """Whether an interval reaches into the budget and out of it."""
        low, high = interval
        bottom, top = 0.0, self.ratio
        if self.tolerance is not None:
            bottom, top = self.ratio * (1 - self.tolerance), self.ratio * (1 + self.tolerance)
        return low <= top and high >= bottom and not self.allows_all(interval)

    def far(self, ratio: float) -> bool:
        """Whether a ratio is off by so much that a few rounds of timing are enough to say so."""
        low = 0.0 if self.tolerance is None else self.ratio / SCREEN_MARGIN
        return not low <= ratio <= self.ratio * SCREEN_MARGIN


def find_limits(
    space: Space, budget: Budget, timings: Timings | None
) -> tuple[tuple[Limit, ...], Timings | None]:
    """The budget's terms as ratios, the target first, and the timings that this took.

    An amount is one of the space's own model, which is counted or timed for it.
    """
    over = []
    for term in budget.terms:
        if term.ratio is None and term.measure == "ms":
            assert timings is not None
            timings = timed(timings, {OWN: realised(baseline(space))}, ROUNDS[0])
            over.append(term.relative_to(timings[OWN].median))
        else:
            over.append(counted_ratio(space, term))
    return limits_of(space, budget, over), timings


def counted_limits(space: Space, budget: Budget) -> tuple[Limit, ...]:
    """The budget's terms as ratios, the target first, as far as they are known before anything is
    timed: an amount of ms is taken to be more than the space's own model has."""
    over = [
        math.inf if term.measure == "ms" and term.ratio is None else counted_ratio(space, term)
        for term in budget.terms
    ]
    return limits_of(space, budget, over)


def counted_ratio(space: Space, term: Term) -> float:
    """The ratio of a term to the space's own model, which is counted where it has an amount."""
    if term.ratio is not None:
        return term.ratio
    return term.relative_to(figure(cost(realised(baseline(space))), term.measure))


def limits_of(space: Space, budget: Budget, over: Sequence[float]) -> tuple[Limit, ...]:
    """The budget's terms with those ratios: the target within the tolerance, then the caps."""
    target, *caps = zip(budget.terms, over, strict=True)
    return (Limit(*target, space.tolerance), *(Limit(*cap, None) for cap in caps))


def figure(found: Cost, measure: Measure) -> int:
    """What a cost is by one of its measures."""
    value: int = getattr(found, measure)
    return value


def share(found: Cost, start: Cost, measure: Measure) -> float:
    """The ratio of a cost to the baseline's by one of its measures."""
    return figure(found, measure) / figure(start, measure)


def time_networks(
    timings: Timings, start: Model, archs: Mapping[str, Model], limits: Sequence[Limit]
) -> tuple[Timings, set[str], int]:
    """The timings of networks, the keys of those within every limit, and how many are unclear.

    Ratios are to the baseline in the same round. A network is within the budget where the whole
    interval of its ratio is; as long as a part of it is, it is timed in more rounds, to the last
    of ROUNDS. Raises ValueError for more networks than MOST_TIMED.
    """
    refuse_many(archs)
    base = {start.key: start}
    slow = [limit for limit in limits if limit.measure == "ms"]
    if not slow:
        return timed(timings, base | dict(archs), ROUNDS[0]), set(archs), 0
    (limit,) = slow
    timings = timed(timings, base | dict(archs), SCREEN)
    going = {
        k: arch for k, arch in archs.items() if not limit.far(ratios(timings, k, start).median)
    }
    timings = timed(timings, base | going, ROUNDS[0])
    for rounds in ROUNDS[1:]:
        edge = {
            key: arch
            for key, arch in going.items()
            if limit.unclear(ratios(timings, key, start).interval)
        }
        timings = timed(timings, base | edge, rounds) if edge else timings
    intervals = [(key, ratios(timings, key, start).interval) for key in going]
    inside = {key for key, interval in intervals if limit.allows_all(interval)}
    return timings, inside, sum(limit.unclear(interval) for _, interval in intervals)


def refuse_many(networks: Sized) -> None:
    """Raise ValueError for more networks than MOST_TIMED."""
    if len(networks) > MOST_TIMED:
        raise ValueError(
            f"a plan times at most {MOST_TIMED} networks, got {len(networks)}: take coarser steps "
            "in the grid, or add a cap such as 2x"
        )


def ratios(timings: Timings, key: str, start: Model) -> Repeats:
    """A network's latency over the baseline's, round by round."""
    return timings[key].over(timings[start.key])


def nearest_miss(
    budget: Budget, limits: Sequence[Limit], counts: Mapping[str, Cost], start: Cost, of: Networks
) -> str:
    """What to say when no network meets the budget by its counts: the nearest that is realised."""
    target, caps = limits[0], [limit for limit in limits[1:] if limit.measure != "ms"]
    said = f"a budget must be met within {target.tolerance or 0:.0%} by a network of the grid"
    got = f"got {target.term.text} = {target.ratio:.4g}x"
    if not of:
        return f"{said}, {got}, which leaves no resolution to solve"

    def over(key: str, limit: Limit) -> float:
        return share(counts[key], start, limit.measure)

    if target.measure == "ms":
        meeting = [key for key in of if counts[key].flops]
    else:
        meeting = [key for key in of if target.allows(over(key, target))]
    if meeting:

        def excess(key: str) -> float:
            return max(over(key, cap) / cap.ratio for cap in caps)

        key = min(meeting, key=excess)
        cap = max(caps, key=lambda cap: over(key, cap) / cap.ratio)
        return (
            f"a network must be within every cap of {budget.text}, and of {len(meeting)} none is; "
            f"the nearest, by {point_of(of, key)}, has {over(key, cap):.4g}x the "
            f"{NAMES[cap.measure]} where {cap.term.text} allows {cap.ratio:.4g}x: raise the cap or "
            "widen the grid"
        )
    built = [key for key in of if counts[key].flops]
    if not built:
        return f"{said}, {got}, and the input is too small for all of them: use larger images"
    key = min(built, key=lambda key: abs(over(key, target) / target.ratio - 1))
    what = "" if target.measure == "flops" else f" the {NAMES[target.measure]}"
    return (
        f"{said}, {got}; the nearest feasible is {over(key, target):.4g}x{what}, by "
        f"{point_of(of, key)}: ask for that or widen the grid"
    )


def point_of(of: Networks, key: str) -> str:
    """The first grid point that realises a network."""
    point = of[key][1][0]
    return f"alpha {point.alpha:g}, beta {point.beta:g}, gamma {point.gamma:g}"


def latency_miss(
    limits: Sequence[Limit], timings: Timings, start: Model, of: Networks, unclear: int
) -> str:
    """What to say when no network that was timed is within the budget: the nearest of them."""
    (limit,) = [limit for limit in limits if limit.measure == "ms"]
    key = min(of, key=lambda key: abs(ratios(timings, key, start).median / limit.ratio - 1))
    found = ratios(timings, key, start)
    low, high = found.interval
    within = "at most" if limit.tolerance is None else f"within {limit.tolerance:.0%} of"
    noisy = f", {unclear} are too noisy to tell" if unclear else ""
    return (
        f"a latency must be {within} {limit.term.text} = {limit.ratio:.4g}x with its whole "
        f"interval, and of {len(of)} networks none is; the nearest, by {point_of(of, key)}, is "
        f"{found.median:.4g}x ({low:.4g} to {high:.4g}){noisy}: ask for that, or widen the grid or "
        "the tolerance"
    )
