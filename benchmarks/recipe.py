"""What if the quick proxy's recipe were another? Losses of one network under each, seed by seed.

    python -m benchmarks.recipe [--seeds 6] [--only NAME,NAME] [--write]

The networks are the 1x baseline of the efficientnet space's `quick` proxy on Fashion-MNIST, and for
the learning rate the same at 1.7 times the depth. Each recipe is the shipped one with the keys in
its row changed, and each seed draws the same order of the images for all of them: differences are
within a seed, over the seeds that both have, with the interval of 95 % that Student's t gives.
*Scatter* is the standard deviation of the loss from seed to seed, which a comparison of networks
must overcome. Seconds are of the process. What is trained is kept in results/benchmarks/recipe.csv;
the command goes on from there.
"""

import argparse
import os
import platform
import textwrap
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from scipy.stats import t as student

from scalesearch.files import write_csv, write_text
from scalesearch.networks.arch import Arch
from scalesearch.networks.scaling import Scale, scale_arch
from scalesearch.spaces.augmentation import Augmentation
from scalesearch.spaces.files import load_space
from scalesearch.spaces.proxy import proxy_baseline
from scalesearch.spaces.space import Proxy, Recipe
from scalesearch.trials.trial import Trial, run_trial

RESULTS = Path(__file__).parents[1] / "results" / "benchmarks"
PAGE, RECORD = RESULTS / "recipe.md", RESULTS / "recipe.csv"
SHIPPED = "as shipped"
BASE, DEEP = "1x", "1.7 times the depth"
RATES = (0.25, 0.5, 1.0, 2.0, 4.0)
COLUMNS = ["network", "recipe", "seed", "loss", "accuracy", "seconds"]


class Setting(NamedTuple):
    """A network under a recipe, by their names."""

    network: str
    name: str
    recipe: Recipe


def settings(shipped: Recipe, images: int) -> Iterator[Setting]:
    """What is trained: the shipped recipe with one thing changed at a time; for depth the rate."""
    steps = shipped.epochs * -(-images // shipped.batch_size)
    # the time constant of decay is 1 / (rate * decay) steps: here the training, and a fifth of it
    acts = round(1 / (shipped.learning_rate * steps), 2)
    changes: dict[str, dict[str, Any]] = {
        SHIPPED: {},
        "not averaged": {"average": 0.0},
        "cosine, not averaged": {"schedule": "cosine", "average": 0.0},
        "cosine, averaged": {"schedule": "cosine"},
        **{f"rate x {by:g}": {"learning_rate": shipped.learning_rate * by} for by in RATES},
        "cosine, not averaged, rate x 4": {
            "schedule": "cosine",
            "average": 0.0,
            "learning_rate": shipped.learning_rate * 4,
        },
        "batch 32": {"batch_size": 32},
        "batch 128": {"batch_size": 128},
        "no weight decay": {"weight_decay": 0.0},
        f"weight decay {acts:g}": {"weight_decay": acts},
        f"weight decay {5 * acts:g}": {"weight_decay": 5 * acts},
        "label smoothing 0.1": {"label_smoothing": 0.1},
        "mirrored": {"flip": True},
        "mirrored in every other epoch": {"flip": "alternate"},
        "shifted crops": {"augment": Augmentation(shift=0.125)},
        "random crops of half the image or more": {"augment": Augmentation(crop=0.5)},
        "residual branches not begun at zero": {"zero_residuals": False},
        "images from 0.6 of their size": {"resize_from": 0.6},
    }
    changes.pop("rate x 1")
    for name, changed in changes.items():
        yield Setting(BASE, name, replace(shipped, **changed))
    for by in RATES:
        rate = shipped.learning_rate * by
        name = SHIPPED if by == 1 else f"rate x {by:g}"
        yield Setting(DEEP, name, replace(shipped, learning_rate=rate))


def trained(arch: Arch, proxy: Proxy, recipe: Recipe, seed: int) -> tuple[float, float, float]:
    """Loss and accuracy at the end, and the seconds of this process."""
    started = time.process_time()
    *_, end = run_trial(
        Trial(
            arch=arch,
            seed=seed,
            data=str(proxy.data),
            train_examples=proxy.train_examples,
            val_examples=proxy.val_examples,
            recipe=recipe,
        )
    )
    assert end.accuracy is not None
    return end.loss, end.accuracy, time.process_time() - started


def differences(table: pd.DataFrame, network: str) -> pd.DataFrame:
    """A row for each recipe of a network, in the order of the record: its loss and accuracy, and
    its difference to the shipped one within a seed, with its interval; nothing of a single seed.
    """
    mine = table[table["network"] == network]
    losses = mine.pivot_table(index="seed", columns="recipe", values="loss", sort=False)
    rows = []
    for name in losses.columns:
        apart = (losses[name] - losses[SHIPPED]).dropna()
        n = len(apart)
        half = float(student.ppf(0.975, n - 1) * apart.std(ddof=1) / n**0.5) if n > 1 else np.nan
        of_it = mine[mine["recipe"] == name]
        rows.append(
            {
                "recipe": name,
                "seeds": n,
                "loss": float(losses[name].mean()),
                "scatter": float(losses[name].std(ddof=1)),
                "accuracy": float(of_it["accuracy"].mean()),
                "seconds": float(of_it["seconds"].median()),
                "apart": float(apart.mean()),
                "half": half,
            }
        )
    return pd.DataFrame(rows)


def verdict(apart: float, half: float) -> str:
    """What an interval says of a difference in loss."""
    if not apart:
        return ""
    return "not told apart" if abs(apart) <= half else "better" if apart < 0 else "worse"


def rows_of(found: pd.DataFrame) -> list[str]:
    """The table of a network's recipes in Markdown."""
    return [
        "| recipe | seeds | loss | scatter | against shipped (95 %) | verdict | accuracy | CPU s |",
        "|---|---|---|---|---|---|---|---|",
        *(
            f"| {row.recipe} | {row.seeds} | {row.loss:.4f} | {row.scatter:.4f} | {row.apart:+.4f} "
            f"({row.apart - row.half:+.4f} to {row.apart + row.half:+.4f}) "
            f"| {verdict(row.apart, row.half)} | {row.accuracy:.1%} | {row.seconds:.0f} |"
            for row in found.itertuples()
        ),
    ]


def document(table: pd.DataFrame, proxy: Proxy) -> str:
    """The page."""
    what = " ".join((__doc__ or "").split("\n\n")[2].split())
    shipped = proxy.recipe
    base, deep = differences(table, BASE), differences(table, DEEP)
    return "\n".join(
        [
            "# Recipes: what another would change",
            "",
            textwrap.fill(what, 100),
            "",
            textwrap.fill(
                f"{proxy.train_examples:,} images for {shipped.epochs} epochs, "
                f"{proxy.val_examples:,} for validation; one thread of {os.cpu_count()} cores, "
                f"{platform.machine()}, torch {torch.__version__}. Shipped: batch "
                f"{shipped.batch_size}, rate {shipped.learning_rate:g}, {shipped.schedule} after a "
                f"warm-up of {shipped.warmup:g}, averaged with {shipped.average:g}, weight decay "
                f"{shipped.weight_decay:g}, {'mirrored' if shipped.flip else 'not mirrored'}.",
                100,
            ),
            "",
            "## The baseline",
            "",
            *rows_of(base),
            "",
            f"## {DEEP[0].upper()}{DEEP[1:]}",
            "",
            *rows_of(deep),
            "",
        ]
    )


def missing(
    table: pd.DataFrame, wanted: Sequence[Setting], seeds: int
) -> list[tuple[Setting, int]]:
    """What is yet to be trained, seed by seed, so that what slows the machine slows all alike."""
    there = set(zip(table["network"], table["recipe"], table["seed"], strict=True))
    return [
        (setting, seed)
        for seed in range(seeds)
        for setting in wanted
        if (setting.network, setting.name, seed) not in there
    ]


def main() -> None:
    """Train what the record lacks, and draw the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--only", default="", help="these recipes alone, with commas between")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    space = load_space("efficientnet")
    proxy = space.proxies["quick"]
    base = proxy_baseline(space, proxy, 1, 10)
    archs = {BASE: base, DEEP: scale_arch(base, Scale(depth=1.7))}
    only = options.only.split(",") if options.only else []
    every = settings(proxy.recipe, proxy.train_examples or 0)
    wanted = [setting for setting in every if not only or setting.name in only]
    table = pd.read_csv(RECORD) if RECORD.exists() else pd.DataFrame(columns=COLUMNS)
    for setting, seed in missing(table, wanted, options.seeds):
        end = trained(archs[setting.network], proxy, setting.recipe, seed)
        row = pd.DataFrame([[setting.network, setting.name, seed, *end]], columns=COLUMNS)
        table = pd.concat([table, row]) if len(table) else row
        print(*table.iloc[-1], flush=True)
        if options.write:
            write_csv(RECORD, table)
    page = document(table, proxy)
    print(page)
    if options.write:
        write_text(PAGE, page)


if __name__ == "__main__":
    main()
