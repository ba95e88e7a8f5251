"""What an answer says in sentences: the headline, and what a reader must know before it."""

from collections.abc import Iterable, Sequence

from scalesearch.plans.document import Candidate, Plan
from scalesearch.selection.choice import ties
from scalesearch.selection.gates import Gate, named
from scalesearch.selection.posterior import CONFIDENCE
from scalesearch.selection.ranking import Ranking
from scalesearch.spaces.metric import LOSS, Metric


def headline(
    plan: Plan,
    ranking: Ranking,
    chosen: Candidate,
    gates: Sequence[Gate],
    metric: Metric = LOSS,
) -> str:
    """The answer in one sentence, or that there is none; what was not shown stands before it."""
    if not ranking.beats_baseline:
        return (
            f"No recommendation: not trained enough. The {plan.budget} candidates do not beat the "
            f"1x baseline beyond noise (gain {ranking.gain:+.4f}, {CONFIDENCE:.0%} interval "
            f"{ranking.gain_interval[0]:+.4f} to {ranking.gain_interval[1]:+.4f})."
        )
    c, tied = chosen.coefficients, len(ties(ranking))
    shares = {standing.key: standing.p_best for standing in ranking.standings}
    count = len(ranking.keys)
    how = (
        f"P(best) {shares[chosen.key]:.0%} of {count} candidates, {len(ranking.confidence_set)} "
        f"in the {CONFIDENCE:.0%} set"
    )
    if tied > 1:
        how = f"{how}; {tied} tie, and this one has the fewest activations"
        if chosen.key != ranking.leader:
            leader = f"{plan.names[ranking.leader]} (P(best) {shares[ranking.leader]:.0%})"
            best = "lowest" if metric.goal == "min" else "highest"
            how = f"{how}, while {leader} has the {best} {metric.name}"
    return (
        f"{doubt(gates)}{to_spend(plan)}: alpha {c.alpha:.4g} (depth), beta {c.beta:.4g} "
        f"(width), gamma {c.gamma:.4g} (resolution): {how}.{both_costs(plan, chosen)}"
    )


def both_costs(plan: Plan, chosen: Candidate) -> str:
    """What the choice costs on the model itself and on the proxy, as a sentence of its own; '' for
    studies of the first version, which did not say."""
    if (stand := chosen.stand) is None:
        return ""
    return (
        f" It costs {stand.ratio:.3g}x on the model itself, at {stand.resolution} px, and "
        f"{chosen.ratio:.3g}x on the proxy, whose gamma is {stand.proxy_gamma:.4g}."
    )


def doubt(gates: Sequence[Gate]) -> str:
    """Which gates failed and which were not shown, as a sentence of its own; '' for none."""
    parts = []
    if failed := named(gates, "failed"):
        parts.append(f"{failed}: failed")
    if unknown := named(gates, "not shown"):
        parts.append(f"{unknown}: not shown")
    return f"With reservations ({'; '.join(parts)}). " if parts else ""


def to_spend(plan: Plan) -> str:
    """What the budget allows, as a sentence begins."""
    if plan.caps or plan.measure != "flops":
        return f"Under a budget of {plan.budget}"
    return f"To spend {plan.budget} the compute"


def warnings(
    ranking: Ranking, gates: Iterable[Gate], notes: Sequence[str], failed: int
) -> tuple[str, ...]:
    """Whatever a reader must know before believing the answer.

    `notes` are what the data set says of itself; `failed` is how many trials failed.
    """
    found = [f"{gate.name}, {gate.outcome}: {gate.text}" for gate in gates if not gate.passed]
    found += notes
    if failed:
        found.append(f"{failed} trials failed; trials.csv and the report say why")
    if untrained := sum(not standing.seeds for standing in ranking.standings):
        found.append(f"{untrained} candidates have no whole trial; what is said of them is a guess")
    if not ranking.beats_baseline:
        found.append("train for more epochs or on more images before trusting any candidate")
    if ranking.examples < 2:
        found.append(
            "each trial told one number, not its examples' values: P(best), sets and intervals are "
            "of these validation examples, and others may order the candidates otherwise"
        )
    if ranking.seeds < 3:
        found.append(f"{ranking.seeds} seeds tell little about the spread between seeds")
    return tuple(found)
