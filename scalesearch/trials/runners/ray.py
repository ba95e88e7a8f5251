"""The Ray runner: Ray Tune runs the trials in workers that are reused.

Tune is given a searcher that asks the driver for trials and tells it what came back, so that the
study stays the one record: nothing of Tune's own bookkeeping is kept or restored.
"""

import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import ray
from ray import tune
from ray.tune.search import Searcher

from scalesearch.data import PACK
from scalesearch.scratch import scratch
from scalesearch.trials.guarded import too_long
from scalesearch.trials.runners.ask_tell import DIED, AskTell, Failure
from scalesearch.trials.runners.cluster import joined
from scalesearch.trials.runners.together import run_together
from scalesearch.trials.runners.worker import Job, Outcome, Run, Worker, packed
from scalesearch.trials.train import Metrics
from scalesearch.trials.trial import Trial, decoded

EPOCHS = 10  # of the longest seen, for which a worker may be silent
Result = TypeVar("Result")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RayOptions:
    """Where and how wide: Ray's address (None: start one here), workers, the share of a GPU for
    each trial, or how many, and the kind of GPU; how many processes train a network together; the
    user's own functions, whose modules travel; Tune's callbacks; whether Ray's own messages and its
    workers' output are shown; for how many seconds a worker may be silent.
    """

    address: str | None = None
    workers: int | None = None
    gpus_per_trial: float = 0.0
    accelerator: str | None = None
    processes: int = 1
    functions: Sequence[str] = ()
    callbacks: Sequence[tune.Callback] = ()
    verbose: bool = False
    stall: float = 600.0


def run_ray(driver: AskTell, options: RayOptions, run: Run | None = None) -> None:
    """Run every trial that the driver has on Ray's workers, one CPU thread a process; by `run`, if
    it is given."""
    run = run or partial(run_together, size=options.processes)
    here = options.workers if options.address is None else None
    with joined(options.address, here, options.functions, options.verbose):
        if lacking := lacking_resources(options):
            log.warning("waiting: no node of the cluster has %s yet; `ray status` tells", lacking)
        searcher = DriverSearcher(driver, options, run)
        with scratch() as folder:
            tuner = tune.Tuner(
                tune.with_resources(Worker, wanted_resources),
                tune_config=tune.TuneConfig(
                    search_alg=searcher,
                    num_samples=-1,
                    max_concurrent_trials=options.workers,
                    reuse_actors=True,
                    trial_name_creator=trial_name,
                ),
                run_config=tune.RunConfig(
                    storage_path=str(folder),
                    name="trials",
                    verbose=0,
                    stop=searcher.stops,
                    callbacks=[*options.callbacks, Watch(searcher)],
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                ),
            )
            tuner.fit()
    if searcher.broken is not None:
        raise searcher.broken


def wanted_resources(config: Mapping[str, Any]) -> tune.PlacementGroupFactory:
    """What Tune is to hold for a slot."""
    return tune.PlacementGroupFactory([bundle(config["gpus"], config["accelerator"])])


def bundle(gpus: float, accelerator: str | None) -> dict[str, float]:
    """One CPU, the share of a GPU, and a trace of the kind of GPU, which Ray names so."""
    wanted = {"CPU": 1.0}
    if gpus:
        wanted["GPU"] = gpus
    if accelerator:
        wanted[f"accelerator_type:{accelerator}"] = 0.001
    return wanted


def lacking_resources(options: RayOptions) -> str:
    """What a trial needs and no node alive has, in words; nothing where one has it all."""
    wanted = bundle(options.gpus_per_trial, options.accelerator)
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]  # type: ignore[no-untyped-call]
    if any(all(node.get(name, 0) >= n for name, n in wanted.items()) for node in nodes):
        return ""
    return ", ".join(f"{n:g} {name}" for name, n in wanted.items())


def trial_name(trial: Any) -> str:
    """What Tune's callbacks call a trial."""
    return f"{trial.config['candidate']}-seed{trial.config['seed']}"


@dataclass(slots=True)
class Slot:
    """A worker in use: its trial, the worker's share of a GPU, what the trial has reported, when
    that was, and whether the worker was given up as silent."""

    trial: Trial
    share: float
    curve: list[Metrics] = field(default_factory=list)
    heard: float = field(default_factory=time.monotonic)
    given_up: bool = False
    failure: str = ""  # why its trial has failed with its worker


class DriverSearcher(Searcher):
    """Tune's searcher that stands between Tune and the driver, in its process.

    A trial of Tune's is a slot here: a worker that the driver's trials pass through. Tune takes an
    error of the driver's, a full disk for example, for the trial's. So the first such error is kept
    in `broken`, all that follows is let go, and run_ray raises it in the end.
    """

    def __init__(self, driver: AskTell, options: RayOptions, run: Run) -> None:
        super().__init__()
        self.driver = driver
        self.options = options
        self.run = run
        self.slots: dict[str, Slot] = {}
        self.data: dict[tuple[str, int | None, int], Any] = {}
        self.shares: dict[str, float] = {}  # of networks that ran out of memory on less
        self.held: list[Trial] = []  # asked for, and waiting for a larger share
        self.longest = 0.0  # seconds of an epoch
        self.broken: Exception | None = None

    def suggest(self, trial_id: str) -> Any:
        trial = self.guard(self.held.pop if self.held else self.driver.ask)
        if self.broken is not None:
            return Searcher.FINISHED
        if trial is None:
            # a worker that dies may still give its trial back
            return None if self.slots else Searcher.FINISHED
        share = self.share_of(trial)
        self.slots[trial_id] = Slot(trial, share)
        return {
            "candidate": trial.arch.key,
            "seed": trial.seed,
            "gpus": share,
            "accelerator": self.options.accelerator,
            "job": ray.put(self.job(trial, share)),
        }

    def share_of(self, trial: Trial) -> float:
        """The share of a GPU that a trial is given."""
        return self.shares.get(trial.arch.key, self.options.gpus_per_trial)

    def job(self, trial: Trial, share: float) -> Job:
        """A trial made ready to travel; its data are put into the object store once.

        Not where they are packed and all workers are on this machine: they map the same files.
        """
        start = None if trial.start is None else ray.put(trial.start)
        wanted = (trial.data, trial.train_examples, trial.val_examples)
        if not trial.data:  # a user's own training brings them
            self.data[wanted] = None
        if trial.data.startswith(PACK) and len(ray.nodes()) == 1:  # type: ignore[no-untyped-call]
            self.data.setdefault(wanted, None)
        if wanted not in self.data:
            try:
                self.data[wanted] = ray.put(packed(decoded(*wanted)))
            except (ValueError, OSError):
                self.data[wanted] = None  # the worker meets the same, and the trial says why
        if trial.custom and trial.custom.call and trial.custom.call.__module__ in sys.modules:
            # no worker has its module, and what it uses of it travels too
            module = sys.modules[trial.custom.call.__module__]
            ray.cloudpickle.register_pickle_by_value(module)  # type: ignore[no-untyped-call]
        placed = replace(trial, start=None, device="cuda" if share else "cpu")
        return Job(placed, start, self.data[wanted], self.run, share)

    def stops(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        """Whether a slot ends with that result: the driver has no trial to go on with in it."""
        outcome = result["outcome"]
        goes_on = self.guard(lambda: self.hear(trial_id, outcome))
        return self.broken is not None or not goes_on

    def hear(self, slot_id: str, outcome: Outcome) -> bool:
        """Tell what a step brought, hand over the next trial; whether the slot goes on."""
        slot = self.slots[slot_id]
        if not self.ended(slot, outcome):
            return True
        if isinstance(outcome.step, Failure) and outcome.step.ends_worker:
            del self.slots[slot_id]
            return True  # the worker raises at its next step, and Tune ends it
        # Tune's callbacks see a trial of Tune's for each of ours
        following = None if self.options.callbacks else self.following(slot.share)
        if following is None:
            del self.slots[slot_id]
            return False
        self.slots[slot_id] = Slot(following, slot.share)
        outcome.worker.take.remote(self.job(following, slot.share))
        return True

    def following(self, share: float) -> Trial | None:
        """The next trial for a worker with that share of a GPU; None where there is none."""
        trial = self.driver.ask()
        if trial is not None and self.share_of(trial) != share:
            self.held.append(trial)
            return None
        return trial

    def ended(self, slot: Slot, outcome: Outcome) -> bool:
        """Report a step; whether the trial has ended or pauses with it."""
        trial, step = slot.trial, outcome.step
        if isinstance(step, Metrics):
            self.longest = max(self.longest, epoch_seconds(slot.curve, step))
            slot.heard = time.monotonic()
            step = replace(step, weights=arrived(outcome.weights))
            if step.weights is None and outcome.weights is not None:
                self.driver.lost(trial)  # its worker died with them
                return True
            slot.curve.append(step)
            stop = self.driver.report(trial, replace(step, checkpoint=arrived(outcome.checkpoint)))
            if step.epoch == trial.recipe.epochs:
                self.driver.complete(trial, slot.curve, outcome.made_with)
            elif stop or step.epoch == trial.last:
                self.driver.stopped(trial, slot.curve, outcome.made_with)
            else:
                return False
        elif isinstance(step, Failure):
            self.failed(slot, step)
        else:  # one of the processes that train it together has died
            log.warning(DIED, "a process", trial.arch.key, trial.seed)
            self.driver.lost(trial)
        return True

    def failed(self, slot: Slot, failure: Failure) -> None:
        """Fail a trial; one that ran out of a GPU's memory is run again with twice the share."""
        if not (failure.out_of_memory and 0 < slot.share < 1):
            return self.driver.fail(slot.trial, failure.message)
        self.shares[slot.trial.arch.key] = min(1.0, 2 * slot.share)
        return self.driver.lost(slot.trial)

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """The end of a slot; where its worker died, its trial is handed back, or has failed."""
        slot = self.slots.pop(trial_id, None)
        if slot is not None and slot.failure:
            self.guard(lambda: self.driver.fail(slot.trial, slot.failure))
        elif slot is not None:
            if not slot.given_up:
                log.warning(DIED, "a worker", slot.trial.arch.key, slot.trial.seed)
            self.guard(lambda: self.driver.lost(slot.trial))

    def on_trial_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Nothing: `stops` has heard it."""

    def guard(self, call: Callable[[], Result]) -> Result | None:
        """The call's result, or None once the driver has failed."""
        if self.broken is not None:
            return None
        try:
            return call()
        except Exception as error:
            self.broken = error
            return None

    def __getstate__(self) -> dict[str, Any]:
        return {}  # Tune writes its configuration down, and nothing of this is to be restored

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the study is the record."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the study is the record."""


class Watch(tune.Callback):
    """Gives up workers that are silent: Tune then hears that they died, and hands trials back.

    None is given up before an epoch was seen: who knows how long one takes here. But an epoch of a
    user's own training has a limit, and fails its trial where it is beyond that.
    """

    def __init__(self, searcher: DriverSearcher) -> None:
        self.searcher = searcher

    def most(self, slot: Slot) -> float | None:
        """For how many seconds a worker may be silent; None where that is not known yet."""
        stall, longest = self.searcher.options.stall, self.searcher.longest
        if longest:
            return max(stall, EPOCHS * longest)
        custom = slot.trial.custom
        return custom.limit + stall if custom else None

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        searcher, now = self.searcher, time.monotonic()
        for trial in trials:
            slot = searcher.slots.get(trial.trial_id)
            if slot is None:
                continue
            silent, most = now - slot.heard, self.most(slot)
            if trial.status != "RUNNING" or most is None:
                slot.heard = now  # it waits for a worker
            elif silent > most:
                custom = slot.trial.custom
                if custom and silent > custom.limit:
                    slot.failure = f"TrialFailed: {too_long(custom.limit)}"
                said = "a worker of %s has reported nothing for %.0f s: its trial %s"
                log.warning(said, trial, silent, "has failed" if slot.failure else "is handed on")
                slot.heard, slot.given_up = now, True
                ray.kill(trial.temporary_state.ray_actor)


def epoch_seconds(curve: Sequence[Metrics], step: Metrics) -> float:
    """How long an epoch of training took, behind those before it; 0 where that is not known."""
    if curve:
        return step.seconds - curve[-1].seconds
    return step.seconds if step.epoch == 1 else 0.0


def arrived(stored: Any) -> bytes | None:
    """What a worker has put into the object store; None where nothing, or it died with it."""
    if stored is None:
        return None
    try:
        content: bytes = ray.get(stored)
    except ray.exceptions.RayError:
        return None
    return content
