"""A study directory that is kept at a URL too: s3://, gs://, any file system that fsspec knows.

The study itself stands in a directory here, for its journal is written line by line. What is new
is copied to the URL while it runs and in the end, the journal last, so that what stands there is
always whole: a driver on another machine goes on from it.
"""

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fsspec

from scalesearch.errors import ParameterError
from scalesearch.studies import JOURNAL, StudyLocked

DRIVER = "driver.json"
COPY_SECONDS = 30.0  # of work that the loss of the driver's machine may cost
GONE_SECONDS = 300.0  # without a word after which a driver is taken for dead


@dataclass(slots=True)
class Mirror:
    """A study's directory here and its URL; sizes and times of what has been copied."""

    folder: Path
    url: str
    files: Any  # fsspec's file system
    copied: dict[str, tuple[int, int]] = field(default_factory=dict)
    last: float = 0.0

    def pull(self) -> None:
        """Fetch what the URL has and this directory has not; refuse where a driver is alive there.

        Raises StudyLocked, naming that driver.
        """
        driver = self.driver()
        if driver is not None and driver["name"] != me():
            silent = time.time() - float(driver["time"])
            if silent < GONE_SECONDS:
                raise StudyLocked(
                    f"a study must have one driver at a time, and {self.url} has {driver['name']}, "
                    f"heard of {silent:.0f} s ago: wait for it, or stop it first"
                )
        for path in self.files.find(self.url) if self.files.exists(self.url) else []:
            name = path.partition(self.url.strip("/"))[2].lstrip("/")
            target = self.folder / name
            if name and name != DRIVER and not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                self.files.get_file(path, str(target))

    def push(self) -> None:
        """Copy what is new or has changed, the journal last, and say that this driver lives."""
        paths = [path for path in self.folder.rglob("*") if path.is_file()]
        for path in sorted(paths, key=lambda path: path.name == JOURNAL):
            name = path.relative_to(self.folder).as_posix()
            if path.name.startswith("."):  # it is being written
                continue
            stat = path.stat()
            state = (stat.st_size, stat.st_mtime_ns)
            if self.copied.get(name) != state:
                place = f"{self.url}/{name}"
                self.files.makedirs(place.rpartition("/")[0], exist_ok=True)
                self.files.put_file(str(path), place)
                self.copied[name] = state
        self.beat(time.time())
        self.last = time.monotonic()

    def driver(self) -> dict[str, Any] | None:
        """The driver that the URL names, None where it names none."""
        try:
            found: dict[str, Any] = json.loads(self.files.cat_file(f"{self.url}/{DRIVER}"))
        except (FileNotFoundError, ValueError):
            return None
        return found

    def push_seldom(self) -> None:
        """`push`, where that was COPY_SECONDS ago or more."""
        if time.monotonic() - self.last > COPY_SECONDS:
            self.push()

    def beat(self, seconds: float) -> None:
        """Write that this driver was alive then, in seconds since 1970; 0 says that it has ended.

        Another driver takes the study over where that is GONE_SECONDS ago.
        """
        self.files.makedirs(self.url, exist_ok=True)
        content = json.dumps({"name": me(), "time": seconds})
        self.files.pipe_file(f"{self.url}/{DRIVER}", content.encode())


def me() -> str:
    """This process as another driver is told of it."""
    return f"process {os.getpid()} on {socket.gethostname()}"


@contextmanager
def opened(url: str, folder: Path) -> Iterator[Mirror]:
    """The mirror of a study's directory below a URL: fetched from there, copied in the end.

    Raises ValueError, in one line, for a URL that no installed file system takes.
    """
    mirror = mirror_of(url, folder)
    mirror.pull()
    mirror.beat(time.time())
    try:
        yield mirror
    finally:
        mirror.push()
        mirror.beat(0.0)


def mirror_of(url: str, folder: Path) -> Mirror:
    """The mirror of a study's directory below a URL, nothing of it touched yet."""
    try:
        files, root = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise ParameterError(
            "mirror", f"must be a URL that fsspec opens, got {url}: {error}"
        ) from None
    return Mirror(folder, f"{root.rstrip('/')}/{folder.name}", files)
