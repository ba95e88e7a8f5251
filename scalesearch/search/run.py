"""The commands that go through a study from end to end: run, dry run, select."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scalesearch.errors import ParameterError
from scalesearch.families.of_study import write_family
from scalesearch.files import read_json, write_csv, write_json
from scalesearch.networks.scaling import Coefficients
from scalesearch.report import write_comparison, write_report
from scalesearch.search.driver import Driven, decide
from scalesearch.search.options import (
    RunOptions,
    check_options,
    refuse_no_gpu,
    runner_of,
    worker_count,
)
from scalesearch.search.training import train
from scalesearch.search.verify import verify
from scalesearch.selection import answer
from scalesearch.studies import locked, read_curves, read_trials
from scalesearch.studies.mirror import Mirror, opened
from scalesearch.studies.setup import Search, open_search, open_study
from scalesearch.trials.trial import versions
from scalesearch.units import counted

log = logging.getLogger(__name__)


def run_search(search: Search, options: RunOptions, quiet: bool = False) -> dict[str, Any]:
    """Run what the study lacks, then select, scale up and report; the answer as plain data.

    Raises ValueError where the study belongs to another space or another process runs it.
    """
    check_options(options)
    search.folder.mkdir(parents=True, exist_ok=True)
    with locked(search.folder), mirror_at(options.mirror, search.folder) as mirror:
        study = open_study(search)
        if options.retry_failed:
            study.retry_failed()
        started = time.monotonic()
        driven = train(search, study, options, quiet, mirror)
        write_json(search.folder / "run.json", run_record(search, options, started, driven.trials))
        answer.write_trials(search, study)
        try:
            selection = answer.selection_of(search, study)
        except ValueError:
            if not driven.halted:
                raise
            return {**how_far(search, driven), "report": str(write_report(search.folder))}
        document = answer.write_selection(search, study, selection, decide(search, study))
        if document["coefficients"]:
            log.info("scaling up to measured budgets")
            write_family(search, Coefficients(**document["coefficients"]))
        report = write_report(search.folder)
    return {**document, **how_far(search, driven), "report": str(report)}


def how_far(search: Search, driven: Driven) -> dict[str, Any]:
    """How many trials a run has trained; as `unfinished` why no more, None at its end."""
    unfinished = None
    if driven.halted:
        trained = counted(driven.trials, "trial")
        unfinished = f"this run has trained {trained}, and ended early: {driven.halted}"
    return {"study": str(search.folder), "trained": driven.trials, "unfinished": unfinished}


@contextmanager
def mirror_at(url: str | None, folder: Path) -> Iterator[Mirror | None]:
    """The mirror of a study's directory at a URL; None where none is wanted."""
    if url is None:
        yield None
    else:
        with opened(url, folder) as mirror:
            yield mirror


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
        raise ParameterError("phi", f"must be above 1, where the study is, got {phi:g}")
    if not quiet:
        log.info("training in %s/phi%g, %d at once", folder, phi, worker_count(options))
    document = verify(search, phi, top, seeds, runner_of(options, search))
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
