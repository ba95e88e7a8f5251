"""Training of a user's own: a function that trains a network and yields its metric every epoch."""

import math
import struct
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from scalesearch.data import DataSet
from scalesearch.errors import ParameterError
from scalesearch.networks.custom import PREFIX
from scalesearch.networks.models import load_function
from scalesearch.scratch import scratch
from scalesearch.spaces.metric import Metric
from scalesearch.spaces.space import Recipe
from scalesearch.trials.guarded import Printed, guarded, limits
from scalesearch.trials.train import Metrics, TrialFailed

FOLDER, PRINTED = "custom", "printed.txt"
HEAD = struct.Struct("<Id")  # before a user's checkpoint: epochs and seconds of training so far
MEAN = 1e-3  # how far the examples' mean may be from the metric, as a share of it
END = object()  # of what a function yields
Train = Callable[[nn.Module, "TrainingRun"], Iterator[Any]]


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """What a training function is given beside the network, which is on `device` already.

    It trains `epochs` epochs in all, of which `done` are behind it where it goes on from the
    `checkpoint` that it yielded; else that is None. `resolution` is in pixels. `folder` is there
    for its files, and is the trial's own. `data` are the images that the space names, at that
    resolution, None where it names none. `recipe` is the space's: what it says of rates and batches
    is done only where the function reads it.
    """

    seed: int
    epochs: int
    resolution: int
    device: torch.device
    folder: Path
    recipe: Recipe
    done: int = 0
    checkpoint: bytes | None = field(default=None, repr=False)
    data: DataSet | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class CustomTraining:
    """A function that trains, python:package.module:function, and what it tells.

    `limit` are the seconds that an epoch may take, `memory` the GiB that a trial may (None: half of
    the machine's); `study` is where the trials' own folders are made, if that is on the machine
    that trains. `call` is the function itself, where it is in no module that others can import.
    Where two differ in the function or the metric, they are different trainings.
    """

    function: str
    metric: Metric
    limit: float = field(compare=False)
    study: Annotated[str, Field(exclude=True)] = field(default="", compare=False)
    call: Annotated[Train | None, Field(exclude=True)] = field(
        default=None, compare=False, repr=False
    )
    memory: float | None = field(default=None, compare=False)


def reference_of(train: Train) -> tuple[str, Train | None]:
    """A function as a space names it; and the function itself where no module has it by that name.

    Raises ParameterError for what has no name, as a functools.partial.
    """
    module, name = (getattr(train, at, None) for at in ("__module__", "__qualname__"))
    if not (callable(train) and module and name):
        raise ParameterError("train", f"must be a function with a name, got {train!r}")
    has_it = module != "__main__" and getattr(sys.modules.get(module), name, None) is train
    return f"{PREFIX}{module}:{name}", None if has_it else train


def custom_epochs(
    custom: CustomTraining, network: nn.Module, run: TrainingRun, start: bytes | None, last: int
) -> Iterator[Metrics]:
    """Metrics after each epoch up to `last` of a user's training, from the checkpoint `start`.

    Every checkpoint that the function yields is handed on. Raises TrialFailed, in one line, where
    it yields no number, or too few, and whatever the function raises.
    """
    done, seconds, checkpoint = opened(start)
    run = replace(run, done=done, checkpoint=checkpoint)
    printed = Printed(run.folder / PRINTED)
    train: Callable[..., Any] = custom.call or load_function(custom.function)
    most = limits(custom.limit, custom.memory)
    epochs = guarded(lambda: iterator(custom.function, train(network, run)), most, printed)
    try:
        for epoch in range(done + 1, last + 1):
            started = time.perf_counter()
            told = guarded(lambda: next(epochs, END), most, printed)
            seconds += time.perf_counter() - started
            if told is END:
                raise TrialFailed(
                    f"{custom.function} must yield after each of {run.epochs} epochs, ended after "
                    f"{epoch - 1}"
                )
            yield metrics(custom, told, run.epochs, epoch, seconds)
    finally:
        if hasattr(epochs, "close"):
            with suppress(Exception):  # its metrics are there; what it raised is kept
                guarded(epochs.close, most, printed)


def opened(start: bytes | None) -> tuple[int, float, bytes | None]:
    """Epochs and seconds behind a checkpoint of `metrics`, and the user's own bytes."""
    if start is None:
        return 0, 0.0, None
    done, seconds = HEAD.unpack_from(start)
    return done, seconds, start[HEAD.size :]


def iterator(function: str, made: object) -> Iterator[object]:
    """What a training function returned. Raises TrialFailed where nothing can be had of it."""
    if not isinstance(made, Iterable):
        raise TrialFailed(
            f"{function} must yield its metric after each epoch, returned {type(made).__name__}"
        )
    return iter(made)


def metrics(
    custom: CustomTraining, told: object, epochs: int, epoch: int, seconds: float
) -> Metrics:
    """What a function told after an epoch, as a trial has it.

    Where it has no validation examples' values the metric stands as the only one. Raises
    TrialFailed for anything else than is asked of it.
    """
    given = told if isinstance(told, Mapping) else {custom.metric.name: told}
    where = f"after epoch {epoch} of {custom.function}"
    if custom.metric.name not in given:
        keys = ", ".join(map(str, given)) or "nothing"
        raise TrialFailed(f"the metric {custom.metric.name} must be yielded {where}, got {keys}")
    value = number(given[custom.metric.name], f"{custom.metric.name} {where}")
    examples = examples_of(given.get("examples"), value, where)
    left = given.get("checkpoint")
    if left is not None and not isinstance(left, bytes):
        raise TrialFailed(f"a checkpoint must be bytes {where}, got {type(left).__name__}")
    return Metrics(
        epoch=epoch,
        loss=custom.metric.loss(value),
        accuracy=None,
        train_loss=None,
        seconds=seconds,
        losses=np.array([custom.metric.loss(x) for x in examples], np.float32),
        checkpoint=HEAD.pack(epoch, seconds) + left if left and epoch < epochs else None,
    )


def number(given: Any, what: str) -> float:
    """A finite number. Raises TrialFailed, which says what it is, for anything else."""
    try:
        value = float(given.detach() if isinstance(given, Tensor) else given)
    except (TypeError, ValueError):
        raise TrialFailed(f"{what} must be a number, got {type(given).__name__}") from None
    if not math.isfinite(value):
        raise TrialFailed(f"{what} must be finite, got {value}")
    return value


def examples_of(given: Any, value: float, where: str) -> Sequence[float]:
    """The metric of each validation example, whose mean it is; the metric alone where not given.

    Raises TrialFailed for others.
    """
    if given is None:
        return (value,)
    if isinstance(given, Tensor):
        given = given.detach().cpu()
    try:
        examples = np.asarray(given, np.float64).reshape(-1)
    except (TypeError, ValueError):
        raise TrialFailed(f"examples must be numbers {where}, got {type(given).__name__}") from None
    mean = float(examples.mean()) if len(examples) else math.nan
    if not abs(mean - value) <= MEAN * max(1.0, abs(value)):
        raise TrialFailed(
            f"the mean of the examples must be the metric {where}, got {mean:g} and {value:g}: "
            "leave examples out where it is no mean of theirs"
        )
    return examples.tolist()


@contextmanager
def trial_folder(study: str, stem: str) -> Iterator[Path]:
    """A folder for a trial's files: in its study, or for its time alone on a machine without."""
    if not Path(study).is_dir():
        with scratch() as folder:
            yield Path(folder)
        return
    folder = Path(study) / FOLDER / stem
    folder.mkdir(parents=True, exist_ok=True)
    yield folder
