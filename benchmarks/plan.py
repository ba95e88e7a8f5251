"""Seconds of plans, costs and starts, cold (an empty cache) and warm.

Commands are timed whole, Python's start included; `--write` keeps results/benchmarks/plan.md.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

RESULT = Path(__file__).parents[1] / "results" / "benchmarks" / "plan.md"
LARGE = """
model: efficientnet_b0
grid:
  alpha: {start: 1.0, stop: 1.5, step: 0.02}
  beta: {start: 1.0, stop: 1.3, step: 0.01}
  gamma: {start: 1.0, stop: 1.3, step: 0.0125}
proxies: {full: {}}
"""
# inside one process, torch already imported: what a program that plans waits for
INSIDE = """
import time
from scalesearch.networks import zoo
from scalesearch.networks.cost import cost
from scalesearch.plans.plan import make_plan
from scalesearch.spaces.files import load_space
cost(zoo.find("resnet18"))
started = time.perf_counter()
%s
print(time.perf_counter() - started)
"""
PLAN = 'make_plan(load_space("efficientnet"), "full", "2x")'


def command(*arguments: str) -> list[str]:
    """The command line of a scalesearch command."""
    return [sys.executable, "-m", "scalesearch", *arguments]


def seconds(line: list[str], cache: str, inside: bool) -> float:
    """Seconds of a process, or those that it prints of itself."""
    environment = {**os.environ, "XDG_CACHE_HOME": cache}
    started = time.perf_counter()
    ran = subprocess.run(line, env=environment, capture_output=True, text=True, check=True)
    return float(ran.stdout) if inside else time.perf_counter() - started


def cold_and_warm(line: list[str], repeats: int) -> tuple[float, float]:
    """Medians with a fresh cache each time, and with the cache that this left."""
    cold, warm = [], []
    inside = "-c" in line
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as cache:
            cold.append(seconds(line, cache, inside))
            warm.append(seconds(line, cache, inside))
    return statistics.median(cold), statistics.median(warm)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        large = Path(folder) / "large.yaml"
        large.write_text(LARGE)
        b7 = 'cost(zoo.find("efficientnet_b7"))'
        rows = [
            ("`scalesearch --help`", command("--help"), 5),
            ("`scalesearch cost efficientnet_b0`", command("cost", "efficientnet_b0"), 5),
            ("cost of EfficientNet-B7 at 600 px", [sys.executable, "-c", INSIDE % b7], 3),
            ("plan of 539 points", [sys.executable, "-c", INSIDE % PLAN], 3),
            (
                "`scalesearch plan efficientnet --proxy full`",
                command("plan", "efficientnet", "--proxy", "full"),
                3,
            ),
            (
                "`scalesearch plan`, a grid of 20,150 points",
                command("plan", str(large), "--proxy", "full"),
                1,
            ),
        ]
        lines = [
            "# Plans, costs and starts, in seconds",
            "",
            f"{os.cpu_count()} CPU cores, torch {torch.__version__}, Python "
            f"{platform.python_version()}, {platform.machine()}; medians. Commands are whole "
            "processes; the others run inside one, after its imports.",
            "",
            "| what | cold | warm |",
            "|---|---|---|",
        ]
        for name, line, repeats in rows:
            cold, warm = cold_and_warm(line, repeats)
            lines.append(f"| {name} | {cold:.2f} | {warm:.2f} |")
            print(lines[-1], flush=True)
    if options.write:
        RESULT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
