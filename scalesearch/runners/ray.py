"""The Ray runner: Ray Tune runs the trials in workers that are reused. Ray is imported here only.

Tune is given a searcher that asks the desk and tells it what came back, so that the study stays
the one record: nothing of Tune's own bookkeeping is kept or restored.
"""

import logging
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import ray
from ray import tune
from ray.tune.search import Searcher

from scalesearch.runners.desk import Desk, Failure, advance
from scalesearch.train import Metrics
from scalesearch.trial import Trial, run_trial, versions

Result = TypeVar("Result")
# Tune's own output, result files and change of directory would all stand beside the study's
ENVIRONMENT = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one step of a worker brought: a dataclass, for Tune flattens dicts.

    A checkpoint travels by Ray's object store, not in what Tune keeps of every result.
    """

    step: Metrics | Failure | None
    made_with: dict[str, str]
    checkpoint: Any = None


@dataclass(frozen=True, slots=True)
class RayOptions:
    """Where and how wide: Ray's address (None: start one here), workers, GPUs for each trial."""

    address: str | None = None
    workers: int | None = None
    gpus_per_trial: float = 0.0


def run_ray(desk: Desk, options: RayOptions) -> None:
    """Run every trial that the desk has on Ray's workers, one CPU thread each."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # the desk hears of every failure
    ray.init(
        address=options.address,
        num_cpus=options.workers if options.address is None else None,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    searcher = DeskSearcher(desk)
    try:
        with tempfile.TemporaryDirectory(prefix="scalesearch-ray-") as scratch:
            tuner = tune.Tuner(
                tune.with_resources(Worker, {"cpu": 1, "gpu": options.gpus_per_trial}),
                tune_config=tune.TuneConfig(
                    search_alg=searcher,
                    num_samples=-1,
                    max_concurrent_trials=options.workers,
                    reuse_actors=True,
                ),
                run_config=tune.RunConfig(
                    storage_path=scratch,
                    name="trials",
                    verbose=0,
                    stop=searcher.stops,
                    checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                ),
            )
            tuner.fit()
    finally:
        ray.shutdown()
    if searcher.broken is not None:
        raise searcher.broken


class Worker(tune.Trainable):
    """Tune's view of one worker: each step is one epoch of the trial in hand."""

    def setup(self, config: dict[str, Any]) -> None:
        trial, start = config["trial"], config["start"]
        self.epochs: Iterator[Metrics] = run_trial(replace(trial, start=start and ray.get(start)))
        self.last = trial.last

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        step = advance(self.epochs)
        done = not isinstance(step, Metrics) or step.epoch == self.last
        kept = None
        if isinstance(step, Metrics) and step.checkpoint is not None:
            kept, step = ray.put(step.checkpoint), replace(step, checkpoint=None)
        return {"outcome": Outcome(step, versions(), kept), "done": done}


class DeskSearcher(Searcher):
    """Tune's searcher that stands between Tune and the desk, in the driver's process.

    Tune takes an error of the desk's, a full disk for example, for the trial's. So the first such
    error is kept in `broken`, all that follows is let go, and run_ray raises it in the end.
    """

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk
        self.running: dict[str, tuple[Trial, list[Metrics]]] = {}
        self.stopping: set[str] = set()
        self.broken: Exception | None = None

    def suggest(self, trial_id: str) -> Any:
        trial = self.guard(self.desk.ask)
        if self.broken is not None:
            return Searcher.FINISHED
        if trial is None:
            # a worker that dies may still give its trial back
            return None if self.running else Searcher.FINISHED
        self.running[trial_id] = (trial, [])
        start = None if trial.start is None else ray.put(trial.start)
        return {"trial": replace(trial, start=None), "start": start}

    def stops(self, trial_id: str, result: Mapping[str, Any]) -> bool:
        """Whether a trial is to stop after that result, which Tune tells on_trial_result next."""
        self.on_trial_result(trial_id, result)
        return self.broken is not None or trial_id in self.stopping

    def on_trial_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
        self.guard(lambda: self.hear(trial_id, result["outcome"]))

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        outcome = result["outcome"] if result and not error else Outcome(None, {})
        self.guard(lambda: self.end(trial_id, outcome))

    def hear(self, trial_id: str, outcome: Outcome) -> None:
        """Report an epoch's metrics, once; Tune repeats the last."""
        trial, curve = self.running[trial_id]
        step = outcome.step
        if isinstance(step, Metrics) and (not curve or curve[-1].epoch < step.epoch):
            if outcome.checkpoint is not None:
                step = replace(step, checkpoint=ray.get(outcome.checkpoint))
            curve.append(replace(step, checkpoint=None))
            if self.desk.report(trial, step):
                self.stopping.add(trial_id)

    def end(self, trial_id: str, outcome: Outcome) -> None:
        """Tell the desk how a trial ended."""
        self.hear(trial_id, outcome)
        trial, curve = self.running.pop(trial_id)
        if isinstance(outcome.step, Failure):
            self.desk.fail(trial, outcome.step.message)
        elif outcome.step is None:
            self.desk.lost(trial)
        elif outcome.step.epoch == trial.recipe.epochs:
            self.desk.complete(trial, curve, outcome.made_with)
        elif outcome.step.epoch == trial.last or trial_id in self.stopping:
            self.desk.stopped(trial, curve, outcome.made_with)
        else:
            self.desk.lost(trial)

    def guard(self, call: Callable[[], Result]) -> Result | None:
        """The call's result, or None once the desk has failed."""
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
