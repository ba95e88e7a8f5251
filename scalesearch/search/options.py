"""How trials are run, which never changes what they measure."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from scalesearch.data.packers import cores
from scalesearch.errors import ParameterError, check_choice, check_range
from scalesearch.networks.custom import functions_named
from scalesearch.networks.models import Model
from scalesearch.trials.runners import AskTell
from scalesearch.trials.runners.inline import run_inline
from scalesearch.trials.runners.session import clear_sessions

RUNNERS = ("ray", "inline")
LOGS = ("tensorboard", "mlflow", "wandb")
MOST_PHI = 20  # at 2x a budget of a million baselines


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How trials are run, which never changes what they measure."""

    runner: str = "ray"
    workers: int | None = None
    gpus_per_trial: float = 0.0
    address: str | None = None
    retry_failed: bool = False
    max_trials: int | None = None
    max_hours: float | None = None
    accelerator: str | None = None
    log: tuple[str, ...] = ()
    mirror: str | None = None
    verbose: bool = False
    cache: Path | None = None
    stall: float = 600.0  # seconds for which a worker may report no epoch

    def __post_init__(self) -> None:
        """Raises ParameterError for a runner or a log that is none, or a number out of range."""
        check_choice("runner", self.runner, RUNNERS)
        check_range("workers", self.workers, 1)
        check_range("gpus_per_trial", self.gpus_per_trial, 0, whole=False)
        check_range("max_trials", self.max_trials, 1)
        check_range("max_hours", self.max_hours, 0, whole=False)
        check_range("stall", self.stall, 0, whole=False)
        for name in self.log:
            check_choice("log", name, LOGS)


@dataclass(frozen=True, slots=True)
class Spending:
    """What a run may spend, beside what its policy allows; None for any amount."""

    trials: int | None = None
    hours: float | None = None
    started: float = field(default_factory=time.monotonic)

    def spent(self, trials: int) -> str:
        """Why a run that has begun so many trials may begin no more; "" where it may."""
        if self.trials is not None and trials >= self.trials:
            return f"it was to begin at most {self.trials}"
        hours = (time.monotonic() - self.started) / 3600
        if self.hours is not None and hours >= self.hours:
            return f"it was to take at most {self.hours:g} hours"
        return ""


def worker_count(options: RunOptions) -> int:
    """How many trials run at once on this machine: as its cores and its GPUs' shares allow."""
    if options.runner == "inline":
        return 1
    workers = options.workers or cores()
    if options.gpus_per_trial > 0 and options.address is None:
        room = slots(torch.cuda.device_count(), options.gpus_per_trial)
        return max(1, min(workers, room))
    return workers


def slots(cards: int, share: float) -> int:
    """How many trials so many GPUs have room for; a share below 1 is of one of them."""
    if share < 1:
        return cards * int(1 / share + 1e-9)  # 1 / 0.1 may come out below 10
    return int(cards // share)


def processes_of(options: RunOptions) -> int:
    """How many processes train a network together: one for each of its GPUs.

    Raises ParameterError where these are more than one and no whole number.
    """
    gpus = options.gpus_per_trial
    if gpus > 1 and gpus % 1 != 0:
        rule = "must be a share of one GPU, or a whole number of them"
        raise ParameterError("gpus_per_trial", f"{rule}, got {gpus:g}")
    return max(1, int(gpus))


def device_of(options: RunOptions) -> str:
    """The device that trials run on: a GPU where they are given one or a share of one."""
    return "cuda" if options.gpus_per_trial > 0 else "cpu"


def device_here(options: RunOptions) -> str:
    """The device that trials run on, as far as this machine has it."""
    return device_of(options) if torch.cuda.is_available() else "cpu"


def refuse_no_gpu(options: RunOptions) -> None:
    """Raise ValueError where a GPU is asked of a machine without: trials would wait for ever."""
    if options.gpus_per_trial > 0 and options.address is None and not torch.cuda.is_available():
        raise ParameterError(
            "gpus_per_trial",
            f"must be 0 where torch finds no GPU, got {options.gpus_per_trial:g}: leave it out, "
            "or give a cluster's address",
        )


def check_options(options: RunOptions) -> None:
    """Raises ValueError for a runner, logs and GPUs that do not go together."""
    processes, cards = processes_of(options), torch.cuda.device_count()
    if options.runner == "inline" and processes > max(1, cards):
        rule = f"must be at most {cards}, for torch finds so many GPUs here"
        raise ParameterError("gpus_per_trial", f"{rule}, got {options.gpus_per_trial:g}")
    for name in options.log:
        if name != "tensorboard" and options.runner != "ray":
            raise ParameterError(
                "log", f"{name} is written by Ray's callback and needs the runner ray"
            )


def runner_of(
    options: RunOptions, folder: Path, model: Model, functions: Sequence[str] = ()
) -> Callable[[AskTell], None]:
    """The runner that the options name, for the trials of that directory and of models like one.

    `functions` are the user's own that trials call beside the model's. What killed runs left of Ray
    here is cleared, whether there is anything to train or not.
    """
    if options.runner == "inline":
        return lambda driver: run_inline(driver, device_of(options), processes_of(options))
    if options.address is None:
        clear_sessions()
    return lambda driver: run_with_ray(driver, options, folder, model, functions)


def run_with_ray(
    driver: AskTell, options: RunOptions, folder: Path, model: Model, functions: Sequence[str]
) -> None:
    """Run the trials that a driver has on Ray, as the options say."""
    from scalesearch.trials.runners.ray import RayOptions, run_ray
    from scalesearch.trials.runners.trackers import callbacks

    workers = options.workers or (worker_count(options) if options.address is None else None)
    return run_ray(
        driver,
        RayOptions(
            address=options.address,
            workers=workers,
            gpus_per_trial=options.gpus_per_trial,
            accelerator=options.accelerator,
            processes=processes_of(options),
            functions=functions or functions_named(model),
            callbacks=callbacks([x for x in options.log if x != "tensorboard"], folder),
            verbose=options.verbose,
            stall=options.stall,
        ),
    )
