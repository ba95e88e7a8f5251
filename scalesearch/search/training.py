"""Training what is wanted: a search's loop, with everybody who listens to it, and its screen."""

import logging
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from functools import cache
from pathlib import Path

from scalesearch.families.trained import Entry
from scalesearch.networks.models import Model
from scalesearch.plans.document import Candidate
from scalesearch.search.clock import Clock
from scalesearch.search.driver import Driven, drive, search_decisions
from scalesearch.search.events import Decided, Listener
from scalesearch.search.interrupt import patient
from scalesearch.search.lines import decisions, failures, trials
from scalesearch.search.options import (
    RunOptions,
    Spending,
    device_here,
    runner_of,
    worker_count,
)
from scalesearch.search.progress import (
    Progress,
    look_seldom,
    progress_of,
    rankings,
    watched_search,
    write_progress,
)
from scalesearch.search.screen import on_screen
from scalesearch.search.tensorboard import board
from scalesearch.studies import Study
from scalesearch.studies.mirror import Mirror
from scalesearch.studies.setup import Search, networks
from scalesearch.trials.key import TrialKey
from scalesearch.trials.pace import Pace, calibrate
from scalesearch.trials.runners import AskTell
from scalesearch.trials.train import Metrics

log = logging.getLogger(__name__)


def train(
    search: Search, study: Study, options: RunOptions, quiet: bool, mirror: Mirror | None
) -> Driven:
    """Train whatever the policy asks for, then what the gates and the test need.

    Raises KeyboardInterrupt: after one interrupt when the trials that run have ended, at once
    after two.
    """
    if not quiet:
        log.info("training in %s, %d at once", search.folder, worker_count(options))
    start, functions = search.plan.baseline.arch, search.space.functions
    run = runner_of(options, search.folder, start, functions)

    def listeners(drawing: bool, show: Callable[[Progress], None]) -> list[Listener]:
        return listeners_of(search, study, options, quiet, drawing, show, mirror)

    decide_next = search_decisions(search, study)
    driven = drive_watched(search.folder, study, decide_next, run, listeners, options, quiet)
    if not driven.trials and not driven.halted:
        log.info("nothing to train: every planned trial is in the study")
    return driven


def drive_watched(
    folder: Path,
    study: Study,
    decide: Callable[[], Decided],
    run: Callable[[AskTell], None],
    listeners: Callable[[bool, Callable[[Progress], None]], list[Listener]],
    options: RunOptions,
    quiet: bool,
) -> Driven:
    """`drive` what is decided, as far as the options allow, on a screen where there is one.

    `listeners` are given whether a screen is drawn, and what shows and keeps how far the run is.
    Raises KeyboardInterrupt: after one interrupt when the trials that run have ended, at once
    after two.
    """
    spending = Spending(options.max_trials, options.max_hours)
    drawing = not (quiet or options.verbose) and sys.stderr.isatty()
    with patient(log.warning) as interrupted, on_screen() if drawing else nullcontext() as draw:

        def show(progress: Progress) -> None:
            write_progress(folder, progress)
            if draw is not None:
                draw(progress)

        def halt(trials: int) -> str:
            return "it was interrupted" if interrupted() else spending.spent(trials)

        driven = drive(study, decide, run, listeners(drawing, show), halt)
        if interrupted():
            raise KeyboardInterrupt
    return driven


def listeners_of(
    search: Search,
    study: Study,
    options: RunOptions,
    quiet: bool,
    drawing: bool,
    show: Callable[[Progress], None],
    mirror: Mirror | None,
) -> list[Listener]:
    """Who hears what happens in a run; the clock first, for others ask it."""
    names = search.plan.names
    batch = search.proxy.recipe.batch_size
    weight = epoch_weight(networks(search), batch, device_here(options))
    if search.space.train is not None:
        weight = flops_of([search.plan.baseline, *search.plan.candidates])
    clock = Clock(weight, options.max_trials)
    watched = watched_search(search, workers_shown(options), options.gpus_per_trial)
    ranking = rankings(search, study)

    def look(stage: str, live: Mapping[TrialKey, Metrics]) -> Progress:
        return progress_of(watched, study, ranking(), live, stage, clock)

    listeners = [clock.hear, look_seldom(look, show)]
    if not quiet:
        listeners += [decisions(clock, len(names) - 1), failures(clock, names)]
        metric = search.space.compares
        listeners += [] if drawing else [trials(clock, names, metric)]
    if "tensorboard" in options.log:
        listeners.append(board(search.folder / "tensorboard", search.space.compares))
    if mirror is not None:
        listeners.append(lambda event: mirror.push_seldom())
    return listeners


def workers_shown(options: RunOptions) -> int | None:
    """How many trials run at once; None where a cluster decides."""
    return None if options.address and not options.workers else worker_count(options)


def flops_of(networks: Iterable[Candidate | Entry]) -> Callable[[str], float]:
    """How long an epoch of a user's own training takes beside another's: as their flops say."""
    return {one.key: float(one.flops) for one in networks}.__getitem__


def epoch_weight(
    models: Sequence[Model], batch_size: int, device: str = "cpu"
) -> Callable[[str], float]:
    """How long an epoch of a network takes: by timing some networks once, when first asked."""
    archs = {arch.key: arch for arch in models}

    @cache
    def pace() -> Pace:
        # a process apart, whose end frees what CUDA takes of a GPU
        workers = 0 if device == "cpu" else 1
        return calibrate([*archs.values()], batch_size, workers, device)

    return cache(lambda key: pace().step_seconds(archs[key]))
