"""The driver alone, with simulated trials: trials a second, memory, journal, time to reopen.

    python -m benchmarks.driver [--write]

A runner keeps 1,000 trials running and answers each at once with three epochs of losses, so that
what is timed is the driver: asking, reporting, recording, flushing to disk. Each count runs in a
process of its own, whose memory is compared with that of one that only imports.
"""

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections import deque
from dataclasses import replace
from pathlib import Path

import numpy as np

from scalesearch.networks import zoo
from scalesearch.networks.scaling import Scale, scale_arch
from scalesearch.search.driver import drive
from scalesearch.search.events import Decided
from scalesearch.spaces.space import Recipe
from scalesearch.studies import JOURNAL, Study
from scalesearch.trials.runners import AskTell
from scalesearch.trials.train import Metrics
from scalesearch.trials.trial import Trial

ROOT = Path(__file__).parents[1]
COUNTS = (100, 1000, 10_000)
WORKERS, EPOCHS, NETWORKS, EXAMPLES = 1000, 3, 100, 1000


def trials(count: int) -> list[Trial]:
    """Trials of NETWORKS networks, as many seeds as that takes."""
    start = zoo.find("mobilenet_v1")
    archs = [
        scale_arch(start, Scale(resolution=(32 + i) / start.resolution)) for i in range(NETWORKS)
    ]
    archs = [replace(arch, name="") for arch in archs]
    recipe = Recipe(epochs=EPOCHS)
    return [
        Trial(archs[i % NETWORKS], i // NETWORKS, "shapes", 100, EXAMPLES, recipe)
        for i in range(count)
    ]


def simulated(driver: AskTell) -> None:
    """Run all that the driver has, WORKERS at a time, each trial an epoch a turn."""
    losses = np.zeros(EXAMPLES, np.float32)
    running: deque[tuple[Trial, list[Metrics]]] = deque()
    while True:
        while len(running) < WORKERS and (trial := driver.ask()) is not None:
            running.append((trial, []))
        if not running:
            return
        trial, curve = running.popleft()
        epoch = len(curve) + 1
        curve.append(Metrics(epoch, 1 / epoch, 0.5, 1 / epoch, 5.0 * epoch, losses))
        driver.report(trial, curve[-1])
        if epoch < EPOCHS:
            running.append((trial, curve))
        else:
            driver.complete(trial, curve, {"device": "simulated"})


def measure(count: int) -> dict[str, float]:
    """What `count` trials take of the driver."""
    wanted = trials(max(count, 1))
    keys = list(dict.fromkeys(trial.arch.key for trial in wanted))
    if not count:
        return {"memory": memory()}
    with tempfile.TemporaryDirectory() as folder:
        study = Study(Path(folder), keys)
        started = time.perf_counter()
        study.plan(wanted)  # once more by the driver, which finds them there
        planned = time.perf_counter()
        drive(study, lambda: Decided("all", tuple(wanted)), simulated)
        ended = time.perf_counter()
        used = memory()
        size = (Path(folder) / JOURNAL).stat().st_size
        again = time.perf_counter()
        assert len(Study(Path(folder), keys).finished("val")) == count
        return {
            "plan": planned - started,
            "run": ended - planned,
            "memory": used,
            "journal": size / 1e6,
            "reopen": time.perf_counter() - again,
        }


def memory() -> float:
    """The most that this process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def in_a_process(count: int) -> dict[str, float]:
    """`measure`, in a process of its own."""
    line = [sys.executable, "-m", "benchmarks.driver", "--count", str(count)]
    ran = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(ran.stdout)
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--count", type=int)
    options = parser.parse_args()
    if options.count is not None:
        return print(json.dumps(measure(options.count)))
    idle = in_a_process(0)["memory"]
    lines = [
        "# The driver with simulated trials",
        "",
        f"`python -m benchmarks.driver --write`. {WORKERS} trials running at once, {EPOCHS} epochs "
        f"each, one core, {platform.machine()}, Python {platform.python_version()}. A process that "
        f"only imports holds {idle:.0f} MB.",
        "",
        "| trials | plan, s | run, s | trials/s | memory, MB | journal, MB | reopen, s |",
        "|---|---|---|---|---|---|---|",
    ]
    for count in COUNTS:
        row = in_a_process(count)
        lines.append(
            f"| {count} | {row['plan']:.1f} | {row['run']:.1f} | "
            f"{count / (row['plan'] + row['run']):.0f} | {row['memory']:.0f} | "
            f"{row['journal']:.2f} | {row['reopen']:.2f} |"
        )
        print(lines[-1], flush=True)
    if options.write:
        path = ROOT / "results" / "scale" / "driver.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
