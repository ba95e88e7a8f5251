"""The answer of a study: which candidate, how sure, what to beware of, and what it scales up to."""

from dataclasses import asdict
from typing import Any

from scalesearch.arch import Coefficients
from scalesearch.cost import cost
from scalesearch.family import Member, by_budget, matched
from scalesearch.files import family_document, write_csv, write_family_files, write_json
from scalesearch.models import realised
from scalesearch.plan import Candidate, Plan, grid_for
from scalesearch.search import Search
from scalesearch.select import CONFIDENCE, Selection, select
from scalesearch.space import baseline, grid_points
from scalesearch.study import Study, read_losses

PHIS_UP = (1, 2, 3, 4, 5, 6, 7)
PHIS_DOWN = (1, 2, 3)


def selection_of(search: Search, study: Study) -> Selection:
    """The selection from the trials that have finished. Raises ValueError for too few."""
    losses: dict[str, dict[int, Any]] = {}
    for who in study.finished("val"):
        losses.setdefault(who[0], {})[who[1]] = read_losses(search.folder, who)
    keys = [candidate.key for candidate in search.plan.candidates]
    return select(losses, losses.get(search.plan.baseline.key, {}), keys)


def choose(plan: Plan, selection: Selection) -> Candidate:
    """The candidate to scale up by: of those that tie, the one with the fewest activations.

    Activations go with time on a GPU (Dollar et al. 2021); parameters break a tie among those.
    """
    tied = [c for c in plan.candidates if c.key in selection.confidence_set]
    return min(tied, key=lambda c: (c.cost.activations, c.cost.params, c.key))


def scale_up(search: Search, coefficients: Coefficients) -> tuple[list[Member], list[str]]:
    """Members of the space's own baseline whose flops are ratio^phi times its, and warnings."""
    own = realised(baseline(search.space))
    members, warnings = [], []
    for phi in PHIS_UP if search.plan.ratio > 1 else PHIS_DOWN:
        target = cost(own).flops * search.plan.ratio**phi
        try:
            found = by_budget(own, coefficients, target, f"{own.name}_phi{phi}", phi)
        except ValueError as error:
            warnings.append(f"phi {phi}: {error}")
        else:
            members.append(found)
    return members, warnings


def write_trials(search: Search, study: Study) -> None:
    """Write trials.csv and curves.csv."""
    write_csv(search.folder / "trials.csv", study.trials())
    write_csv(search.folder / "curves.csv", study.curves())


def write_selection(search: Search, study: Study, selection: Selection) -> dict[str, Any]:
    """Write selection.json and return its content: the choice, the standings, the warnings."""
    chosen = choose(search.plan, selection)
    warnings = search_warnings(search, study, selection, chosen)
    document = {
        "space": search.space.name,
        "headline": headline(search, selection, chosen),
        "recommended": selection.beats_baseline,
        "coefficients": asdict(chosen.coefficients) if selection.beats_baseline else None,
        "chosen": chosen.key,
        "confidence_set": list(selection.confidence_set),
        "tie_rule": "fewest activations, then fewest parameters, of the confidence set",
        "confidence": CONFIDENCE,
        "metric": "validation cross-entropy after the last epoch",
        **asdict(selection),
        "warnings": warnings,
    }
    write_json(search.folder / "selection.json", document)
    return document


def headline(search: Search, selection: Selection, chosen: Candidate) -> str:
    """The answer in one sentence, or that there is none."""
    budget = search.plan.budget.text
    if not selection.beats_baseline:
        return (
            f"No recommendation: the {budget} candidates do not beat the 1x baseline beyond "
            f"noise (gain {selection.gain:+.4f}, {CONFIDENCE:.0%} interval "
            f"{selection.gain_interval[0]:+.4f} to {selection.gain_interval[1]:+.4f})."
        )
    c, tied = chosen.coefficients, len(selection.confidence_set)
    shares = {standing.key: standing.p_best for standing in selection.standings}
    how = f"P(best) {shares[chosen.key]:.0%} of {len(search.plan.candidates)} candidates"
    if tied > 1:
        how = f"{how}; {tied} tie and this one has the fewest activations"
        if chosen.key != selection.leader:
            how = f"{how}, while {leader_label(search.plan, selection)} has the lowest loss"
    return (
        f"To spend {budget} the compute: alpha {c.alpha:g} (depth), beta {c.beta:g} (width), "
        f"gamma {c.gamma:g} (resolution): {how}."
    )


def leader_label(plan: Plan, selection: Selection) -> str:
    """The leader's coefficients and P(best), in brief."""
    c = next(c.coefficients for c in plan.candidates if c.key == selection.leader)
    share = selection.standings[0].p_best
    return f"{c.alpha:g}/{c.beta:g}/{c.gamma:g} (P(best) {share:.0%})"


def search_warnings(
    search: Search, study: Study, selection: Selection, chosen: Candidate
) -> list[str]:
    """Whatever a reader must know before believing the answer."""
    warnings = list(search.notes)
    if failed := study.failed():
        warnings.append(f"{len(failed)} trials failed; trials.csv and the report say why")
    if not selection.beats_baseline:
        warnings.append("train longer (--epochs) or on more images before trusting any candidate")
    if selection.seeds < 3:
        warnings.append(f"{selection.seeds} seeds tell little about the spread between seeds")
    grid = grid_for(search.space, search.proxy, search.plan.budget, search.plan.ratio)
    points = grid_points(grid)
    for i, (axis, value) in enumerate(asdict(chosen.coefficients).items()):
        far = max((abs(v - 1) for point in points if (v := point[i]) is not None), default=0.0)
        if far and abs(value - 1) == far:
            warnings.append(f"{axis} {value:g} lies on the grid's border: widen {axis}")
    return warnings


def write_family(search: Search, chosen: Coefficients) -> dict[str, Any]:
    """Scale up, match the other families, write family.json, family.csv and family/*.yaml."""
    members, warnings = scale_up(search, chosen)
    others = matched(search.space.matched, chosen, members)
    document = family_document(
        search.space.name, "budget", realised(baseline(search.space)), members, others, warnings
    )
    write_family_files(search.folder, document, members, others)
    return document
