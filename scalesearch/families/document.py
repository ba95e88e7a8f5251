"""A family as family.json, family.csv and family/*.yaml have it."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from scalesearch.families.family import Member
from scalesearch.files import write_csv, write_json, write_text
from scalesearch.networks.cost import CONVENTION, cost
from scalesearch.networks.files import dump_model
from scalesearch.networks.models import Model
from scalesearch.plans.document import arch_row, latency_fields


def member_row(member: Member) -> dict[str, Any]:
    """A member of a family as `scale --json` prints it."""
    return {
        "name": member.name,
        "phi": member.phi,
        "depth": member.scale.depth,
        "width": member.scale.width,
        "resolution": member.arch.resolution,
        **asdict(member.cost),
        "ratio": member.ratio,
        "measure": member.measure,
        **latency_fields(member.latency),
    }


def family_document(
    space: str,
    mode: str,
    baseline: Model,
    members: list[Member],
    matched: dict[str, list[Member]],
    warnings: list[str] | None = None,
) -> dict[str, Any]:
    """A family and those matched to it as `scale --json` prints them."""
    return {
        "space": space,
        "mode": mode,
        "flops_convention": CONVENTION,
        "baseline": {"name": baseline.name, **arch_row(baseline), **asdict(cost(baseline))},
        "members": [member_row(member) for member in members],
        "matched": {name: [member_row(m) for m in others] for name, others in matched.items()},
        "warnings": warnings or [],
    }


def write_family_files(
    folder: Path,
    document: dict[str, Any],
    members: list[Member],
    matched: dict[str, list[Member]],
) -> None:
    """Write family.json, family.csv and a YAML for each member that `scalesearch.build` reads."""
    everyone = [*members, *(member for others in matched.values() for member in others)]
    for member in everyone:
        write_text(folder / "family" / f"{member.name}.yaml", dump_model(member.arch))
    write_csv(folder / "family.csv", pd.DataFrame([member_row(member) for member in everyone]))
    write_json(folder / "family.json", document)
