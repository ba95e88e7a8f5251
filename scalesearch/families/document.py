"""A family as family.json, family.csv and family/*.yaml have it, and `scale --json` prints it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pandas as pd

from scalesearch.families.members import Member
from scalesearch.files import (
    Keys,
    optional_document,
    plain,
    write_csv,
    write_document,
    write_text,
)
from scalesearch.networks import zoo
from scalesearch.networks.cost import CONVENTION, cost
from scalesearch.networks.files import dump_model
from scalesearch.networks.measured import Measured, measured
from scalesearch.networks.models import Model

FILE = "family.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Start(Measured):
    """The network that a family is scaled from."""

    name: str
    depths: tuple[int, ...]
    widths: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """A baseline's scaled-up members, and other models scaled to the same cost, by name."""

    space: str
    mode: str
    flops_convention: str = CONVENTION
    baseline: Start
    members: tuple[Member, ...]
    matched: Mapping[str, tuple[Member, ...]]
    warnings: tuple[str, ...] = ()

    @property
    def everyone(self) -> tuple[Member, ...]:
        """The members, then those that match them."""
        return (*self.members, *chain.from_iterable(self.matched.values()))


def family(
    space: str,
    mode: str,
    baseline: Model,
    members: Sequence[Member],
    matched: Mapping[str, tuple[Member, ...]],
    warnings: Sequence[str] = (),
) -> Family:
    """The family of those members, its baseline measured."""
    start = Start(
        name=baseline.name,
        depths=baseline.depths,
        widths=baseline.widths,
        **measured(baseline, cost(baseline)),
    )
    return Family(
        space=space,
        mode=mode,
        baseline=start,
        members=tuple(members),
        matched=matched,
        warnings=tuple(warnings),
    )


def write_family(folder: Path, family: Family) -> None:
    """Write family.json, family.csv and a YAML for each member that `scalesearch.build` reads."""
    for member in family.everyone:
        write_text(folder / "family" / f"{member.name}.yaml", dump_model(member.arch))
    write_csv(folder / "family.csv", pd.DataFrame([plain(member) for member in family.everyone]))
    write_document(folder / FILE, family)


def find_family(folder: Path) -> Family | None:
    """The family in a directory, None where there is none."""
    return optional_document(folder / FILE, Family, renewed)


def renewed(old: Keys) -> Keys:
    """A family's keys as today's. The first version did not say what multiplies the resolution,
    nor, of a budget in flops alone, its measure."""

    def with_ratio(row: Keys, start: float) -> Keys:
        return {"resolution_ratio": row["resolution"] / start, **row}

    matched = {
        name: [with_ratio(row, zoo.find(name).resolution) for row in rows]
        for name, rows in old["matched"].items()
    }
    pixels = old["baseline"]["resolution"]
    return {
        **old,
        "members": [with_ratio(row, pixels) for row in old["members"]],
        "matched": matched,
    }
