"""What the terminal shows of a run, always at the same place.

The driver's screen and `status` draw the same thing, from a Progress.
"""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from scalesearch.search.progress import Progress, Row
from scalesearch.search.status import StudyStatus, study_status
from scalesearch.spaces.metric import LOSS, Metric
from scalesearch.terminal import rich_text
from scalesearch.units import duration, gpus

WIDTH = 100
TABLE_LINES = 3  # of the table beside its rows: its head, how many more, one to spare
WRAP = 8  # columns that a line loses where it is broken between words
COLUMNS = (
    "network",
    "state",
    "epochs",
    "seeds",
    "after",
    "loss",
    "behind, 95 %",
    "P(best)",
)
COMPARISON = 2  # of the columns, the last, which need a ranking


@contextmanager
def on_screen() -> Iterator[Callable[[Progress], None]]:
    """A function that shows a run's state on stderr's terminal, always at the same place."""
    shown: list[Progress] = []
    started = time.monotonic()

    def draw() -> RenderableType:
        if not shown:
            return rich_text("")
        return screen(shown[0], console.width, console.height, time.monotonic() - started)

    def show(progress: Progress) -> None:
        shown[:] = [progress]

    console = Console(stderr=True)
    with Live(get_renderable=draw, console=console, refresh_per_second=2, transient=True):
        yield show


def screen(
    progress: Progress, width: int = WIDTH, height: int | None = None, seconds: float = 0
) -> RenderableType:
    """A run's state: plan, what runs and what comes, networks' rows, warnings.

    With `height`, as many rows as fit into so many lines, but not fewer than three.
    """
    above = [
        rich_text(progress.study, style="bold"),
        rich_text(progress.plan),
        rich_text(f"now: {progress.stage}"),
        rich_text(counts(progress)),
        rich_text(spending(progress, seconds)),
    ]
    below = [*(rich_text(f"training {what}") for what in progress.running[:4]), *warnings(progress)]
    most = len(progress.rows)
    if height is not None:
        taken = sum(1 + len(text) // (width - WRAP) for text in (*above, *below))
        most = max(3, height - taken - TABLE_LINES)
    return Group(*above, networks(progress.rows, most, progress.metric), *below)


def networks(rows: Sequence[Row], most: int, metric: Metric = LOSS) -> RenderableType:
    """A table of the first `most` networks by that metric, and how many more there are."""
    # collapsed, so that the eight columns fit into a terminal of 80
    table = Table(box=None, pad_edge=False, collapse_padding=True)
    compared = any(row.p_best is not None for row in rows)  # a training compares nothing
    columns = COLUMNS if compared else COLUMNS[:-COMPARISON]
    for i, name in enumerate(columns):
        name = metric.name if name == "loss" else name
        table.add_column(name, justify="left" if i < 2 else "right", no_wrap=True)
    for row in rows[:most]:
        table.add_row(
            *map(rich_text, cells(row, metric)[: len(columns)]),
            style="dim" if row.state == "stopped" else "",
        )
    return Group(table, rich_text(f"and {len(rows) - most} more")) if len(rows) > most else table


def warnings(progress: Progress) -> list[Text]:
    """A line for each warning."""
    return [rich_text(f"warning: {warning}", style="yellow") for warning in progress.warnings]


def cells(row: Row, metric: Metric = LOSS) -> tuple[str, ...]:
    """A row as the screen has it; how far one is behind is above zero by any metric."""
    return (
        row.name,
        row.state,
        str(row.epochs or ""),
        str(row.seeds or ""),
        f"epoch {row.after}" if row.after else "",
        "" if row.loss is None else f"{metric.value(row.loss):.4f}",
        "" if row.interval is None else "{:.4f}..{:.4f}".format(*row.interval),
        "" if row.p_best is None else f"{row.p_best:.0%}",
    )


def counts(progress: Progress) -> str:
    """How many trials are where, and how far this run is."""
    where = {
        "done": progress.done,
        "paused": progress.paused,
        "running": len(progress.running),
        "in the queue": progress.queue,
        "failed": progress.failed,
    }
    said = ", ".join(f"{n} {state}" for state, n in where.items())
    if progress.expected:
        said += f"; {progress.ended} of about {progress.expected} of this run"
    return f"trials: {said}"


def spending(progress: Progress, seconds: float) -> str:
    """What the run has cost and will, and on what."""
    who = "as many at once as the cluster has room for"
    if progress.workers is not None:
        who = f"{progress.workers} at once"
    if progress.gpus_per_trial:
        hours = progress.gpus_per_trial * progress.trained_seconds / 3600
        who += f", {gpus(progress.gpus_per_trial)} each ({hours:.2f} GPU hours so far)"
    parts = [who, f"{duration(progress.trained_seconds)} of training"]
    if seconds:
        parts.append(f"{duration(seconds)} since the start")
    if progress.seconds_left is not None:
        parts.append(f"about {duration(progress.seconds_left)} left")
    return "; ".join(parts)


def follow(folder: Path, again: bool) -> None:
    """Print a study's status; with `again` every two seconds, until its driver ends."""
    out = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    in_place = Live(console=out, auto_refresh=False) if again and out.is_terminal else None
    with in_place or nullcontext():
        while True:
            found = study_status(folder)
            shown = status_text(found)
            if in_place:
                in_place.update(shown, refresh=True)
            else:
                out.print(shown)
            if not again or found.driver is None:
                return
            time.sleep(2)


def status_text(found: StudyStatus) -> RenderableType:
    """A study's status: what its journal says, and what its driver does and expects.

    Without a driver it is how the networks stand, for what the last one expected is past.
    """
    states = ", ".join(f"{n} {state}" for state, n in found.states.items())
    lines = [
        f"{found.study}: {found.trials} trials: {states}; {found.epochs} epochs, "
        f"{duration(found.trained_seconds)} of training; "
        f"{found.driver or 'no process'} runs it"
    ]
    lines += [f"on {node}: {n} trials" for node, n in found.nodes.items()]
    lines += [f"failed: {message}" for message in found.failures]
    if found.driver is not None and found.run is not None:
        return Group(rich_text("\n".join(lines)), screen(found.run))
    lines += [found.run.plan] if found.run else []
    shown: list[RenderableType] = [rich_text("\n".join(lines))]
    if found.networks:
        shown.append(networks(found.networks, len(found.networks), found.metric))
    return Group(*shown, *(warnings(found.run) if found.run else ()))
