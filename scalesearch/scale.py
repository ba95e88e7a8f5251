"""What `scalesearch scale` does: its options made into a family's document."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalesearch.arch import Coefficients
from scalesearch.console import cell, show_table
from scalesearch.cost import cost
from scalesearch.family import Member, by_budget, by_formula, matched, published
from scalesearch.files import family_document, read_json, short, write_family_files
from scalesearch.models import Model, realised
from scalesearch.space import baseline, load_space, parse_budget
from scalesearch.strategy import find, nominal_phi


@dataclass(frozen=True, slots=True)
class ScaleOptions:
    """The options of the command, as typed."""

    space: str
    published: bool
    mode: str
    strategy: str
    coefficients: str | None
    study: Path | None
    phi: str
    budget: str | None
    match: str | None
    out: Path | None


@dataclass(frozen=True, slots=True)
class Family:
    """A baseline's scaled-up members, and other models scaled to the same flops, by name."""

    space: str
    mode: str
    baseline: Model
    members: list[Member]
    matched: dict[str, list[Member]]


def scale(options: ScaleOptions) -> dict[str, Any]:
    """The family that the options ask for as plain data; written to `out` where it is given."""
    return family_of(options)[1]


def family_of(options: ScaleOptions) -> tuple[Family, dict[str, Any]]:
    """The family that the options ask for, measured, and its document; written to `out`.

    Raises ValueError for options that say nothing or contradict one another.
    """
    if options.published:
        members = published(options.space)
        mode, start, others = "published", members[0].arch, dict[str, list[Member]]()
        named = members[1:8]
        coefficients = parse_coefficients(options.coefficients) if options.coefficients else None
    else:
        if options.mode not in ("formula", "budget"):
            raise ValueError(f"--mode must be formula or budget, got {options.mode!r}")
        mode, start = options.mode, realised(baseline(load_space(options.space)))
        coefficients = wanted_coefficients(options)
        members = named = scaled_members(options, start, coefficients)
    names = wanted_matches(options)
    others = matched(names, coefficients, named) if coefficients else {}
    document = family_document(options.space, mode, start, members, others)
    if options.out is not None:
        write_family_files(options.out, document, members, others)
    return Family(options.space, mode, start, members, others), document


def scaled_members(options: ScaleOptions, start: Model, coefficients: Coefficients) -> list[Member]:
    """Members by the formula, or by measured budgets: 2^phi, or those given.

    A budget given under the formula is met by its nominal cost alone, which is shown measured.
    """
    phis = parse_numbers(options.phi, "--phi")
    base = cost(start).flops
    stem = start.name if options.strategy == "compound" else f"{start.name}_{options.strategy}"
    names = [f"{stem}_phi{phi:g}" for phi in phis]
    ratios = [2.0**phi for phi in phis]
    if options.budget is not None:
        budgets = [parse_budget(text) for text in options.budget.split(",")]
        names = [f"{stem}_{budget.text}" for budget in budgets]
        ratios = [budget.relative_to(base) for budget in budgets]
        phis = [nominal_phi(coefficients, ratio) for ratio in ratios]
    if options.mode == "formula":
        return by_formula(start, coefficients, phis, names)
    noted = phis if options.budget is None else [None] * len(ratios)
    return [
        by_budget(start, coefficients, base * ratio, name, phi)
        for name, ratio, phi in zip(names, ratios, noted, strict=True)
    ]


def wanted_coefficients(options: ScaleOptions) -> Coefficients:
    """The strategy's own coefficients; those given, or those that a study found."""
    if options.strategy != "compound":
        given = parse_coefficients(options.coefficients) if options.coefficients else None
        return find(options.strategy, given)
    if options.coefficients is not None:
        return parse_coefficients(options.coefficients)
    if options.study is None:
        raise ValueError(
            "scale needs coefficients: give --coefficients 1.2,1.1,1.15, --study or --strategy"
        )
    found = read_json(options.study / "selection.json").get("coefficients")
    if not found:
        raise ValueError(f"{options.study} recommends no coefficients: give --coefficients")
    return Coefficients(found["alpha"], found["beta"], found["gamma"])


def wanted_matches(options: ScaleOptions) -> tuple[str, ...]:
    """The models to match: those given, else the space's own when it has a file."""
    if options.match is not None:
        return tuple(name for name in options.match.split(",") if name)
    return load_space(options.space).matched


def parse_coefficients(text: str) -> Coefficients:
    """Three positive numbers as coefficients."""
    numbers = parse_numbers(text, "--coefficients")
    if len(numbers) != 3 or min(numbers) <= 0:
        raise ValueError(f"--coefficients must be three numbers above zero, got {text!r}")
    return Coefficients(*numbers)


def parse_numbers(text: str, option: str) -> list[float]:
    """Numbers with commas between. Raises ValueError naming the option."""
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"{option} must be numbers with commas between, got {text!r}") from None
    if not all(abs(number) < 100 for number in numbers):
        raise ValueError(f"{option} must be numbers below 100, got {text!r}")
    return numbers


def show_family(document: dict[str, Any]) -> None:
    """Print a family and those matched to it as tables."""
    columns = ["name", "phi", "depth", "width", "px", "params", "flops", "ratio"]
    tables = {document["baseline"]["name"]: document["members"], **document["matched"]}
    for name, members in tables.items():
        show_table(
            f"{name}, {document['mode']}; flops are {document['flops_convention']}",
            columns,
            [member_cells(member) for member in members],
        )
    for warning in document["warnings"]:
        print(f"warning: {warning}")


def member_cells(row: dict[str, Any]) -> list[str]:
    """A member's row as text."""
    return [
        row["name"],
        cell(row["phi"]),
        f"{row['depth']:.3f}",
        f"{row['width']:.3f}",
        str(row["resolution"]),
        short(row["params"]),
        short(row["flops"]),
        f"{row['ratio']:.3f}",
    ]
