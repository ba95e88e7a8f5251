"""How long trials will take: steps of a few networks are timed, the others' predicted from cost.

A step's seconds are taken to be a sum of three parts: so much for every module, which small
networks feel most, so much for every multiply-add, and so much for every activation.
"""

import hashlib
import json
import platform
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import astuple, dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from scalesearch.data import DataSet, Images
from scalesearch.files import cache_root, read_checked, write_checked
from scalesearch.networks.arch import Arch
from scalesearch.networks.blocks import Network
from scalesearch.networks.cost import cost
from scalesearch.networks.device import capture_on, placed
from scalesearch.networks.models import Model, build_model
from scalesearch.spaces.space import Recipe
from scalesearch.trials.memory import hand_back_freed_memory
from scalesearch.trials.step import make_optimizer, make_step

WARM_UP, REPEATS, FEWEST = 2, 15, 3
ENOUGH = 1.0  # seconds of a network's steps, after which the fewest do: slow ones vary little
RECENT = 3600.0  # seconds for which a pace is remembered: what else a machine does changes
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds of a training step for each module, multiply-add and activation of a network."""

    module: float
    flop: float
    activation: float

    def step_seconds(self, model: Model) -> float:
        """The seconds that a training step of `model` is expected to take."""
        return float(features(model) @ np.array([self.module, self.flop, self.activation]))


@lru_cache(maxsize=4096)
def features(model: Model) -> Floats:
    """What a step's seconds are made of: modules, multiply-adds, activations."""
    with torch.device("meta"):
        # a table's without drawing weights: on that device torch imports its compiler to do it
        network = Network(model) if isinstance(model, Arch) else build_model(model)
    modules = sum(not list(module.children()) for module in network.modules())
    measured = cost(model)
    return np.array([modules, measured.flops, measured.activations], dtype=np.float64)


def calibrate(
    models: Sequence[Model], batch_size: int, workers: int = 0, device: str = "cpu"
) -> Pace:
    """The pace of this machine's CPU or GPU, from those of `models` that differ most.

    Timed in `workers` processes at once, as trials run; with 0 in this one.
    """
    chosen = [models[i] for i in extremes([features(model) for model in models])]
    if workers:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            times = [pool.submit(time_steps, chosen, batch_size, device) for _ in range(workers)]
            seconds = np.mean([timed.result() for timed in times], axis=0)
    else:
        seconds = time_steps(chosen, batch_size, device)
    return fit(np.stack([features(model) for model in chosen]), seconds)


def recent_pace(
    models: Sequence[Model], batch_size: int, workers: int = 0, device: str = "cpu"
) -> Pace:
    """The pace as `calibrate` finds it, or as it was found for the same within the last hour."""
    rows = [features(model).tolist() for model in models]
    what = [rows, batch_size, workers, device, torch.__version__, platform.node()]
    digest = hashlib.sha256(json.dumps(what).encode()).hexdigest()[:16]
    path = cache_root() / "paces" / f"{digest}.json"
    forget_old(path.parent)
    found = read_checked(path)
    if found is None:
        pace = calibrate(models, batch_size, workers, device)
        write_checked(path, astuple(pace))
        return pace
    return Pace(*found)


def forget_old(folder: Path) -> None:
    """Drop the paces of a folder that are no longer recent, as far as that may be."""
    for path in folder.glob("*.json"):
        with suppress(OSError):  # another process is quicker
            if time.time() - path.stat().st_mtime > RECENT:
                path.unlink()


def extremes(rows: Sequence[Floats]) -> list[int]:
    """Indices of the rows that have the least or the most of something."""
    table = np.stack(rows)
    return sorted({int(i) for i in (*table.argmin(axis=0), *table.argmax(axis=0))})


def time_steps(models: Sequence[Model], batch_size: int, device: str = "cpu") -> Floats:
    """Median seconds of a training step of each model, on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return np.array([step_seconds(model, batch_size, device) for model in models])
    finally:
        torch.set_num_threads(threads)
        hand_back_freed_memory()  # a driver goes on, and takes no further step


def step_seconds(model: Model, batch_size: int, device: str = "cpu") -> float:
    """Median seconds of a training step on random images, as a trial takes it."""
    shape = (batch_size, model.channels, model.resolution, model.resolution)
    pixels = torch.randint(256, shape, dtype=torch.uint8)
    where = torch.device(device)
    images = Images(pixels, torch.randint(model.classes, (batch_size,))).to(where)
    grey = (0.5,) * model.channels
    data = DataSet("random", images, images, None, (), mean=grey, std=grey)
    recipe = Recipe(batch_size=batch_size)
    network = placed(build_model(model), where).train()
    optimizer = make_optimizer(network, recipe, where)
    step = make_step(network, optimizer, data, images, recipe, capture_on(where))
    order = torch.randperm(batch_size).to(where)
    flipped = (torch.rand(batch_size) < 0.5).to(where)
    seconds: list[float] = []
    while len(seconds) < WARM_UP + (FEWEST if sum(seconds) > ENOUGH else REPEATS):
        started = time.perf_counter()
        float(step(order, flipped, 1e-3))  # waits for a GPU
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds[WARM_UP:]))


def fit(rows: Floats, seconds: Floats) -> Pace:
    """The parts, none below zero, that miss the seconds least, each relative to its size."""
    from scipy.optimize import nnls  # which takes half as long as torch to import

    relative = rows / seconds[:, None]
    sizes = np.linalg.norm(relative, axis=0)  # flops are a million times modules
    parts, _ = nnls(relative / sizes, np.ones(len(seconds)))
    return Pace(*(parts / sizes).tolist())
