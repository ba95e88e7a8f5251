"""From a study's trials to its answer: losses, ranking, choice, gates, the selection."""

from typing import Any

from scalesearch.files import write_csv
from scalesearch.selection.choice import TIE_RULE, choose, ties
from scalesearch.selection.effects import CONFIDENCE
from scalesearch.selection.gates import (
    Gate,
    extremes,
    fair,
    not_at_the_edge,
    resolved,
    trained_enough,
)
from scalesearch.selection.policy import Decision
from scalesearch.selection.ranking import Ranking, rank
from scalesearch.selection.selection import Selection
from scalesearch.selection.sentences import headline, warnings
from scalesearch.studies import Study, read_losses, with_networks
from scalesearch.studies.setup import Search
from scalesearch.trials.key import RATES


def ranking_of(search: Search, study: Study) -> Ranking:
    """The ranking by the trials that have finished. Raises ValueError for too few."""
    losses: dict[str, dict[int, Any]] = {}
    for key in study.finished("val"):
        losses.setdefault(key.network, {})[key.seed] = read_losses(search.folder, key)
    keys = [candidate.key for candidate in search.plan.candidates]
    return rank(losses, losses.get(search.plan.baseline.key, {}), keys)


def select(search: Search, study: Study, decision: Decision) -> Selection:
    """The answer by the trials that have finished, of a search that ended by that decision.

    Raises ValueError for too few trials.
    """
    plan, ranking = search.plan, ranking_of(search, study)
    chosen = choose(plan, ranking)
    gates = gates_of(search, study, ranking)
    gain = ranking.gains[chosen.key]
    return Selection(
        space=search.space.name,
        names=plan.names,
        headline=headline(plan, ranking, chosen, gates),
        recommended=ranking.beats_baseline,
        coefficients=chosen.coefficients if ranking.beats_baseline else None,
        chosen=chosen.key,
        confidence_set=ranking.confidence_set,
        ties=ties(ranking),
        tie_rule=TIE_RULE,
        confidence=CONFIDENCE,
        metric="validation cross-entropy after the last epoch",
        gates=gates,
        policy=search.space.policy,
        ended=decision.ended,
        stopped=decision.stops,
        leader=ranking.leader,
        standings=ranking.standings,
        baseline_loss=ranking.baseline_loss,
        gain=ranking.gain,
        gain_interval=ranking.gain_interval,
        chosen_gain=gain.loss,
        chosen_gain_interval=gain.interval,
        noise=ranking.noise,
        seeds=ranking.seeds,
        examples=ranking.examples,
        warnings=warnings(ranking, gates, search.images.notes, len(study.failed())),
    )


def gates_of(search: Search, study: Study, ranking: Ranking) -> tuple[Gate, ...]:
    """Whether what must hold before a claim does."""
    return (
        trained_enough(ranking, search.plan.budget),
        fair(search.plan, ranking, sweep_of(search, study, ranking)),
        resolved(ranking),
        not_at_the_edge(search.space, search.plan, choose(search.plan, ranking)),
    )


def swept(search: Search, ranking: Ranking) -> list[str]:
    """Keys of the candidates that the learning rate is swept on: two that trained to the end."""
    trained = {standing.key for standing in ranking.standings}
    return [c.key for c in extremes([c for c in search.plan.candidates if c.key in trained])]


def sweep_of(search: Search, study: Study, ranking: Ranking) -> dict[str, dict[float, float]]:
    """Losses of seed 0 at each rate that was tried, of the networks that were swept."""
    losses: dict[str, dict[float, float]] = {}
    for part, rate in RATES.items():
        for key in study.finished(part):
            if key.seed == 0 and key.network in swept(search, ranking):
                found = read_losses(search.folder, key)
                losses.setdefault(key.network, {})[rate] = float(found.mean())
    return losses


def write_trials(search: Search, study: Study) -> None:
    """Write trials.csv and curves.csv."""
    write_csv(search.folder / "trials.csv", with_networks(study.trials(), search.plan))
    write_csv(search.folder / "curves.csv", with_networks(study.curves(), search.plan))
