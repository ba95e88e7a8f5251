"""The journal: Optuna's record on the disk, who may write it, and how it is opened.

Whatever moment its writer dies at, the next finds a record it can go on from.
"""

import fcntl
import os
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState

from scalesearch.trials.curve import LearningCurve, read_curve
from scalesearch.trials.key import PARTS, TrialKey

JOURNAL = "study.journal"
STUDY_NAME = "scalesearch"
ATTEMPTS = 5
# a damaged journal has lines that Optuna never writes; reading them raises one of these, for
# example RuntimeError for a trial of two values
JOURNAL_FAULTS = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    RuntimeError,
    ArithmeticError,
)
PART = "split"  # what the journal and the tables call a trial's part


class StudyLocked(ValueError):
    """Another process is running this study."""


def lock(file: TextIO) -> bool:
    """Whether the file could be locked. Tried some times: `driver_of` holds it for a moment."""
    for _ in range(ATTEMPTS):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            time.sleep(0.02)
    return False


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the study's directory for one writer. Raises StudyLocked, naming the one there is."""
    with (folder / ".lock").open("a+") as file:
        if not lock(file):
            file.seek(0)
            raise StudyLocked(
                f"a study must have one driver at a time, and {folder} has {file.read().strip()}: "
                "wait for it, or stop it first"
            )
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield


class WholeLines(JournalFileBackend):
    """A journal that a failed write leaves as it was: a full disk may take half a line.

    Without this the next line would be written behind that half, and neither could be read.
    """

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        path = Path(self._file_path)
        before = path.stat().st_size
        try:
            super().append_logs(logs)
        except OSError:
            os.truncate(path, before)
            raise


class HeldLock(JournalFileOpenLock):
    """No lock of the journal's own: `locked` holds the directory, and dies with its process."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        pass


def cut_torn_tail(path: Path) -> None:
    """Cut a half-written last line off the journal: that operation never happened."""
    if not path.exists():
        return
    with path.open("rb+") as file:
        content = file.read()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            file.truncate(whole)


@contextmanager
def whole_journal(folder: Path) -> Iterator[None]:
    """Turns what reading a damaged journal raises into a ValueError of one line."""
    try:
        yield
    except JOURNAL_FAULTS as error:
        raise ValueError(
            f"{folder / JOURNAL} must be Optuna's journal of this study, got "
            f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        ) from error


def frozen_trials(folder: Path) -> list[FrozenTrial]:
    """The journal's trials, read without writing to it. Raises ValueError where there is none."""
    if not (folder / JOURNAL).is_file():
        raise ValueError(f"a study's directory must have a {JOURNAL}, got none in {folder}")
    with whole_journal(folder):
        storage = JournalStorage(JournalFileBackend(str(folder / JOURNAL), HeldLock("")))
        study = optuna.load_study(study_name=STUDY_NAME, storage=storage)
        return study.get_trials(deepcopy=False)


def driver_of(folder: Path) -> str | None:
    """The process that runs a study now; None where none does."""
    path = folder / ".lock"
    if not path.exists():
        return None
    with path.open("r") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return file.read().strip()
        fcntl.flock(file, fcntl.LOCK_UN)
    return None


def params_of(key: TrialKey) -> dict[str, str | int]:
    """A trial's key as the parameters of Optuna's trial."""
    return {"candidate": key.network, "seed": key.seed, PART: key.part}


def key_of(recorded: FrozenTrial) -> TrialKey:
    """The key of a recorded trial. Raises LookupError or ValueError where it has none."""
    params = recorded.params
    part = PARTS[PARTS.index(params[PART])]
    return TrialKey(str(params["candidate"]), int(params["seed"]), part)


def latest(trials: Iterable[FrozenTrial]) -> dict[TrialKey, FrozenTrial]:
    """The last record of every trial: a failed trial may have been planned again."""
    return {key_of(frozen): frozen for frozen in trials}


@dataclass(slots=True)
class Record:
    """What the journal has of one trial: Optuna's id for it, its state, how far it is."""

    number: int
    state: TrialState
    curve: LearningCurve = ()  # of the epochs that it has trained and kept
    workers_lost: int = 0
    ended: int = 0  # the epoch that it came to its end with; its losses are on the disk

    @property
    def epochs(self) -> int:
        """How many epochs it has trained and kept."""
        return self.curve[-1].epoch if self.curve else 0


def record_of(frozen: FrozenTrial) -> Record:
    """What the journal has of a trial. Raises what a row of its curve that is none raises."""
    noted = frozen.user_attrs
    curve = read_curve(noted.get("curve", ()))
    # Optuna has no public name for what its storage calls a trial; a test holds this one
    return Record(
        frozen._trial_id,
        frozen.state,
        curve,
        int(noted.get("workers_lost", 0)),
        int(noted.get("ended", 0)),
    )
