"""A study directory that is kept at a URL too: s3://, gs://, any file system that fsspec knows.

The study itself stands in a directory here, for its journal is written line by line. What is new
is copied to the URL while it runs and in the end; a driver on another machine goes on from there.

The two have one history: the journal of one is the beginning of the other's, and the longer is
taken. Where they have parted neither is touched.

A note at the URL says who drives the study, and the checksums of the copies. It is written before
they are, with the checksums of what is there and of what is to come: whenever a copy breaks off, a
file there that has one of its checksums is whole. The new copy stands beside the last whole one
until it is whole itself. The order is the study's own: the losses of a trial are there before the
journal calls it complete, and no checkpoint is ahead of the journal.
"""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from json import dumps
from pathlib import Path
from typing import Any

import fsspec
from pydantic import TypeAdapter, ValidationError

from scalesearch.errors import ParameterError
from scalesearch.files import write_bytes
from scalesearch.studies.artifacts import CHECKPOINTS
from scalesearch.studies.copies import (
    Note,
    Sums,
    contents_of,
    digest,
    history_of,
    inside,
    is_checkpoint,
    is_journal,
    needed,
    order,
    parent,
    visible,
)
from scalesearch.studies.journal import JOURNAL, StudyLocked, cut_torn_tail, locked

NOTE = "mirror.json"
COMING = ".part"  # a copy that is not whole yet
COPY_SECONDS = 30.0  # of work that the loss of the driver's machine may cost
GONE_SECONDS = 300.0  # without a word after which a driver is taken for dead


@dataclass(slots=True)
class Mirror:
    """A study's directory here and its URL. Hold the directory's lock."""

    folder: Path
    url: str
    files: Any  # fsspec's file system
    began: float = 0.0
    sums: Sums = field(default_factory=dict)  # of the copies, now that they have been made
    read: dict[str, tuple[int, int, str]] = field(default_factory=dict)  # size, time, checksum
    last: float = 0.0

    def pull(self) -> None:
        """Make this directory what the URL is, where that has come further.

        Raises StudyLocked where a driver is alive there, ValueError where the histories have parted
        or a copy that the study needs is not whole. Files land whole or not at all.
        """
        note = self.read_note()
        if note is None:
            if self.files.exists(f"{self.url}/{JOURNAL}"):
                raise ValueError(
                    f"a mirror must have the {NOTE} that was written with it, got none that can be "
                    f"read in {self.url}: give another mirror"
                )
            return
        refuse_living(note, self.url)
        self.sums = dict(note.files)
        journals = [name for name in self.sums if is_journal(name)]
        contents = {name: self.whole(name) or b"" for name in journals}
        # how far, in bytes, each history is behind the one there
        behind = {parent(name): self.behind(name, contents[name]) for name in journals}
        for name in sorted(self.sums, key=order):
            lag = behind.get(history_of(name, journals), 0)
            lacking = not (self.folder / name).exists() and (lag == 0 or not is_checkpoint(name))
            if lag > 0 or (lacking and name not in journals):
                content = contents[name] if name in journals else self.whole(name)
                if content is not None:
                    self.land(name, content)
        for path in self.folder.glob(f"**/{CHECKPOINTS}/*"):  # of trials that are complete there
            name = path.relative_to(self.folder).as_posix()
            if name not in self.sums and behind.get(history_of(name, journals), 0) > 0:
                path.unlink()

    def behind(self, name: str, there: bytes) -> int:
        """How many bytes a journal here, being the beginning of the one there, lacks of it; below
        0 where the one there is the beginning.

        Raises ValueError where neither is the other's beginning.
        """
        path = self.folder / name
        cut_torn_tail(path)
        here = path.read_bytes() if path.exists() else b""
        if not (there.startswith(here) or here.startswith(there)):
            a, b = here.splitlines(), there.splitlines()
            same = next(i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y)
            raise ValueError(
                f"a study must have one history, and {path} and {self.url}/{name} have parted "
                f"after {same} lines that both have: {len(a) - same} more here, {len(b) - same} "
                "there; give another mirror or name, or move the one that you can spare away"
            )
        return len(there) - len(here)

    def whole(self, name: str) -> bytes | None:
        """A file as it was copied, the newest copy; None where none is whole.

        Raises ValueError where that must not be: a journal, a trial's losses, its weights.
        """
        sums = self.sums[name]
        for place in (name + COMING, name) if len(sums) > 1 else (name,):
            try:
                content: bytes = self.files.cat_file(f"{self.url}/{place}")
            except FileNotFoundError:
                continue
            if digest(content) in sums:
                self.finish(place)
                return content
        if None not in sums and needed(name):
            raise ValueError(
                f"{self.url}/{name} must arrive as it was copied, and its checksum differs: try "
                "again, or give another mirror"
            )
        return None

    def land(self, name: str, content: bytes) -> None:
        """Put a fetched file in place here, whole or not at all."""
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        # another process may be verifying the study; the study's own journal is locked already
        alone = locked(target.parent) if is_journal(name) and name != JOURNAL else nullcontext()
        with alone:
            write_bytes(target, content, synced=True)

    def claim(self) -> None:
        """Write that this process drives the study."""
        self.began = time.time()
        self.write_note(time.time(), self.sums)

    def push(self, ended: bool = False) -> None:
        """Copy what is new or has changed, and say that this driver lives, or has ended.

        Raises StudyLocked where another driver has taken the study over meanwhile.
        """
        here = visible(self.folder)
        sums = {name: self.sum_of(name, path) for name, path in here.items()}
        changed = [name for name in sums if self.sums.get(name) != [sums[name]]]
        gone = [name for name in self.sums if is_checkpoint(name) and name not in here]
        files = dict(self.sums)
        for name in changed:
            files[name] = [*self.sums.get(name, [None]), sums[name]]
        for name in gone:
            files[name] = [None, *self.sums[name]]
        self.refuse_another()
        self.write_note(time.time(), files)
        for name in sorted(changed, key=order):
            content = contents_of(here[name])
            if digest(content) == sums[name]:  # else it has grown meanwhile, and waits
                self.put(name, content)
                self.sums[name] = [sums[name]]
        for name in gone:
            self.remove(name)
            del self.sums[name]
        if ended:
            self.tidy()
            self.write_note(0.0, self.sums)
        self.last = time.monotonic()

    def push_seldom(self) -> None:
        """`push`, where that was COPY_SECONDS ago or more."""
        if time.monotonic() - self.last > COPY_SECONDS:
            self.push()

    def sum_of(self, name: str, path: Path) -> str:
        """The checksum of a file here, read again where its size or time has changed."""
        stat = path.stat()
        size, moment, known = self.read.get(name, (-1, -1, ""))
        if (size, moment) != (stat.st_size, stat.st_mtime_ns):
            known = digest(contents_of(path))
            self.read[name] = (stat.st_size, stat.st_mtime_ns, known)
        return known

    def put(self, name: str, content: bytes) -> None:
        """Copy a file to the URL: beside the one that is there, then in its place."""
        place = f"{self.url}/{name}"
        self.files.makedirs(place.rpartition("/")[0], exist_ok=True)
        self.files.pipe_file(place + COMING, content)
        self.files.mv(place + COMING, place)

    def finish(self, place: str) -> None:
        """Put a whole copy in its place, where that broke off: the next is made beside it."""
        if place.endswith(COMING):
            self.files.mv(f"{self.url}/{place}", f"{self.url}/{place.removesuffix(COMING)}")

    def remove(self, name: str) -> None:
        """Take a file away at the URL."""
        if self.files.exists(f"{self.url}/{name}"):
            self.files.rm_file(f"{self.url}/{name}")

    def tidy(self) -> None:
        """Take away what copies that broke off have left, now that all are whole."""
        self.files.invalidate_cache()
        for path in self.files.find(self.url):
            if path.endswith(COMING):
                self.files.rm_file(path)

    def read_note(self) -> Note | None:
        """The note at the URL; None where there is none that is whole."""
        for place in (NOTE, NOTE + COMING):
            try:
                content = self.files.cat_file(f"{self.url}/{place}")
                note = TypeAdapter(Note).validate_json(content)
            except (FileNotFoundError, ValidationError):
                continue
            if strange := [name for name in note.files if not inside(name)]:
                raise ValueError(
                    f"the files of a mirror must lie in it, and {self.url}/{NOTE} names "
                    f"{strange[0]!r}: give another mirror"
                )
            self.finish(place)
            return note
        return None

    def write_note(self, seconds: float, files: Sums) -> None:
        """Write at the URL that this driver was alive then, and what is there or to come."""
        self.put(NOTE, dumps(asdict(Note(me(), self.began, seconds, files))).encode())

    def refuse_another(self) -> None:
        """Raise StudyLocked where the note is no longer that of this driver."""
        found = self.read_note()
        if found is None or (found.driver, found.began) != (me(), self.began):
            raise StudyLocked(
                f"a study must have one driver at a time, and {self.url} was taken over by "
                f"{found.driver if found else 'somebody'}: what was trained since stands in "
                f"{self.folder} alone"
            )


def refuse_living(note: Note, url: str) -> None:
    """Raise StudyLocked where a driver at the URL was heard of of late and is not this one."""
    silent = time.time() - note.time
    if note.driver != me() and silent < GONE_SECONDS:
        raise StudyLocked(
            f"a study must have one driver at a time, and {url} has {note.driver}, heard of "
            f"{silent:.0f} s ago: wait for it, or stop it first"
        )


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
    mirror.claim()
    try:
        yield mirror
    finally:
        mirror.push(ended=True)


@contextmanager
def mirror_at(url: str | None, folder: Path) -> Iterator[Mirror | None]:
    """The mirror of a study's directory below a URL, `opened`; None where none is wanted."""
    if url is None:
        yield None
    else:
        with opened(url, folder) as mirror:
            yield mirror


def mirror_of(url: str, folder: Path) -> Mirror:
    """The mirror of a study's directory below a URL, nothing of it touched yet."""
    try:
        files, root = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise ParameterError(
            "mirror", f"must be a URL that fsspec opens, got {url}: {error}"
        ) from None
    return Mirror(folder, f"{root.rstrip('/')}/{folder.name}", files)
