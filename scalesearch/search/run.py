"""The commands that go through a study from end to end: run, dry run, select."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from scalesearch.families.of_study import write_family
from scalesearch.files import read_json, write_csv, write_json
from scalesearch.networks.custom import CustomModel
from scalesearch.networks.models import Model
from scalesearch.networks.scaling import Coefficients
from scalesearch.plans.plan import network_names
from scalesearch.report import write_comparison, write_report
from scalesearch.search.driver import (
    RunOptions,
    decide,
    plan_asks,
    plan_sweep,
    plan_test,
    run_trials,
    worker_count,
)
from scalesearch.search.interrupt import patient
from scalesearch.search.progress import (
    Progress,
    progress_of,
    stage_text,
    trial_text,
    write_progress,
)
from scalesearch.search.screen import Watch, say, watched
from scalesearch.search.verify import verify
from scalesearch.selection import answer
from scalesearch.studies import Study, locked, read_curves, read_trials
from scalesearch.studies.mirror import Mirror, mirrored, opened
from scalesearch.studies.setup import Search, networks, open_search, open_study
from scalesearch.trials.key import TrialKey
from scalesearch.trials.pace import Pace, calibrate
from scalesearch.trials.runners import Desk
from scalesearch.trials.runners.inline import run_inline
from scalesearch.trials.runners.tensorboard import boarded
from scalesearch.trials.train import Metrics
from scalesearch.trials.trial import Trial, versions

LOGS = ("tensorboard", "mlflow", "wandb")


def run_search(search: Search, options: RunOptions, quiet: bool = False) -> dict[str, Any]:
    """Run what the study lacks, then select, scale up and report; the answer as plain data.

    Raises ValueError where the study belongs to another space or another process runs it.
    """
    if options.runner not in ("ray", "inline"):
        raise ValueError(f"--runner must be ray or inline, got {options.runner!r}")
    check_log(options)
    search.folder.mkdir(parents=True, exist_ok=True)
    with locked(search.folder), kept_at(options.mirror, search.folder) as mirror:
        study = open_study(search)
        if options.retry_failed:
            study.retry_failed()
        started = time.monotonic()
        trained = train_all(search, study, options, quiet, mirror)
        answer.write_trials(search, study)
        selection = answer.selection_of(search, study)
        document = answer.write_selection(search, study, selection, decide(search, study))
        write_json(search.folder / "run.json", run_record(search, options, started, trained))
        if document["coefficients"]:
            say("scaling up to measured budgets")
            write_family(search, Coefficients(**document["coefficients"]))
        report = write_report(search.folder)
    return {**document, "trained": trained, "report": str(report)}


def refuse_no_gpu(options: RunOptions) -> None:
    """Raise ValueError where a GPU is asked of a machine without: trials would wait for ever."""
    if options.gpus_per_trial > 0 and options.address is None and not torch.cuda.is_available():
        raise ValueError(
            f"--gpus-per-trial must be 0 where torch finds no GPU, got {options.gpus_per_trial:g}: "
            "leave it out, or name a cluster's --address"
        )


def check_log(options: RunOptions) -> None:
    """Raises ValueError for a log that is none, or that this runner cannot write."""
    for name in options.log:
        if name not in LOGS:
            raise ValueError(f"--log must be of {', '.join(LOGS)}, got {name!r}")
        if name != "tensorboard" and options.runner != "ray":
            raise ValueError(f"--log {name} is written by Ray's callback: it needs --runner ray")


@contextmanager
def kept_at(url: str | None, folder: Path) -> Iterator[Mirror | None]:
    """The mirror of a study's directory at a URL; None where none is wanted."""
    if url is None:
        yield None
    else:
        with opened(url, folder) as mirror:
            yield mirror


def train_all(
    search: Search, study: Study, options: RunOptions, quiet: bool, mirror: Mirror | None = None
) -> int:
    """Train whatever the policy asks for, then what the gates and the test need; how many ran.

    Raises KeyboardInterrupt: after one interrupt when the trials that run have ended, at once
    after two.
    """
    limits = Limits(options, time.monotonic())
    ran, stage = 0, ""

    def more() -> None:
        nonlocal stage
        decision = decide(search, study)
        asks = () if limits.spent(ran) else decision.asks[: limits.left(ran)]
        plan_asks(search, study, asks)
        if asks:
            stage = stage_text(asks)
            return
        plan_checks(search, study)
        stage = "the sweep of the learning rate, and the look at the test split"
        if study.waiting() and not quiet:
            say(f"the search has ended: {decision.ended or 'this run may spend no more'}")

    def counted(desk: Desk) -> Desk:
        def ask() -> Trial | None:
            nonlocal ran
            trial = desk.ask()
            ran += trial is not None
            return trial

        return replace(desk, ask=ask)

    if not quiet:
        say(f"training in {search.folder}, {worker_count(options)} at once")
    watch = watch_of(search, study, options, lambda: stage)
    with patient(say) as asked_to_end, watched(watch, quiet, options.verbose) as shown:

        def run(desk: Desk) -> None:
            desk = followed(desk, search, options, mirror)
            run_with(shown(counted(ending(desk, asked_to_end))), options, search)

        run_trials(study, more, run)
        if asked_to_end():
            raise KeyboardInterrupt
    if not ran:
        say("nothing to train: every planned trial is in the study")
    return ran


def watch_of(search: Search, study: Study, options: RunOptions, stage: Callable[[], str]) -> Watch:
    """What the terminal and `status` are to know of a run; `stage` says what it is at."""
    names = network_names(search.plan)
    workers = None if options.address and not options.workers else worker_count(options)

    def look(live: Mapping[TrialKey, Metrics], left: float | None) -> Progress:
        return progress_of(search, study, live, stage(), left, workers, options.gpus_per_trial)

    return Watch(
        label=lambda trial: trial_text(trial, names),
        ahead=lambda: [*study.queue(), *study.running()],
        weight=weights(search, study),
        look=look,
        keep=lambda progress: write_progress(search.folder, progress),
    )


def followed(desk: Desk, search: Search, options: RunOptions, mirror: Mirror | None) -> Desk:
    """The desk, with what passes over it written to TensorBoard and to a URL where asked for."""
    if "tensorboard" in options.log:
        desk = boarded(desk, search.folder / "tensorboard")
    return desk if mirror is None else mirrored(desk, mirror)


def ending(desk: Desk, asked_to_end: Callable[[], bool]) -> Desk:
    """The desk, which hands out nothing more once it is asked to end."""
    return replace(desk, ask=lambda: None if asked_to_end() else desk.ask())


def plan_checks(search: Search, study: Study) -> None:
    """Plan what follows the search: the sweep of the learning rate, the look at the test split."""
    selection = answer.selection_of(search, study)
    plan_sweep(search, study, answer.swept(search, selection))
    plan_test(search, study, answer.choose(search.plan, selection).key)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a run may spend on the search, beside what its policy allows."""

    options: RunOptions
    started: float

    def spent(self, trials: int) -> bool:
        """Whether nothing of it is left."""
        hours = (time.monotonic() - self.started) / 3600
        return hours >= (self.options.max_hours or math.inf) or self.left(trials) == 0

    def left(self, trials: int) -> int | None:
        """How many trials may still be run; None for any number."""
        most = self.options.max_trials
        return None if most is None else max(0, most - trials)


def weights(search: Search, study: Study) -> Callable[[Trial], float]:
    """How long what is left of a trial takes: by timing some networks once, when first asked."""

    @cache
    def pace() -> Pace:
        return calibrate(networks(search), search.proxy.recipe.batch_size)

    @cache
    def step(arch: Model) -> float:
        return pace().step_seconds(arch)

    def weight(trial: Trial) -> float:
        return step(trial.arch) * max(1, trial.last - study.trained(trial.key))

    return weight


def run_with(desk: Desk, options: RunOptions, search: Search) -> None:
    """Run a desk's trials with the runner that the options name."""
    if options.runner == "inline":
        return run_inline(desk)
    from scalesearch.trials.runners.ray import RayOptions, run_ray
    from scalesearch.trials.runners.trackers import callbacks

    start = search.plan.baseline
    return run_ray(
        desk,
        RayOptions(
            address=options.address,
            workers=options.workers or (worker_count(options) if options.address is None else None),
            gpus_per_trial=options.gpus_per_trial,
            accelerator=options.accelerator,
            function=start.function if isinstance(start, CustomModel) else None,
            callbacks=callbacks([x for x in options.log if x != "tensorboard"], search.folder),
            verbose=options.verbose,
            tell=say,
        ),
    )


def run_record(search: Search, options: RunOptions, started: float, trained: int) -> dict[str, Any]:
    """How the study was made, for its report; seconds of earlier runs are added up."""
    path = search.folder / "run.json"
    earlier = read_json(path)["seconds"] if path.exists() else 0.0
    return {
        "options": asdict(options),
        "versions": versions(),
        "trained_last": trained,
        "seconds": earlier + (time.monotonic() - started if trained else 0.0),
    }


def reselect(folder: Path) -> dict[str, Any]:
    """Select again from what a study has; write selection.json, and the family if it changed."""
    search = open_search(folder)
    path = folder / "selection.json"
    before = read_json(path)["coefficients"] if path.exists() else None
    with locked(folder):
        study = open_study(search)
        answer.write_trials(search, study)
        selection = answer.selection_of(search, study)
        document = answer.write_selection(search, study, selection, decide(search, study))
        if document["coefficients"] not in (None, before):  # the family follows the choice
            write_family(search, Coefficients(**document["coefficients"]))
        return document


def verify_study(
    folder: Path, phi: float, top: int, seeds: int, options: RunOptions, quiet: bool = False
) -> dict[str, Any]:
    """Scale a study's best up to ratio^phi, train, and compare; write it into its report."""
    refuse_no_gpu(options)
    search = open_search(folder)
    if phi <= 1:
        raise ValueError(f"--phi must be above 1, where the study is, got {phi:g}")
    if not quiet:
        say(f"training in {folder / f'phi{phi:g}'}, {worker_count(options)} at once")
    document = verify(search, phi, top, seeds, lambda desk: run_with(desk, options, search))
    reselect(folder)
    if (folder / "run.json").exists():
        write_report(folder)
    return document


def report_on(folders: Sequence[Path], out: Path, kind: str | None) -> Path:
    """The path of a study's report, or in `out` of the comparison of several.

    A study without a selection is reported as far as its journal goes; it may be running.
    """
    for folder in folders:
        if not (folder / "selection.json").exists():
            write_csv(folder / "trials.csv", read_trials(folder))
            write_csv(folder / "curves.csv", read_curves(folder))
    if len(folders) == 1:
        return write_report(folders[0], kind)
    return write_comparison(folders, out, kind)
