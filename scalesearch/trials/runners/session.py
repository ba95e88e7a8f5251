"""Where Ray's session is while a run lasts, and what is left of killed ones; needs no Ray."""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from scalesearch.files import unowned

SESSION = "scalesearch-ray-"
ROOM = 10  # characters of a place for it: the kernel takes 107 of a socket's path


@contextmanager
def session() -> Iterator[Path]:
    """A temporary directory for Ray's session; Ray's own would stay for good."""
    with tempfile.TemporaryDirectory(
        dir=place(), prefix=f"{SESSION}{os.getpid()}-", ignore_cleanup_errors=True
    ) as made:
        yield Path(made)


def clear_sessions() -> None:
    """Clear what this user's killed runs left: their sessions, and two of Ray's agents, which write
    there for a minute more."""
    for left in unowned(Path(place()), rf"{SESSION}(\d+)-\w+"):
        if left.stat().st_uid == os.getuid():
            end_processes(left)
            removed(left)


def place() -> str:
    """Where sessions are: the directory of temporary files, unless its name is too long."""
    found = tempfile.gettempdir()
    return found if len(found) <= ROOM else "/tmp"


def end_processes(folder: Path) -> None:
    """End this user's processes of Ray with that session; none where no /proc tells.

    Its daemons name it on their command line, its agents and workers have files in it.
    """
    ended = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended, or is another user's
            if of_session(process, folder):
                os.kill(int(process.name), signal.SIGKILL)
                ended.append(process)
    for _ in range(100):  # until none of them writes there any more
        if not any((process / "exe").exists() for process in ended):
            return
        time.sleep(0.02)


def of_session(process: Path, folder: Path) -> bool:
    """Whether a process, by its directory in /proc, is one of Ray's with that session."""
    line = (process / "cmdline").read_bytes()
    if line.startswith(b"ray::"):
        return any(file.readlink().is_relative_to(folder) for file in (process / "fd").iterdir())
    return b"/ray/" in line and os.fsencode(folder) in line


def removed(folder: Path) -> None:
    """Remove a folder into which processes that are ending may still write."""
    for _ in range(50):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.02)
