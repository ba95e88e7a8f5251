"""The plan: from a grid of coefficients to the distinct networks that meet the budget."""

from collections.abc import Sequence
from dataclasses import dataclass

from scalesearch.networks.cost import Cost, cost
from scalesearch.networks.count import all_counted, measured_costs
from scalesearch.networks.latency import Repeats, Timings, conditions_here
from scalesearch.networks.models import Model, realised
from scalesearch.networks.scaling import Coefficients
from scalesearch.plans.grid import grid_for, realise
from scalesearch.plans.limits import (
    Limit,
    figure,
    find_limits,
    latency_miss,
    nearest_miss,
    ratios,
    share,
    time_networks,
)
from scalesearch.spaces.budget import Budget, parse_budget
from scalesearch.spaces.proxy import proxy_baseline
from scalesearch.spaces.space import Space, grid_points
from scalesearch.units import Measure


@dataclass(frozen=True, slots=True)
class Candidate:
    """A distinct network at phi = 1, its measured cost, and every grid point that realises it.

    `ratio` is to the baseline by the measure of the budget's target, with its interval where that
    is a latency; `flops_ratio` is that of the flops.
    """

    arch: Model
    cost: Cost
    ratio: float
    points: tuple[Coefficients, ...]
    flops_ratio: float
    interval: tuple[float, float]
    latency: Repeats | None = None

    @property
    def key(self) -> str:
        """The arch's key."""
        return self.arch.key

    @property
    def coefficients(self) -> Coefficients:
        """The grid point that stands for the network: its nominal cost is nearest the measured."""
        return nearest_point(self.points, self.flops_ratio)


@dataclass(frozen=True, slots=True)
class Plan:
    """Candidates that meet the budget, in order of their coefficients, and how they were found.

    `target` is what the budget's target comes to for the proxy, by its measure; `ratio` that over
    the baseline's. `timings` are there where latencies were asked for; `unclear` is how many
    networks were left out because their latency may be within the budget or not. `networks` has
    every distinct network's nearest grid point and its flops by count.
    """

    space: Space
    proxy: str
    budget: Budget
    ratio: float
    target: float
    baseline: Model
    baseline_cost: Cost
    grid_points: int
    distinct: int
    candidates: tuple[Candidate, ...]
    limits: tuple[Limit, ...]
    timings: Timings | None = None
    unclear: int = 0
    networks: tuple[tuple[Coefficients, int], ...] = ()

    @property
    def measure(self) -> Measure:
        """The measure of the budget's target."""
        return self.budget.target.measure

    def ratio_of(self, of: Candidate, measure: Measure) -> tuple[float, float]:
        """A candidate's ratio to the baseline by any measure, as the interval that it is in."""
        if measure != "ms":
            ratio = share(of.cost, self.baseline_cost, measure)
            return ratio, ratio
        assert self.timings is not None
        return ratios(self.timings, of.key, self.baseline).interval


def make_plan(
    space: Space,
    proxy_name: str,
    budget_text: str | None = None,
    channels: int | None = None,
    classes: int | None = None,
    timings: Timings | None = None,
    batch: int | None = None,
) -> Plan:
    """The candidates of `space` under a budget, for one of its proxies.

    An amount in the budget is one of the space's own model; its ratio to that model is what the
    proxy is held to. Latencies are timed where the budget or `batch` asks for them; those in
    `timings` are taken as they are. Raises ValueError when nothing is feasible, naming the
    nearest.
    """
    budget = parse_budget(budget_text or space.budget)
    proxy = space.proxies[proxy_name]
    timings = first_timings(budget, batch, timings)
    limits, timings = find_limits(space, budget, timings)
    target = limits[0]
    grid = grid_for(space, proxy, budget, target.ratio)
    start = realised(proxy_baseline(space, proxy, channels, classes))
    start_cost = cost(start)

    points = grid_points(grid)
    networks = realise(start, start_cost, points, target)
    counts = all_counted({key: arch for key, (arch, _) in networks.items()})

    def met(found: Cost) -> bool:
        return found.flops > 0 and all(
            limit.allows(share(found, start_cost, limit.measure))
            for limit in limits
            if limit.measure != "ms"
        )

    near = {key: found for key, found in networks.items() if met(counts[key])}
    costs = dict(zip(near, measured_costs([arch for arch, _ in near.values()]), strict=True))
    near = {key: found for key, found in near.items() if met(costs[key])}
    if not near:
        raise ValueError(nearest_miss(budget, limits, counts, start_cost, networks))
    unclear = 0
    if timings is not None:
        archs = {key: arch for key, (arch, _) in near.items()}
        timings, inside, unclear = time_networks(timings, start, archs, limits)
        if not inside:
            raise ValueError(latency_miss(limits, timings, start, near, unclear))
        near = {key: found for key, found in near.items() if key in inside}
    found = [
        candidate(arch, costs[key], start_cost, at, target, timings, start)
        for key, (arch, at) in near.items()
    ]
    return Plan(
        space=space,
        proxy=proxy_name,
        budget=budget,
        ratio=target.ratio,
        target=target.ratio * start_figure(start, start_cost, target.measure, timings),
        baseline=start,
        baseline_cost=start_cost,
        grid_points=len(points),
        distinct=len(networks),
        candidates=tuple(sorted(found, key=lambda candidate: candidate.coefficients)),
        limits=limits,
        timings=timings,
        unclear=unclear,
        networks=tuple(
            (nearest_point(at, counts[key].flops / start_cost.flops), counts[key].flops)
            for key, (_, at) in networks.items()
        ),
    )


def nearest_point(points: Sequence[Coefficients], ratio: float) -> Coefficients:
    """The point whose nominal cost is nearest to a measured one."""
    return min(points, key=lambda point: (abs(point.nominal - ratio), point))


def first_timings(budget: Budget, batch: int | None, known: Timings | None) -> Timings | None:
    """The timings that a plan starts from; None where nothing asks for a latency.

    Raises ValueError where a batch contradicts the budget's.
    """
    wanted = budget.batch or batch
    if budget.batch and batch and budget.batch != batch:
        raise ValueError(
            f"latency must be of one batch, got {batch} beside a budget of {budget.text}"
        )
    if wanted is None:
        return None
    return known or Timings(conditions_here(wanted))


def start_figure(
    start: Model, start_cost: Cost, measure: Measure, timings: Timings | None
) -> float:
    """What the proxy's baseline costs by any measure."""
    if measure != "ms":
        return figure(start_cost, measure)
    assert timings is not None
    return timings[start.key].median


def candidate(
    arch: Model,
    found: Cost,
    start_cost: Cost,
    points: Sequence[Coefficients],
    target: Limit,
    timings: Timings | None,
    start: Model,
) -> Candidate:
    """The candidate that a feasible network is."""
    measure = target.measure
    latency = timings[arch.key] if timings else None
    if measure == "ms" and timings:
        found_ratios = ratios(timings, arch.key, start)
        ratio, interval = found_ratios.median, found_ratios.interval
    else:
        ratio = share(found, start_cost, measure)
        interval = (ratio, ratio)
    flops_ratio = found.flops / start_cost.flops
    return Candidate(arch, found, ratio, tuple(sorted(points)), flops_ratio, interval, latency)


def network_names(plan: Plan) -> dict[str, str]:
    """What the terminal calls each network: its coefficients, or 1x."""
    names = {plan.baseline.key: "1x baseline"}
    for candidate in plan.candidates:
        c = candidate.coefficients
        names[candidate.key] = f"{c.alpha:g}/{c.beta:g}/{c.gamma:g}"
    return names
