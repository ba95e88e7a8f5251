"""Folders that files are made in before they are put in place; what killed processes left in them
is put in place too, or cleared.
"""

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from scalesearch.files import abandoned, clear_partials, this_process

# the process stands behind each and, for the last, what makes it unique
BEGUN, WRITTEN, SCRATCH = ".begun-", ".written-", "scalesearch-scratch-"


@contextmanager
def scratch() -> Iterator[Path]:
    """A temporary directory of this process; those that killed processes left are cleared."""
    for left in abandoned(Path(tempfile.gettempdir()), SCRATCH, r"-\w+"):
        shutil.rmtree(left, ignore_errors=True)  # of another user: it stays
    with tempfile.TemporaryDirectory(prefix=f"{SCRATCH}{this_process()}-") as made:
        yield Path(made)


@contextmanager
def all_or_none(folder: Path) -> Iterator[Path]:
    """A directory whose files are put into `folder` in the end: all of them or none.

    A process that is killed before then leaves the old files. One that is killed while they are
    put in place has decided for the new ones: `finish` puts the rest there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    begun = folder / f"{BEGUN}{this_process()}"
    shutil.rmtree(begun, ignore_errors=True)  # of an earlier process of that number
    begun.mkdir()
    try:
        yield begun
        finish(folder)
        begun.rename(folder / f"{WRITTEN}{this_process()}")
        finish(folder)
    finally:
        shutil.rmtree(begun, ignore_errors=True)


def finish(folder: Path) -> None:
    """Put in place what a process that was killed had written all of; drop what others had begun.

    Two processes may do so at once, the one that has written among them.
    """
    for written in folder.glob(f"{WRITTEN}*"):
        for path in [path for path in written.rglob("*") if path.is_file()]:
            target = folder / path.relative_to(written)
            target.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):  # the other was quicker
                path.replace(target)
        shutil.rmtree(written, ignore_errors=True)
    for begun in abandoned(folder, re.escape(BEGUN)):
        shutil.rmtree(begun, ignore_errors=True)
    clear_partials(folder)
