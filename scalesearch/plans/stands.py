"""What a candidate on the proxy stands for: a network of the model itself.

It has the candidate's depths and width multiplier, and the resolution that the budget leaves on the
model. Where that gamma is another than the proxy's, what won on the proxy is not what is scaled up.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from scalesearch.networks.arch import Arch
from scalesearch.networks.cost import Cost
from scalesearch.networks.count import all_counted, count
from scalesearch.networks.custom import CustomModel
from scalesearch.networks.models import Model, realised, scale_model
from scalesearch.networks.scaling import Coefficients, Scale
from scalesearch.networks.stride import total_stride
from scalesearch.plans.grid import grid_for, realise, solve_resolution
from scalesearch.plans.limits import Limit, Networks, figure, share
from scalesearch.spaces.budget import parse_budget
from scalesearch.spaces.proxy import baseline, proxy_baseline
from scalesearch.spaces.space import Grid, Space, grid_points
from scalesearch.units import Measure

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

    key: str
    coefficients: Coefficients
    proxy_gamma: float
    resolution: int
    flops: int
    ratio: float

    @property
    def difference(self) -> float:
        """By how much its gamma is more than the proxy's, as a share of that."""
        return self.coefficients.gamma / self.proxy_gamma - 1

    def faithful(self, tolerance: float) -> bool:
        """Whether the two gammas are alike, as near as the budget is met."""
        return abs(self.difference) <= tolerance


Stands = dict[str, Stand]


def faithful_keys(found: Stands, limit: Limit) -> set[str]:
    """Keys of the candidates that stand for a network of the model within the budget, one for each
    such network: that whose gamma is nearest."""
    nearest: dict[str, str] = {}
    for key, one in found.items():
        met = limit.measure not in SOLVED or limit.allows(one.ratio)
        if met and one.faithful(limit.tolerance or 0):
            other = nearest.get(one.key)
            if other is None or (distance(one), key) < (distance(found[other]), other):
                nearest[one.key] = key
    return set(nearest.values())


def distance(one: Stand) -> float:
    """How far its gamma is from the proxy's; tenths of a thousandth are rounding."""
    return round(abs(one.difference), 4)


def is_model_itself(start: Model, own: Model) -> bool:
    """Whether a proxy's baseline is the model, but for the channels and classes of its data."""
    if isinstance(start, CustomModel) and isinstance(own, CustomModel):
        return start.multipliers == own.multipliers and start.resolution == own.resolution
    return replace(start, channels=own.channels, classes=own.classes).key == own.key


def stand(
    own: Model,
    points: Iterable[Coefficients],
    proxy_gamma: float,
    ratio: float | None,
    measure: Measure,
) -> Stand:
    """What a candidate stands for that is realised by `points`: of its networks of the model the
    one whose gamma is nearest.

    A point's own gamma is kept where none is to be solved: without a ratio, for a proxy that is the
    model itself; under a budget of parameters, or of a latency, which is timed.
    """
    if ratio is None or measure not in SOLVED:
        given = [as_given(own, point, measure) for point in points]
        return min(given, key=lambda one: (off_nominal(own, one), one.coefficients))
    shapes = sorted({(point.alpha, point.beta) for point in points})
    found = [model_stand(own, *shape, proxy_gamma, ratio, measure) for shape in shapes]
    return min(found, key=lambda one: abs(one.difference))


def as_given(own: Model, point: Coefficients, measure: Measure) -> Stand:
    """The model scaled by a point as it is."""
    model = scale_model(own, point.at(1))
    return made(own, model, point, point.gamma, measure)


def off_nominal(own: Model, one: Stand) -> float:
    """How far what the formula says of a network's cost is from what it is."""
    return abs(one.coefficients.nominal - one.flops / count(own).flops)


def model_stand(
    own: Model, alpha: float, beta: float, proxy_gamma: float, ratio: float, measure: Measure
) -> Stand:
    """The model deepened and widened so, at the resolution that the budget leaves."""
    shape = scale_model(own, Scale(alpha, beta))
    model = solve_resolution(shape, ratio * figure(count(own), measure), measure)
    gamma = round(model.resolution / own.resolution, 10)
    return made(own, model, Coefficients(alpha, beta, gamma), proxy_gamma, measure)


def made(own: Model, model: Model, at: Coefficients, proxy_gamma: float, measure: Measure) -> Stand:
    """A network of the model as what a candidate stands for."""
    start, found = count(own), count(model)
    return Stand(
        key=model.key,
        coefficients=at,
        proxy_gamma=proxy_gamma,
        resolution=model.resolution,
        flops=found.flops,
        ratio=share(found, start, "flops" if measure == "ms" else measure),
    )


def stands(
    space: Space, proxy_name: str, shape: Shape, limit: Limit, grid: Grid | None = None
) -> Stands:
    """What each network of the proxy's grid within the limit stands for, by its key, by count.

    `shape` is the data's channels and classes. Caps and latencies are not looked at: they leave
    fewer. `grid` in place of the proxy's own.
    """
    proxy = space.proxies[proxy_name]
    own = realised(baseline(space))
    start = realised(proxy_baseline(space, proxy, *shape))
    grid = grid or grid_for(space, proxy, parse_budget(space.budget), limit.ratio)
    networks = realise(start, count(start), grid_points(grid), limit)
    return stands_of(own, start, on_budget(count(start), networks, limit), limit)


def stands_of(own: Model, start: Model, near: Networks, limit: Limit) -> Stands:
    """What networks of a proxy with the baseline `start` stand for, by their keys."""
    itself = is_model_itself(start, own)
    scaled, ratio = (start, None) if itself else (own, limit.ratio)
    return {
        key: stand(scaled, points, model.resolution / start.resolution, ratio, limit.measure)
        for key, (model, points) in near.items()
    }


def on_budget(
    start: Cost, networks: Networks, limit: Limit
) -> dict[str, tuple[Model, Sequence[Coefficients]]]:
    """The networks within the budget's target, by count; all of them where it is a latency."""
    counts = all_counted({key: model for key, (model, _) in networks.items()})
    return {
        key: found
        for key, found in networks.items()
        if counts[key].flops
        and (limit.measure == "ms" or limit.allows(share(counts[key], start, limit.measure)))
    }


def too_few(space: Space, proxy_name: str, shape: Shape, found: Stands, limit: Limit) -> str | None:
    """What to say before anything runs where too few of the networks within the budget, `found`,
    stand for a network of the model: how many, the near misses, the key that would bring more.
    None where there are enough.
    """
    chosen = faithful_keys(found, limit)
    if len(chosen) >= FEWEST:
        return None
    models = {found[key].key for key in chosen}
    others = [one for one in found.values() if one.key not in models]
    misses = sorted(others, key=distance)[:NAMED]
    told = ", ".join(map(miss_of, misses))
    key = next(
        (key for key, more in changes(space, proxy_name, shape, limit) if more >= FEWEST),
        "widen the grid, or take finer steps in it",
    )
    near = f"; near misses: {told}" if told else ""
    return (
        f"{len(chosen)} of {len(found)} networks within the budget stand for one of "
        f"{baseline(space).name} that is within it too, its gamma within {limit.tolerance:.0%} of "
        f"theirs, and a choice needs {FEWEST}{near}; {key}"
    )


def miss_of(one: Stand) -> str:
    """A network that stands for none, in words."""
    c = one.coefficients
    return (
        f"{c.alpha:g}/{c.beta:g}/{one.proxy_gamma:.3g} stands for gamma {c.gamma:.3g} "
        f"({one.difference:+.0%}) at {one.ratio:.3g}x"
    )


def changes(space: Space, proxy_name: str, shape: Shape, limit: Limit) -> Iterator[tuple[str, int]]:
    """Keys that may bring more candidates, each with how many stand under it: gammas of whole
    pixels, then smaller output strides with them."""
    proxy = space.proxies[proxy_name]
    start = proxy_baseline(space, proxy, *shape)
    if not isinstance(start, Arch):
        return  # each would be built and measured many times
    grid = grid_for(space, proxy, parse_budget(space.budget), limit.ratio)
    words = []
    if not isinstance(grid.gamma, str):
        grid, words = pixel_grid(grid, start), ["gamma by whole pixels"]
    for stride in (None, *smaller_strides(start)):
        changed = proxy if stride is None else replace(proxy, output_stride=stride)
        keys = words if stride is None else [f"output_stride: {stride}", *words]
        other = replace(space, proxies={proxy_name: changed})
        found = stands(other, proxy_name, shape, limit, grid)
        yield ", ".join(keys), len(faithful_keys(found, limit))


def smaller_strides(start: Arch) -> list[int]:
    """The output strides that a proxy could have in place of its own, largest first."""
    own = total_stride(start)
    return [stride for stride in range(own - 1, 0, -1) if own % stride == 0]


def pixel_grid(grid: Grid, start: Model) -> Grid:
    """The grid with a gamma for every pixel that its own gammas span."""
    gammas = [gamma for _, _, gamma in grid_points(grid) if gamma is not None]
    low, high = (round(start.resolution * end) for end in (min(gammas), max(gammas)))
    return replace(grid, gamma=tuple(px / start.resolution for px in range(low, high + 1)))
