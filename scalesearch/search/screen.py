"""What the terminal shows of a search that runs: one screen, or a line for every trial.

The driver's screen and `status` draw the same thing, from a Progress.
"""

import itertools
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from scalesearch.search.progress import Progress, Row, read_progress
from scalesearch.studies import read_status
from scalesearch.trials.key import TrialKey
from scalesearch.trials.runners import Desk
from scalesearch.trials.train import Metrics
from scalesearch.trials.trial import Trial
from scalesearch.units import duration

WIDTH = 100
OTHER_LINES = 12  # of the screen, beside the rows of its table
SELDOM = 0.5  # seconds between two looks at the study
COLUMNS = (
    "alpha/beta/gamma",
    "state",
    "epochs",
    "seeds",
    "after",
    "loss",
    "95 % interval",
    "P(best)",
)


@dataclass(frozen=True, slots=True)
class Watch:
    """What is to be known of a run, and the function that keeps it.

    `label` names a trial; `ahead` are the trials planned, waiting or running; `weight` is how long
    one takes beside the others; `look` makes a Progress of the last epochs of those that run and
    the seconds left; `keep` leaves it for `status`.
    """

    label: Callable[[Trial], str]
    ahead: Callable[[], list[Trial]]
    weight: Callable[[Trial], float]
    look: Callable[[Mapping[TrialKey, Metrics], float | None], Progress]
    keep: Callable[[Progress], None]


@dataclass(slots=True)
class Clock:
    """How long what is planned will take, from how long what has ended took."""

    watch: Watch
    started: float = field(default_factory=time.monotonic)
    spent: float = 0.0  # weight of the trials that ended
    begun: dict[TrialKey, float] = field(default_factory=dict)

    def begin(self, trial: Trial) -> None:
        """A trial begins: from now on its weight may change."""
        self.begun[trial.key] = self.watch.weight(trial)

    def end(self, trial: Trial) -> None:
        """A trial has come as far as it was to."""
        self.spent += self.begun.pop(trial.key)

    def left(self) -> float | None:
        """Seconds that the trials now planned will take; None before the first has ended."""
        if not self.spent:
            return None
        todo = sum(self.watch.weight(trial) for trial in self.watch.ahead())
        return (time.monotonic() - self.started) / self.spent * todo


@contextmanager
def watched(watch: Watch, quiet: bool, lines: bool) -> Iterator[Callable[[Desk], Desk]]:
    """A function that makes a desk show what passes over it: one screen on a terminal, else lines.

    With `lines`, these in any case. The run's state is kept for `status` whatever is shown.
    """
    clock = Clock(watch)
    if quiet or lines or not sys.stderr.isatty():
        tell = nothing if quiet else say
        yield lambda desk: looked_at(told(desk, watch, clock, tell, tell), watch, clock, watch.keep)
        return
    shown: list[Progress] = []

    def show(progress: Progress) -> None:
        shown[:] = [progress]
        watch.keep(progress)

    def draw() -> RenderableType:
        elapsed = time.monotonic() - clock.started
        return screen(shown[0], console.size.height, elapsed) if shown else Text("")

    console = Console(stderr=True)
    with Live(get_renderable=draw, console=console, refresh_per_second=2, transient=True):
        # the screen shows what ends well; why a trial failed stays to be read
        yield lambda desk: looked_at(told(desk, watch, clock, nothing, say), watch, clock, show)


def nothing(text: str) -> None:
    """Say nothing."""


def told(
    desk: Desk,
    watch: Watch,
    clock: Clock,
    tell: Callable[[str], None],
    tell_failure: Callable[[str], None],
) -> Desk:
    """The desk, with a line for every trial that ends."""
    ended = itertools.count(1)

    def close(trial: Trial, what: str, tell: Callable[[str], None] = tell) -> None:
        clock.end(trial)
        n, left = next(ended), clock.left() or 0.0
        total = n + len(watch.ahead())
        tell(f"[{n}/{total}] {watch.label(trial)}: {what}; {duration(left)} left")

    def ask() -> Trial | None:
        trial = desk.ask()
        if trial is not None:
            clock.begin(trial)
        return trial

    def complete(trial: Trial, curve: list[Metrics], made_with: dict[str, str]) -> None:
        desk.complete(trial, curve, made_with)
        end = curve[-1]
        close(trial, f"loss {end.loss:.4f}, accuracy {end.accuracy:.2%}, {end.seconds:.0f} s")

    def stopped(trial: Trial, curve: list[Metrics], made_with: dict[str, str]) -> None:
        desk.stopped(trial, curve, made_with)
        end = curve[-1]
        close(trial, f"loss {end.loss:.4f} after epoch {end.epoch}, {end.seconds:.0f} s")

    def fail(trial: Trial, message: str) -> None:
        desk.fail(trial, message)
        close(trial, f"FAILED: {message}", tell_failure)

    return replace(desk, ask=ask, complete=complete, stopped=stopped, fail=fail)


def looked_at(desk: Desk, watch: Watch, clock: Clock, show: Callable[[Progress], None]) -> Desk:
    """The desk, with the run's state shown when something passes over it, but not too often."""
    live: dict[TrialKey, Metrics] = {}
    last = 0.0

    def look(now: bool = False) -> None:
        nonlocal last
        if now or time.monotonic() - last > SELDOM:
            show(watch.look(live, clock.left()))
            last = time.monotonic()

    def ask() -> Trial | None:
        trial = desk.ask()
        look(now=trial is None)
        return trial

    def report(trial: Trial, metrics: Metrics) -> bool:
        live[trial.key] = metrics
        stop = desk.report(trial, metrics)
        look()
        return stop

    def end(trial: Trial, tell: Callable[[], None]) -> None:
        live.pop(trial.key, None)
        tell()
        look()

    return Desk(
        ask=ask,
        report=report,
        stopped=lambda trial, *rest: end(trial, lambda: desk.stopped(trial, *rest)),
        complete=lambda trial, *rest: end(trial, lambda: desk.complete(trial, *rest)),
        fail=lambda trial, message: end(trial, lambda: desk.fail(trial, message)),
        lost=lambda trial: end(trial, lambda: desk.lost(trial)),
    )


def screen(progress: Progress, height: int | None = None, seconds: float = 0) -> RenderableType:
    """A run's state: plan, what runs and what comes, every network's row, warnings."""
    most = len(progress.rows) if height is None else max(3, height - OTHER_LINES)
    return Group(
        Text(progress.study, style="bold"),
        Text(progress.plan),
        Text(f"now: {progress.stage}"),
        Text(counts(progress)),
        Text(spending(progress, seconds)),
        networks(progress.rows, most),
        *(Text(f"training {what}") for what in progress.running[:4]),
        *warnings(progress),
    )


def networks(rows: Sequence[Row], most: int) -> RenderableType:
    """A table of the first `most` networks, and how many more there are."""
    table = Table(box=None, pad_edge=False, width=WIDTH - 2)
    for i, name in enumerate(COLUMNS):
        table.add_column(name, justify="left" if i < 2 else "right", no_wrap=True)
    for row in rows[:most]:
        table.add_row(*map(Text, cells(row)), style="dim" if row.state == "stopped" else "")
    return Group(table, Text(f"and {len(rows) - most} more")) if len(rows) > most else table


def warnings(progress: Progress) -> list[Text]:
    """A line for each warning."""
    return [Text(f"warning: {warning}", style="yellow") for warning in progress.warnings]


def cells(row: Row) -> tuple[str, ...]:
    """A row as the screen has it."""
    return (
        row.name,
        row.state,
        str(row.epochs or ""),
        str(row.seeds or ""),
        f"epoch {row.after}" if row.after else "",
        "" if row.loss is None else f"{row.loss:.4f}",
        "" if row.interval is None else "{:.4f}..{:.4f}".format(*row.interval),
        "" if row.p_best is None else f"{row.p_best:.0%}",
    )


def counts(progress: Progress) -> str:
    """How many trials are where."""
    return (
        f"trials: {progress.done} done, {len(progress.running)} running, {progress.queue} in the "
        f"queue, {progress.failed} failed"
    )


def spending(progress: Progress, seconds: float) -> str:
    """What the run has cost and will, and on what."""
    who = "as many at once as the cluster has room for"
    if progress.workers is not None:
        who = f"{progress.workers} at once"
    if progress.gpus_per_trial:
        hours = progress.gpus_per_trial * progress.trained_seconds / 3600
        who += f", {progress.gpus_per_trial:g} of a GPU each ({hours:.2f} GPU hours so far)"
    parts = [who, f"{duration(progress.trained_seconds)} of training"]
    if seconds:
        parts.append(f"{duration(seconds)} since the start")
    if progress.seconds_left is not None:
        parts.append(f"about {duration(progress.seconds_left)} left of what is planned")
    return "; ".join(parts)


def follow(folder: Path, again: bool) -> None:
    """Print a study's status; with `again` every two seconds, until its driver ends."""
    out = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    in_place = Live(console=out, auto_refresh=False) if again and out.is_terminal else None
    with in_place or nullcontext():
        while True:
            found = read_status(folder)
            shown = status_text(found, read_progress(folder))
            if in_place:
                in_place.update(shown, refresh=True)
            else:
                out.print(shown)
            if not again or found["driver"] is None:
                return
            time.sleep(2)


def status_text(found: dict[str, Any], progress: Progress | None) -> RenderableType:
    """A study's status: what its journal says, and what its driver does and expects."""
    states = ", ".join(f"{n} {state}" for state, n in found["states"].items())
    lines = [
        f"{found['study']}: {found['trials']} trials: {states}; {found['epochs']} epochs, "
        f"{duration(found['trained_seconds'])} of training; "
        f"{found['driver'] or 'no process'} runs it"
    ]
    lines += [f"on {node}: {n} trials" for node, n in found["nodes"].items()]
    lines += [f"failed: {message}" for message in found["failures"]]
    if progress is None:
        lines += [f"{key}: loss {x:.4f}" for key, x in found["lowest_loss"].items()]
        return Text("\n".join(lines))
    if found["driver"] is None:  # what its last driver was at and expected is past
        rest = [Text(progress.plan), networks(progress.rows, len(progress.rows))]
        return Group(Text("\n".join(lines)), *rest, *warnings(progress))
    return Group(Text("\n".join(lines)), screen(progress))


def say(text: str) -> None:
    """Print a line on stderr, where all but results goes."""
    print(text, file=sys.stderr, flush=True)
