"""Ctrl-C, or SIGTERM: once lets the trials that run end and saves them, twice stops now."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def patient(tell: Callable[[str], None]) -> Iterator[Callable[[], bool]]:
    """A function that says whether an interrupt has asked to end; a second one is raised.

    Outside the main thread, which alone hears of signals, none ever asks.
    """
    asked = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        tell("the trials that run will end and be saved; Ctrl-C again stops now")

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
