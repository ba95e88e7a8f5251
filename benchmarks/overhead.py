"""What Ray and the driver add to the trials: wall time over the trials' own, on two workers.

    python -m benchmarks.overhead [--write] [--trials 200]

Trials train a small network for about five seconds; then as many trivial ones are run, and the
seconds of each beyond Ray's start are what a trial costs at least. A run of none times the start.
"""

import argparse
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from scalesearch.networks import zoo
from scalesearch.networks.scaling import Scale, scale_arch
from scalesearch.search.driver import drive
from scalesearch.search.events import Decided
from scalesearch.spaces.space import Recipe
from scalesearch.studies import Study
from scalesearch.trials.runners.ray import RayOptions, run_ray
from scalesearch.trials.runners.worker import Run
from scalesearch.trials.train import Metrics
from scalesearch.trials.trial import Reader, Trial, run_trial

RESULT = Path(__file__).parents[1] / "results" / "scale" / "overhead.md"
WORKERS = 2
ARCH = scale_arch(zoo.find("mobilenet_v2"), Scale(width=0.25, resolution=20 / 224))
ARCH = replace(ARCH, name="", channels=1, classes=10)
RECIPE = Recipe(epochs=2, batch_size=100)


def timed(trial: Trial, read: Reader) -> Iterator[Metrics]:
    """The trial's epochs, with the seconds of all of it, its start and evaluation too."""
    started = time.perf_counter()
    for metrics in run_trial(trial, read):
        yield replace(metrics, seconds=time.perf_counter() - started)


def trivial(trial: Trial, read: Reader) -> Iterator[Metrics]:
    """One epoch of nothing."""
    yield Metrics(trial.recipe.epochs, 1.0, 0.5, 1.0, 0.0, np.zeros(10, np.float32))


def measure(count: int, run: Run, examples: int) -> tuple[float, float]:
    """Wall seconds of that many trials on Ray's workers, and the sum of the trials' own."""
    trials = [Trial(ARCH, seed, "shapes", examples, 500, RECIPE) for seed in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        study = Study(Path(folder), [ARCH.key])
        started = time.perf_counter()
        wanted, options = Decided("all", tuple(trials)), RayOptions(workers=WORKERS)
        drive(study, lambda: wanted, lambda driver: run_ray(driver, options, run))
        wall = time.perf_counter() - started
        return wall, float(study.trials()["seconds"].sum())


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--examples", type=int, default=4500)
    options = parser.parse_args()
    few, many = measure(2, trivial, 100)[0], measure(402, trivial, 100)[0]
    wall, own = measure(options.trials, timed, options.examples)
    text = "\n".join(
        [
            "# What Ray and the driver add",
            "",
            f"`python -m benchmarks.overhead --write`. {WORKERS} workers on {os.cpu_count()} cores "
            f"({platform.machine()}), torch {torch.__version__}; Ray's start is in each wall time.",
            "",
            "| trials | seconds of a trial | wall, s | wall / (sum of trials / workers) |",
            "|---|---|---|---|",
            f"| {options.trials} | {own / options.trials:.2f} | {wall:.1f} | "
            f"{wall / (own / WORKERS):.3f} |",
            "",
            f"2 trivial trials take {few:.1f} s, 402 take {many:.1f} s: "
            f"{(many - few) / 400:.3f} s for each more.",
            "",
        ]
    )
    print(text)
    if options.write:
        RESULT.write_text(text)


if __name__ == "__main__":
    main()
