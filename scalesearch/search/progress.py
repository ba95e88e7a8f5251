"""How far a run is: what its screen shows, and progress.json keeps for `status`.

The journal says what is trained; only the driver knows what comes next and how long that takes.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from scalesearch.files import read_json, write_json
from scalesearch.plans.document import Plan
from scalesearch.search.clock import Clock
from scalesearch.search.events import (
    Completed,
    Decided,
    Ended,
    Epoch,
    Event,
    Failed,
    Listener,
    Lost,
    Paused,
)
from scalesearch.selection.answer import ranking_of
from scalesearch.selection.losses import Curves, curves_of
from scalesearch.selection.ranking import Ranking
from scalesearch.selection.selection import Selection
from scalesearch.spaces.metric import LOSS, Metric
from scalesearch.studies import Study
from scalesearch.studies.setup import Search
from scalesearch.trials.key import TrialKey
from scalesearch.trials.train import Metrics
from scalesearch.trials.trial import Trial

FILE = "progress.json"
SELDOM = 0.5  # seconds between two looks at the study
RANKING = 0.05  # of a run's time that ranking may take while trials run


@dataclass(frozen=True, slots=True)
class Row:
    """How one network stands: its loss over `seeds` trials after epoch `after`.

    Loss, P(best) and the interval, which is of the difference to the leader, are the selection's,
    by the same trials. Before these suffice for one a network has no P(best), and as loss the mean
    of its trials.
    """

    key: str
    name: str
    state: str
    epochs: int
    seeds: int
    after: int | None
    loss: float | None
    interval: tuple[float, float] | None
    p_best: float | None


@dataclass(frozen=True, slots=True)
class Progress:
    """A run at one moment. Seconds are of training so far, all workers', and expected to come.

    `workers` is None where the cluster decides; `running` names trials and how far they are. Trials
    `done` and `failed` are at their end, those `paused` may be gone on with. Of the `expected`
    trials of this run, each time that one is gone on with counted, so many have `ended`.
    """

    study: str
    plan: str
    stage: str
    rows: tuple[Row, ...]
    running: tuple[str, ...]
    done: int
    queue: int
    failed: int
    workers: int | None
    gpus_per_trial: float
    trained_seconds: float
    seconds_left: float | None
    warnings: tuple[str, ...]
    paused: int = 0  # from here on: not in files of the first version
    ended: int = 0
    expected: int = 0
    metric: Metric = LOSS  # what rows have as loss (Metric.loss)


_PROGRESS = TypeAdapter(Progress)


@dataclass(frozen=True, slots=True)
class Watched:
    """What stays as it is while a run is watched: its directory, what is trained in a line, the
    networks' names by their keys, the first of them, seeds, workers, the share of a GPU.
    """

    folder: Path
    plan: str
    names: Mapping[str, str]
    first: str
    seeds: int
    workers: int | None
    gpus_per_trial: float
    warnings: tuple[str, ...]
    metric: Metric = LOSS


def watched_search(search: Search, workers: int | None, gpus_per_trial: float) -> Watched:
    """A search, as it is watched while so many workers train, None where the cluster decides."""
    return Watched(
        folder=search.folder,
        plan=plan_text(search.plan),
        names=search.plan.names,
        first=search.plan.baseline.key,
        seeds=search.proxy.seeds,
        workers=workers,
        gpus_per_trial=gpus_per_trial,
        warnings=(*search.plan.remarks, *search.images.notes),
        metric=search.space.compares,
    )


def progress_of(
    run: Watched,
    study: Study,
    ranking: Ranking | None,
    live: Mapping[TrialKey, Metrics],
    stage: str,
    clock: Clock,
) -> Progress:
    """How far a run is, with the ranking by its trials, None while these are too few.

    `live` has the last epoch of the trials that run.
    """
    names = run.names
    running = study.running()
    curves = curves_of(study.history("val"))
    queue, failed = study.queue(), study.failed()
    states = {
        **{key: "" for key in names},
        **{key.network: "failed" for key in failed},
        **{key.network: "stopped" for key in study.pruned()},
        **{trial.arch.key: "queued" for trial in queue},
        **{trial.arch.key: "training" for trial in running},
    }
    return Progress(
        study=str(run.folder),
        plan=run.plan,
        stage=stage,
        rows=rows(names, run.first, curves, states, run.seeds, ranking),
        running=tuple(running_text(trial, names, live.get(trial.key)) for trial in running),
        done=study.ended(),
        queue=len(queue),
        failed=len(failed),
        workers=run.workers,
        gpus_per_trial=run.gpus_per_trial,
        trained_seconds=study.trained_seconds(),
        seconds_left=clock.left(),
        warnings=run.warnings,
        paused=study.paused(),
        ended=clock.ended,
        expected=clock.total,
        metric=run.metric,
    )


def rankings(search: Search, study: Study) -> Callable[[], Ranking | None]:
    """A function that gives the selection's ranking by the trials so far, None for too few.

    While trials run, which ranking delays, it may be that of a moment ago.
    """
    last: Ranking | None = None
    known: dict[TrialKey, int] | None = None
    due = 0.0

    def ranking() -> Ranking | None:
        nonlocal last, known, due
        now = {key: len(curve) for key, curve in study.history("val").items()}
        started = time.monotonic()
        if now != known and (started >= due or not study.running()):
            known = now
            try:
                last = ranking_of(search, study)
            except ValueError:
                last = None
            ended = time.monotonic()
            due = ended + (ended - started) / RANKING
        return last

    return ranking


def look_seldom(
    look: Callable[[str, Mapping[TrialKey, Metrics]], Progress], show: Callable[[Progress], None]
) -> Listener:
    """A listener that shows how far a run is whenever something happens, but not too often.

    `look` is given the stage that was last decided on, and the last epoch of the trials that run.
    """
    live: dict[TrialKey, Metrics] = {}
    stage, last = "", 0.0

    def hear(event: Event) -> None:
        nonlocal stage, last
        match event:
            case Decided():
                stage = event.stage
            case Epoch(trial, metrics):
                live[trial.key] = metrics
            case Paused(trial) | Completed(trial) | Failed(trial) | Lost(trial):
                live.pop(trial.key, None)
        if isinstance(event, Ended) or time.monotonic() - last > SELDOM:
            show(look(stage, live))
            last = time.monotonic()

    return hear


def trial_text(trial: Trial, names: Mapping[str, str]) -> str:
    """A trial as the terminal names it."""
    rate = "" if trial.rate == 1 else f" rate {trial.rate:g}x"
    test = " on the test split" if trial.split == "test" else ""
    return f"{names[trial.arch.key]} seed {trial.seed}{rate}{test}"


def running_text(trial: Trial, names: Mapping[str, str], last: Metrics | None) -> str:
    """A trial that runs, and how far it is."""
    metric = trial.custom.metric if trial.custom else LOSS
    far = "begun"
    if last:
        value = f"{metric.name} {metric.value(last.loss):.4f}"
        far = f"epoch {last.epoch} of {trial.last}, {value}"
    return f"{trial_text(trial, names)}: {far}"


def plan_text(plan: Plan) -> str:
    """A plan in one line."""
    return (
        f"{plan.grid_points} grid points -> {plan.distinct} distinct networks -> "
        f"{len(plan.candidates)} within {plan.tolerance:.0%} of {plan.budget_text} "
        f"({plan.target_text})"
    )


def rows(
    names: Mapping[str, str],
    baseline: str,
    curves: Curves,
    states: Mapping[str, str],
    seeds: int,
    ranking: Ranking | Selection | None = None,
) -> tuple[Row, ...]:
    """Every network's row: the baseline's, then the candidates', those that came farthest first."""
    found = {key: row(key, names[key], curves, states[key], seeds) for key in names}
    if ranking is not None:
        found |= ranked_rows(found, baseline, ranking)

    def order(key: str) -> tuple[bool, int, float]:
        r = found[key]
        return key != baseline, -(r.after or 0), np.inf if r.loss is None else r.loss

    return tuple(found[key] for key in sorted(names, key=order))


def ranked_rows(
    found: Mapping[str, Row], baseline: str, ranking: Ranking | Selection
) -> dict[str, Row]:
    """The rows of the baseline and of every candidate that a ranking has, with its numbers."""
    return {
        baseline: replace(found[baseline], loss=ranking.baseline_loss),
        **{
            standing.key: replace(
                found[standing.key],
                after=found[standing.key].after if standing.seeds else None,
                seeds=standing.seeds,
                loss=standing.loss,
                interval=standing.interval,
                p_best=standing.p_best,
            )
            for standing in ranking.standings
        },
    }


def row(key: str, name: str, curves: Curves, state: str, seeds: int) -> Row:
    """A network by itself: the mean loss of its seeds after the last epoch that one has."""
    mine = [curves[key, seed] for seed in range(seeds) if curves.get((key, seed))]
    after = max(map(len, mine), default=None)
    ends = [curve[-1] for curve in mine if len(curve) == after]
    loss = float(np.mean(ends)) if ends else None
    return Row(key, name, state, sum(map(len, mine)), len(ends), after, loss, None, None)


def write_progress(folder: Path, progress: Progress) -> None:
    """Leave a run's state for `status`, whole or not at all."""
    write_json(folder / FILE, asdict(progress))


def read_progress(folder: Path) -> Progress | None:
    """What the last driver left; None where it left nothing that can be read."""
    try:
        return _PROGRESS.validate_python(read_json(folder / FILE))
    except ValueError:  # pydantic's errors are such
        return None
