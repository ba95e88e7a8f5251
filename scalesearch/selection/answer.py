"""From a study's trials to its answer: losses, ranking, choice, gates, the selection."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scalesearch.files import write_csv
from scalesearch.selection.adaptive import SHARE
from scalesearch.selection.choice import TIE_RULE, choose, ties
from scalesearch.selection.faithful import faithful, halfway_of
from scalesearch.selection.gates import (
    Gate,
    Remedy,
    extremes,
    fair,
    fair_costs,
    not_at_the_edge,
    resolved,
    trained_enough,
)
from scalesearch.selection.halfway import foretold
from scalesearch.selection.losses import curves_of
from scalesearch.selection.posterior import CONFIDENCE
from scalesearch.selection.ranking import Ranking, rank
from scalesearch.selection.selection import Selection
from scalesearch.selection.sentences import headline, warnings
from scalesearch.selection.terms import Decision
from scalesearch.spaces.space import Space
from scalesearch.studies import Study, in_words, read_losses, with_networks
from scalesearch.studies.setup import Search
from scalesearch.trials.key import RATES


def ranking_of(search: Search, study: Study) -> Ranking:
    """The ranking by the trials that have finished. Raises ValueError for too few.

    A candidate whose every trial failed is no candidate any more.
    """
    losses: dict[str, dict[int, NDArray[np.float32]]] = {}
    for key in study.finished("val"):
        losses.setdefault(key.network, {})[key.seed] = read_losses(search.folder, key)
    broken = {key.network for key in study.failed()} - {key.network for key in study.history("val")}
    keys = [c.key for c in search.plan.candidates if c.key not in broken]
    return rank(losses, losses.get(search.plan.baseline.key, {}), keys, hints(search, study, keys))


def hints(search: Search, study: Study, keys: list[str]) -> dict[str, tuple[float, float]]:
    """Means and variances of final losses that half-trained trials foretell, by candidate."""
    depths = {c.key: float(sum(c.depths)) for c in search.plan.candidates}
    epochs = search.proxy.recipe.epochs
    means, variances = foretold(curves_of(study.history("val")), keys, depths, epochs)
    told = zip(keys, means, variances, strict=True)
    return {key: (mean, variance) for key, mean, variance in told if not math.isnan(mean)}


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
        headline=headline(plan, ranking, chosen, gates, search.space.compares),
        recommended=ranking.beats_baseline,
        coefficients=chosen.coefficients if ranking.beats_baseline else None,
        chosen=chosen.key,
        confidence_set=ranking.confidence_set,
        ties=ties(ranking),
        tie_rule=TIE_RULE,
        confidence=CONFIDENCE,
        metric=metric_text(search.space),
        compares=search.space.compares,
        gates=gates,
        policy=search.space.policy,
        ended=decision.ended or f"not ended: {len(decision.asks)} more trials are wanted",
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
    plan, chosen = search.plan, choose(search.plan, ranking)
    remedy, recipe = remedy_of(search, study), search.proxy.recipe
    ours = search.space.train is None
    halfway = halfway_of(curves_of(study.history("val")), ranking.keys, recipe.epochs)
    return (
        trained_enough(ranking, plan.budget),
        (
            fair(plan, ranking, sweep_of(search, study), remedy.seconds)
            if ours
            else fair_costs(plan)
        ),
        resolved(ranking, chosen.key, remedy),
        not_at_the_edge(search.space, plan, ranking, chosen),
        faithful(plan, recipe if ours else None, halfway, ranking),
    )


def remedy_of(search: Search, study: Study) -> Remedy:
    """What more trials of this study would take: the mean of those that have ended."""
    count, seeds = len(search.plan.candidates), search.proxy.seeds
    ended, curves = study.finished("val"), study.history("val")
    known = len([key for key in ended if key.network != search.plan.baseline.key])
    seconds = sum(curves[key][-1].seconds for key in ended) / max(1, len(ended))
    whole = 1.0 if search.space.policy == "grid" else SHARE

    def seeds_for(trials: int) -> int:
        return max(seeds + 1, math.ceil((known + trials) / (count * whole)))

    return Remedy(seconds, seeds_for)


def swept(search: Search) -> list[str]:
    """Keys of the candidates that the learning rate is swept on: the two that differ most.

    None where a user's function trains, for what it makes of a rate is not known.
    """
    if len(search.plan.candidates) < 2 or search.space.train is not None:
        return []
    _, first, last = extremes(search.plan.candidates)
    return [first.key, last.key]


def metric_text(space: Space) -> str:
    """What a loss is in a study, in words."""
    if space.train is None:
        return "validation cross-entropy after the last epoch"
    metric = space.compares
    return f"{metric.name} after the last epoch, told by {space.train} ({metric.direction})"


def swept_seeds(search: Search) -> int:
    """How many seeds the learning rate is swept with."""
    return min(search.proxy.sweep_seeds, search.proxy.seeds)


def sweep_of(search: Search, study: Study) -> Mapping[str, Mapping[float, Mapping[int, float]]]:
    """Losses at each rate and seed, of the networks that are swept."""
    losses: dict[str, dict[float, dict[int, float]]] = {}
    for part, rate in RATES.items():
        for key in study.finished(part):
            if key.network in swept(search):
                loss = float(read_losses(search.folder, key).mean())
                losses.setdefault(key.network, {}).setdefault(rate, {})[key.seed] = loss
    return losses


def write_trials(folder: Path, search: Search, study: Study) -> None:
    """Write trials.csv and curves.csv."""
    compares = search.space.compares
    trials, curves = in_words(study.trials(), compares), in_words(study.curves(), compares)
    write_csv(folder / "trials.csv", with_networks(trials, search.plan))
    write_csv(folder / "curves.csv", with_networks(curves, search.plan))
