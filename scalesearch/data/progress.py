"""How far something is that takes a while: a bar on a terminal, else a line now and then."""

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from scalesearch.terminal import printable
from scalesearch.units import duration

SECONDS = 20.0  # from one line to the next
log = logging.getLogger(__name__)


@contextmanager
def counting(what: str, total: int, done: int = 0) -> Iterator[Callable[[int], None]]:
    """A function that is told how many more are done, and shows it with the time left."""
    if not sys.stderr.isatty():
        yield lines(what, total, done)
        return
    columns = TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn()
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task(printable(what), total=total, completed=done)
        yield lambda more: bar.advance(task, more)


def lines(what: str, total: int, done: int) -> Callable[[int], None]:
    """A function that logs a line every SECONDS."""
    begun, so_far, said = time.monotonic(), done, time.monotonic()

    def advance(more: int) -> None:
        nonlocal so_far, said
        so_far += more
        now = time.monotonic()
        if now - said >= SECONDS and so_far < total:
            said = now
            left = (now - begun) / (so_far - done) * (total - so_far)
            log.info("%s: %d done, %s left", what, so_far, duration(left))

    return advance
