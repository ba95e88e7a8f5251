"""The answer of a study: which candidate, how sure, what to beware of, and what it scales up to."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from scalesearch.files import write_csv, write_json
from scalesearch.plans.plan import Candidate, Plan, network_names
from scalesearch.selection.effects import CONFIDENCE, REGRET
from scalesearch.selection.gates import (
    Gate,
    extremes,
    failed_names,
    fair,
    not_at_the_edge,
    resolved,
    trained_enough,
)
from scalesearch.selection.policy import Decision
from scalesearch.selection.selection import Selection, select
from scalesearch.studies import Study, read_losses
from scalesearch.studies.setup import Search
from scalesearch.trials.key import RATES


def selection_of(search: Search, study: Study) -> Selection:
    """The selection from the trials that have finished. Raises ValueError for too few."""
    losses: dict[str, dict[int, Any]] = {}
    for key in study.finished("val"):
        losses.setdefault(key.network, {})[key.seed] = read_losses(search.folder, key)
    keys = [candidate.key for candidate in search.plan.candidates]
    return select(losses, losses.get(search.plan.baseline.key, {}), keys)


def choose(plan: Plan, selection: Selection) -> Candidate:
    """The candidate to scale up by: of those that tie, the one with the fewest activations.

    A tie is with the leader: in the confidence set, at an expected regret above the leader's by
    less than REGRET of its loss. Activations go with time on a GPU (Dollar et al. 2021);
    parameters break a tie among those.
    """
    tied = [c for c in plan.candidates if c.key in ties(selection)]
    return min(tied, key=lambda c: (c.cost.activations, c.cost.params, c.key))


def ties(selection: Selection) -> list[str]:
    """Keys of the leader and of those that tie with it, best first."""
    leader = selection.standings[0]
    most = leader.regret + REGRET * leader.loss
    tied = [s.key for s in selection.standings if s.in_set and s.regret <= most]
    return [leader.key, *(key for key in tied if key != leader.key)]


def gates_of(search: Search, study: Study, selection: Selection, chosen: Candidate) -> list[Gate]:
    """Whether what must hold before a claim does."""
    return [
        trained_enough(selection, search.plan.budget.text),
        fair(search.plan, selection, sweep_of(search, study, selection)),
        resolved(selection),
        not_at_the_edge(search.plan, search.proxy, chosen),
    ]


def swept(search: Search, selection: Selection) -> list[str]:
    """Keys of the candidates that the learning rate is swept on: two that trained to the end."""
    trained = {standing.key for standing in selection.standings}
    return [c.key for c in extremes([c for c in search.plan.candidates if c.key in trained])]


def sweep_of(search: Search, study: Study, selection: Selection) -> dict[str, dict[float, float]]:
    """Losses of seed 0 at each rate that was tried, of the networks that were swept."""
    losses: dict[str, dict[float, float]] = {}
    for part, rate in RATES.items():
        for key in study.finished(part):
            if key.seed == 0 and key.network in swept(search, selection):
                found = read_losses(search.folder, key)
                losses.setdefault(key.network, {})[rate] = float(found.mean())
    return losses


def write_trials(search: Search, study: Study) -> None:
    """Write trials.csv and curves.csv."""
    write_csv(search.folder / "trials.csv", study.trials())
    write_csv(search.folder / "curves.csv", study.curves())


def write_selection(
    search: Search, study: Study, selection: Selection, decision: Decision
) -> dict[str, Any]:
    """Write selection.json and return its content: the choice, gates, standings, warnings."""
    chosen = choose(search.plan, selection)
    gates = gates_of(search, study, selection, chosen)
    document = {
        "space": search.space.name,
        "names": network_names(search.plan),
        "headline": headline(search, selection, chosen, gates),
        "recommended": selection.beats_baseline,
        "coefficients": asdict(chosen.coefficients) if selection.beats_baseline else None,
        "chosen": chosen.key,
        "confidence_set": list(selection.confidence_set),
        "ties": ties(selection),
        "tie_rule": f"fewest activations, then fewest parameters, of those in the confidence set "
        f"whose expected regret is within {REGRET:.2%} of the loss of the leader's",
        "confidence": CONFIDENCE,
        "metric": "validation cross-entropy after the last epoch",
        "gates": [asdict(gate) for gate in gates],
        "policy": search.space.policy,
        "ended": decision.ended,
        "stopped": {key: asdict(stop) for key, stop in decision.stops.items()},
        **asdict(selection),
        "warnings": search_warnings(search, study, selection, gates),
    }
    write_json(search.folder / "selection.json", document)
    return document


def headline(search: Search, selection: Selection, chosen: Candidate, gates: Sequence[Gate]) -> str:
    """The answer in one sentence, or that there is none; what failed stands before it."""
    budget = search.plan.budget.text
    if not selection.beats_baseline:
        return (
            f"No recommendation: not trained enough. The {budget} candidates do not beat the 1x "
            f"baseline beyond noise (gain {selection.gain:+.4f}, {CONFIDENCE:.0%} interval "
            f"{selection.gain_interval[0]:+.4f} to {selection.gain_interval[1]:+.4f})."
        )
    c, tied = chosen.coefficients, len(ties(selection))
    shares = {standing.key: standing.p_best for standing in selection.standings}
    how = f"P(best) {shares[chosen.key]:.0%} of {len(search.plan.candidates)} candidates"
    if tied > 1:
        how = f"{how}; not distinguishable: {tied} tie, and this one has the fewest activations"
        if chosen.key != selection.leader:
            how = f"{how}, while {leader_label(search.plan, selection)} has the lowest loss"
    failed = failed_names(gates)
    doubt = f"With reservations ({failed}: failed). " if failed else ""
    return (
        f"{doubt}{to_spend(search.plan)}: alpha {c.alpha:g} (depth), beta {c.beta:g} "
        f"(width), gamma {c.gamma:g} (resolution): {how}."
    )


def to_spend(plan: Plan) -> str:
    """What the budget allows, as a sentence begins."""
    if plan.budget.caps or plan.measure != "flops":
        return f"Under a budget of {plan.budget.text}"
    return f"To spend {plan.budget.text} the compute"


def leader_label(plan: Plan, selection: Selection) -> str:
    """The leader's coefficients and P(best), in brief."""
    c = next(c.coefficients for c in plan.candidates if c.key == selection.leader)
    share = selection.standings[0].p_best
    return f"{c.alpha:g}/{c.beta:g}/{c.gamma:g} (P(best) {share:.0%})"


def search_warnings(
    search: Search, study: Study, selection: Selection, gates: Sequence[Gate]
) -> list[str]:
    """Whatever a reader must know before believing the answer."""
    warnings = [f"{gate.name}: {gate.text}" for gate in gates if not gate.passed]
    warnings += search.notes
    if failed := study.failed():
        warnings.append(f"{len(failed)} trials failed; trials.csv and the report say why")
    if not selection.beats_baseline:
        warnings.append("train longer (--epochs) or on more images before trusting any candidate")
    if selection.seeds < 3:
        warnings.append(f"{selection.seeds} seeds tell little about the spread between seeds")
    return warnings
