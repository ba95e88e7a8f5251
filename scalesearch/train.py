"""Training a network: one plain loop that yields its metrics after every epoch."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from scalesearch.data import DataSet, Images, resized
from scalesearch.models import Model
from scalesearch.nets import weighted_loss
from scalesearch.space import Recipe

EVAL_BATCH = 500
Split = Literal["val", "test"]


@dataclass(frozen=True, slots=True)
class Metrics:
    """What is known after an epoch: cross-entropies, accuracy, seconds of training so far.

    `losses` holds the cross-entropy of every validation example, in the data's order.
    """

    epoch: int
    loss: float
    accuracy: float
    train_loss: float
    seconds: float
    losses: NDArray[np.float32]


class TrialFailed(RuntimeError):
    """A trial that cannot end well, with the reason in one line."""


def train(
    network: nn.Module, data: DataSet, recipe: Recipe, seed: int, split: Split = "val"
) -> Iterator[Metrics]:
    """Metrics on the validation split after each epoch of training `network` in place.

    The seed alone fixes the order and the flips of the images, so that every network sees the
    same. The test split is looked at after the last epoch only. Raises TrialFailed when the loss
    is not finite.
    """
    held_out = data.val if split == "val" else data.test
    if held_out is None:
        raise TrialFailed(f"data {data.name} has no test split")
    order = torch.Generator().manual_seed(seed)
    flips = torch.Generator().manual_seed(seed + 1_000_003)
    optimizer = torch.optim.AdamW(
        parameter_groups(network, recipe.weight_decay), lr=recipe.learning_rate, fused=True
    )
    n = len(data.train.labels)
    batches = math.ceil(n / recipe.batch_size)
    step, seconds = 0, 0.0
    side = data.train.pixels.shape[-1]
    for epoch in range(1, recipe.epochs + 1):
        started = time.perf_counter()
        pixels = resized(data.train, train_side(recipe, side, epoch)).pixels
        network.train()
        permutation = torch.randperm(n, generator=order)
        flipped = torch.rand(n, generator=flips) < (0.5 if recipe.flip else 0.0)
        total = torch.zeros((), device=data.train.pixels.device)
        for batch in permutation.split(recipe.batch_size):
            rate = recipe.learning_rate * schedule(step / (recipe.epochs * batches), recipe.warmup)
            for group in optimizer.param_groups:
                group["lr"] = rate
            images = normalised(data, pixels[batch], flipped[batch])
            labels = data.train.labels[batch]
            loss = weighted_loss(
                network,
                images,
                partial(F.cross_entropy, target=labels, label_smoothing=recipe.label_smoothing),
            )
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(batch)
            step += 1
        seconds += time.perf_counter() - started
        train_loss = float(total) / n
        if split == "test" and epoch < recipe.epochs:
            continue
        losses, accuracy = evaluate(network, data, held_out)
        mean = float(losses.mean())
        if not (math.isfinite(mean) and math.isfinite(train_loss)):
            raise TrialFailed(
                f"the loss must be finite, got {train_loss} in training and {mean} in validation "
                f"after epoch {epoch}"
            )
        yield Metrics(epoch, mean, accuracy, train_loss, seconds, losses)


def schedule(progress: float, warmup: float) -> float:
    """The share of the peak learning rate: a linear rise over `warmup`, then half a cosine."""
    if progress < warmup:
        return (progress + 1e-3) / (warmup + 1e-3)
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


def train_side(recipe: Recipe, side: int, epoch: int) -> int:
    """Pixels of the training images in that epoch, from 1: growing by equal steps to `side`."""
    grown = (epoch - 1) / (recipe.epochs - 1) if recipe.epochs > 1 else 1.0
    return max(1, round(side * (recipe.resize_from + (1 - recipe.resize_from) * grown)))


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Weights of convolutions and classifiers, which decay, and all else, which does not."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    groups: list[dict[str, object]] = [{"params": decayed, "weight_decay": weight_decay}]
    return [*groups, {"params": others, "weight_decay": 0.0}] if others else groups


def normalised(data: DataSet, pixels: Tensor, flipped: Tensor | None = None) -> Tensor:
    """uint8 images as floats of zero mean and unit variance, those in `flipped` mirrored."""
    mean = torch.tensor(data.mean, device=pixels.device).view(1, -1, 1, 1)
    std = torch.tensor(data.std, device=pixels.device).view(1, -1, 1, 1)
    images = (pixels / 255 - mean) / std
    if flipped is None:
        return images
    return torch.where(flipped.to(pixels.device).view(-1, 1, 1, 1), images.flip(-1), images)


@torch.no_grad()
def evaluate(
    network: nn.Module, data: DataSet, images: Images
) -> tuple[NDArray[np.float32], float]:
    """The cross-entropy of every example of `images`, and the accuracy over all."""
    network.eval()
    losses, hits = [], 0
    for pixels, labels in zip(
        images.pixels.split(EVAL_BATCH), images.labels.split(EVAL_BATCH), strict=True
    ):
        logits = network(normalised(data, pixels)).float()
        losses.append(F.cross_entropy(logits, labels, reduction="none"))
        hits += int((logits.argmax(1) == labels).sum())
    return torch.cat(losses).cpu().numpy(), hits / len(images.labels)


def one_step(network: nn.Module, batch_size: int, arch: Model, repeats: int = 5) -> float:
    """Median seconds of a training step on random images, after one to warm up."""
    images = torch.randn(batch_size, arch.channels, arch.resolution, arch.resolution)
    labels = torch.randint(arch.classes, (batch_size,))
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
    seconds = []
    network.train()
    for _ in range(repeats + 1):
        started = time.perf_counter()
        loss = weighted_loss(network, images, partial(F.cross_entropy, target=labels))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        seconds.append(time.perf_counter() - started)
    return float(np.median(seconds[1:]))
