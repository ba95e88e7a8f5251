"""The commands that go through a study from end to end: run, dry run, select."""

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from scalesearch import answer
from scalesearch.arch import Coefficients
from scalesearch.console import say, show_table
from scalesearch.files import duration, read_json, short, write_csv, write_json
from scalesearch.interrupt import patient
from scalesearch.mirror import Mirror, mirrored, opened
from scalesearch.models import Model
from scalesearch.own import OwnModel
from scalesearch.pace import Pace, calibrate
from scalesearch.policy import FIRST_SEEDS, MIN_ALIVE, MIN_SEEDS, SHARE
from scalesearch.progress import (
    Progress,
    network_names,
    progress_of,
    stage_text,
    trial_text,
    write_progress,
)
from scalesearch.report import write_comparison, write_report
from scalesearch.runners import Desk
from scalesearch.runners.inline import run_inline
from scalesearch.screen import Watch, watched
from scalesearch.search import (
    RunOptions,
    Search,
    decide,
    networks,
    open_study,
    plan_asks,
    plan_sweep,
    plan_test,
    prepare,
    run_trials,
)
from scalesearch.space import Proxy, Recipe, load_space
from scalesearch.study import Identity, Study, locked, read_curves, read_trials
from scalesearch.tensorboard import boarded
from scalesearch.train import Metrics
from scalesearch.trial import Trial, decoded, versions
from scalesearch.verify import verify

RAY_START = 12.0
LOGS = ("tensorboard", "mlflow", "wandb")
EVALUATION = 0.3  # of a training step: forward alone, in larger batches


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
            answer.write_family(search, Coefficients(**document["coefficients"]))
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

    def look(live: Mapping[Identity, Metrics], left: float | None) -> Progress:
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
        return step(trial.arch) * max(1, trial.last - study.trained(trial.identity))

    return weight


def run_with(desk: Desk, options: RunOptions, search: Search) -> None:
    """Run a desk's trials with the runner that the options name."""
    if options.runner == "inline":
        return run_inline(desk)
    from scalesearch.runners.ray import RayOptions, run_ray
    from scalesearch.runners.trackers import callbacks

    start = search.plan.baseline
    return run_ray(
        desk,
        RayOptions(
            address=options.address,
            workers=options.workers or (worker_count(options) if options.address is None else None),
            gpus_per_trial=options.gpus_per_trial,
            accelerator=options.accelerator,
            function=start.function if isinstance(start, OwnModel) else None,
            callbacks=callbacks([x for x in options.log if x != "tensorboard"], search.folder),
            verbose=options.verbose,
            tell=say,
        ),
    )


def worker_count(options: RunOptions) -> int:
    """How many trials run at once on this machine."""
    return 1 if options.runner == "inline" else options.workers or len(os.sched_getaffinity(0))


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


def estimate(search: Search, options: RunOptions) -> dict[str, Any]:
    """How many epochs a run would train at most and how long that takes here, by timing steps."""
    recipe: Recipe = search.proxy.recipe
    data = decoded(str(search.proxy.data), search.proxy.train_examples, search.proxy.val_examples)
    steps = len(data.train) / recipe.batch_size
    steps += EVALUATION * len(data.val) / recipe.batch_size
    pace = calibrate(networks(search), recipe.batch_size, worker_count(options))
    first, *others = [pace.step_seconds(arch) for arch in networks(search)]
    seeds, epochs = most_epochs(search.space.policy, len(others), search.proxy)
    mean = sum(others) / len(others)
    checks = 5 * mean + first  # the sweep on two candidates, and the test's two trials
    busy = steps * (epochs * mean + (seeds * first + checks) * recipe.epochs)
    wall = busy / worker_count(options) + (RAY_START if options.runner == "ray" else 0)
    return {
        "study": str(search.folder),
        "candidates": len(search.plan.candidates),
        "policy": search.space.policy,
        "seeds": seeds,
        "candidate_epochs": epochs,
        "epochs": recipe.epochs,
        "workers": worker_count(options),
        "expected_seconds": wall,
        "text": f"{len(search.plan.candidates)} candidates and the 1x baseline, policy "
        f"{search.space.policy}, at most {seeds} seeds and {epochs} epochs of candidates "
        f"({recipe.epochs} a trial) in {search.folder}: at most about {duration(wall)} with "
        f"{worker_count(options)} workers",
    }


def most_epochs(policy: str, candidates: int, proxy: Proxy) -> tuple[int, int]:
    """The most seeds, and the most epochs of candidates, that a search comes to."""
    last, seeds = proxy.recipe.epochs, proxy.seeds
    whole = candidates * seeds * last
    if policy != "rungs":
        return seeds, whole
    first, half = min(FIRST_SEEDS, seeds), math.ceil(last / 2)
    alive = min(candidates, max(MIN_ALIVE, math.ceil(candidates / 2)))
    least = first * (half * candidates + (last - half) * alive)
    least += last * alive * (min(MIN_SEEDS, seeds) - first)
    return seeds, max(least, min(whole, math.floor(SHARE * whole)))


def open_search(folder: Path) -> Search:
    """The search that made a study. Raises ValueError where the directory holds none."""
    if not (folder / "space.yaml").exists():
        raise ValueError(f"a study must have a space.yaml, got none in {folder}")
    space = load_space(str(folder / "space.yaml"))
    (proxy,) = space.proxies
    return prepare(space, proxy, None, None, None, None, folder.parent, folder.resolve().name)


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
            answer.write_family(search, Coefficients(**document["coefficients"]))
        return document


def verify_study(
    folder: Path, phi: float, top: int, seeds: int, options: RunOptions, quiet: bool = False
) -> dict[str, Any]:
    """Scale a study's best up to ratio^phi, train, and compare; write it into its report."""
    refuse_no_gpu(options)
    search = open_search(folder)
    if phi <= 1:
        raise ValueError(f"--phi must be above 1, where the study is, got {phi:g}")
    say(f"training in {folder / f'phi{phi:g}'}, {worker_count(options)} at once")

    def run(desk: Desk) -> None:
        run_with(desk, options, search)

    document = verify(search, phi, top, seeds, run)
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


def show_verified(document: dict[str, Any]) -> None:
    """Print what a verification found."""
    show_table(
        f"at {document['ratio']:g}x, {document['seeds']} seeds; flops are multiply-adds",
        ["network", "px", "flops", "ratio", "loss", "95 % interval"],
        [
            [
                row["label"],
                row["resolution"],
                short(row["flops"]),
                row["ratio"],
                f"{row['loss']:.4f}",
                f"{row['interval'][0]:.4f}..{row['interval'][1]:.4f}",
            ]
            for row in sorted(document["networks"], key=lambda row: row["loss"])
        ],
    )
    found = document["transfer"]
    low, high = found["interval"]
    print(
        f"rank correlation with phi = 1: {found['rank_correlation']:+.2f} (95% interval "
        f"{low:+.2f} to {high:+.2f}; {found['distinct']} distinct of {found['candidates']})"
    )
    for row in document["axes"]:
        low, high = row["interval"]
        print(
            f"{row['axis']} against the leader at phi = 1: {row['difference']:+.4f} "
            f"({low:+.4f} to {high:+.4f})"
        )
    law = document["law"]
    print(
        f"law: L = b C^-c, c {law['form']} in the shape; error at phi {document['phi']:g} "
        f"{law['error']:.4f}, of best-so-far {law['error_best_so_far']:.4f}, of a log-linear fit "
        f"{law['error_log_linear']:.4f}; {law['inside']} inside the interval"
    )
    if not law["supported"]:
        print("the trials do not support a law of shape: loss is told by compute alone")


def show_selection(document: dict[str, Any]) -> None:
    """Print the answer, the candidates and the warnings."""
    print(document["headline"])
    rows = [
        [
            *(row[name] for name in ("key", "seeds", "loss", "spread", "difference")),
            f"{row['interval'][0]:.4f}..{row['interval'][1]:.4f}",
            f"{row['p_best']:.0%}",
            f"{row['regret']:.4f}",
            "*" if row["in_set"] else "",
        ]
        for row in document["standings"]
    ]
    show_table(
        f"up to {document['seeds']} seeds; * in the {document['confidence']:.0%} confidence set",
        ["candidate", "n", "loss", "sd", "difference", "95 % interval", "P(best)", "regret", "set"],
        rows,
    )
    for key, stop in document["stopped"].items():
        print(f"stopped: {key}: {stop['reason']}")
    for gate in document["gates"]:
        print(f"gate {gate['name']}: {'passed' if gate['passed'] else 'FAILED'}: {gate['text']}")
    for warning in document["warnings"]:
        print(f"warning: {warning}")


def show_answer(folder: Path, document: dict[str, Any]) -> None:
    """Print how a run ended: the answer, the report's path, the next sensible command."""
    show_selection(document)
    if not document["trained"]:
        print("nothing was trained: the study was complete")
    print(f"report: {document['report']}")
    if document["recommended"]:
        print(f"next: scalesearch scale {document['space']} --study {folder}")
    else:
        print("next: the same command with more --epochs and another --name")
