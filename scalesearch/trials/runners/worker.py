"""A Ray worker: an actor that takes one trial after the other from the driver, epoch by epoch."""

import socket
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import ray
import torch
from numpy.typing import NDArray
from ray import tune

from scalesearch.data import PACK, DataSet, Images
from scalesearch.spaces.metric import LOSS
from scalesearch.trials.runners.ask_tell import Failure, advance
from scalesearch.trials.train import Metrics
from scalesearch.trials.trial import Reader, Trial, decoded, versions

Run = Callable[[Trial, Reader], Iterator[Metrics | Failure]]
Arrays = tuple[NDArray[Any], NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Job:
    """A trial as it travels: its checkpoint and its data stand in Ray's object store."""

    trial: Trial
    start: Any  # ObjectRef of a checkpoint's bytes
    data: Any  # ObjectRef of a data set's arrays; None where the worker is to read them itself
    run: Run
    share: float = 0.0  # of a GPU


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one step of a worker brought, and the worker itself: a dataclass, for Tune flattens
    dicts. A checkpoint and weights travel by Ray's object store."""

    step: Metrics | Failure | None
    made_with: dict[str, str]
    checkpoint: Any
    weights: Any
    worker: Any


class Worker(tune.Trainable):
    """Tune's view of one worker: each step is one epoch of the trial in hand.

    One of Tune's own trials holds a worker for as long as the driver has trials for it: it hands
    over the next one (`take`) before Tune asks for another step. A trial of Tune's for each of
    ours would cost 0.3 s.
    """

    def setup(self, config: dict[str, Any]) -> None:
        self.broken = False
        self.take(ray.get(config["job"]))

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)
        return True

    def take(self, job: Job) -> None:
        """The trial to train from the next step on; nothing of it is looked at before."""
        self.job: Job | None = job

    def step(self) -> dict[str, Any]:
        if self.broken:  # Tune ends a worker that raises; its trial has been reported
            raise RuntimeError("another trial must have another process")
        if self.job is not None:
            self.device, custom = self.job.trial.device, self.job.trial.custom
            self.metric = custom.metric if custom else LOSS
            self.epochs, self.job = begun(self.job), None
        step = advance(self.epochs)
        self.broken = isinstance(step, Failure) and step.ends_worker
        checkpoint = weights = None
        if isinstance(step, Metrics):
            checkpoint, weights = stored(step.checkpoint), stored(step.weights)
            step = replace(step, checkpoint=None, weights=None)
        # a GPU that has failed may not even tell its name
        made_with = {} if isinstance(step, Failure) else versions(self.device)
        made_with |= {"node": socket.gethostname()}
        here = ray.get_runtime_context().current_actor
        outcome = Outcome(step, made_with, checkpoint, weights, here)
        return {"outcome": outcome, **self.shown(step)}

    def shown(self, step: object) -> dict[str, float]:
        """What trackers are shown of an epoch: its loss and accuracy, or a user's own metric."""
        if not isinstance(step, Metrics):
            return {}
        if step.accuracy is not None:
            return {"epoch": step.epoch, "loss": step.loss, "accuracy": step.accuracy}
        return {"epoch": step.epoch, self.metric.name: self.metric.value(step.loss)}


def stored(content: bytes | None) -> Any:
    """Where Ray's object store has those bytes; None where there are none."""
    return None if content is None else ray.put(content)


def begun(job: Job) -> Iterator[Metrics | Failure]:
    """The epochs of a job; what goes wrong before the first is met there."""
    limit_memory(job.share)
    start = job.start and ray.get(job.start)
    read = decoded if job.data is None or maps(job.trial) else fetched(job.data)
    yield from job.run(replace(job.trial, start=start), read)


def maps(trial: Trial) -> bool:
    """Whether the trial's images are packed where this node reads them too."""
    return trial.data.startswith(PACK) and Path(trial.data.removeprefix(PACK)).is_dir()


def limit_memory(share: float) -> None:
    """Have this process take at most that share of its GPU's memory, beside what CUDA takes."""
    if share and torch.cuda.is_available():
        torch.cuda.set_per_process_memory_fraction(min(1.0, float(share)))


@lru_cache(maxsize=1)
def fetched(data: Any) -> Reader:
    """A reader of the data set that the driver put into the object store.

    Ray copies it to a node once; all workers there look at the same memory.
    """
    return partial(_given, unpacked(ray.get(data)))


def _given(data: DataSet, *wanted: object) -> DataSet:
    return data


@dataclass(frozen=True, slots=True)
class Packed:
    """A data set as arrays, which Ray shares between processes where it would copy tensors.

    `shell` is the data set with no images in it.
    """

    train: Arrays
    val: Arrays
    test: Arrays | None
    shell: DataSet


def packed(data: DataSet) -> Packed:
    """The data set ready for the object store."""
    none = Images(torch.empty(0), torch.empty(0))
    return Packed(
        arrays(data.train),
        arrays(data.val),
        None if data.test is None else arrays(data.test),
        replace(data, train=none, val=none, test=None),
    )


def unpacked(data: Packed) -> DataSet:
    """The data set of `packed`, its tensors on the arrays' own memory, which is only read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that the memory must not be written
        return replace(
            data.shell,
            train=images(data.train),
            val=images(data.val),
            test=None if data.test is None else images(data.test),
        )


def arrays(of: Images) -> Arrays:
    """Pixels and labels as arrays."""
    return of.pixels.numpy(), of.labels.numpy()


def images(of: Arrays) -> Images:
    """Pixels and labels as tensors on the arrays' memory."""
    pixels, labels = of
    return Images(torch.from_numpy(pixels), torch.from_numpy(labels))
