"""What `scalesearch scale` does: its options made into a family's document."""

from dataclasses import dataclass
from pathlib import Path

from scalesearch.families.document import Family, family, write_family
from scalesearch.families.family import Member, by_amount, by_formula, by_ratio, matched, published
from scalesearch.families.strategies import find, nominal_phi
from scalesearch.networks.cost import cost
from scalesearch.networks.models import Model, realised
from scalesearch.networks.scaling import Coefficients
from scalesearch.selection.selection import read_selection
from scalesearch.spaces.budget import parse_budget
from scalesearch.spaces.files import load_space
from scalesearch.spaces.proxy import baseline


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


def scale(options: ScaleOptions) -> Family:
    """The family that the options ask for, measured; written to `out` where it is given.

    Raises ValueError for options that say nothing or contradict one another.
    """
    if options.published:
        members = published(options.space)
        mode, start = "published", members[0].arch
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
    found = family(options.space, mode, start, members, others)
    if options.out is not None:
        write_family(options.out, found)
    return found


def scaled_members(options: ScaleOptions, start: Model, coefficients: Coefficients) -> list[Member]:
    """Members by the formula, or by measured budgets: 2^phi, or those given, a member each.

    A budget given under the formula is met by its nominal cost alone, which is shown measured.
    """
    phis = parse_numbers(options.phi, "--phi")
    stem = start.name if options.strategy == "compound" else f"{start.name}_{options.strategy}"
    names = [f"{stem}_phi{phi:g}" for phi in phis]
    if options.budget is None:
        if options.mode == "formula":
            return by_formula(start, coefficients, phis, names)
        return [
            by_ratio(start, coefficients, 2.0**phi, name, phi)
            for name, phi in zip(names, phis, strict=True)
        ]
    terms = [parse_budget(text).target for text in options.budget.split(",")]
    names = [f"{stem}_{term.text.replace('@', '-')}" for term in terms]
    if options.mode == "formula":
        if other := [term.text for term in terms if term.measure != "flops"]:
            raise ValueError(f"--mode formula takes budgets in flops alone, got {other[0]}")
        base = cost(start).flops
        phis = [nominal_phi(coefficients, term.relative_to(base)) for term in terms]
        return by_formula(start, coefficients, phis, names)
    return [
        by_ratio(*(start, coefficients, term.ratio, name, None, term.measure, term.batch))
        if term.ratio is not None
        else by_amount(start, coefficients, term.amount, name, term.measure, term.batch)
        for name, term in zip(names, terms, strict=True)
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
    found = read_selection(options.study).coefficients
    if found is None:
        raise ValueError(f"{options.study} recommends no coefficients: give --coefficients")
    return found


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
