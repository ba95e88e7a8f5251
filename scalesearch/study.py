"""The study: Optuna's record of what is planned, running, trained and failed.

The only importer of optuna. One process at a time writes it, which a lock on the study's
directory sees to; whatever moment that process dies at, the next finds a record it can go on from.
"""

import fcntl
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
from numpy.typing import NDArray
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState

from scalesearch.train import Metrics
from scalesearch.trial import Trial, versions

JOURNAL = "study.journal"
STUDY_NAME = "scalesearch"
MAX_SEED = 2**31 - 1
MAX_WORKERS_LOST = 2
CURVE = ("epoch", "loss", "accuracy", "train_loss", "seconds")
Identity = tuple[str, int, str]  # network, seed, split


class StudyLocked(ValueError):
    """Another process is running this study."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the study's directory for one writer. Raises StudyLocked, naming the one there is."""
    with (folder / ".lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise StudyLocked(
                f"a study must have one driver at a time, and {folder} has {file.read().strip()}: "
                "wait for it, or stop it first"
            ) from None
        file.seek(0)
        file.truncate()
        file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield


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


class Study:
    """The trials of one study directory, in Optuna's journal there. Open it under `locked`.

    `keys` are the networks that the study compares, the baseline among them.
    """

    def __init__(self, folder: Path, keys: Iterable[str]) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.folder = folder
        cut_torn_tail(folder / JOURNAL)
        self._storage = JournalStorage(JournalFileBackend(str(folder / JOURNAL), _HeldLock("")))
        self._study = optuna.create_study(
            storage=self._storage,
            study_name=STUDY_NAME,
            direction="minimize",
            sampler=optuna.samplers.RandomSampler(seed=0),
            load_if_exists=True,
        )
        self._keys = tuple(keys)
        self._planned: dict[Identity, Trial] = {}
        self._running: dict[Identity, optuna.Trial] = {}

    def plan(self, trials: Iterable[Trial]) -> None:
        """Add what is not in the study yet, to be asked for in the order given."""
        trials = list(trials)
        self._planned |= {trial.identity: trial for trial in trials}
        known = self.recorded()
        for trial in trials:
            if trial.identity not in known:
                self._add(trial.identity)

    def _add(self, who: Identity) -> None:
        key, seed, split = who
        self._study.add_trial(
            optuna.create_trial(
                state=TrialState.WAITING,
                params={"candidate": key, "seed": seed, "split": split},
                distributions={
                    "candidate": CategoricalDistribution(self._keys),
                    "seed": IntDistribution(0, MAX_SEED),
                    "split": CategoricalDistribution(("val", "test")),
                },
            )
        )

    def release(self) -> int:
        """Put trials that a dead or stopped driver left running back in the queue; how many."""
        running = self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        for frozen in running:
            self._storage.set_trial_state_values(frozen._trial_id, TrialState.WAITING)
        self._running.clear()
        return len(running)

    def retry_failed(self) -> None:
        """Plan again the trials that failed; the record of the failure stays."""
        for who in self.failed():
            self._add(who)

    def failed(self) -> set[Identity]:
        """The trials that failed and have not been planned again since."""
        return {
            who
            for who, frozen in latest(self._study.get_trials(deepcopy=False)).items()
            if frozen.state == TrialState.FAIL
        }

    def recorded(self) -> set[Identity]:
        """Every trial in the study, whatever its state."""
        return {identity(frozen) for frozen in self._study.get_trials(deepcopy=False)}

    def finished(self, split: str) -> list[Identity]:
        """The trials of that split that ran to their end."""
        recorded = latest(self._study.get_trials(deepcopy=False))
        return [
            who
            for who, frozen in recorded.items()
            if who[2] == split and frozen.state == TrialState.COMPLETE
        ]

    def queue(self) -> list[Identity]:
        """The trials that are yet to be run."""
        waiting = self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        return [identity(frozen) for frozen in waiting]

    def waiting(self) -> int:
        """How many trials are yet to be run."""
        return len(self.queue())

    def ask(self) -> Trial | None:
        """The next planned trial, now running; None when there is none left."""
        if not self.waiting():
            return None  # Optuna would invent one
        asked = self._study.ask()
        who = identity(asked)
        self._running[who] = asked
        return self._planned[who]

    def report(self, trial: Trial, metrics: Metrics) -> None:
        """Record the validation loss after an epoch."""
        # unlike Trial.report this replaces what a trial that was interrupted had reported
        running = self._running[trial.identity]
        self._storage.set_trial_intermediate_value(running._trial_id, metrics.epoch, metrics.loss)

    def complete(self, trial: Trial, curve: list[Metrics], device: dict[str, str]) -> None:
        """Record a trial that ran to its end: losses of the examples, curve, value, in that order.

        Whatever is written before the value is written again if the process dies in between.
        """
        write_losses(self.folder, trial, curve[-1].losses)
        running = self._running.pop(trial.identity)
        running.set_user_attr("curve", [curve_row(metrics) for metrics in curve])
        running.set_user_attr("made_with", device)
        self._study.tell(running, curve[-1].loss)

    def lost(self, trial: Trial) -> None:
        """Put a trial whose worker died back in the queue; failed when it has died too often."""
        losses = self._running[trial.identity].user_attrs.get("workers_lost", 0) + 1
        self._running[trial.identity].set_user_attr("workers_lost", losses)
        if losses > MAX_WORKERS_LOST:
            self.fail(trial, f"its worker died {losses} times")
        else:
            running = self._running.pop(trial.identity)
            self._storage.set_trial_state_values(running._trial_id, TrialState.WAITING)

    def fail(self, trial: Trial, message: str) -> None:
        """Record a trial that raised, with its message."""
        running = self._running.pop(trial.identity)
        running.set_user_attr("error", message)
        running.set_user_attr("made_with", versions())
        self._study.tell(running, state=TrialState.FAIL)

    def curves(self) -> pd.DataFrame:
        """One row an epoch of every trial that ran to its end on the validation split."""
        rows = [
            {"candidate": who[0], "seed": who[1], **row}
            for who, frozen in latest(self._study.get_trials(deepcopy=False)).items()
            for row in frozen.user_attrs.get("curve", [])
            if who[2] == "val"
        ]
        return pd.DataFrame(rows, columns=["candidate", "seed", *CURVE])

    def trials(self) -> pd.DataFrame:
        """One row a trial: candidate, seed, state, loss, accuracy, epochs, seconds, message."""
        return trial_table(self._study.get_trials(deepcopy=False))


def read_trials(folder: Path) -> pd.DataFrame:
    """The trials of a study directory, read without writing to it.

    Raises ValueError where there is no study.
    """
    if not (folder / JOURNAL).is_file():
        raise ValueError(f"a study's directory must have a {JOURNAL}, got none in {folder}")
    storage = JournalStorage(JournalFileBackend(str(folder / JOURNAL), _HeldLock("")))
    study = optuna.load_study(study_name=STUDY_NAME, storage=storage)
    return trial_table(study.get_trials(deepcopy=False))


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
        done = frozen.state == TrialState.COMPLETE
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
    path = losses_path(folder, trial.identity)
    path.parent.mkdir(exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.save(file, losses.astype(np.float32), allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
