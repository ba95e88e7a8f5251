"""The commands that go through a study from end to end: run, dry run, select."""

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from scalesearch.errors import ParameterError, check_range
from scalesearch.families.document import FILE as FAMILY
from scalesearch.families.document import write_family
from scalesearch.families.of_study import family_of_study
from scalesearch.families.trained import FILE as TRAINING
from scalesearch.files import write_csv
from scalesearch.report import (
    write_comparison,
    write_front_report,
    write_pages,
    write_report,
)
from scalesearch.scratch import all_or_none, finish
from scalesearch.search.driver import Driven, decide
from scalesearch.search.options import (
    MOST_PHI,
    RunOptions,
    check_options,
    device_of,
    refuse_no_gpu,
    runner_of,
    worker_count,
)
from scalesearch.search.training import train
from scalesearch.search.verify import (
    scaled_networks,
    train_scaled,
    verification_of,
    write_verified,
)
from scalesearch.selection import answer
from scalesearch.selection.selection import (
    Selection,
    find_selection,
    old_notes,
    write_selection,
)
from scalesearch.selection.verification import Verification
from scalesearch.spaces.space import FEWEST_SEEDS, MOST_SEEDS
from scalesearch.studies import Study, clear_ends, locked, read_curves, read_trials
from scalesearch.studies.mirror import mirror_at
from scalesearch.studies.record import RunRecord, find_record, write_record
from scalesearch.studies.setup import (
    DATA,
    Search,
    check_training,
    open_search,
    open_study,
    plan_again,
    planned,
    refuse_another,
    with_images,
    write_images,
    write_setup,
)
from scalesearch.trials.trial import versions

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Finished:
    """How a run ended: its answer, None where it has too few trials for one; how many it trained.

    `unfinished` says why it trained no more, None at the search's end.
    """

    study: Path
    selection: Selection | None
    trained: int
    unfinished: str | None
    report: Path


def run_search(search: Search, options: RunOptions, quiet: bool = False) -> Finished:
    """Run what the study lacks, then select, scale up and report.

    Raises ValueError where the study belongs to another space, another process runs it, or there is
    no function that trains it.
    """
    check_options(options)
    check_training(search)
    search = with_images(search, options.cache)
    search.folder.mkdir(parents=True, exist_ok=True)
    with locked(search.folder), mirror_at(options.mirror, search.folder) as mirror:
        finish(search.folder)
        if mirror is not None:
            search = with_images(as_fetched(search), options.cache)
        write_setup(search)
        study = open_study(search)
        if options.retry_failed:
            study.retry_failed()
        started = time.monotonic()
        driven = train(search, study, options, quiet, mirror)
        if not driven.halted:
            clear_ends(search.folder)
        record = run_record(search, options, started, driven.trials)
        with all_or_none(search.folder) as new:
            write_record(new, record)
            answer.write_trials(new, search, study)
            selection, too_few = selected(search, study)
            if selection:
                write_answer(new, search, selection)
            write_pages(search.folder, new)
    if too_few and not driven.halted:
        raise too_few
    report = search.folder / "report.html"
    return Finished(search.folder, selection, driven.trials, unfinished(driven), report)


def selected(search: Search, study: Study) -> tuple[Selection | None, ValueError | None]:
    """The answer, or why the study has too few trials for one."""
    try:
        return answer.select(search, study, decide(search, study)), None
    except ValueError as error:
        return None, error


def unfinished(driven: Driven) -> str | None:
    """Why a run trained no more; None at its search's end."""
    if not driven.halted:
        return None
    trained = "1 trial" if driven.trials == 1 else f"{driven.trials} trials"
    return f"this run has trained {trained}, and ended early: {driven.halted}"


def as_fetched(search: Search) -> Search:
    """The search again, now that its mirror's files are in its directory: the timings among them.

    Raises ValueError where they are another study's.
    """
    refuse_another(search)
    if search.plan.timings is None:
        return search
    return planned(search.space, search.plan.proxy, search.folder, search.images)


def run_record(search: Search, options: RunOptions, started: float, trained: int) -> RunRecord:
    """How the study was made, for its report; seconds of earlier runs are added up.

    A run that found all trained leaves the record of the one that trained.
    """
    earlier = find_record(search.folder)
    if earlier and not trained:
        return replace(earlier, trained_last=0)
    return RunRecord(
        options=asdict(options),
        versions=versions(device_of(options)),
        trained_last=trained,
        seconds=(earlier.seconds if earlier else 0.0)
        + (time.monotonic() - started if trained else 0.0),
    )


def reselect(folder: Path) -> Selection:
    """Select again from what a study has; write selection.json, and the family if it changed."""
    with locked(folder):
        finish(folder)
        search = open_search(folder)
        with all_or_none(folder) as new:
            return select_into(new, search)


def select_into(new: Path, search: Search) -> Selection:
    """Select from what a study has, its answer written into a directory for the study's own."""
    before = find_selection(search.folder)
    if before and not (search.folder / DATA).exists():  # as the first version left it
        search = replace(search, images=replace(search.images, notes=old_notes(before)))
        write_images(new, search.images)
    study = open_study(search)
    answer.write_trials(new, search, study)
    selection = answer.select(search, study, decide(search, study))
    write_answer(new, search, selection, before)
    return selection


def write_answer(
    new: Path, search: Search, selection: Selection, before: Selection | None = None
) -> None:
    """Write the selection, and the family where it is not that of `before` already."""
    chosen = selection.coefficients
    write_selection(new, selection)
    there = (search.folder / FAMILY).exists() and before and before.coefficients == chosen
    if chosen and not there:
        log.info("scaling up to measured budgets")
        write_family(new, family_of_study(search.space, search.plan, chosen))


def verify_study(
    folder: Path, phi: float, top: int, seeds: int, options: RunOptions, quiet: bool = False
) -> Verification:
    """Scale a study's best up to ratio^phi, train, and compare; write it into its report."""
    refuse_no_gpu(options)
    if not 1 < phi <= MOST_PHI:  # nor is NaN
        rule = f"must be above 1, where the study is, and at most {MOST_PHI}, got {phi:g}"
        raise ParameterError("phi", rule)
    check_range("top", top, 2)
    check_range("seeds", seeds, FEWEST_SEEDS, MOST_SEEDS)
    search = plan_again(folder)
    metric = search.space.compares
    if metric.goal == "max":
        raise ValueError(
            f"verify fits a law to a loss that falls, got {metric.name}, of which "
            "more is better: run the study's space with a larger budget instead"
        )
    if not quiet:
        log.info("training in %s/phi%g, %d at once", folder, phi, worker_count(options))
    scaled = scaled_networks(search, phi, top)
    packed = with_images(search, options.cache, [network.member.arch for network in scaled])
    run = runner_of(options, folder, search.plan.baseline.arch, search.space.functions)
    train_scaled(packed, scaled, phi, seeds, run)
    with locked(folder):
        finish(folder)
        with all_or_none(folder) as new:
            found = verification_of(search, scaled, phi, seeds)
            write_verified(search, found, new)
            select_into(new, open_search(folder))
            if (folder / "run.json").exists():
                write_pages(folder, new)
    return found


def report_on(folders: Sequence[Path], out: Path, kind: str | None) -> Path:
    """The path of a study's report, or in `out` of the comparison of several.

    A study without a selection is reported as far as its journal goes; it may be running.
    """
    if len(folders) == 1 and (folders[0] / TRAINING).exists():
        return write_front_report(folders[0], kind)
    for folder in folders:
        if not (folder / "selection.json").exists():
            write_csv(folder / "trials.csv", read_trials(folder))
            write_csv(folder / "curves.csv", read_curves(folder))
    if len(folders) == 1:
        return write_report(folders[0], kind)
    return write_comparison(folders, out, kind)
