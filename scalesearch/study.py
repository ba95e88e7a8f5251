"""The study: Optuna's record of what is planned, running, trained and failed.

The only importer of optuna. One process at a time writes it, which a lock on the study's
directory sees to; whatever moment that process dies at, the next finds a record it can go on from.
"""

import fcntl
import io
import os
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import optuna
import pandas as pd
from numpy.typing import NDArray
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState

from scalesearch.train import Metrics
from scalesearch.trial import PARTS, Trial, versions

JOURNAL = "study.journal"
STUDY_NAME = "scalesearch"
MAX_SEED = 2**31 - 1
MAX_WORKERS_LOST = 5  # of one trial; nodes come and go, but a trial may also kill its worker
LOOKS = 5
CURVE = ("epoch", "loss", "accuracy", "train_loss", "seconds")
Identity = tuple[str, int, str]  # network, seed, part


class StudyLocked(ValueError):
    """Another process is running this study."""


def lock(file: TextIO) -> bool:
    """Whether the file could be locked; one that only looks holds it for a moment (driver_of)."""
    for _ in range(LOOKS):
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


class _WholeLines(JournalFileBackend):
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


class _HeldLock(JournalFileOpenLock):
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


@dataclass(slots=True)
class Record:
    """What the journal has of one trial: Optuna's id for it, its state, its attributes."""

    number: int
    state: TrialState
    notes: dict[str, Any]

    @property
    def curve(self) -> list[dict[str, Any]]:
        """The metrics of the epochs that it has trained and kept."""
        curve: list[dict[str, Any]] = self.notes.get("curve", [])
        return curve

    @property
    def epochs(self) -> int:
        """How many epochs it has trained and kept."""
        return self.curve[-1]["epoch"] if self.curve else 0


@contextmanager
def whole_journal(folder: Path) -> Iterator[None]:
    """Makes what a journal that is none makes Optuna raise a ValueError of one line."""
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError, AssertionError) as error:
        raise ValueError(
            f"{folder / JOURNAL} must be Optuna's journal of this study, got "
            f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        ) from error


class Study:
    """The trials of one study directory, in Optuna's journal there. Open it under `locked`.

    `keys` are the networks that the study compares, the baseline among them. What the journal
    says is read once: this is its only writer, and knows the rest. With `asha` Optuna's successive
    halving stops trials, all but the first key's, the baseline's, from that epoch on.
    """

    def __init__(self, folder: Path, keys: Iterable[str], asha: int | None = None) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.folder = folder
        cut_torn_tail(folder / JOURNAL)
        with whole_journal(folder):
            backend = _WholeLines(str(folder / JOURNAL), _HeldLock(""))
            self._storage = JournalStorage(backend)
            self._study = optuna.create_study(
                storage=self._storage,
                study_name=STUDY_NAME,
                direction="minimize",
                sampler=optuna.samplers.RandomSampler(seed=0),
                load_if_exists=True,
            )
            found = latest(self._study.get_trials(deepcopy=False))
        self._keys = tuple(keys)
        self._pruner = None
        if asha is not None:
            self._pruner = optuna.pruners.SuccessiveHalvingPruner(asha, reduction_factor=2)
        self._distributions = {
            "candidate": CategoricalDistribution(self._keys),
            "seed": IntDistribution(0, MAX_SEED),
            "split": CategoricalDistribution(PARTS),
        }
        self._records: dict[Identity, Record] = {
            who: Record(frozen._trial_id, frozen.state, dict(frozen.user_attrs))
            for who, frozen in found.items()
        }
        self._running = set(self._in_state(TrialState.RUNNING))
        self._reported: dict[Identity, list[Metrics]] = {}  # since each was last asked for
        self._planned: dict[Identity, Trial] = {}
        self._wanted: dict[Identity, Trial] = {}  # of the planned, in the order to be asked for

    def plan(self, trials: Iterable[Trial]) -> None:
        """Ask for these next, in the order given; those that the study has not yet are added.

        One that has trained as far as it is wanted, or has failed, is left as it is.
        """
        for trial in trials:
            who = trial.identity
            if who not in self._records:
                self._add(who)
            self._planned[who] = trial
        self._queue()

    def _queue(self) -> None:
        """Want every planned trial that waits and has not trained as far as it is to."""
        self._wanted = {
            who: trial
            for who, trial in self._planned.items()
            if (record := self._records[who]).state == TrialState.WAITING
            and record.epochs < trial.last
        }

    def _add(self, who: Identity) -> None:
        key, seed, split = who
        params = {"candidate": key, "seed": seed, "split": split}
        waiting = optuna.create_trial(
            state=TrialState.WAITING, params=params, distributions=self._distributions
        )
        number = self._storage.create_new_trial(self._study._study_id, template_trial=waiting)
        self._records[who] = Record(number, TrialState.WAITING, {})

    def _state(self, who: Identity, state: TrialState, value: float | None = None) -> None:
        record = self._records[who]
        values = None if value is None else [value]
        self._storage.set_trial_state_values(record.number, state, values)
        record.state = state
        if state == TrialState.RUNNING:
            self._running.add(who)
        else:
            self._running.discard(who)

    def _note(self, who: Identity, **notes: Any) -> None:
        record = self._records[who]
        for name, value in notes.items():
            self._storage.set_trial_user_attr(record.number, name, value)
        record.notes |= notes

    def _in_state(self, state: TrialState) -> list[Identity]:
        return [who for who, record in self._records.items() if record.state == state]

    def release(self) -> int:
        """Put trials that a dead or stopped driver left running back in the queue; how many."""
        running = sorted(self._running)
        for who in running:
            self._state(who, TrialState.WAITING)
        self._queue()
        return len(running)

    def retry_failed(self) -> None:
        """Add again the trials that failed; the record of the failure stays."""
        for who in self.failed():
            self._add(who)
        self._queue()

    def failed(self) -> set[Identity]:
        """The trials that failed and have not been added again since."""
        return set(self._in_state(TrialState.FAIL))

    def pruned(self) -> set[Identity]:
        """The trials that were stopped for good before their end."""
        return set(self._in_state(TrialState.PRUNED))

    def recorded(self) -> set[Identity]:
        """Every trial in the study, whatever its state."""
        return set(self._records)

    def finished(self, split: str) -> list[Identity]:
        """The trials of that split that ran to their end."""
        return [who for who in self._in_state(TrialState.COMPLETE) if who[2] == split]

    def history(self, split: str) -> dict[Identity, list[dict[str, Any]]]:
        """The curve of every trial of that split that reached a pause, a stop or its end."""
        return {
            who: record.curve
            for who, record in self._records.items()
            if who[2] == split and record.state != TrialState.FAIL and record.curve
        }

    def queue(self) -> list[Trial]:
        """The trials that are wanted and yet to be run."""
        return list(self._wanted.values())

    def running(self) -> list[Trial]:
        """The trials that are run now."""
        return [self._planned[who] for who in self._running]

    def trained(self, who: Identity) -> int:
        """How many epochs of a trial are on record."""
        return self._records[who].epochs if who in self._records else 0

    def ended(self) -> int:
        """How many trials ran to their end."""
        return len(self._in_state(TrialState.COMPLETE))

    def trained_seconds(self) -> float:
        """Seconds of training on record, of all trials together."""
        return float(sum(r.curve[-1]["seconds"] for r in self._records.values() if r.curve))

    def waiting(self) -> int:
        """How many trials are yet to be run."""
        return len(self._wanted)

    def ask(self) -> Trial | None:
        """The next trial that is wanted, now running; None when there is none left."""
        if not self._wanted:
            return None
        who = next(iter(self._wanted))
        trial = self._wanted.pop(who)
        self._state(who, TrialState.RUNNING)
        self._reported[who] = []
        # epochs that are not on record cannot be gone on from: their losses would be missing
        start = read_checkpoint(self.folder, who) if self._records[who].curve else None
        return replace(trial, start=start)

    def report(self, trial: Trial, metrics: Metrics) -> bool:
        """Record the validation loss after an epoch, and its checkpoint; whether to stop there."""
        key, _, part = trial.identity
        number = self._records[trial.identity].number
        # unlike Trial.report this replaces what a trial that was interrupted had reported
        self._storage.set_trial_intermediate_value(number, metrics.epoch, metrics.loss)
        reported = self._reported[trial.identity]
        reported.append(replace(metrics, checkpoint=None))
        if metrics.checkpoint is not None:
            # the record first: a checkpoint is never ahead of it
            self._keep(trial, reported)
            write_whole(checkpoint_path(self.folder, trial.identity), metrics.checkpoint)
        if self._pruner is None or key == self._keys[0] or part != "val":
            return False
        return self._pruner.prune(self._study, self._storage.get_trial(number))

    def _keep(self, trial: Trial, curve: list[Metrics]) -> None:
        """Record the rows of those epochs, each once, behind those before them."""
        rows = [curve_row(metrics) for metrics in curve]
        first = rows[0]["epoch"]
        before = [row for row in self._records[trial.identity].curve if row["epoch"] < first]
        self._note(trial.identity, curve=[*before, *rows])

    def complete(self, trial: Trial, curve: list[Metrics], device: dict[str, str]) -> None:
        """Record a trial that ran to its end: losses of the examples, curve, value, in that order.

        Whatever is written before the value is written again if the process dies in between.
        """
        who = trial.identity
        write_losses(self.folder, trial, curve[-1].losses)
        self._keep(trial, curve)
        self._note(who, made_with=device)
        self._state(who, TrialState.COMPLETE, curve[-1].loss)
        checkpoint_path(self.folder, who).unlink(missing_ok=True)

    def stopped(self, trial: Trial, curve: list[Metrics], device: dict[str, str]) -> None:
        """Record how far a trial came that pauses; it waits until it is wanted again."""
        self._keep(trial, curve)
        self._note(trial.identity, made_with=device)
        self._state(trial.identity, TrialState.WAITING)
        if curve[-1].epoch < trial.last:
            self.prune(trial.identity, f"successive halving, after epoch {curve[-1].epoch}")

    def prune(self, who: Identity, reason: str) -> None:
        """Close a trial that waits, with why it is not worth going on with."""
        record = self._records[who]
        if record.state != TrialState.WAITING:
            return
        self._wanted.pop(who, None)
        self._note(who, pruned=reason)
        if record.curve:  # Optuna's state for it; its value is the last loss, of that epoch alone
            self._state(who, TrialState.RUNNING)
            self._state(who, TrialState.PRUNED, record.curve[-1]["loss"])
            checkpoint_path(self.folder, who).unlink(missing_ok=True)
        else:
            self._state(who, TrialState.RUNNING)
            self._state(who, TrialState.PRUNED)

    def lost(self, trial: Trial) -> None:
        """Put a trial whose worker died back in the queue; failed when it has died too often."""
        who = trial.identity
        losses = self._records[who].notes.get("workers_lost", 0) + 1
        self._note(who, workers_lost=losses)
        if losses > MAX_WORKERS_LOST:
            self.fail(trial, f"its worker died {losses} times")
        else:
            self._state(who, TrialState.WAITING)
            self._wanted[who] = self._planned[who]

    def fail(self, trial: Trial, message: str) -> None:
        """Record a trial that raised, with its message."""
        checkpoint_path(self.folder, trial.identity).unlink(missing_ok=True)
        self._note(trial.identity, error=message, made_with=versions())
        self._state(trial.identity, TrialState.FAIL)

    def curves(self) -> pd.DataFrame:
        """One row an epoch of every trial on the validation split, as far as it is recorded."""
        return curve_table(self.history("val"))

    def trials(self) -> pd.DataFrame:
        """One row a trial: candidate, seed, state, loss, accuracy, epochs, seconds, message."""
        return trial_table(self._study.get_trials(deepcopy=False))


def frozen_trials(folder: Path) -> list[FrozenTrial]:
    """The journal's trials, read without writing to it. Raises ValueError where there is none."""
    if not (folder / JOURNAL).is_file():
        raise ValueError(f"a study's directory must have a {JOURNAL}, got none in {folder}")
    with whole_journal(folder):
        storage = JournalStorage(JournalFileBackend(str(folder / JOURNAL), _HeldLock("")))
        study = optuna.load_study(study_name=STUDY_NAME, storage=storage)
        return study.get_trials(deepcopy=False)


def read_trials(folder: Path) -> pd.DataFrame:
    """The trials of a study directory, read without writing to it.

    Raises ValueError where there is no study.
    """
    found = frozen_trials(folder)
    with whole_journal(folder):
        return trial_table(found)


def read_curves(folder: Path) -> pd.DataFrame:
    """The curves of a study directory, as `Study.curves` has them, read without writing to it."""
    found = latest(frozen_trials(folder))
    return curve_table(
        {
            who: frozen.user_attrs["curve"]
            for who, frozen in found.items()
            if who[2] == "val" and frozen.state != TrialState.FAIL and "curve" in frozen.user_attrs
        }
    )


def curve_table(history: Mapping[Identity, list[dict[str, Any]]]) -> pd.DataFrame:
    """Curves as a flat table, a row an epoch."""
    rows = [
        {"candidate": who[0], "seed": who[1], **row}
        for who, curve in history.items()
        for row in curve
    ]
    return pd.DataFrame(rows, columns=["candidate", "seed", *CURVE])


def read_status(folder: Path) -> dict[str, Any]:
    """How far a study is: trials by state, epochs and seconds spent, the driver, what is best.

    Raises ValueError where there is no study.
    """
    table = read_trials(folder)
    states = {str(k): int(v) for k, v in table["state"].value_counts().items()}
    done = table[(table["state"] == TrialState.COMPLETE.name) & (table["split"] == "val")]
    means = done.groupby("candidate")["loss"].mean().sort_values()
    return {
        "study": str(folder),
        "trials": len(table),
        "states": states,
        "epochs": int(table["epochs"].sum()),
        "trained_seconds": float(table["seconds"].fillna(0).sum()),
        "driver": driver_of(folder),
        "nodes": nodes_of(table),
        "failures": table.loc[table["error"].notna(), "error"].tolist(),
        "lowest_loss": {str(key): float(value) for key, value in means.head(3).items()},
    }


def nodes_of(table: pd.DataFrame) -> dict[str, int]:
    """How many trials each machine of a cluster has trained, of those where it is on record."""
    if "node" not in table:
        return {}
    return {str(node): int(n) for node, n in table["node"].value_counts().items()}


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


def identity(recorded: FrozenTrial | optuna.Trial) -> Identity:
    """What tells a recorded trial from the others."""
    params = recorded.params
    return str(params["candidate"]), int(params["seed"]), str(params["split"])


def latest(trials: Iterable[FrozenTrial]) -> dict[Identity, FrozenTrial]:
    """The last record of every trial: a failed trial may have been planned again."""
    return {identity(frozen): frozen for frozen in trials}


def trial_table(trials: Iterable[FrozenTrial]) -> pd.DataFrame:
    """Recorded trials as a flat table, a row each, in the order they were planned."""
    rows = []
    for frozen in trials:
        key, seed, split = identity(frozen)
        curve = frozen.user_attrs.get("curve", [])
        last: dict[str, Any] = curve[-1] if curve else {}
        done = frozen.state in (TrialState.COMPLETE, TrialState.PRUNED)
        rows.append(
            {
                "number": frozen.number,
                "candidate": key,
                "seed": seed,
                "split": split,
                "state": frozen.state.name,
                "epochs": max(frozen.intermediate_values, default=0),
                "loss": frozen.value if done else None,
                "accuracy": last.get("accuracy"),
                "train_loss": last.get("train_loss"),
                "seconds": last.get("seconds"),
                "error": frozen.user_attrs.get("error"),
                "pruned": frozen.user_attrs.get("pruned"),
                **frozen.user_attrs.get("made_with", {}),
            }
        )
    return pd.DataFrame(rows)


def curve_row(metrics: Metrics) -> dict[str, float]:
    """The metrics of an epoch without the examples' losses."""
    return {name: getattr(metrics, name) for name in CURVE}


def losses_path(folder: Path, who: Identity) -> Path:
    """Where the losses of a trial's held-out examples are."""
    key, seed, split = who
    return folder / "losses" / f"{key}-{seed}-{split}.npy"


def read_losses(folder: Path, who: Identity) -> NDArray[np.float32]:
    """The losses of a trial's held-out examples, in the data's order."""
    losses: NDArray[np.float32] = np.load(losses_path(folder, who), allow_pickle=False)
    return losses


def write_losses(folder: Path, trial: Trial, losses: NDArray[np.float32]) -> None:
    """Write the losses of a trial's held-out examples, whole or not at all."""
    file = io.BytesIO()
    np.save(file, losses.astype(np.float32), allow_pickle=False)
    write_whole(losses_path(folder, trial.identity), file.getvalue())


def checkpoint_path(folder: Path, who: Identity) -> Path:
    """Where a trial that is not at its end yet keeps what it goes on from."""
    key, seed, split = who
    return folder / "checkpoints" / f"{key}-{seed}-{split}.pt"


def read_checkpoint(folder: Path, who: Identity) -> bytes | None:
    """The bytes of a trial's checkpoint, None where it has none."""
    path = checkpoint_path(folder, who)
    return path.read_bytes() if path.exists() else None


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, and on the disk before this returns."""
    path.parent.mkdir(exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
