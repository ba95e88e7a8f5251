"""A step of a user's own code, kept from harm to the process that it runs in.

It may take only so long, what it prints is kept apart, it ends no process but a child of its own,
and no child that it forks goes on in its place.
"""

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from types import FrameType
from typing import Any, TextIO, TypeVar

from scalesearch.trials.train import TrialFailed

MOST_PRINTED = 1_000_000  # characters that are kept of what a trial prints
Result = TypeVar("Result")


class OverLimit(BaseException):
    """That a step took too long: no Exception, which a user's code may catch and go on."""


class Printed:
    """What one thread prints, kept in a file up to MOST_PRINTED; other threads print as before."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.kept = path.stat().st_size if path.exists() else 0
        self.thread = threading.get_ident()

    def instead_of(self, usual: TextIO) -> TextIO:
        """A stream to put in the place of stdout or stderr."""
        stream: Any = Stream(self, usual)
        return stream  # type: ignore[no-any-return]

    def keep(self, text: str) -> None:
        """Append what there is room for."""
        if room := MOST_PRINTED - self.kept:
            with self.path.open("a", encoding="utf-8", errors="replace") as file:
                file.write(text[:room])
            self.kept += min(room, len(text))


class Stream:
    """Stdout or stderr of which one thread's part is kept apart."""

    def __init__(self, printed: Printed, usual: TextIO) -> None:
        self._printed, self._usual = printed, usual

    def write(self, text: str) -> int:
        if threading.get_ident() != self._printed.thread:
            return self._usual.write(text)
        self._printed.keep(text)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._usual, name)


def guarded(step: Callable[[], Result], seconds: float, printed: Printed) -> Result:
    """What `step` returns. Raises TrialFailed where it takes longer or ends the process, and
    whatever else it raises, whose traceback is kept with what it printed.
    """
    process = os.getpid()
    try:
        with (
            redirect_stdout(printed.instead_of(sys.stdout)),
            redirect_stderr(printed.instead_of(sys.stderr)),
            at_most(seconds),
        ):
            return step()
    except OverLimit:
        raise TrialFailed(f"an epoch must take at most {seconds:g} s (epoch_limit)") from None
    except (Exception, SystemExit) as error:
        if os.getpid() == process:
            printed.keep("".join(traceback.format_exception(error)))
        if isinstance(error, SystemExit):
            raise TrialFailed(f"training must not end its process, got {error!r}") from None
        raise
    finally:
        if os.getpid() != process:  # a child that was forked in the step and came back from it
            os._exit(1)


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raises OverLimit after so many seconds, in the process's main thread, which has signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def over(number: int, frame: FrameType | None) -> None:
        raise OverLimit

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
