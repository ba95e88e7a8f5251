"""What the points of a grid realise, and the resolution that a budget leaves."""

from collections.abc import Callable, Sequence
from functools import cache

from scalesearch.networks.cost import Cost
from scalesearch.networks.count import counted
from scalesearch.networks.models import Model, at_resolution, scale_model
from scalesearch.networks.scaling import Coefficients, Scale
from scalesearch.plans.limits import Limit, figure
from scalesearch.spaces.budget import Budget, Term
from scalesearch.spaces.space import Grid, Proxy, Space, grid_points
from scalesearch.units import Measure

MOST_PIXELS = 2**16  # a side


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

    Raises ValueError for a measure, or a target, that no count of pixels meets.
    """
    if measure not in ("flops", "activations"):
        raise ValueError(f"a resolution must be solved for flops or activations, got {measure}")

    def at(pixels: int) -> Model:
        return at_resolution(model, pixels)

    @cache
    def costs(pixels: int) -> int:
        return figure(counted(at(pixels)), measure)

    low, high = bracket(costs, target, guess(model.resolution, costs(model.resolution), target))
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if costs(middle) < target else (low, middle)
    return at(min((low, high), key=lambda pixels: abs(costs(pixels) - target)))


def guess(pixels: int, cost: int, target: float) -> int:
    """The pixels a side that would meet a target if cost went as their square."""
    return max(1, round(pixels * (target / cost) ** 0.5)) if cost else pixels


def bracket(costs: Callable[[int], int], target: float, near: int) -> tuple[int, int]:
    """Two resolutions, pixels, between which a target is crossed; the lower may be 1 above it.

    Raises ValueError where none up to MOST_PIXELS costs so much.
    """
    low, high, step = near, near + 1, 1
    while costs(high) < target:
        if high > MOST_PIXELS:
            raise ValueError(
                f"a resolution must cost {target:.4g}, got {costs(high):.4g} at {high} px"
            )
        low, high, step = high, high + step, 2 * step
    while low > 1 and costs(low) >= target:
        low, high, step = max(1, low - step), low, 2 * step
    return low, high
