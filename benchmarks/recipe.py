"""Which recipe brings the baseline proxy to a given validation loss soonest, on one CPU thread?

    python -m benchmarks.recipe [--seeds 3] [--write]

The network is the 1x baseline of the efficientnet space's `quick` proxy on Fashion-MNIST. A
schedule ends when the training does, so a recipe is trained to its end in 3 epochs and in 5, and
the epochs that it needs for a loss are read between the two. The loss to reach is the shipped
recipe's after 4. Seconds are of the process, training alone: other work disturbs them least, but
images and epochs are what to compare. An exponential moving average of the weights is kept
beside each run (torch.optim.swa_utils) and validated as well.
"""

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn, update_bn

from scalesearch.data import DataSet, resized
from scalesearch.networks.blocks import zero_residuals
from scalesearch.networks.models import build_model
from scalesearch.spaces.files import load_space
from scalesearch.spaces.proxy import proxy_baseline
from scalesearch.spaces.space import Proxy, Recipe
from scalesearch.trials.step import make_optimizer, make_step, normaliser
from scalesearch.trials.train import make_evaluation, schedule, train_side
from scalesearch.trials.trial import decoded, prepared

RESULT = Path(__file__).parents[1] / "results" / "benchmarks" / "recipe.md"
LENGTHS = (3, 5)  # epochs of a whole schedule
TARGET_EPOCHS = 4
T_95 = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78}  # by seeds: two-sided, of seeds - 1 degrees
DECAY = 0.98  # of the average, a step: some 50 of the 63 steps of an epoch


def linear(progress: float, warmup: float) -> float:
    """A linear rise over `warmup`, then a linear fall to zero."""
    if progress < warmup:
        return schedule(progress, warmup)
    return (1 - progress) / (1 - warmup)


def constant(progress: float, warmup: float) -> float:
    """A linear rise over `warmup`, then the peak."""
    return schedule(progress, warmup) if progress < warmup else 1.0


@dataclass(frozen=True)
class Setting:
    """A recipe under its name, and its learning rate over the training."""

    name: str
    recipe: Recipe
    rates: Callable[[float, float], float] = schedule


@dataclass(frozen=True)
class Run:
    """One training to its end: losses of the weights and of their average, and seconds."""

    loss: float
    averaged: float
    accuracy: float
    seconds: float
    averaging: float


def settings(shipped: Recipe) -> list[Setting]:
    """The shipped recipe first, then each with one thing changed."""
    root = 2**0.5  # a batch twice as large has half the noise: AdamW's rate goes as its root
    rate = shipped.learning_rate
    changed = {
        "warm-up 0": replace(shipped, warmup=0.0),
        "label smoothing 0.1": replace(shipped, label_smoothing=0.1),
        f"rate {rate / 2:g}": replace(shipped, learning_rate=rate / 2),
        f"rate {rate * 2:g}": replace(shipped, learning_rate=rate * 2),
        f"batch 64, rate {rate / root:.3g}": replace(
            shipped, batch_size=64, learning_rate=rate / root
        ),
        f"batch 256, rate {rate * root:.3g}": replace(
            shipped, batch_size=256, learning_rate=rate * root
        ),
        "images from 0.6 of their size": replace(shipped, resize_from=0.6),
    }
    return [
        Setting("as shipped: cosine", shipped),
        Setting("linear", shipped, linear),
        Setting("constant", shipped, constant),
        *(Setting(name, recipe) for name, recipe in changed.items()),
    ]


def train(setting: Setting, network: nn.Module, data: DataSet, seed: int, epochs: int) -> Run:
    """One run of `epochs`, with the orders and flips of scalesearch.trials.train."""
    recipe = replace(setting.recipe, epochs=epochs)
    optimizer = make_optimizer(network, recipe, torch.device("cpu"))
    average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(DECAY))
    order = torch.Generator().manual_seed(seed)
    flips = torch.Generator().manual_seed(seed + 1_000_003)
    n, side, step_side = len(data.train.labels), data.train.pixels.shape[-1], 0
    batches = -(-n // recipe.batch_size)
    seconds = averaging = 0.0
    for epoch in range(1, epochs + 1):
        network.train()
        started = time.process_time()
        if step_side != (step_side := train_side(recipe, side, epoch)):
            images = resized(data.train, step_side)
            step = make_step(network, optimizer, data, images, recipe)
        flipped = torch.rand(n, generator=flips) < 0.5
        permutation = torch.randperm(n, generator=order)
        for i, batch in enumerate(permutation.split(recipe.batch_size)):
            progress = ((epoch - 1) * batches + i) / (epochs * batches)
            rate = recipe.learning_rate * setting.rates(progress, recipe.warmup)
            step(batch, flipped[batch], rate)
            apart = time.process_time()
            average.update_parameters(network)
            averaging += time.process_time() - apart
        seconds += time.process_time() - started
    apart, normalise = time.process_time(), normaliser(data)
    # averaged weights make other activations than those whose statistics were kept
    update_bn((normalise(pixels) for pixels in data.train.pixels.split(500)), average)
    averaging, seconds = averaging + time.process_time() - apart, seconds - averaging
    losses, accuracy = make_evaluation(network, data, data.val)()
    averaged, _ = make_evaluation(average, data, data.val)()
    return Run(float(losses.mean()), float(averaged.mean()), accuracy, seconds, averaging)


def runs_of(setting: Setting, proxy: Proxy, seed: int) -> list[Run]:
    """A run of each of LENGTHS, of the proxy's baseline."""
    arch = proxy_baseline(load_space("efficientnet"), proxy, 1, 10)
    side = arch.resolution
    data = prepared(
        decoded, str(proxy.data), proxy.train_examples, proxy.val_examples, side, side, "cpu", "val"
    )
    found = []
    for epochs in LENGTHS:
        torch.manual_seed(seed)
        network = build_model(arch)
        zero_residuals(network)
        found.append(train(setting, network, data, seed, epochs))
    return found


def epochs_to(target: float, ends: Sequence[float]) -> float:
    """The epochs at which a recipe's last loss is the target: on the line of loss in log epochs.

    Beyond the two lengths it is the line drawn on, which the table marks.
    """
    (a, b), (low, high) = np.log(LENGTHS), ends
    if high >= low:
        return float("inf")
    return float(np.exp(a + (target - low) * (b - a) / (high - low)))


def table(found: dict[str, list[list[Run]]], images: int) -> list[str]:
    """A row for each setting, and one for the average of the shipped recipe's weights."""
    first, *_ = found.values()
    share = np.log(TARGET_EPOCHS / LENGTHS[0]) / np.log(LENGTHS[1] / LENGTHS[0])
    ends = np.array([[run.loss for run in runs] for runs in first])
    target = float((ends[:, 0] + share * (ends[:, 1] - ends[:, 0])).mean())
    lines = [
        f"The loss to reach is {target:.4f}. Differences against the shipped recipe are within a "
        "seed, with their standard error; better or worse is what a t test at 95 % says of them.",
        "",
        "| recipe | loss, 3 epochs | loss, 5 epochs | against shipped, 5 | verdict | accuracy, 5 "
        "| epochs to the loss | images | s | averaged weights, 5 | s an epoch |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, of_seeds in found.items():
        losses = np.array([[run.loss for run in runs] for runs in of_seeds])
        averaged = np.array([[run.averaged for run in runs] for runs in of_seeds])
        apart = losses[:, 1] - ends[:, 1]
        error = float(apart.std(ddof=1) / len(apart) ** 0.5)
        beyond = error > 0 and abs(apart.mean()) > T_95[len(apart)] * error
        verdict = ("better" if apart.mean() < 0 else "worse") if beyond else "not told apart"
        verdict = verdict if error else ""  # the shipped recipe's own
        seconds = np.array([[run.seconds for run in runs] for runs in of_seeds])
        pace = float((seconds / np.array(LENGTHS)).mean())
        needed = epochs_to(target, losses.mean(axis=0))
        mark = "" if LENGTHS[0] <= needed <= LENGTHS[1] else "*"
        accuracy = np.mean([runs[1].accuracy for runs in of_seeds])
        lines.append(
            f"| {name} | {losses[:, 0].mean():.4f} | {losses[:, 1].mean():.4f} "
            f"| {apart.mean():+.4f} ± {error:.4f} | {verdict} | {100 * accuracy:.2f} % "
            f"| {needed:.2f}{mark} | {needed * images:,.0f}{mark} | {needed * pace:.1f}{mark} "
            f"| {averaged[:, 1].mean():.4f} | {pace:.2f} |"
        )
    averaging = np.mean([r.averaging / r.seconds for runs in first for r in runs])
    lines += ["", f"\\* outside of 3 to 5 epochs. The average takes {averaging:.1%} more time."]
    return lines


def document(lines: Sequence[str], proxy: Proxy, seeds: int) -> str:
    """The table with what it says, and what it was made with."""
    shipped = proxy.recipe
    return "\n".join(
        [
            "# Recipes: to a given validation loss",
            "",
            (__doc__ or "").split("\n\n")[2].strip(),
            "",
            f"{seeds} seeds; {proxy.train_examples} images, {proxy.val_examples} for validation; "
            f"one thread of {os.cpu_count()} cores, {platform.machine()}, torch "
            f"{torch.__version__}. Shipped: {shipped.epochs} epochs, batch {shipped.batch_size}, "
            f"rate {shipped.learning_rate:g}, warm-up {shipped.warmup:g}, weight decay "
            f"{shipped.weight_decay:g}, label smoothing {shipped.label_smoothing:g}, images at "
            f"{shipped.resize_from:g} of their size from the start.",
            "",
            *lines,
            "",
        ]
    )


def main() -> None:
    """Print the table after each seed from the second; a line on stderr as a setting is done."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, choices=T_95)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    proxy = load_space("efficientnet").proxies["quick"]
    found: dict[str, list[list[Run]]] = {}
    # seed by seed, so that what slows the machine slows all settings
    for seed in range(options.seeds):
        for setting in settings(proxy.recipe):
            found.setdefault(setting.name, []).append(runs_of(setting, proxy, seed))
            print(seed, setting.name, found[setting.name][-1], file=sys.stderr, flush=True)
        if seed == 0:
            continue  # one seed has no spread
        lines = table(found, proxy.train_examples or 0)
        print("\n".join(lines), flush=True)
        if options.write:
            RESULT.write_text(document(lines, proxy, seed + 1))


if __name__ == "__main__":
    main()
