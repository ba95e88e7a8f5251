"""How far a study is, as `status` says it: from its files alone, while a driver runs it too."""

from dataclasses import asdict, dataclass
from pathlib import Path

from scalesearch.plans.document import read_plan
from scalesearch.search.progress import Progress, Row, read_progress, rows
from scalesearch.selection.losses import curves_of
from scalesearch.selection.selection import Selection, find_selection
from scalesearch.spaces.metric import LOSS, Metric
from scalesearch.studies import Status, read_history, read_status


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyStatus(Status):
    """How far a study is by its journal, how its networks stand, what its last driver left.

    `networks` are as the selection has them, where there is one and nothing runs; else as that
    driver, `run`, saw them. Both are empty where no driver left a word. Losses in them are what
    `metric` says (Metric.loss).
    """

    networks: tuple[Row, ...]
    run: Progress | None
    metric: Metric = LOSS


def study_status(folder: Path) -> StudyStatus:
    """How far a study is, read without writing to it. Raises ValueError where there is none."""
    found, run = read_status(folder), read_progress(folder)
    selection = find_selection(folder) if found.driver is None else None
    networks = run.rows if run else ()
    metric = run.metric if run else LOSS
    if selection is not None:
        networks, metric = selected_rows(folder, selection), selection.compares
    return StudyStatus(**asdict(found), networks=networks, run=run, metric=metric)


def selected_rows(folder: Path, selection: Selection) -> tuple[Row, ...]:
    """The networks of a study as its selection has them."""
    plan, curves = read_plan(folder), curves_of(read_history(folder))
    states = {key: "stopped" if key in selection.stopped else "" for key in plan.names}
    seeds = 1 + max((seed for _, seed in curves), default=0)
    return rows(plan.names, plan.baseline.key, curves, states, seeds, selection)
