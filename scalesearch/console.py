"""What the terminal shows: one-line errors, tables within 100 columns, progress on stderr."""

import itertools
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from scalesearch.runners import Desk
from scalesearch.study import Identity
from scalesearch.train import Metrics
from scalesearch.trial import Trial


def say(text: str) -> None:
    """Print a line on stderr, where all but results goes."""
    print(text, file=sys.stderr, flush=True)


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table on stdout, at most 100 columns wide."""
    out = Console(width=min(100, Console().width) if sys.stdout.isatty() else 100)
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*(cell(value) for value in row))
    out.print(table)


def cell(value: Any) -> str:
    """A value as a table shows it; four digits are enough for a reader."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return " ".join(cell(item) for item in value)
    return "" if value is None else str(value)


def duration(seconds: float) -> str:
    """Seconds as a person says them: 42 s, 3 min 20 s, 2 h 5 min."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


@contextmanager
def watched(
    names: dict[str, str], expected: Mapping[Identity, float], quiet: bool
) -> Iterator[Callable[[Desk], Desk]]:
    """A function that makes a desk show what passes over it: bars on a terminal, else lines.

    `names` says how each network is to be called, `expected` how long each waiting trial takes
    beside the others.
    """
    if quiet:
        yield lambda desk: desk
    elif not sys.stderr.isatty():
        yield lambda desk: told_in_lines(desk, names, expected)
    else:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            yield lambda desk: told_in_bars(desk, names, expected, progress)


def label(trial: Trial, names: dict[str, str]) -> str:
    """A trial as the terminal names it."""
    return f"{names[trial.identity[0]]} seed {trial.seed}"


def time_left(expected: Mapping[Identity, float]) -> Callable[[Trial], float]:
    """A function of each trial as it ends: the seconds that those not yet ended will take."""
    started, ended = time.monotonic(), [0.0]
    total = sum(expected.values())

    def left(trial: Trial) -> float:
        ended[0] += expected[trial.identity]
        return (time.monotonic() - started) / ended[0] * (total - ended[0])

    return left


def told_in_lines(desk: Desk, names: dict[str, str], expected: Mapping[Identity, float]) -> Desk:
    """The desk, with a line on stderr for every trial that ends."""
    left = time_left(expected)
    ended = itertools.count(1)

    def tell(trial: Trial, what: str) -> None:
        done = f"[{next(ended)}/{len(expected)}]"
        say(f"{done} {label(trial, names)}: {what}; {duration(left(trial))} left")

    def complete(trial: Trial, curve: list[Metrics], made_with: dict[str, str]) -> None:
        desk.complete(trial, curve, made_with)
        last = curve[-1]
        tell(trial, f"loss {last.loss:.4f}, accuracy {last.accuracy:.2%}, {last.seconds:.0f} s")

    def stopped(trial: Trial, curve: list[Metrics], made_with: dict[str, str]) -> None:
        desk.stopped(trial, curve, made_with)
        last = curve[-1]
        tell(trial, f"loss {last.loss:.4f} after epoch {last.epoch}, {last.seconds:.0f} s")

    def fail(trial: Trial, message: str) -> None:
        desk.fail(trial, message)
        tell(trial, f"FAILED: {message}")

    return replace(desk, complete=complete, stopped=stopped, fail=fail)


def told_in_bars(
    desk: Desk, names: dict[str, str], expected: Mapping[Identity, float], progress: Progress
) -> Desk:
    """The desk, with a bar for all trials and one for each that runs."""
    everything = progress.add_task("trials", total=len(expected), note="")
    bars: dict[tuple[str, int, str], Any] = {}
    left = time_left(expected)

    def ask() -> Trial | None:
        trial = desk.ask()
        if trial is not None:
            bars[trial.identity] = progress.add_task(
                f"  {label(trial, names)}", total=trial.last, note=""
            )
        return trial

    def report(trial: Trial, metrics: Metrics) -> bool:
        note = f"loss {metrics.loss:.4f}"
        progress.update(bars[trial.identity], completed=metrics.epoch, note=note)
        return desk.report(trial, metrics)

    def close(trial: Trial) -> None:
        progress.remove_task(bars.pop(trial.identity))
        progress.update(everything, advance=1, note=f"{duration(left(trial))} left")

    def complete(trial: Trial, curve: list[Metrics], made_with: dict[str, str]) -> None:
        desk.complete(trial, curve, made_with)
        close(trial)

    def stopped(trial: Trial, curve: list[Metrics], made_with: dict[str, str]) -> None:
        desk.stopped(trial, curve, made_with)
        close(trial)

    def fail(trial: Trial, message: str) -> None:
        desk.fail(trial, message)
        progress.console.print(f"{label(trial, names)} FAILED: {message}", highlight=False)
        close(trial)

    def lost(trial: Trial) -> None:
        progress.remove_task(bars.pop(trial.identity))
        desk.lost(trial)

    return Desk(ask, report, stopped, complete, fail, lost)
