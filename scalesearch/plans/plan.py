"""The plan: from a grid of coefficients to the distinct networks that meet the budget."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from scalesearch.errors import ParameterError, check_range
from scalesearch.networks.cost import Cost, cost
from scalesearch.networks.count import all_counted, measured_costs
from scalesearch.networks.latency import Timings, conditions_of
from scalesearch.networks.measured import measured
from scalesearch.networks.models import Model, realised
from scalesearch.networks.scaling import Coefficients
from scalesearch.networks.told import is_told
from scalesearch.plans.document import (
    Candidate,
    Cap,
    Latency,
    LeftOut,
    Plan,
    Point,
    nearest_point,
)
from scalesearch.plans.grid import grid_for, realise
from scalesearch.plans.limits import (
    OWN,
    Limit,
    Networks,
    counted_limits,
    find_limits,
    latency_miss,
    nearest_miss,
    ratios,
    refuse_many,
    share,
    time_networks,
)
from scalesearch.plans.look import look
from scalesearch.plans.remarks import remarks, without_data
from scalesearch.plans.stands import Stand, faithful_keys, stands_of, too_few
from scalesearch.spaces.budget import Budget, parse_budget
from scalesearch.spaces.proxy import baseline, proxy_baseline
from scalesearch.spaces.space import Space, grid_points
from scalesearch.units import Measure, amount


def make_plan(
    space: Space,
    proxy_name: str,
    budget_text: str | None = None,
    channels: int | None = None,
    classes: int | None = None,
    timings: Timings | None = None,
    batch: int | None = None,
    images: int | None = None,
    device: str | None = None,
) -> Plan:
    """The candidates of `space` under a budget, for one of its proxies.

    An amount in the budget is one of the space's own model; its ratio to that model is what the
    proxy is held to. `images` is the side of the data's own, pixels. Latencies are timed where the
    budget or `batch` asks for them, on `device`, cpu or cuda, or unless that is given on a GPU if
    there is one; or the space's `cost` tells them. Those in `timings` are taken as they are.
    Raises ValueError when nothing is feasible, naming the nearest.
    """
    check_range("latency", batch, 1)
    budget = parse_budget(budget_text or space.budget)
    timings = first_timings(budget, batch, timings, device, space.cost)
    limits, timings = find_limits(space, budget, timings)
    target = limits[0]
    within = within_counts(space, proxy_name, budget, limits, channels, classes)
    start, start_cost, near, costs = within.start, within.start_cost, within.near, within.costs
    unclear = 0
    if timings is not None:
        archs = {key: arch for key, (arch, _) in near.items()}
        timings, clear, unclear = time_networks(timings, start, archs, limits)
        if not clear:
            raise ValueError(latency_miss(limits, timings, start, near, unclear))
        near = {key: found for key, found in near.items() if key in clear}
    found_stands = stands_of(realised(baseline(space)), start, near, target)
    chosen = faithful_keys(found_stands, target)
    asked = replace(space, budget=budget.text)
    few = too_few(asked, proxy_name, (channels, classes), found_stands, target)
    nameless = without_data(space, classes)
    if few and not chosen:
        inside = remarks([start, *(arch for arch, _ in near.values())], images)
        raise ValueError("; ".join((few, *inside, *nameless)))

    def as_candidate(key: str) -> Candidate:
        arch, at = near[key]
        found = candidate(arch, costs[key], at, start, start_cost, target.measure, timings)
        return standing_for(found, found_stands[key])

    found = sorted(map(as_candidate, chosen), key=lambda found: found.coefficients)
    base = candidate(
        start, start_cost, [Coefficients(1, 1, 1)], start, start_cost, target.measure, timings
    )
    said = remarks([base.arch, *(candidate.arch for candidate in found)], images)
    goal = target.ratio * start_figure(base, target.measure)
    return Plan(
        space=space.name,
        proxy=proxy_name,
        budget=budget.text,
        ratio=target.ratio,
        tolerance=space.tolerance,
        budget_text=budget.said,
        measure=target.measure,
        target=goal,
        target_text=amount(goal, target.measure),
        target_flops=goal if target.measure == "flops" else None,
        caps=tuple(Cap(limit.term.text, limit.measure, limit.ratio) for limit in limits[1:]),
        latency=latency(timings, unclear) if timings else None,
        grid_points=within.points,
        distinct=len(within.networks),
        feasible=len(near),
        images=images,
        remarks=(*said, *([few] if few else []), *nameless),
        baseline=replace(base, name=start.name),
        candidates=tuple(found),
        left_out=left_out(
            [as_candidate(key) for key in near if key not in chosen], found, space.tolerance
        ),
        timings=timings,
        networks=tuple(
            Point(nearest_point(at, counted.flops / start_cost.flops), counted.flops)
            for (_, at), counted in zip(
                within.networks.values(), within.counts.values(), strict=True
            )
        ),
    )


@dataclass(frozen=True, slots=True)
class Within:
    """What a grid of so many `points` realises, by key: all its `networks`, with their `counts`,
    and those `near` that meet what a budget says of counts, with their measured `costs`."""

    start: Model
    start_cost: Cost
    points: int
    networks: Networks
    counts: Mapping[str, Cost]
    near: Networks
    costs: Mapping[str, Cost]


def within_counts(
    space: Space,
    proxy_name: str,
    budget: Budget,
    limits: Sequence[Limit],
    channels: int | None,
    classes: int | None,
) -> Within:
    """The networks that meet a budget but for its latency, which is measured of them alone.

    Raises ValueError where there is none, naming the nearest.
    """
    proxy, target = space.proxies[proxy_name], limits[0]
    points = grid_points(grid_for(space, proxy, budget, target.ratio))
    start = realised(proxy_baseline(space, proxy, channels, classes))
    start_cost = cost(start)
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
    return Within(start, start_cost, len(points), networks, counts, near, costs)


def to_measure(
    space: Space,
    proxy_name: str,
    budget_text: str | None = None,
    channels: int | None = None,
    classes: int | None = None,
) -> dict[str, tuple[Model, Cost]]:
    """The networks, by key, whose latency decides whether they meet a budget: the model itself
    where the budget has an amount of it, the proxy's baseline, the grid's. Their costs by count.

    Raises ValueError where the budget has no latency, or as `make_plan`.
    """
    budget = parse_budget(budget_text or space.budget)
    if budget.batch is None:
        raise ParameterError("budget", f"must have a term in ms to be measured, got {budget.text}")
    limits = counted_limits(space, budget)
    found = within_counts(space, proxy_name, budget, limits, channels, classes)
    refuse_many(found.near)
    networks = {found.start.key: (found.start, found.start_cost)}
    if any(term.measure == "ms" and term.ratio is None for term in budget.terms):
        own = realised(baseline(space))
        networks[own.key] = (own, cost(own))
    return networks | {key: (arch, found.costs[key]) for key, (arch, _) in found.near.items()}


def standing_for(found: Candidate, stand: Stand) -> Candidate:
    """The candidate with the coefficients of what it stands for."""
    c = stand.coefficients
    return replace(found, alpha=c.alpha, beta=c.beta, gamma=c.gamma, nominal=c.nominal, stand=stand)


def left_out(
    others: Sequence[Candidate], chosen: Sequence[Candidate], tolerance: float
) -> tuple[LeftOut, ...]:
    """Networks within the budget that are no candidates, in order of their grid points."""
    by_model = {one.stand.key: one.key for one in chosen if one.stand}
    found = [
        LeftOut(
            key=other.key,
            point=other.grid_point,
            ratio=other.ratio,
            stand=other.stand,
            candidate=by_model.get(other.stand.key) if other.stand.faithful(tolerance) else None,
        )
        for other in others
        if other.stand
    ]
    return tuple(sorted(found, key=lambda one: one.point))


def first_timings(
    budget: Budget,
    batch: int | None,
    known: Timings | None,
    device: str | None,
    source: str | None,
) -> Timings | None:
    """The timings that a plan starts from; None where nothing asks for a latency.

    `source` is what tells them, where they are not timed. Raises ValueError where a
    batch contradicts the budget's, `known` are of another source, or none are asked for.
    """
    wanted = budget.batch or batch
    if budget.batch and batch and budget.batch != batch:
        raise ValueError(
            f"latency must be of one batch, got {batch} beside a budget of {budget.text}"
        )
    if wanted is None:
        if source is not None:
            raise ParameterError(
                "cost", f"tells what the ms of a budget are, got {budget.text}: ask for 2xms"
            )
        return None
    if known is not None:
        was = known.conditions.device if is_told(known.conditions.device) else None
        if was != source:
            raise ValueError(f"latencies must be of one source, got {was} beside {source}")
        return known
    return Timings(conditions_of(wanted, source or device))


def start_figure(base: Candidate, measure: Measure) -> float:
    """What the proxy's baseline costs by any measure."""
    value: float = getattr(base, measure)
    return value


def latency(timings: Timings, unclear: int) -> Latency:
    """How a plan's latencies were timed."""
    own = timings[OWN] if OWN in timings.visits else None
    low, high = own.interval if own else (None, None)
    here = timings.conditions
    return Latency(
        device=here.device,
        torch=here.torch,
        threads=here.threads,
        batch=here.batch,
        unclear=unclear,
        own_ms=own.median if own else None,
        own_ms_low=low,
        own_ms_high=high,
    )


def candidate(
    arch: Model,
    found: Cost,
    points: Sequence[Coefficients],
    start: Model,
    start_cost: Cost,
    measure: Measure,
    timings: Timings | None,
) -> Candidate:
    """A feasible network as a candidate, beside the baseline `start`."""
    over = ratios(timings, arch.key, start) if timings else None
    low, high = over.interval if over else (None, None)
    flops_ratio = share(found, start_cost, "flops")
    point = nearest_point(points, flops_ratio)
    return Candidate(
        key=arch.key,
        alpha=point.alpha,
        beta=point.beta,
        gamma=point.gamma,
        nominal=point.nominal,
        ratio=over.median if over and measure == "ms" else share(found, start_cost, measure),
        depths=arch.depths,
        widths=arch.widths,
        flops_ratio=flops_ratio,
        params_ratio=share(found, start_cost, "params"),
        activations_ratio=share(found, start_cost, "activations"),
        ms_ratio=over.median if over else None,
        ms_ratio_low=low,
        ms_ratio_high=high,
        inside=look(arch),
        points=tuple(sorted(points)),
        **measured(arch, found, timings[arch.key] if timings else None),
    )
