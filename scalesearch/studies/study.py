"""The study's one writer: what is planned, running, trained and failed."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.trial import TrialState

from scalesearch.files import write_bytes
from scalesearch.studies.artifacts import checkpoint_path, read_checkpoint, write_losses
from scalesearch.studies.journal import (
    JOURNAL,
    STUDY_NAME,
    HeldLock,
    Identity,
    WholeLines,
    cut_torn_tail,
    latest,
    whole_journal,
)
from scalesearch.studies.tables import CURVE, curve_table, trial_table
from scalesearch.trials.train import Metrics
from scalesearch.trials.trial import PARTS, Trial, versions

MAX_SEED = 2**31 - 1
MAX_WORKERS_LOST = 5  # of one trial; nodes come and go, but a trial may also kill its worker


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
            backend = WholeLines(str(folder / JOURNAL), HeldLock(""))
            self._storage = JournalStorage(backend)
            self._study = optuna.create_study(
                storage=self._storage,
                study_name=STUDY_NAME,
                direction="minimize",
                sampler=optuna.samplers.RandomSampler(seed=0),
                load_if_exists=True,
            )
            found = latest(self._study.get_trials(deepcopy=False))
            self._records: dict[Identity, Record] = {
                who: Record(frozen._trial_id, frozen.state, dict(frozen.user_attrs))
                for who, frozen in found.items()
            }
        self._keys = tuple(keys)
        self._pruner = None
        if asha is not None:
            self._pruner = optuna.pruners.SuccessiveHalvingPruner(asha, reduction_factor=2)
        self._distributions = {
            "candidate": CategoricalDistribution(self._keys),
            "seed": IntDistribution(0, MAX_SEED),
            "split": CategoricalDistribution(PARTS),
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
            path = checkpoint_path(self.folder, trial.identity)
            write_bytes(path, metrics.checkpoint, synced=True)
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


def curve_row(metrics: Metrics) -> dict[str, float]:
    """The metrics of an epoch without the examples' losses."""
    return {name: getattr(metrics, name) for name in CURVE}
