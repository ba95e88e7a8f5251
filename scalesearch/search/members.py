"""What `scalesearch train` does: networks trained to their end, by a search's own loop.

Through the same journal, runners and checkpoints: exact after a kill, and added to later.
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from scalesearch.errors import ParameterError
from scalesearch.families.cards import card, card_path, write_card
from scalesearch.families.front import find_front, front_of, write_front
from scalesearch.families.trained import (
    FRONT,
    Training,
    find_training,
    joined,
    trials_of,
    write_training,
)
from scalesearch.files import write_csv
from scalesearch.networks.custom import functions_named
from scalesearch.networks.latency import Timings, conditions_here, timed
from scalesearch.networks.models import Model, build_model
from scalesearch.networks.weights import as_safetensors, read_any_weights, renamed
from scalesearch.plans.document import FILE as PLAN
from scalesearch.plans.document import read_timings, write_timings
from scalesearch.report import write_front_report, write_report
from scalesearch.scratch import finish
from scalesearch.search.clock import Clock
from scalesearch.search.driver import Driven
from scalesearch.search.estimate import seconds_of, study_pace
from scalesearch.search.events import Decided, Listener, Work
from scalesearch.search.lines import failures, trials
from scalesearch.search.options import (
    RunOptions,
    check_options,
    device_here,
    runner_of,
    worker_count,
)
from scalesearch.search.progress import Progress, Watched, look_seldom, progress_of
from scalesearch.search.schedule import in_one_round
from scalesearch.search.tensorboard import board
from scalesearch.search.training import drive_watched, epoch_weight, flops_of, workers_shown
from scalesearch.spaces.space import Proxy
from scalesearch.studies import JOURNAL, Study, locked
from scalesearch.studies.images import packed
from scalesearch.studies.mirror import Mirror, mirror_at
from scalesearch.studies.setup import plan_again
from scalesearch.studies.tables import in_words
from scalesearch.trials.key import TrialKey
from scalesearch.trials.train import Metrics
from scalesearch.trials.trial import Trial
from scalesearch.units import counted, duration

log = logging.getLogger(__name__)
LATENCIES = "latency.json"
ROUNDS = 9  # of timing each network


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainEstimate:
    """What a training would take on this machine; `text` says it. How long a user's own training
    takes is not known."""

    folder: str
    networks: int
    trials: int
    epochs: int
    workers: int
    expected_seconds: float | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """How a training ended: how many trials this run trained, why no more, None at its end; its
    report, None where there is no front yet."""

    folder: Path
    trained: int
    unfinished: str | None
    remarks: tuple[str, ...]
    report: Path | None = None


def weights_to_begin(training: Training, start: Path | None) -> dict[str, bytes]:
    """The weights that each network begins from, by its name, with our names of tensors.

    Raises ValueError where a training has begun from others.
    """
    if training.start is None or start is None:
        return {}
    weights = read_any_weights(start)
    return {
        one.name: as_safetensors(renamed(build_model(one.arch), weights))
        for one in training.entries
        if one.model is not None
    }


def estimate_training(training: Training, folder: Path, options: RunOptions) -> TrainEstimate:
    """What a training would still take: of a study's networks at the pace of its own trials, else
    by timing some steps on this machine."""
    earlier = find_training(folder)
    training = joined(earlier, training) if earlier else training
    wanted = trials_of(training, training.data)
    if (folder / JOURNAL).exists():
        with locked(folder):
            study = Study(folder, keys_of(training))
            wanted = [trial for trial in wanted if study.lacks(trial)]
    work = [Work(trial.key.network, trial.last) for trial in wanted]
    images, recipe = training.images, training.recipe
    sizes = (images.train or 0, images.val or 0)
    seconds: float | None = 0.0
    paced = ""
    if work and training.custom:
        seconds = None
    elif work:
        pace = study_pace(plan_again(folder.parent), options) if is_of_study(folder) else None
        paced = ", at the pace of the study's own trials" if pace else ""
        seconds = seconds_of(
            models_of(training), sizes, recipe, [in_one_round(work)], options, pace
        )
    long = "as long as your training takes" if seconds is None else f"about {duration(seconds)}"
    of = images.name if images.train is None else f"{images.train:,} images"
    text = (
        f"{counted(len(training.entries), 'network')} in {counted(len(training.lines), 'line')}, "
        f"{counted_seeds(training)}, {counted(recipe.epochs, 'epoch')} of {of}, in "
        f"{folder}: {counted(len(wanted), 'trial')} to train; {long} with "
        f"{counted(worker_count(options), 'worker')}{paced}"
    )
    return TrainEstimate(
        folder=str(folder),
        networks=len(training.entries),
        trials=len(wanted),
        epochs=recipe.epochs,
        workers=worker_count(options),
        expected_seconds=seconds,
        text=text,
    )


def counted_seeds(training: Training) -> str:
    """With how many seeds networks are trained: 3 seeds, or 3 to 5 seeds."""
    fewest = min(training.seeds_of(one) for one in training.entries)
    least = f"{fewest} to " if fewest < training.seeds else ""
    return f"{least}{counted(training.seeds, 'seed')}"


def models_of(training: Training) -> list[Model]:
    """The networks that a training trains."""
    return [one.arch for one in training.entries if one.model is not None]


def keys_of(training: Training) -> list[str]:
    """The keys of all networks that a training has or had."""
    return [one.key for one in training.entries]


def run_training(
    training: Training,
    folder: Path,
    options: RunOptions,
    quiet: bool = False,
    start: Path | None = None,
) -> Trained:
    """Train what a training lacks, in its directory, from the weights in `start` where it has one,
    and report.

    With a mirror it goes on from what is at the URL, where that has come further. Raises ValueError
    where the directory has another training, or another process trains there; KeyboardInterrupt as
    a search does.
    """
    check_options(options)
    folder.mkdir(parents=True, exist_ok=True)
    with held(folder, options.mirror) as mirror:
        trained = train_lacking(training, folder, options, quiet, start, mirror)
        return replace(trained, report=report_of(folder))  # the mirror's last copies have it


def train_lacking(
    training: Training,
    folder: Path,
    options: RunOptions,
    quiet: bool,
    start: Path | None,
    mirror: Mirror | None,
) -> Trained:
    """Train what a training lacks, in its directory, whose lock is held, and write its tables."""
    finish(folder)
    earlier = find_training(folder)
    training = joined(earlier, training) if earlier else training
    training, source = with_packed(training, earlier, options.cache)
    write_training(folder, training)
    study = Study(folder, keys_of(training))
    study.release()
    if options.retry_failed:
        study.retry_failed()
    try:
        wanted = trials_of(training, source, weights_to_begin(training, start))
        driven = train_members(training, wanted, study, folder, options, quiet, mirror)
        if training.latency is not None and not driven.halted:
            time_members(training, training.latency, folder, options)
    finally:
        write_results(training, source, study, folder)
    return Trained(
        folder=folder,
        trained=driven.trials,
        unfinished=driven.halted or None,
        remarks=training.remarks,
    )


@contextmanager
def held(folder: Path, url: str | None) -> Iterator[Mirror | None]:
    """The directory of a training, locked, and its mirror at a URL: that of the whole study, where
    it is a study's."""
    if url is not None and is_of_study(folder):
        study = folder.parent.resolve()
        with locked(study), mirror_at(url, study) as mirror, locked(folder):
            yield mirror
    else:
        with locked(folder), mirror_at(url, folder) as mirror:
            yield mirror


def report_of(folder: Path) -> Path | None:
    """The report of a training, written: its study's, where it is one's; None where there is no
    front yet."""
    if find_front(folder) is None:
        return None
    study = folder.parent
    return write_report(study) if is_of_study(folder) else write_front_report(folder)


def is_of_study(folder: Path) -> bool:
    """Whether a training is that of a study, in whose directory it is."""
    return folder.name == FRONT and (folder.parent / PLAN).exists()


def with_packed(
    training: Training, earlier: Training | None, cache: Path | None
) -> tuple[Training, str]:
    """The training with its images packed for its networks, and where its trials read them.

    Raises ValueError where they are others than it has been trained with.
    """
    proxy = Proxy(
        data=training.data or None, train_examples=training.examples, val_examples=training.held_out
    )
    images, source = packed(training.images, proxy, models_of(training), cache)
    if earlier and earlier.images.contents != images.contents:
        raise ParameterError(
            "name", f"must be another, for files of {images.name} have changed since"
        )
    return replace(training, images=images), source


def time_members(training: Training, batch: int, folder: Path, options: RunOptions) -> None:
    """Time a training's networks that have not been, now that no trial runs beside them.

    Raises ValueError where others were timed under other conditions.
    """
    log.info("timing %s at batch size %d", counted(len(training.entries), "network"), batch)
    timings = read_timings(folder / LATENCIES)
    timings = timings or Timings(conditions_here(batch, device_here(options)))
    models = {one.key: one.arch for one in training.entries if one.model is not None}
    write_timings(folder / LATENCIES, timed(timings, models, ROUNDS))


def write_results(training: Training, source: str, study: Study, folder: Path) -> None:
    """Write the tables of a training's trials, and the card of each network that has ended, where
    our training says what is in it."""
    write_csv(folder / "trials.csv", in_words(study.trials(), training.metric))
    write_csv(folder / "curves.csv", in_words(study.curves(), training.metric))
    curves = study.history("val")
    finished = study.finished("val")
    ends = {key: curves[key][-1] for key in finished}
    found = front_of(training, ends, read_timings(folder / LATENCIES))
    if found is not None:
        write_front(folder, found)
    entries = {one.key: one for one in training.entries}
    for key in finished if training.custom is None else ():
        one = entries[key.network]
        if not card_path(folder, one.name, key.seed).exists():
            end, made_with = curves[key][-1], study.made_with(key)
            write_card(folder, card(training, source, one, key.seed, end, made_with))


def train_members(
    training: Training,
    wanted: Sequence[Trial],
    study: Study,
    folder: Path,
    options: RunOptions,
    quiet: bool,
    mirror: Mirror | None,
) -> Driven:
    """Train what the study lacks of a training, telling of each trial that ends."""
    custom, model = training.custom, models_of(training)[0]
    functions = (custom.function, *functions_named(model)) if custom else ()
    run = runner_of(options, folder, model, functions)

    def decide() -> Decided:
        lacking = tuple(trial for trial in wanted if study.lacks(trial))
        ahead = tuple(
            Work(trial.key.network, trial.last - study.trained(trial.key)) for trial in lacking
        )
        return Decided("the networks to their end", lacking, ahead)

    def listeners(drawing: bool, show: Callable[[Progress], None]) -> list[Listener]:
        return listeners_of(training, study, folder, options, quiet, drawing, show, mirror)

    return drive_watched(folder, study, decide, run, listeners, options, quiet)


def listeners_of(
    training: Training,
    study: Study,
    folder: Path,
    options: RunOptions,
    quiet: bool,
    drawing: bool,
    show: Callable[[Progress], None],
    mirror: Mirror | None,
) -> list[Listener]:
    """Who hears what happens; the clock first, for others ask it."""
    weight = flops_of(training.entries)
    if training.custom is None:
        weight = epoch_weight(models_of(training), training.recipe.batch_size, device_here(options))
    clock = Clock(weight, options.max_trials)
    watched = watched_training(training, folder, options)

    def look(stage: str, live: Mapping[TrialKey, Metrics]) -> Progress:
        return progress_of(watched, study, None, live, stage, clock)

    listeners = [clock.hear, look_seldom(look, show)]
    if not quiet:
        listeners.append(failures(clock, training.names))
        listeners += [] if drawing else [trials(clock, training.names, training.metric)]
    if "tensorboard" in options.log:
        listeners.append(board(folder / "tensorboard", training.metric))
    if mirror is not None:
        listeners.append(lambda event: mirror.push_seldom())
    return listeners


def watched_training(training: Training, folder: Path, options: RunOptions) -> Watched:
    """A training, as it is watched: its networks from the cheapest up."""
    entries = sorted(training.entries, key=lambda one: one.flops)
    images, recipe = training.images, training.recipe
    return Watched(
        folder=folder,
        plan=f"{training.title}: {counted(len(entries), 'network')}, "
        f"{counted_seeds(training)}, {counted(recipe.epochs, 'epoch')} of {images.name}",
        names={one.key: one.name for one in entries},
        first=entries[0].key,
        seeds=training.seeds,
        workers=workers_shown(options),
        gpus_per_trial=options.gpus_per_trial,
        warnings=(*training.remarks, *images.notes),
        metric=training.metric,
    )
