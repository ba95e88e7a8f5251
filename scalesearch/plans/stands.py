"""What a candidate on the proxy stands for: a network of the model itself.

It has the candidate's depths and width multiplier, and the resolution that the budget leaves on the
model. Where that gamma is another than the proxy's, what won on the proxy is not what is scaled up.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from scalesearch.networks.arch import Arch
from scalesearch.networks.cost import Cost
from scalesearch.networks.count import all_counted, count
from scalesearch.networks.models import Model, realised, scale_model
from scalesearch.networks.scaling import Coefficients, Scale
from scalesearch.networks.stride import total_stride
from scalesearch.plans.grid import grid_for, realise, solve_resolution
from scalesearch.plans.limits import Limit, figure, share
from scalesearch.spaces.budget import Budget, parse_budget
from scalesearch.spaces.proxy import baseline, proxy_baseline
from scalesearch.spaces.space import Grid, Proxy, Space, grid_points
from scalesearch.units import Measure

LIKE = 0.05  # how far the gamma of the model may be from the proxy's
FEWEST = 5  # candidates that are enough to choose among
SOLVED: tuple[Measure, ...] = ("flops", "activations")  # budgets that a resolution can meet
NAMED = 3  # near misses that are told
Shape = tuple[int | None, int | None]  # channels and classes of the data


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """The network of the model that a candidate stands for.

    `coefficients` are its own, `proxy_gamma` is the candidate's; `ratio` is to the model's cost by
    the budget's measure.
    """

    coefficients: Coefficients
    proxy_gamma: float
    resolution: int
    flops: int
    ratio: float

    @property
    def difference(self) -> float:
        """By how much its gamma is more than the proxy's, as a share of that."""
        return self.coefficients.gamma / self.proxy_gamma - 1

    @property
    def faithful(self) -> bool:
        """Whether the two gammas are alike."""
        return abs(self.difference) <= LIKE


Stands = dict[str, Stand]


def stand(
    own: Model, points: Iterable[Coefficients], proxy_gamma: float, ratio: float, measure: Measure
) -> Stand:
    """What a candidate stands for that is realised by `points`: of its networks of the model the
    one whose gamma is nearest."""
    shapes = sorted({(point.alpha, point.beta) for point in points})
    found = [model_stand(own, *shape, proxy_gamma, ratio, measure) for shape in shapes]
    return min(found, key=lambda one: abs(one.difference))


def model_stand(
    own: Model, alpha: float, beta: float, proxy_gamma: float, ratio: float, measure: Measure
) -> Stand:
    """The model deepened and widened so, at the resolution that the budget leaves.

    No resolution meets a budget of parameters, or of a latency, which is timed: there the proxy's
    gamma is kept.
    """
    start = count(own)
    if measure in SOLVED:
        shape = scale_model(own, Scale(alpha, beta))
        model = solve_resolution(shape, ratio * figure(start, measure), measure)
        gamma = round(model.resolution / own.resolution, 10)
    else:
        model, gamma = scale_model(own, Scale(alpha, beta, proxy_gamma)), proxy_gamma
    found = count(model)
    over = share(found, start, measure) if measure != "ms" else found.flops / start.flops
    return Stand(
        coefficients=Coefficients(alpha, beta, gamma),
        proxy_gamma=proxy_gamma,
        resolution=model.resolution,
        flops=found.flops,
        ratio=over,
    )


def stands(space: Space, proxy_name: str, shape: Shape, grid: Grid | None = None) -> Stands:
    """What each network of the proxy's grid within the budget stands for, by its key, by count.

    `shape` is the data's channels and classes. Caps and latencies are not looked at: they leave
    fewer. `grid` in place of the proxy's own.
    """
    budget = parse_budget(space.budget)
    proxy = space.proxies[proxy_name]
    own = realised(baseline(space))
    limit = Limit(budget.target, target_ratio(own, budget), space.tolerance)
    start = realised(proxy_baseline(space, proxy, *shape))
    grid = grid or grid_for(space, proxy, budget, limit.ratio)
    networks = realise(start, count(start), grid_points(grid), limit)
    near = on_budget(count(start), networks, limit)
    return {
        key: stand(
            own, points, model.resolution / start.resolution, limit.ratio, budget.target.measure
        )
        for key, (model, points) in near.items()
    }


def target_ratio(own: Model, budget: Budget) -> float:
    """The budget's target over what the model itself costs."""
    term = budget.target
    if term.ratio is not None:
        return term.ratio
    return term.relative_to(figure(count(own), term.measure))


def on_budget(
    start: Cost, networks: Mapping[str, tuple[Model, list[Coefficients]]], limit: Limit
) -> dict[str, tuple[Model, list[Coefficients]]]:
    """The networks within the budget's target, by count; all of them where it is a latency."""
    counts = all_counted({key: model for key, (model, _) in networks.items()})
    return {
        key: found
        for key, found in networks.items()
        if counts[key].flops
        and (limit.measure == "ms" or limit.allows(share(counts[key], start, limit.measure)))
    }


def too_few(space: Space, proxy_name: str, shape: Shape) -> str | None:
    """What to say before anything runs where too few candidates stand for a network of the model:
    how many, the near misses, the key that would bring more. None where there are enough.
    """
    found = stands(space, proxy_name, shape)
    kept = [one for one in found.values() if one.faithful]
    if len(kept) >= FEWEST:
        return None
    others = [one for one in found.values() if not one.faithful]
    misses = sorted(others, key=lambda one: abs(one.difference))[:NAMED]
    told = ", ".join(
        f"{one.coefficients.alpha:g}/{one.coefficients.beta:g}/{one.proxy_gamma:.3g} stands for "
        f"gamma {one.coefficients.gamma:.3g} ({one.difference:+.0%})"
        for one in misses
    )
    key = next(
        (key for key, more in changes(space, proxy_name, shape) if len(more) >= FEWEST),
        "a larger grid",
    )
    return (
        f"{len(kept)} of {len(found)} candidates stand for a network of {baseline(space).name} "
        f"whose gamma is within {LIKE:.0%} of theirs, and a choice needs {FEWEST}"
        + (f"; near misses: {told}" if told else "")
        + f"; {key}"
    )


def changes(space: Space, proxy_name: str, shape: Shape) -> Iterator[tuple[str, list[Stand]]]:
    """Keys that may bring more candidates, each with the faithful ones under it: gammas of whole
    pixels, then smaller output strides with them."""
    proxy = space.proxies[proxy_name]
    start = proxy_baseline(space, proxy, *shape)
    grid, words = pixel_grid(space, proxy, start), "gamma by whole pixels"
    for stride in (None, *smaller_strides(start)):
        changed = proxy if stride is None else replace(proxy, output_stride=stride)
        key = words if stride is None else f"output_stride: {stride}, {words}"
        other = replace(space, proxies={proxy_name: changed})
        found = stands(other, proxy_name, shape, grid)
        yield key, [one for one in found.values() if one.faithful]


def smaller_strides(start: Model) -> list[int]:
    """The output strides that a proxy could have in place of its own, largest first."""
    if not isinstance(start, Arch):
        return []
    own = total_stride(start)
    return [stride for stride in range(own - 1, 0, -1) if own % stride == 0]


def pixel_grid(space: Space, proxy: Proxy, start: Model) -> Grid:
    """The proxy's grid with a gamma for every pixel that its own gammas span."""
    budget = parse_budget(space.budget)
    grid = grid_for(space, proxy, budget, target_ratio(realised(baseline(space)), budget))
    gammas = [gamma for _, _, gamma in grid_points(grid) if gamma is not None]
    low, high = (round(start.resolution * end) for end in (min(gammas), max(gammas)))
    return replace(grid, gamma=tuple(px / start.resolution for px in range(low, high + 1)))
