"""Training a network: one plain loop that yields its metrics after every epoch."""

import io
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from scalesearch.data import DataSet, Images, resized
from scalesearch.spaces.space import Recipe
from scalesearch.trials.curve import Point
from scalesearch.trials.step import make_optimizer, make_step, mixed, normaliser

EVAL_BATCH = 500
CHECKPOINT_SECONDS = 60.0  # of training that a crash may cost
Split = Literal["val", "test"]


@dataclass(frozen=True, slots=True)
class Metrics:
    """What is known after an epoch: cross-entropies, accuracy, seconds of training so far.

    `losses` holds the cross-entropy of every validation example, in the data's order;
    `checkpoint`, where there is one, what `train` starts from to go on after this epoch.
    """

    epoch: int
    loss: float
    accuracy: float
    train_loss: float
    seconds: float
    losses: NDArray[np.float32]
    checkpoint: bytes | None = field(default=None, repr=False)

    @property
    def point(self) -> Point:
        """What the study's learning curve keeps of it."""
        return Point(self.epoch, self.loss, self.accuracy, self.train_loss, self.seconds)


class TrialFailed(RuntimeError):
    """A trial that cannot end well, with the reason in one line."""


def train(
    network: nn.Module,
    data: DataSet,
    recipe: Recipe,
    seed: int,
    split: Split = "val",
    start: bytes | None = None,
    pause: int | None = None,
) -> Iterator[Metrics]:
    """Metrics on the validation split after each epoch of training `network` in place.

    The seed alone fixes the order and the flips of the images, so that every network sees the
    same. The test split is looked at after the last epoch only. With `pause` training stops after
    that epoch, and its checkpoint as `start` goes on from there, to the same bits on a CPU. Raises
    TrialFailed when the loss is not finite.
    """
    held_out = data.val if split == "val" else data.test
    if held_out is None:
        raise TrialFailed(f"data {data.name} has no test split")
    device = data.train.pixels.device
    optimizer = make_optimizer(network, recipe, device)
    order = torch.Generator().manual_seed(seed)
    flips = torch.Generator().manual_seed(seed + 1_000_003)
    done, seconds = 0, 0.0
    if start is not None:
        done, seconds = restore(start, network, optimizer, order, flips)
    n = len(data.train.labels)
    batches = math.ceil(n / recipe.batch_size)
    side, step_side, saved = data.train.pixels.shape[-1], 0, seconds
    last = min(pause or recipe.epochs, recipe.epochs)
    for epoch in range(done + 1, last + 1):
        started = time.perf_counter()
        network.train()
        if step_side != (step_side := train_side(recipe, side, epoch)):
            images = resized(data.train, step_side)
            step = make_step(network, optimizer, data, images, recipe)
        permutation = torch.randperm(n, generator=order).to(device)
        flipped = torch.rand(n, generator=flips) < (0.5 if recipe.flip else 0.0)
        flipped = flipped.to(device)
        total = torch.zeros((), device=device)
        for i, batch in enumerate(permutation.split(recipe.batch_size)):
            progress = ((epoch - 1) * batches + i) / (recipe.epochs * batches)
            rate = recipe.learning_rate * schedule(progress, recipe.warmup)
            total += step(batch, flipped[batch], rate) * len(batch)
        train_loss = float(total) / n
        seconds += time.perf_counter() - started
        if split == "test" and epoch < recipe.epochs:
            continue
        losses, accuracy = evaluate(network, data, held_out)
        mean = float(losses.mean())
        if not (math.isfinite(mean) and math.isfinite(train_loss)):
            raise TrialFailed(
                f"the loss must be finite, got {train_loss} in training and {mean} in validation "
                f"after epoch {epoch}"
            )
        checkpoint = None
        if epoch < recipe.epochs and (epoch == last or seconds - saved >= CHECKPOINT_SECONDS):
            checkpoint = snapshot(epoch, seconds, network, optimizer, order, flips)
            saved = seconds
        yield Metrics(epoch, mean, accuracy, train_loss, seconds, losses, checkpoint)


def snapshot(
    epoch: int,
    seconds: float,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    order: torch.Generator,
    flips: torch.Generator,
) -> bytes:
    """All that training goes on from: weights, optimizer, every source of random numbers."""
    cuda = torch.cuda.is_available()
    file = io.BytesIO()
    torch.save(
        {
            "epoch": epoch,
            "seconds": seconds,
            "network": network.state_dict(),
            "optimizer": optimizer.state_dict(),
            "order": order.get_state(),
            "flips": flips.get_state(),
            "random": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state() if cuda else None,
        },
        file,
    )
    return file.getvalue()


def restore(
    checkpoint: bytes,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    order: torch.Generator,
    flips: torch.Generator,
) -> tuple[int, float]:
    """Epochs and seconds of training so far, all state put back. Loads weights only."""
    state = torch.load(io.BytesIO(checkpoint), weights_only=True, map_location="cpu")
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    order.set_state(state["order"])
    flips.set_state(state["flips"])
    torch.set_rng_state(state["random"])
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
    return state["epoch"], state["seconds"]


def schedule(progress: float, warmup: float) -> float:
    """The share of the peak learning rate: a linear rise over `warmup`, then half a cosine."""
    if progress < warmup:
        return (progress + 1e-3) / (warmup + 1e-3)
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


def train_side(recipe: Recipe, side: int, epoch: int) -> int:
    """Pixels of the training images in that epoch, from 1: growing by equal steps to `side`."""
    grown = (epoch - 1) / (recipe.epochs - 1) if recipe.epochs > 1 else 1.0
    return max(1, round(side * (recipe.resize_from + (1 - recipe.resize_from) * grown)))


@torch.no_grad()
def evaluate(
    network: nn.Module, data: DataSet, images: Images
) -> tuple[NDArray[np.float32], float]:
    """The cross-entropy of every example of `images`, and the accuracy over all."""
    network.eval()
    normalise = normaliser(data)
    losses, right = [], []
    for pixels, labels in zip(
        images.pixels.split(EVAL_BATCH), images.labels.split(EVAL_BATCH), strict=True
    ):
        with mixed(pixels.device):
            logits = network(normalise(pixels)).float()
        losses.append(F.cross_entropy(logits, labels, reduction="none"))
        right.append(logits.argmax(1) == labels)
    return torch.cat(losses).float().cpu().numpy(), float(torch.cat(right).double().mean())
