"""The family that a study found: members at the budget's powers, and what matches them."""

from scalesearch.families.document import Family, family
from scalesearch.families.members import Member, by_ratio, matched
from scalesearch.families.members import member as costed
from scalesearch.networks.cost import cost
from scalesearch.networks.latency import refuse_elsewhere, source_of
from scalesearch.networks.models import Model, at_resolution, realised, scale_model
from scalesearch.networks.scaling import Coefficients, Scale
from scalesearch.plans.document import Plan
from scalesearch.spaces.proxy import baseline
from scalesearch.spaces.space import Space

PHIS_UP = (1, 2, 3, 4, 5, 6, 7)
PHIS_DOWN = (1, 2, 3)


def scale_up(
    space: Space, plan: Plan, coefficients: Coefficients
) -> tuple[list[Member], list[str]]:
    """Members of the space's own baseline that cost ratio^phi times it, and warnings.

    By the measure of the budget's target; its caps do not scale.
    """
    own = realised(baseline(space))
    members, warnings = [], []
    try:
        source = source_of_plan(plan)
    except ValueError as error:
        return [], [f"not scaled up: {error}"]
    for phi in PHIS_UP if plan.ratio > 1 else PHIS_DOWN:
        try:
            found = member_at(own, plan, coefficients, phi, f"{own.name}_phi{phi}", source)
        except ValueError as error:
            warnings.append(f"phi {phi}: {error}")
        else:
            members.append(found)
    return members, warnings


def source_of_plan(plan: Plan) -> str | None:
    """Who tells or times a plan's latencies, None where it has none.

    Raises ValueError where its budget is one that networks cannot be held to here.
    """
    if plan.latency is None:
        return None
    if plan.measure == "ms":
        refuse_elsewhere(plan.latency.conditions)
    return source_of(plan.latency.conditions)


def member_at(
    own: Model,
    plan: Plan,
    coefficients: Coefficients,
    phi: float,
    name: str,
    source: str | None = None,
) -> Member:
    """The member that costs ratio^phi times the model; at phi = 1 the network that was chosen.

    Raises ValueError as `by_ratio`.
    """
    chosen = own_stand(own, plan, coefficients, name) if phi == 1 else None
    batch = plan.asked.batch or 1
    return chosen or by_ratio(
        own, coefficients, plan.ratio**phi, name, phi, plan.measure, batch, source=source
    )


def own_stand(own: Model, plan: Plan, coefficients: Coefficients, name: str) -> Member | None:
    """The very network that the chosen candidate stands for; None where the plan does not say, or
    a latency must be timed."""
    chosen = [c.stand for c in plan.candidates if c.coefficients == coefficients and c.stand]
    if not chosen or plan.measure == "ms":
        return None
    scale = coefficients.at(1)
    shape = scale_model(own, Scale(scale.depth, scale.width))
    arch = at_resolution(shape, chosen[0].resolution)
    return costed(name, 1, scale, arch, cost(own), plan.measure)


def family_of_study(space: Space, plan: Plan, chosen: Coefficients) -> Family:
    """The space's baseline scaled up by the chosen coefficients, and the models that match it."""
    members, warnings = scale_up(space, plan, chosen)
    source = source_of(plan.latency.conditions) if plan.latency else None
    others = matched(space.matched, chosen, members, source=source)
    return family(space.name, "budget", realised(baseline(space)), members, others, warnings)
