"""The plan: from a grid of coefficients to the distinct networks that meet the budget."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from scalesearch.arch import Coefficients, InputTooSmall, Scale
from scalesearch.cost import Cost, cache_folder, cost, count
from scalesearch.models import Model, at_resolution, realised, scale_model
from scalesearch.own import OwnModel
from scalesearch.space import (
    Budget,
    Grid,
    Proxy,
    Space,
    baseline,
    grid_points,
    parse_budget,
    proxy_baseline,
)

FEW = 40  # networks that fvcore measures in some ten seconds


@dataclass(frozen=True, slots=True)
class Candidate:
    """A distinct network at phi = 1, its measured cost, and every grid point that realises it."""

    arch: Model
    cost: Cost
    ratio: float
    points: tuple[Coefficients, ...]

    @property
    def key(self) -> str:
        """The arch's key."""
        return self.arch.key

    @property
    def coefficients(self) -> Coefficients:
        """The grid point that stands for the network: its nominal cost is nearest the measured."""
        return nearest_point(self.points, self.ratio)


@dataclass(frozen=True, slots=True)
class Plan:
    """Candidates that meet the budget, in order of their coefficients, and how they were found.

    `target` is in flops of the proxy's baseline; `ratio` the budget over the baseline. `networks`
    has every distinct network's nearest grid point and its flops by count.
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
    networks: tuple[tuple[Coefficients, int], ...] = ()


def make_plan(
    space: Space,
    proxy_name: str,
    budget_text: str | None = None,
    channels: int | None = None,
    classes: int | None = None,
) -> Plan:
    """The candidates of `space` under a budget, for one of its proxies.

    A budget in multiply-adds is one on the space's own model; its ratio to that model is what the
    proxy is held to. Raises ValueError when nothing is feasible, naming the nearest.
    """
    budget = parse_budget(budget_text or space.budget)
    proxy = space.proxies[proxy_name]
    ratio = budget.ratio or budget.relative_to(cost(realised(baseline(space))).flops)
    grid = grid_for(space, proxy, budget, ratio)
    start = realised(proxy_baseline(space, proxy, channels, classes))
    start_cost = cost(start)
    target = ratio * start_cost.flops

    networks: dict[str, tuple[Model, list[Coefficients]]] = {}
    points = grid_points(grid)
    for alpha, beta, gamma in points:
        if gamma is None:
            arch = solve_resolution(scale_model(start, Scale(alpha, beta)), target)
            gamma = round(arch.resolution / start.resolution, 10)
            if (gamma - 1) * (ratio - 1) < 0:
                continue  # the budget is spent before the resolution has its share
        else:
            arch = scale_model(start, Scale(alpha, beta, gamma))
        networks.setdefault(arch.key, (arch, []))[1].append(Coefficients(alpha, beta, gamma))

    counts = all_counted({key: arch for key, (arch, _) in networks.items()})
    near = [
        (arch, found)
        for key, (arch, found) in networks.items()
        if within(counts[key], target, space.tolerance)
    ]
    costs = measured_costs([arch for arch, _ in near])
    feasible = [
        Candidate(arch, measured, measured.flops / start_cost.flops, tuple(sorted(found)))
        for (arch, found), measured in zip(near, costs, strict=True)
        if within(measured.flops, target, space.tolerance)
    ]
    if not feasible:
        raise ValueError(nearest_miss(space, budget, ratio, start_cost, networks))
    return Plan(
        space=space,
        proxy=proxy_name,
        budget=budget,
        ratio=ratio,
        target=target,
        baseline=start,
        baseline_cost=start_cost,
        grid_points=len(points),
        distinct=len(networks),
        candidates=tuple(sorted(feasible, key=lambda candidate: candidate.coefficients)),
        networks=tuple(
            (nearest_point(found, counts[key] / start_cost.flops), counts[key])
            for key, (_, found) in networks.items()
        ),
    )


def nearest_point(points: Sequence[Coefficients], ratio: float) -> Coefficients:
    """The point whose nominal cost is nearest to a measured one."""
    return min(points, key=lambda point: (abs(point.nominal - ratio), point))


def all_counted(models: Mapping[str, Model]) -> dict[str, int]:
    """The flops of each model by count, kept on disk by its key; a user's code may change."""
    path = cache_folder() / "counts.json"
    known: dict[str, int] = {}
    with suppress(OSError, ValueError, TypeError, AttributeError):
        known = {str(key): int(flops) for key, flops in json.loads(path.read_text()).items()}
    found = {
        key: known[key] if key in known else counted_flops(model) for key, model in models.items()
    }
    fresh = {
        key: flops
        for key, flops in found.items()
        if key not in known and not isinstance(models[key], OwnModel)
    }
    if fresh:
        with suppress(OSError):  # a cache that cannot be written costs time, not the answer
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f"{path.name}.{os.getpid()}")
            partial.write_text(json.dumps(known | fresh))
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


def within(flops: int, target: float, tolerance: float) -> bool:
    """Whether `flops` lies within that fraction of `target`."""
    return abs(flops / target - 1) <= tolerance


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


def solve_resolution(model: Model, target_flops: float) -> Model:
    """`model` at the whole number of pixels whose count is nearest to a target."""

    def at(pixels: int) -> Model:
        return at_resolution(model, pixels)

    low, high = 1, model.resolution
    while counted_flops(at(high)) < target_flops:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if counted_flops(at(middle)) < target_flops else (low, middle)
    return min((at(low), at(high)), key=lambda sized: abs(counted_flops(sized) - target_flops))


def counted_flops(model: Model) -> int:
    """The model's flops by count; 0, which meets no budget, where its input is too small."""
    try:
        return count(model).flops
    except InputTooSmall:
        return 0


def nearest_miss(
    space: Space,
    budget: Budget,
    ratio: float,
    start: Cost,
    networks: dict[str, tuple[Model, list[Coefficients]]],
) -> str:
    """What to say when no candidate meets the budget: the nearest that the grid realises."""
    said = f"a budget must be met within {space.tolerance:.0%} by a network of the grid"
    if not networks:
        return f"{said}, got {budget.text} = {ratio:.4g}x, which leaves no resolution to solve"
    found = [(counted_flops(arch) / start.flops, points) for arch, points in networks.values()]
    nearest, points = min(found, key=lambda item: abs(item[0] / ratio - 1))
    a, b, g = points[0].alpha, points[0].beta, points[0].gamma
    return (
        f"{said}, got {budget.text} = {ratio:.4g}x; the nearest feasible is {nearest:.4g}x, by "
        f"alpha {a:g}, beta {b:g}, gamma {g:g}: ask for that or widen the grid"
    )
