"""The family that a study found: members at the budget's powers, and what matches them."""

from typing import Any

from scalesearch.families.document import family_document, write_family_files
from scalesearch.families.family import Member, by_ratio, matched
from scalesearch.networks.latency import refuse_elsewhere
from scalesearch.networks.models import realised
from scalesearch.networks.scaling import Coefficients
from scalesearch.spaces.proxy import baseline
from scalesearch.studies.setup import Search

PHIS_UP = (1, 2, 3, 4, 5, 6, 7)
PHIS_DOWN = (1, 2, 3)


def scale_up(search: Search, coefficients: Coefficients) -> tuple[list[Member], list[str]]:
    """Members of the space's own baseline that cost ratio^phi times it, and warnings.

    By the measure of the budget's target; its caps do not scale.
    """
    own, plan = realised(baseline(search.space)), search.plan
    members, warnings = [], []
    if plan.timings is not None and plan.measure == "ms":
        try:
            refuse_elsewhere(plan.timings.conditions)
        except ValueError as error:
            return [], [f"not scaled up: {error}"]
    for phi in PHIS_UP if plan.ratio > 1 else PHIS_DOWN:
        ratio, name, batch = plan.ratio**phi, f"{own.name}_phi{phi}", plan.budget.batch or 1
        try:
            found = by_ratio(own, coefficients, ratio, name, phi, plan.measure, batch)
        except ValueError as error:
            warnings.append(f"phi {phi}: {error}")
        else:
            members.append(found)
    return members, warnings


def write_family(search: Search, chosen: Coefficients) -> dict[str, Any]:
    """Scale up, match the other families, write family.json, family.csv and family/*.yaml."""
    members, warnings = scale_up(search, chosen)
    others = matched(search.space.matched, chosen, members)
    document = family_document(
        search.space.name, "budget", realised(baseline(search.space)), members, others, warnings
    )
    write_family_files(search.folder, document, members, others)
    return document
