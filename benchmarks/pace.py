"""Predicted against measured seconds of a study's trials, on the machine that ran the study.

python benchmarks/pace.py STUDY [--write]
"""

import argparse
import platform
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch

from scalesearch.plans.plan import make_plan
from scalesearch.spaces.files import load_space
from scalesearch.trials.pace import calibrate
from scalesearch.trials.trial import decoded

RESULT = Path(__file__).parents[1] / "results" / "benchmarks" / "pace.md"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    space = load_space(str(options.study / "space.yaml"))
    ((name, proxy),) = space.proxies.items()
    data = decoded(str(proxy.data), proxy.train_examples, proxy.val_examples)
    channels, classes = data.train.pixels.shape[1], len(data.classes)
    plan = make_plan(space, name, None, channels, classes)
    archs = [plan.baseline, *(candidate.arch for candidate in plan.candidates)]
    pace = calibrate(archs, proxy.recipe.batch_size, options.workers)
    steps = len(data.train) / proxy.recipe.batch_size * proxy.recipe.epochs
    trials = pd.read_csv(options.study / "trials.csv")
    trials = trials[(trials["epochs"] > 0) & (trials["split"] == "val")]
    epochs = proxy.recipe.epochs  # of a whole trial; some were stopped before
    rates = trials["seconds"] / trials["epochs"] * epochs
    measured = rates.groupby(trials["candidate"]).median()
    rows, near = [], 0
    for arch in archs:
        expected = pace.step_seconds(replace(arch, name="")) * steps
        error = expected / measured[arch.key] - 1
        near += abs(error) <= 0.2
        depths = " ".join(map(str, arch.depths))
        rows.append(
            f"| {depths} | {arch.resolution} | {measured[arch.key]:.1f} | {expected:.1f} | "
            f"{error:+.0%} |"
        )
    text = "\n".join(
        [
            "# Seconds of a trial: predicted against measured",
            "",
            f"Study {options.study.name}, {options.workers} workers at once, torch "
            f"{torch.__version__}, {platform.machine()}; median of the seeds. Within 20 %: "
            f"{near} of {len(archs)}.",
            "",
            "| depths | px | measured | predicted | error |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )
    print(text)
    if options.write:
        RESULT.write_text(text)


if __name__ == "__main__":
    main()
