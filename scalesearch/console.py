"""What the terminal shows: one-line errors, tables within 100 columns, progress on stderr."""

import itertools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from scalesearch.files import duration
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
    # as plain text: a name with brackets in it is no markup
    table = Table(title=Text(title), title_justify="left", box=None, pad_edge=False)
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell(value)) for value in row))
    out.print(table)


def cell(value: Any) -> str:
    """A value as a table shows it; four digits are enough for a reader."""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return " ".join(cell(item) for item in value)
    return "" if value is None else str(value)


def follow(read: Callable[[], dict[str, Any]], watch: bool) -> None:
    """Print a study's status; with `watch` again every two seconds, until its driver ends."""
    while True:
        found = read()
        states = ", ".join(f"{n} {state}" for state, n in found["states"].items())
        print(
            f"{found['study']}: {found['trials']} trials: {states}; {found['epochs']} epochs, "
            f"{duration(found['trained_seconds'])} of training; "
            f"{found['driver'] or 'no process'} runs it",
            flush=True,
        )
        for key, loss in found["lowest_loss"].items():
            print(f"  {key}: loss {loss:.4f}")
        for message in found["failures"]:
            print(f"  failed: {message}")
        if not watch or found["driver"] is None:
            return
        time.sleep(2)


@dataclass(frozen=True, slots=True)
class Watch:
    """What the terminal needs to know of a run: names of networks, the trials ahead (waiting or
    running), and how long a trial takes beside the others.
    """

    names: dict[str, str]
    ahead: Callable[[], list[Trial]]
    weight: Callable[[Trial], float]

    def label(self, trial: Trial) -> str:
        """A trial as the terminal names it."""
        rate = "" if trial.rate == 1 else f" rate {trial.rate:g}x"
        return f"{self.names[trial.identity[0]]} seed {trial.seed}{rate}"


@contextmanager
def watched(watch: Watch, quiet: bool) -> Iterator[Callable[[Desk], Desk]]:
    """A function that makes a desk show what passes over it: bars on a terminal, else lines."""
    if quiet:
        yield lambda desk: desk
    elif not sys.stderr.isatty():
        yield lambda desk: told_in_lines(desk, watch)
    else:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            yield lambda desk: told_in_bars(desk, watch, progress)


def time_left(watch: Watch) -> Callable[[float], float]:
    """A function of each ended trial's weight: the seconds that those now planned will take."""
    started, ended = time.monotonic(), [0.0]

    def left(weight: float) -> float:
        ended[0] += weight
        todo = sum(watch.weight(trial) for trial in watch.ahead())
        return (time.monotonic() - started) / ended[0] * todo

    return left


def told_in_lines(desk: Desk, watch: Watch) -> Desk:
    """The desk, with a line on stderr for every trial that ends."""
    left = time_left(watch)
    ended = itertools.count(1)
    weights: dict[Identity, float] = {}

    def ask() -> Trial | None:
        trial = desk.ask()
        if trial is not None:
            weights[trial.identity] = watch.weight(trial)
        return trial

    def tell(trial: Trial, what: str) -> None:
        n, seconds = next(ended), left(weights[trial.identity])
        done = f"[{n}/{n + len(watch.ahead())}]"
        say(f"{done} {watch.label(trial)}: {what}; {duration(seconds)} left")

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

    return replace(desk, ask=ask, complete=complete, stopped=stopped, fail=fail)


def told_in_bars(desk: Desk, watch: Watch, progress: Progress) -> Desk:
    """The desk, with a bar for all trials that are planned and one for each that runs."""
    everything = progress.add_task("trials", total=len(watch.ahead()), note="")
    bars: dict[Identity, Any] = {}
    weights: dict[Identity, float] = {}
    ended = itertools.count(1)
    left = time_left(watch)

    def ask() -> Trial | None:
        trial = desk.ask()
        if trial is not None:
            weights[trial.identity] = watch.weight(trial)
            bars[trial.identity] = progress.add_task(
                f"  {watch.label(trial)}", total=trial.last, note=""
            )
        return trial

    def report(trial: Trial, metrics: Metrics) -> bool:
        note = f"loss {metrics.loss:.4f}"
        progress.update(bars[trial.identity], completed=metrics.epoch, note=note)
        return desk.report(trial, metrics)

    def close(trial: Trial) -> None:
        progress.remove_task(bars.pop(trial.identity))
        n, seconds = next(ended), left(weights[trial.identity])
        total, note = n + len(watch.ahead()), f"{duration(seconds)} left"
        progress.update(everything, completed=n, total=total, note=note)

    def complete(trial: Trial, curve: list[Metrics], made_with: dict[str, str]) -> None:
        desk.complete(trial, curve, made_with)
        close(trial)

    def stopped(trial: Trial, curve: list[Metrics], made_with: dict[str, str]) -> None:
        desk.stopped(trial, curve, made_with)
        close(trial)

    def fail(trial: Trial, message: str) -> None:
        desk.fail(trial, message)
        progress.console.print(f"{watch.label(trial)} FAILED: {message}", highlight=False)
        close(trial)

    def lost(trial: Trial) -> None:
        progress.remove_task(bars.pop(trial.identity))
        desk.lost(trial)

    return Desk(ask, report, stopped, complete, fail, lost)
