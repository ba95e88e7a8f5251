"""The study's one writer: what is planned, running, trained and failed."""

from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.storages import JournalStorage
from optuna.trial import TrialState

from scalesearch.files import clear_partials, write_bytes
from scalesearch.studies.artifacts import (
    CHECKPOINTS,
    LOSSES,
    checkpoint_path,
    end_path,
    read_checkpoint,
    write_end,
    write_losses,
    write_weights,
)
from scalesearch.studies.journal import (
    JOURNAL,
    PART,
    STUDY_NAME,
    HeldLock,
    Record,
    WholeLines,
    cut_torn_tail,
    latest,
    params_of,
    record_of,
    whole_journal,
)
from scalesearch.studies.tables import curve_table, trial_table
from scalesearch.trials.curve import LearningCurve
from scalesearch.trials.key import PARTS, Part, TrialKey
from scalesearch.trials.train import Metrics
from scalesearch.trials.trial import Trial, versions

MAX_SEED = 2**31 - 1
MAX_WORKERS_LOST = 5  # of one trial; nodes come and go, but a trial may also kill its worker


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
        for place in (folder, folder / LOSSES, folder / CHECKPOINTS):
            clear_partials(place)
        with whole_journal(folder):
            backend = WholeLines(str(folder / JOURNAL), HeldLock(""))
            self._storage = JournalStorage(backend)
            self._study = opened(self._storage)
            self._id = self._storage.get_study_id_from_name(STUDY_NAME)
            found = latest(self._study.get_trials(deepcopy=False))
            self._records = {key: record_of(frozen) for key, frozen in found.items()}
        self._keys = tuple(keys)
        self._pruner = None
        if asha is not None:
            self._pruner = optuna.pruners.SuccessiveHalvingPruner(asha, reduction_factor=2)
        self._distributions = {
            "candidate": CategoricalDistribution(self._keys),
            "seed": IntDistribution(0, MAX_SEED),
            PART: CategoricalDistribution(PARTS),
        }
        self._running = set(self._in_state(TrialState.RUNNING))
        self._reported: dict[TrialKey, list[Metrics]] = {}  # since each was last asked for
        self._planned: dict[TrialKey, Trial] = {}
        self._wanted: dict[TrialKey, Trial] = {}  # of the planned, in the order to be asked for

    def plan(self, trials: Iterable[Trial]) -> None:
        """Ask for these next, in the order given; those that the study has not yet are added.

        What was planned before and still waits comes after them. One that has trained as far as it
        is wanted, or has failed, is left as it is.
        """
        first = {trial.key: trial for trial in trials}
        for key in first:
            if key not in self._records:
                self._add(key)
        self._planned = first | {k: t for k, t in self._planned.items() if k not in first}
        self._queue()

    def _queue(self) -> None:
        """Want every planned trial that waits and has not trained as far as it is to."""
        self._wanted = {key: trial for key, trial in self._planned.items() if self.lacks(trial)}

    def _add(self, key: TrialKey) -> None:
        waiting = optuna.create_trial(
            state=TrialState.WAITING, params=params_of(key), distributions=self._distributions
        )
        number = self._storage.create_new_trial(self._id, template_trial=waiting)
        self._records[key] = Record(number, TrialState.WAITING)

    def _state(self, key: TrialKey, state: TrialState, value: float | None = None) -> None:
        record = self._records[key]
        values = None if value is None else [value]
        self._storage.set_trial_state_values(record.number, state, values)
        record.state = state
        if state == TrialState.RUNNING:
            self._running.add(key)
        else:
            self._running.discard(key)

    def _note(self, key: TrialKey, **notes: Any) -> None:
        for name, value in notes.items():
            self._storage.set_trial_user_attr(self._records[key].number, name, value)

    def _in_state(self, state: TrialState) -> list[TrialKey]:
        return [key for key, record in self._records.items() if record.state == state]

    def release(self) -> int:
        """Put trials that a dead or stopped driver left running back in the queue; how many.

        One that had ended, and whose value alone was not written any more, is complete.
        """
        running = sorted(self._running)
        for key in running:
            record = self._records[key]
            if record.ended == record.epochs > 0:
                self._state(key, TrialState.COMPLETE, record.curve[-1].loss)
                checkpoint_path(self.folder, key).unlink(missing_ok=True)
            else:
                self._state(key, TrialState.WAITING)
        self._queue()
        return len(running)

    def retry_failed(self) -> None:
        """Add again the trials that failed; the record of the failure stays."""
        for key in self.failed():
            self._add(key)
        self._queue()

    def failed(self) -> set[TrialKey]:
        """The trials that failed and have not been added again since."""
        return set(self._in_state(TrialState.FAIL))

    def pruned(self) -> set[TrialKey]:
        """The trials that were stopped for good before their end."""
        return set(self._in_state(TrialState.PRUNED))

    def recorded(self) -> set[TrialKey]:
        """Every trial in the study, whatever its state."""
        return set(self._records)

    def finished(self, part: Part) -> list[TrialKey]:
        """The trials of that part that ran to their end."""
        return [key for key in self._in_state(TrialState.COMPLETE) if key.part == part]

    def history(self, part: Part) -> dict[TrialKey, LearningCurve]:
        """The curve of every trial of that part that reached a pause, a stop or its end."""
        return {
            key: record.curve
            for key, record in self._records.items()
            if key.part == part and record.state != TrialState.FAIL and record.curve
        }

    def queue(self) -> list[Trial]:
        """The trials that are wanted and yet to be run."""
        return list(self._wanted.values())

    def running(self) -> list[Trial]:
        """The trials that are run now."""
        return [self._planned[key] for key in self._running]

    def settled(self, trial: Trial) -> bool:
        """Whether a trial neither waits nor runs: it is as far as it is wanted, or has failed."""
        return not self.lacks(trial) and trial.key not in self._running

    def lacks(self, trial: Trial) -> bool:
        """Whether a trial may still be trained as far as it is wanted."""
        record = self._records.get(trial.key)
        return record is None or (record.state == TrialState.WAITING and record.epochs < trial.last)

    def paused(self) -> int:
        """How many trials have come as far as they were wanted, and have not come to their end."""
        return sum(
            record.state == TrialState.WAITING and record.epochs > 0 and key not in self._wanted
            for key, record in self._records.items()
        )

    def trained(self, key: TrialKey) -> int:
        """How many epochs of a trial are on record."""
        return self._records[key].epochs if key in self._records else 0

    def made_with(self, key: TrialKey) -> dict[str, str]:
        """What a trial was trained with: device, versions, node; empty where it has not ended."""
        frozen = self._storage.get_trial(self._records[key].number)
        return dict(frozen.user_attrs.get("made_with", {}))

    def ended(self) -> int:
        """How many trials ran to their end."""
        return len(self._in_state(TrialState.COMPLETE))

    def trained_seconds(self) -> float:
        """Seconds of training on record, of all trials together."""
        return float(sum(r.curve[-1].seconds for r in self._records.values() if r.curve))

    def waiting(self) -> int:
        """How many trials are yet to be run."""
        return len(self._wanted)

    def ask(self) -> Trial | None:
        """The next trial that is wanted, now running; None when there is none left."""
        if not self._wanted:
            return None
        key = next(iter(self._wanted))
        trial = self._wanted.pop(key)
        self._state(key, TrialState.RUNNING)
        self._reported[key] = []
        # epochs that are not on record cannot be gone on from: their losses would be missing
        start = read_checkpoint(self.folder, key) if self._records[key].curve else None
        if self.evaluates(trial):
            validated = key._replace(part="val")
            weights = end_path(self.folder, validated).read_bytes()
            return replace(trial, begin=weights, trained=self._records[validated].curve[-1])
        return replace(trial, start=start)

    def evaluates(self, trial: Trial) -> bool:
        """Whether a trial trains nothing, for the weights that it is to look at are there."""
        validated = trial.key._replace(part="val")
        complete = validated in self._records and self._records[validated].ended
        return (
            trial.split == "test" and bool(complete) and end_path(self.folder, validated).exists()
        )

    def report(self, trial: Trial, metrics: Metrics) -> bool:
        """Record the validation loss after an epoch, and its checkpoint; whether to stop there."""
        key = trial.key
        number = self._records[key].number
        # unlike Trial.report this replaces what a trial that was interrupted had reported
        self._storage.set_trial_intermediate_value(number, metrics.epoch, metrics.loss)
        reported = self._reported[key]
        reported.append(replace(metrics, checkpoint=None, weights=None))
        if metrics.checkpoint is not None:
            # the record first: a checkpoint is never ahead of it
            self._keep(trial, reported)
            write_bytes(checkpoint_path(self.folder, key), metrics.checkpoint, synced=True)
        if self._pruner is None or key.network == self._keys[0] or key.part != "val":
            return False
        return self._pruner.prune(self._study, self._storage.get_trial(number))

    def _keep(self, trial: Trial, curve: list[Metrics]) -> None:
        """Record those epochs, each once, behind those before them."""
        record = self._records[trial.key]
        before = [point for point in record.curve if point.epoch < curve[0].epoch]
        whole = (*before, *(metrics.point for metrics in curve))
        self._note(trial.key, curve=[asdict(point) for point in whole])
        record.curve = whole

    def complete(self, trial: Trial, curve: list[Metrics], device: dict[str, str]) -> None:
        """Record a trial that ran to its end: losses of the examples, weights where they are kept,
        curve, value, in that order.

        What is written before the curve is written again if the process dies in between; after
        the curve the value alone is lacking, and `release` writes it.
        """
        key = trial.key
        write_losses(self.folder, trial, curve[-1].losses)
        if curve[-1].weights is not None:
            if trial.keep:
                write_weights(self.folder, trial, curve[-1].weights)
            else:
                write_end(self.folder, key, curve[-1].weights)
        self._records[key].ended = curve[-1].epoch
        self._note(key, made_with=device, ended=curve[-1].epoch)
        self._keep(trial, curve)
        self._state(key, TrialState.COMPLETE, curve[-1].loss)
        checkpoint_path(self.folder, key).unlink(missing_ok=True)

    def stopped(self, trial: Trial, curve: list[Metrics], device: dict[str, str]) -> None:
        """Record how far a trial came that pauses; it waits until it is wanted again."""
        self._keep(trial, curve)
        self._note(trial.key, made_with=device)
        self._state(trial.key, TrialState.WAITING)
        if curve[-1].epoch < trial.last:
            self.prune(trial.key, f"successive halving, after epoch {curve[-1].epoch}")
        self._queue()  # it may be wanted further by now

    def prune(self, key: TrialKey, reason: str) -> None:
        """Close a trial that waits, with why it is not worth going on with."""
        record = self._records[key]
        if record.state != TrialState.WAITING:
            return
        self._wanted.pop(key, None)
        self._note(key, pruned=reason)
        if record.curve:  # Optuna's state for it; its value is the last loss, of that epoch alone
            self._state(key, TrialState.RUNNING)
            self._state(key, TrialState.PRUNED, record.curve[-1].loss)
            checkpoint_path(self.folder, key).unlink(missing_ok=True)
        else:
            self._state(key, TrialState.RUNNING)
            self._state(key, TrialState.PRUNED)

    def lost(self, trial: Trial) -> None:
        """Put a trial whose worker died back in the queue; failed when it has died too often."""
        key = trial.key
        record = self._records[key]
        record.workers_lost += 1
        self._note(key, workers_lost=record.workers_lost)
        if record.workers_lost > MAX_WORKERS_LOST:
            died = f"its worker died {record.workers_lost} times"
            self.fail(trial, f"{died}, killed or for lack of memory: give fewer workers")
        else:
            self._state(key, TrialState.WAITING)
            self._queue()

    def fail(self, trial: Trial, message: str) -> None:
        """Record a trial that raised, with its message."""
        checkpoint_path(self.folder, trial.key).unlink(missing_ok=True)
        self._note(trial.key, error=message, made_with=versions())
        self._state(trial.key, TrialState.FAIL)

    def curves(self) -> pd.DataFrame:
        """One row an epoch of every trial on the validation split, as far as it is recorded."""
        return curve_table(self.history("val"))

    def trials(self) -> pd.DataFrame:
        """One row a trial: candidate, seed, state, loss, accuracy, epochs, seconds, message."""
        return trial_table(self._study.get_trials(deepcopy=False))


def opened(storage: JournalStorage) -> optuna.Study:
    """Optuna's study in a journal. One that is there is only read: `create_study` would write."""
    sampler = optuna.samplers.RandomSampler(seed=0)
    try:
        return optuna.load_study(study_name=STUDY_NAME, storage=storage, sampler=sampler)
    except KeyError:
        return optuna.create_study(
            study_name=STUDY_NAME, storage=storage, sampler=sampler, direction="minimize"
        )
