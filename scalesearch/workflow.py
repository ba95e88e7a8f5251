"""The commands that go through a study from end to end: run, dry run, select."""

import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scalesearch import answer
from scalesearch.arch import Coefficients
from scalesearch.console import duration, say, show_table, watched
from scalesearch.files import read_json, write_json
from scalesearch.models import Model
from scalesearch.pace import calibrate
from scalesearch.report import write_report
from scalesearch.runners import Desk
from scalesearch.runners.inline import run_inline
from scalesearch.search import (
    RunOptions,
    Search,
    open_study,
    plan_test,
    planned_trials,
    prepare,
    run_trials,
)
from scalesearch.space import Recipe, load_space
from scalesearch.study import Identity, Study, locked
from scalesearch.trial import decoded, versions

RAY_START = 12.0
EVALUATION = 0.3  # of a training step: forward alone, in larger batches


def run_search(search: Search, options: RunOptions, quiet: bool = False) -> dict[str, Any]:
    """Run what the study lacks, then select, scale up and report; the answer as plain data.

    Raises ValueError where the study belongs to another space or another process runs it.
    """
    if options.runner not in ("ray", "inline"):
        raise ValueError(f"--runner must be ray or inline, got {options.runner!r}")
    search.folder.mkdir(parents=True, exist_ok=True)
    with locked(search.folder):
        study = open_study(search)
        if options.retry_failed:
            study.retry_failed()
        before = study.waiting()
        started = time.monotonic()
        train_waiting(search, study, options, quiet)
        answer.write_trials(search, study)
        selection = answer.selection_of(search, study)
        chosen = answer.choose(search.plan, selection)
        plan_test(search, study, chosen.key)
        before += study.waiting()
        train_waiting(search, study, options, quiet)
        answer.write_trials(search, study)
        document = answer.write_selection(search, study, selection)
        write_json(search.folder / "run.json", run_record(search, options, started, before))
        if document["coefficients"]:
            say("scaling up to measured budgets")
            answer.write_family(search, Coefficients(**document["coefficients"]))
        report = write_report(search.folder)
    return {**document, "trained": before, "report": str(report)}


def train_waiting(search: Search, study: Study, options: RunOptions, quiet: bool) -> None:
    """Run the trials that wait, shown on the terminal."""
    waiting = study.waiting()
    if not waiting:
        return say("nothing to train: every planned trial is in the study")
    if not quiet:
        say(f"{waiting} trials to train in {search.folder}, {worker_count(options)} at once")
    with watched(trial_names(search), expected_left(search, study, quiet), quiet) as watch:
        run_trials(study, lambda desk: run_with(watch(desk), options))


def expected_left(search: Search, study: Study, quiet: bool) -> dict[Identity, float]:
    """What the waiting trials are expected to take, beside one another: seconds of a step."""
    if quiet:
        return {}
    archs = {arch.key: arch for arch in networks(search)}
    waiting = study.queue()
    # a few trials end before their pace would be known
    if len(waiting) <= len(archs):
        return dict.fromkeys(waiting, 1.0)
    pace = calibrate(list(archs.values()), search.proxy.recipe.batch_size)
    seconds = {key: pace.step_seconds(arch) for key, arch in archs.items()}
    return {who: seconds[who[0]] for who in waiting}


def networks(search: Search) -> list[Model]:
    """What a search trains: the baseline, then the candidates."""
    return [search.plan.baseline, *(candidate.arch for candidate in search.plan.candidates)]


def run_with(desk: Desk, options: RunOptions) -> None:
    """Run a desk's trials with the runner that the options name."""
    if options.runner == "inline":
        return run_inline(desk)
    from scalesearch.runners.ray import RayOptions, run_ray

    workers = options.workers or (worker_count(options) if options.address is None else None)
    return run_ray(desk, RayOptions(options.address, workers, options.gpus_per_trial))


def worker_count(options: RunOptions) -> int:
    """How many trials run at once on this machine."""
    return 1 if options.runner == "inline" else options.workers or len(os.sched_getaffinity(0))


def trial_names(search: Search) -> dict[str, str]:
    """What the terminal calls each network: its coefficients, or 1x."""
    names = {search.plan.baseline.key: "1x baseline"}
    for candidate in search.plan.candidates:
        c = candidate.coefficients
        names[candidate.key] = f"{c.alpha:g}/{c.beta:g}/{c.gamma:g}"
    return names


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
    """How many trials a run would train and how long that would take here, by timing steps."""
    trials = planned_trials(search)
    recipe: Recipe = search.proxy.recipe
    data = decoded(str(search.proxy.data), search.proxy.train_examples, search.proxy.val_examples)
    steps = len(data.train) / recipe.batch_size
    steps += EVALUATION * len(data.val) / recipe.batch_size
    pace = calibrate(networks(search), recipe.batch_size, worker_count(options))
    seconds = {arch.key: pace.step_seconds(arch) for arch in networks(search)}
    busy = sum(seconds[trial.arch.key] * steps * recipe.epochs for trial in trials)
    wall = busy / worker_count(options) + (RAY_START if options.runner == "ray" else 0)
    return {
        "study": str(search.folder),
        "candidates": len(search.plan.candidates),
        "trials": len(trials),
        "epochs": recipe.epochs,
        "workers": worker_count(options),
        "expected_seconds": wall,
        "text": f"{len(trials)} trials ({len(search.plan.candidates)} candidates and the 1x "
        f"baseline, {search.proxy.seeds} seeds, {recipe.epochs} epochs) in {search.folder}: "
        f"about {duration(wall)} with {worker_count(options)} workers",
    }


def reselect(folder: Path) -> dict[str, Any]:
    """Select again from what a study has, and write selection.json."""
    if not (folder / "space.yaml").exists():
        raise ValueError(f"a study must have a space.yaml, got none in {folder}")
    space = load_space(str(folder / "space.yaml"))
    (proxy,) = space.proxies
    search = prepare(space, proxy, None, None, None, None, folder.parent, folder.name)
    with locked(folder):
        study = open_study(search)
        answer.write_trials(search, study)
        return answer.write_selection(search, study, answer.selection_of(search, study))


def show_selection(document: dict[str, Any]) -> None:
    """Print the answer, the candidates and the warnings."""
    print(document["headline"])
    rows = [
        [
            *(row[name] for name in ("key", "loss", "spread", "difference")),
            f"{row['interval'][0]:.4f}..{row['interval'][1]:.4f}",
            f"{row['p_best']:.0%}",
            "*" if row["in_set"] else "",
        ]
        for row in document["standings"]
    ]
    show_table(
        f"{document['seeds']} seeds; * not told apart from the leader",
        ["candidate", "loss", "sd", "difference", "95 % interval", "P(best)", "tie"],
        rows,
    )
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
