"""A step of a user's own code, kept from harm to the process that it runs in.

It may take only so long and so much memory, what it prints is kept apart, it ends no process but a
child of its own, and no child that it forks goes on in its place.
"""

import os
import re
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, TextIO, TypeVar

from scalesearch.trials.train import TrialFailed

MOST_PRINTED = 1_000_000  # characters that are kept of what a trial prints
LOOK_SECONDS = 0.2  # between two looks at the memory
GIB = 2**30
STATUS = Path("/proc/self/status")  # Linux's
Result = TypeVar("Result")


class TooMuchMemory(TrialFailed):
    """A trial that took more memory than it may; its process may hold it still."""


class OverLimit(BaseException):
    """That a step took too long, or too much: no Exception, which a user's code may catch and go
    on."""

    def __init__(self, failure: TrialFailed) -> None:
        super().__init__(str(failure))
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Limits:
    """The seconds that a step may take, the bytes that a trial may add to what its process had when
    it began."""

    seconds: float
    memory: float
    had: int


def limits(seconds: float, memory: float | None) -> Limits:
    """The limits of a trial that begins now and may add `memory` GiB to its process; where that is
    None, half of what the machine has."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Limits(seconds, machine / 2 if memory is None else memory * GIB, own_memory())


def own_memory() -> int:
    """The bytes that this process has for itself, mapped files apart; 0 where no /proc tells."""
    if not STATUS.exists():
        return 0
    found = re.search(r"^RssAnon:\s+(\d+) kB$", STATUS.read_text(), re.MULTILINE)
    return int(found[1]) * 1024 if found else 0


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


def guarded(step: Callable[[], Result], most: Limits, printed: Printed) -> Result:
    """What `step` returns. Raises TrialFailed where it takes more than it may or ends the process,
    and whatever else it raises, whose traceback is kept with what it printed.
    """
    process = os.getpid()
    try:
        with (
            redirect_stdout(printed.instead_of(sys.stdout)),
            redirect_stderr(printed.instead_of(sys.stderr)),
            at_most(most),
        ):
            return step()
    except OverLimit as limit:
        raise limit.failure from None
    except (Exception, SystemExit) as error:
        if os.getpid() == process:
            printed.keep("".join(traceback.format_exception(error)))
        if isinstance(error, SystemExit):
            raise TrialFailed(f"training must not end its process, got {error!r}") from None
        raise
    finally:
        if os.getpid() != process:  # a child that was forked in the step and came back from it
            os._exit(1)


def too_long(seconds: float) -> str:
    """What is said of an epoch that takes longer than it may."""
    return f"an epoch must take at most {seconds:g} s (epoch_limit)"


def too_much(most: Limits) -> TooMuchMemory:
    """What is raised of a trial that takes more memory than it may."""
    gib = most.memory / GIB
    return TooMuchMemory(f"training must take at most {gib:.3g} GiB of memory (memory_limit)")


@contextmanager
def at_most(most: Limits) -> Iterator[None]:
    """Raises OverLimit after so many seconds, or beyond so much memory, in the process's main
    thread, which has signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ended, heavy = threading.Event(), threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        if not ended.is_set():
            raise OverLimit(
                too_much(most) if heavy.is_set() else TrialFailed(too_long(most.seconds))
            )

    def watch(thread: int) -> None:
        while not ended.wait(LOOK_SECONDS):
            if own_memory() - most.had > most.memory:
                heavy.set()
                return signal.pthread_kill(thread, signal.SIGALRM)

    before = signal.signal(signal.SIGALRM, stop)
    watcher = threading.Thread(target=watch, args=(threading.get_ident(),), daemon=True)
    signal.setitimer(signal.ITIMER_REAL, most.seconds)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        signal.setitimer(signal.ITIMER_REAL, 0)
        watcher.join()
        signal.signal(signal.SIGALRM, before)
