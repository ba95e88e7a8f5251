"""What `scalesearch scale` does: its options made into a family's document."""

from dataclasses import dataclass
from pathlib import Path

from scalesearch.errors import ParameterError, check_choice
from scalesearch.families.document import Family, family, write_family
from scalesearch.families.members import Member, by_amount, by_formula, by_ratio, by_table, matched
from scalesearch.families.of_study import member_at, source_of_plan
from scalesearch.families.strategies import find, nominal_phi
from scalesearch.networks.cost import cost
from scalesearch.networks.latency import conditions_of, refuse_elsewhere
from scalesearch.networks.models import Model, at_output_stride, realised
from scalesearch.networks.scaling import Coefficients
from scalesearch.plans.document import Plan, find_plan
from scalesearch.scratch import all_or_none
from scalesearch.selection.selection import read_selection
from scalesearch.spaces.budget import Term
from scalesearch.spaces.files import load_space, named_space
from scalesearch.spaces.proxy import baseline
from scalesearch.spaces.space import Space

MODES = ("formula", "budget")


@dataclass(frozen=True, slots=True)
class ScaleOptions:
    """What is to be scaled, and how; a study brings its space and coefficients unless given.

    `targets` are members' budgets, in place of `phi`; `match` None is the space's own models.
    """

    space: str | None
    published: bool
    mode: str
    strategy: str
    coefficients: Coefficients | None
    study: Path | None
    phi: tuple[float, ...]
    targets: tuple[Term, ...]
    match: tuple[str, ...] | None
    out: Path | None
    output_stride: int | None = None

    @property
    def space_name(self) -> str:
        """The space's name or file: the study's own where only that is given."""
        if self.space is not None:
            return self.space
        return "efficientnet" if self.study is None else str(self.study / "space.yaml")


def scale(options: ScaleOptions) -> Family:
    """The family that the options ask for, measured; written to `out` where it is given.

    Raises ValueError for options that say nothing or contradict one another.
    """
    stride, doubts = options.output_stride, list[str]()
    if options.published:
        if stride is not None:
            raise ParameterError(
                "output_stride", "must not be given beside published, whose networks have theirs"
            )
        if options.study is not None:
            raise ParameterError(
                "study", f"must not be given beside published, which is no study's: {options.study}"
            )
        members, source = by_table(options.space_name), None
        mode, start = "published", members[0].arch
        named = members[1:8]
        coefficients, name = options.coefficients, options.space_name
    else:
        check_choice("mode", options.mode, MODES)
        space = named_space(options.space_name)
        mode, name, source = options.mode, space.name, space.cost
        if source is not None and any(term.measure == "ms" for term in options.targets):
            refuse_elsewhere(conditions_of(1, source))
        start = at_output_stride(realised(baseline(space)), stride)
        coefficients, doubts = wanted_coefficients(options), found_elsewhere(options, space)
        members = named = scaled_members(options, start, coefficients, source)
    names = wanted_matches(options)
    others = matched(names, coefficients, named, stride, source) if coefficients else {}
    found = family(name, mode, start, members, others, doubts)
    if options.out is not None:
        with all_or_none(options.out) as new:
            write_family(new, found)
    return found


def scaled_members(
    options: ScaleOptions, start: Model, coefficients: Coefficients, source: str | None
) -> list[Member]:
    """Members by the formula, or by measured budgets, those given or 2^phi, a member each; of a
    study by its budget's powers, with the network that it chose at phi = 1.

    A function `source` tells latencies, where they are not timed here.
    A budget given under the formula is met by its nominal cost alone, which is shown measured.
    """
    phis = options.phi
    stem = start.name if options.strategy == "compound" else f"{start.name}_{options.strategy}"
    names = [f"{stem}_phi{phi:g}" for phi in phis]
    if not options.targets:
        if options.mode == "formula":
            return by_formula(start, coefficients, phis, names)
        if plan := plan_followed(options):
            told_by = source_of_plan(plan)
            return [
                member_at(start, plan, coefficients, phi, name, told_by)
                for name, phi in zip(names, phis, strict=True)
            ]
        along = find("compound", coefficients)  # refuses those that do not grow
        return [
            by_ratio(start, along, 2.0**phi, name, phi)
            for name, phi in zip(names, phis, strict=True)
        ]
    terms = options.targets
    names = [f"{stem}_{term.text.replace('@', '-')}" for term in terms]
    if options.mode == "formula":
        if other := [term.text for term in terms if term.measure != "flops"]:
            raise ParameterError("mode", f"formula takes budgets in flops alone, got {other[0]}")
        base = cost(start).flops
        phis = tuple(nominal_phi(coefficients, term.relative_to(base)) for term in terms)
        return by_formula(start, coefficients, phis, names)
    return [
        by_ratio(
            *(start, coefficients, term.ratio, name, None, term.measure, term.batch), source=source
        )
        if term.ratio is not None
        else by_amount(start, coefficients, term.amount, name, term.measure, term.batch, source)
        for name, term in zip(names, terms, strict=True)
    ]


def plan_followed(options: ScaleOptions) -> Plan | None:
    """The plan of a study whose own family is wanted; None where another is."""
    others = (options.space, options.coefficients, options.output_stride)
    if (
        options.study is None
        or options.strategy != "compound"
        or any(x is not None for x in others)
    ):
        return None
    return find_plan(options.study)


def wanted_coefficients(options: ScaleOptions) -> Coefficients:
    """The strategy's own coefficients; those given, or those that a study found."""
    if options.strategy != "compound":
        return find(options.strategy, options.coefficients)
    if options.coefficients is not None:
        return options.coefficients
    if options.study is None:
        raise ParameterError(
            "coefficients", "must be given, unless a study has found them or a strategy has its own"
        )
    found = read_selection(options.study).coefficients
    if found is None:
        raise ParameterError(
            "coefficients", f"must be given, for {options.study} recommends no coefficients"
        )
    return found


def found_elsewhere(options: ScaleOptions, space: Space) -> list[str]:
    """Where a study's coefficients scale another model than the one that it searched: that."""
    if options.study is None or options.coefficients or options.strategy != "compound":
        return []
    try:
        searched = baseline(load_space(str(options.study / "space.yaml"))).name
    except ValueError:  # its coefficients stand in another file
        return []
    scaled = baseline(space).name
    if searched == scaled:
        return []
    return [f"{options.study} found these coefficients for {searched}, not for {scaled}"]


def wanted_matches(options: ScaleOptions) -> tuple[str, ...]:
    """The models to match: those given, else the space's own when it has a file."""
    if options.match is not None:
        return options.match
    return named_space(options.space_name).matched
