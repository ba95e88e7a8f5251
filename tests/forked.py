"""Drivers in processes of their own that have their imports already: forked from a server of them.

That they are what a user starts is what `in_a_process` is for; here a driver is killed, interrupted
or held to a full disk, twenty times and more, and the imports alone would take minutes.
"""

import multiprocessing
import multiprocessing.forkserver
import os
import resource
import signal
import sys
from collections.abc import Callable
from itertools import count
from multiprocessing.context import ForkServerProcess
from pathlib import Path

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["tests.forked", "scalesearch.search.run", "torch._dynamo"])


def fork(
    line: list[str],
    stderr: Path = Path(os.devnull),
    limit: int | None = None,
    step: int | None = None,
) -> ForkServerProcess:
    """The process of a command line (`tests.chaos.command`), in a process group of its own.

    Its messages go into the file `stderr`; the kernel lets it write no file beyond `limit` bytes.
    It kills itself when it is to put so many files and one more in place.
    """
    process = SERVER.Process(target=main_of, args=(line[2:], stderr, limit, step))
    process.start()
    return process


def main_of(arguments: list[str], stderr: Path, limit: int | None, step: int | None) -> None:
    """What the process does: the command line of `python -m scalesearch`."""
    from scalesearch.cli import main

    os.setsid()
    with stderr.open("w") as said, open(os.devnull, "w") as nowhere:
        os.dup2(said.fileno(), 2)
        os.dup2(nowhere.fileno(), 1)
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    if step is not None:
        kill_at(step)
    sys.argv = arguments
    main()


def kill_at(step: int) -> None:
    """Have this process kill itself before its file or folder of that number, from 0, is moved."""
    steps = count()

    def counted(move: Callable[[Path, Path], Path]) -> Callable[[Path, Path], Path]:
        def moved(path: Path, target: Path) -> Path:
            if next(steps) == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return move(path, target)

        return moved

    for name in ("replace", "rename"):
        setattr(Path, name, counted(getattr(Path, name)))


def wait(process: ForkServerProcess, seconds: float = 120) -> int:
    """The exit code of a process; minus the signal that killed it. Fails where it does not end."""
    process.join(seconds)
    assert process.exitcode is not None, "it did not end"
    return process.exitcode
