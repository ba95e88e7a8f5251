"""Folders that files are made in before they are put in place; what killed processes left in them
is put in place too, or cleared.
"""

import os
import re
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# this machine, a process's number and, for the last, what makes it unique stand behind each
BEGUN, WRITTEN, SCRATCH = ".begun-", ".written-", "scalesearch-scratch-"


def marked(prefix: str) -> str:
    """The name of a folder of this process."""
    return f"{prefix}{socket.gethostname()}-{os.getpid()}"


def abandoned(folder: Path, prefix: str) -> list[Path]:
    """Folders of that kind whose process ran on this machine, and runs no more."""
    name = re.compile(re.escape(f"{prefix}{socket.gethostname()}-") + r"(\d+)(-\w+)?")
    found = [(path, name.fullmatch(path.name)) for path in folder.glob(f"{prefix}*")]
    return [path for path, match in found if match and not alive(int(match[1]))]


@contextmanager
def scratch() -> Iterator[Path]:
    """A temporary directory of this process; those that killed processes left are cleared."""
    for left in abandoned(Path(tempfile.gettempdir()), SCRATCH):
        shutil.rmtree(left, ignore_errors=True)  # of another user: it stays
    with tempfile.TemporaryDirectory(prefix=f"{marked(SCRATCH)}-") as made:
        yield Path(made)


@contextmanager
def all_or_none(folder: Path) -> Iterator[Path]:
    """A directory whose files are put into `folder` in the end: all of them or none.

    A process that is killed before then leaves the old files. One that is killed while they are
    put in place has decided for the new ones: `finish` puts the rest there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    begun = folder / marked(BEGUN)
    shutil.rmtree(begun, ignore_errors=True)  # of an earlier process of that number
    begun.mkdir()
    try:
        yield begun
        finish(folder)
        begun.rename(folder / marked(WRITTEN))
        finish(folder)
    finally:
        shutil.rmtree(begun, ignore_errors=True)


def finish(folder: Path) -> None:
    """Put in place what a process that was killed had written all of; drop what it had begun."""
    for written in folder.glob(f"{WRITTEN}*"):
        for path in [path for path in written.rglob("*") if path.is_file()]:
            target = folder / path.relative_to(written)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
        shutil.rmtree(written)
    for begun in abandoned(folder, BEGUN):
        shutil.rmtree(begun, ignore_errors=True)


def alive(number: int) -> bool:
    """Whether a process of that number runs on this machine."""
    try:
        os.kill(number, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        pass
    return True
