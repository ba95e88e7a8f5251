"""The plan: from a grid of coefficients to the distinct networks that meet the budget."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass

from scalesearch.arch import Coefficients, InputTooSmall, Scale
from scalesearch.budget import Budget, Measure, Term, parse_budget
from scalesearch.cost import Cost, cache_folder, cost, count
from scalesearch.latency import Repeats, Timings, conditions_here
from scalesearch.limits import (
    Limit,
    figure,
    find_limits,
    latency_miss,
    nearest_miss,
    ratios,
    share,
    time_networks,
)
from scalesearch.models import Model, at_resolution, realised, scale_model
from scalesearch.own import OwnModel
from scalesearch.space import Grid, Proxy, Space, grid_points, proxy_baseline

FEW = 40  # networks that fvcore measures in some ten seconds


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


def realise(
    start: Model,
    start_cost: Cost,
    points: Sequence[tuple[float, float, float | None]],
    target: Limit,
) -> dict[str, tuple[Model, list[Coefficients]]]:
    """The distinct networks of the grid by key, each with the points that realise it."""
    networks: dict[str, tuple[Model, list[Coefficients]]] = {}
    measure = target.measure
    for alpha, beta, gamma in points:
        if gamma is None:
            shape = scale_model(start, Scale(alpha, beta))
            if measure in ("params", "ms"):
                raise ValueError(unsolvable(target.term))
            arch = solve_resolution(shape, target.ratio * figure(start_cost, measure), measure)
            gamma = round(arch.resolution / start.resolution, 10)
            if (gamma - 1) * (target.ratio - 1) < 0:
                continue  # the budget is spent before the resolution has its share
        else:
            arch = scale_model(start, Scale(alpha, beta, gamma))
        networks.setdefault(arch.key, (arch, []))[1].append(Coefficients(alpha, beta, gamma))
    return networks


def unsolvable(term: Term) -> str:
    """Why a resolution cannot be solved for a term, and what to do."""
    why = (
        "parameters do not depend on resolution"
        if term.measure == "params"
        else "a latency is timed, not counted"
    )
    return (
        f"`gamma: solve` needs a target in flops or activations, got {term.text}, and {why}: list "
        f"gammas in the grid, or say the target first and this as a cap, as in 2x,{term.text}"
    )


def all_counted(models: Mapping[str, Model]) -> dict[str, Cost]:
    """The cost of each model by count, kept on disk by its key; a user's code may change."""
    path = cache_folder() / "counts.json"
    known: dict[str, Cost] = {}
    with suppress(OSError, ValueError, TypeError, AttributeError):
        stored = json.loads(path.read_text()).items()
        known = {str(key): Cost(*map(int, figures)) for key, figures in stored}
    found = {key: known[key] if key in known else counted(model) for key, model in models.items()}
    fresh = {
        key: costs
        for key, costs in found.items()
        if key not in known and not isinstance(models[key], OwnModel)
    }
    if fresh:
        with suppress(OSError):  # a cache that cannot be written costs time, not the answer
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f"{path.name}.{os.getpid()}")
            both = {key: astuple(costs) for key, costs in (known | fresh).items()}
            partial.write_text(json.dumps(both))
            partial.replace(path)
    return found


def measured_costs(models: Sequence[Model]) -> list[Cost]:
    """The cost of each model: measured by fvcore, or counted where measuring FEW agrees with that.

    Of many, FEW that are spread evenly are measured; if a single one differs from its count, all
    are. A test holds the two equal over the whole zoo.
    """
    if len(models) <= FEW:
        return [cost(model) for model in models]
    counts = [count(model) for model in models]
    spread = range(0, len(models), math.ceil(len(models) / FEW))
    if all(cost(models[i]) == counts[i] for i in spread):
        return counts
    return [cost(model) for model in models]


def grid_for(space: Space, proxy: Proxy, budget: Budget, ratio: float) -> Grid:
    """The grid that a budget of that ratio searches.

    Raises ValueError where the budget is the baseline's own cost, the space has no grid on that
    side of 1x, or a coefficient points the other way.
    """
    if abs(ratio - 1) <= space.tolerance:
        raise ValueError(
            f"a budget must differ from the baseline by more than the tolerance of "
            f"{space.tolerance:.0%}, got {budget.text} = {ratio:.3g}x"
        )
    grid = (proxy.grid or space.grid) if ratio > 1 else (proxy.shrink or space.shrink)
    if grid is None:
        raise ValueError(
            f"space {space.name}: a budget below 1x needs a grid under `shrink`, got {budget.text}"
        )
    for point in grid_points(grid):
        for name, value in zip(("alpha", "beta", "gamma"), point, strict=True):
            if value is not None and (value - 1) * (ratio - 1) < 0:
                rule = "at least 1" if ratio > 1 else "at most 1"
                raise ValueError(
                    f"space {space.name}: {name} must be {rule} under a budget of {budget.text}, "
                    f"got {value:g}"
                )
    return grid


def solve_resolution(model: Model, target: float, measure: Measure = "flops") -> Model:
    """`model` at the whole number of pixels whose count is nearest to a target.

    Raises ValueError for a measure that no count of pixels meets.
    """
    if measure not in ("flops", "activations"):
        raise ValueError(f"a resolution must be solved for flops or activations, got {measure}")

    def at(pixels: int) -> Model:
        return at_resolution(model, pixels)

    def costs(pixels: int) -> int:
        return figure(counted(at(pixels)), measure)

    low, high = 1, model.resolution
    while costs(high) < target:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if costs(middle) < target else (low, middle)
    return at(min((low, high), key=lambda pixels: abs(costs(pixels) - target)))


def counted(model: Model) -> Cost:
    """The model's cost by count; nothing, which meets no budget, where its input is too small."""
    try:
        return count(model)
    except InputTooSmall:
        return Cost(0, 0, 0, 0)
