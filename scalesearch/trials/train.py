"""Training a network: one plain loop that yields its metrics after every epoch."""

import copy
import io
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from scalesearch.data import DataSet, Images, resized
from scalesearch.networks.device import Capture, capture_on, replayed
from scalesearch.spaces.augmentation import Augmentation
from scalesearch.spaces.space import Recipe
from scalesearch.trials.augment import draws
from scalesearch.trials.curve import Point
from scalesearch.trials.feed import fed, in_order
from scalesearch.trials.step import Step, make_optimizer, make_step, normaliser
from scalesearch.trials.team import ALONE, Team

EVAL_BATCH = 500
CPU_PIXELS, FEWEST = 200_000, 16  # of a batch on a CPU, so that it takes no more than a step does
GPU_PIXELS = 4_000_000  # of one on a GPU, which small images would leave idle
CHECKPOINT_SECONDS = 60.0  # of training that a crash may cost
FLIPS = 1_000_003  # from the seed of the images' order to that of their mirroring
Split = Literal["val", "test"]
# -> the cross-entropy of every example, and the accuracy over all
Evaluation = Callable[[], tuple[NDArray[np.float32], float]]


@dataclass(frozen=True, slots=True)
class Metrics:
    """What is known after an epoch: cross-entropies, accuracy, seconds of training so far.

    `losses` holds the cross-entropy of every validation example, in the data's order;
    `checkpoint`, where there is one, what `train` starts from to go on after this epoch; `weights`
    the network's at its end, as safetensors, where they are to be kept. Of a user's own training
    the losses are its metric (Metric.loss), and there are no others.
    """

    epoch: int
    loss: float
    accuracy: float | None
    train_loss: float | None
    seconds: float
    losses: NDArray[np.float32]
    checkpoint: bytes | None = field(default=None, repr=False)
    weights: bytes | None = field(default=None, repr=False)

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
    side: int | None = None,
    team: Team = ALONE,
) -> Iterator[Metrics]:
    """Metrics on the validation split after each epoch of training `network` in place.

    The seed alone fixes the order of the images and what is done to them, so that every network
    sees the same; where they are cropped, it is to `side` pixels, their own unless given. The test
    split is looked at after the last epoch only. With `pause` training stops after that epoch, and
    its checkpoint as `start` goes on from there, to the same bits on a CPU. In a `team` a process
    trains on its share of every batch, and the first alone evaluates and yields. Raises TrialFailed
    when the loss is not finite.
    """
    held_out = held_out_of(data, split)
    device = data.train.labels.device
    optimizer = make_optimizer(network, recipe, device)
    joined = team.joined(network)
    shown = copy.deepcopy(network) if recipe.average else network
    order = torch.Generator().manual_seed(seed)
    flips = torch.Generator().manual_seed(seed + FLIPS)
    done, seconds = 0, 0.0
    if start is not None:
        done, seconds = restore(start, network, optimizer, order, flips, shown)
    n = len(data.train.labels)
    batches = math.ceil(n / recipe.batch_size)
    crops = recipe.augment.crops
    side, step_side, saved = side or data.train.side, 0, seconds
    last = min(pause or recipe.epochs, recipe.epochs)
    capture = capture_on(device) if team == ALONE else None
    step: Step | None = None
    average = averager(shown, network)
    evaluate = make_evaluation(shown, data, held_out, capture if split == "val" else None)
    for epoch in range(done + 1, last + 1):
        started = time.perf_counter()
        network.train()
        if step_side != (step_side := train_side(recipe, side, epoch)):
            # a crop is of the images as they are
            images = data.train if crops else resized(data.train, step_side)
            step = None  # what the last one captured is let go of before the next captures
            step = make_step(joined, optimizer, data, images, recipe, capture, step_side)
        assert step is not None
        team.draws_for_itself(seed, epoch)
        permutation = torch.randperm(n, generator=order).to(device)
        flipped = mirrored(n, recipe, flips, seed, epoch)
        plain = recipe.augment == Augmentation()
        drawn = flipped if plain else draws(recipe.augment, flipped, seed, epoch)
        drawn = drawn.to(device)
        total = torch.zeros((), device=device)
        whole = permutation.split(recipe.batch_size)
        for i, (chosen, batch) in enumerate(fed(images, [team.share(of) for of in whole])):
            progress = ((epoch - 1) * batches + i) / (recipe.epochs * batches)
            rate = recipe.learning_rate * rate_at(recipe, progress)
            total += step(batch, drawn[chosen], rate, len(whole[i])) * len(whole[i])
            average(share_kept(recipe.average, (epoch - 1) * batches + i))
        train_loss = float(team.mean(total)) / n
        seconds += time.perf_counter() - started
        if team.rank > 0 or (split == "test" and epoch < recipe.epochs):
            continue
        losses, accuracy = evaluate()
        mean = float(losses.mean())
        if not (math.isfinite(mean) and math.isfinite(train_loss)):
            raise TrialFailed(
                f"the loss must be finite, got {train_loss} in training and {mean} in validation "
                f"after epoch {epoch}"
            )
        checkpoint = None
        if epoch < recipe.epochs and (epoch == last or seconds - saved >= CHECKPOINT_SECONDS):
            checkpoint = snapshot(epoch, seconds, network, optimizer, order, flips, shown)
            saved = seconds
        if epoch == recipe.epochs:
            averager(network, shown)(0.0)
        yield Metrics(epoch, mean, accuracy, train_loss, seconds, losses, checkpoint)


def held_out_of(data: DataSet, split: Split) -> Images:
    """The images that a network is evaluated on. Raises TrialFailed where there are none."""
    held_out = data.val if split == "val" else data.test
    if held_out is None:
        raise TrialFailed(f"data {data.name} has no test split")
    return held_out


def looked(network: nn.Module, data: DataSet, split: Split, trained: Point) -> Metrics:
    """Metrics on that split of a network whose training has ended, so: what `train` ends with.

    The seconds are of the evaluation alone. Raises TrialFailed where there is no such split.
    """
    started = time.perf_counter()
    losses, accuracy = make_evaluation(network, data, held_out_of(data, split))()
    seconds = time.perf_counter() - started
    mean = float(losses.mean())
    return Metrics(trained.epoch, mean, accuracy, trained.train_loss, seconds, losses)


def mirrored(n: int, recipe: Recipe, flips: torch.Generator, seed: int, epoch: int) -> Tensor:
    """Which of `n` images are mirrored in that epoch, bool (n,)."""
    if recipe.flip == "alternate":  # as drawn for the first, then the others
        first = torch.rand(n, generator=torch.Generator().manual_seed(seed + FLIPS)) < 0.5
        return first ^ (epoch % 2 == 0)
    return torch.rand(n, generator=flips) < (0.5 if recipe.flip else 0.0)


def snapshot(
    epoch: int,
    seconds: float,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    order: torch.Generator,
    flips: torch.Generator,
    shown: nn.Module,
) -> bytes:
    """All that training goes on from: weights and, where they are others, those that are shown,
    optimizer, every source of random numbers."""
    cuda = on_gpu(network)
    file = io.BytesIO()
    torch.save(
        {
            "epoch": epoch,
            "seconds": seconds,
            "network": network.state_dict(),
            "shown": None if shown is network else shown.state_dict(),
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
    shown: nn.Module,
) -> tuple[int, float]:
    """Epochs and seconds of training so far, all state put back. Loads weights only."""
    state = torch.load(io.BytesIO(checkpoint), weights_only=True, map_location="cpu")
    network.load_state_dict(state["network"])
    if shown is not network:
        shown.load_state_dict(state["shown"])
    load_moments(optimizer, state["optimizer"]["state"])
    order.set_state(state["order"])
    flips.set_state(state["flips"])
    torch.set_rng_state(state["random"])
    if state["cuda"] is not None and on_gpu(network):
        torch.cuda.set_rng_state(state["cuda"])
    return state["epoch"], state["seconds"]


def load_moments(optimizer: torch.optim.Optimizer, saved: Mapping[int, Any]) -> None:
    """Set the moments and steps to those saved, on the parameters' devices.

    All else stays the optimizer's own: torch would put a saved learning rate in the place of the
    tensor that set_rate changes and a CUDA graph reads, and leave it on the CPU; and one saved on a
    CPU would say that steps cannot be captured.
    """
    rates = [group["lr"] for group in optimizer.param_groups]
    own = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": saved, "param_groups": own})
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
    for parameter, state in optimizer.state.items():
        for name, moments in state.items():  # fused steps want the parameter's own layout
            if moments.shape == parameter.shape and moments.stride() != parameter.stride():
                state[name] = torch.empty_like(parameter).copy_(moments)


def on_gpu(network: nn.Module) -> bool:
    """Whether a network trains on a GPU."""
    return any(parameter.device.type == "cuda" for parameter in network.parameters())


def rate_at(recipe: Recipe, progress: float) -> float:
    """The share of the recipe's learning rate at that share of all its steps."""
    if recipe.schedule == "constant" and progress >= recipe.warmup:
        return 1.0
    return schedule(progress, recipe.warmup)


def share_kept(decay: float, step: int) -> float:
    """What an average keeps of the steps before, from 0: less at first, when they are few."""
    return min(decay, step / (step + 10))


def averager(average: nn.Module, network: nn.Module) -> Callable[[float], None]:
    """A function that moves the average's weights and statistics towards the network's, in place,
    and keeps that share of them; of a network and itself one that does nothing.

    The tensors are looked up once: to find them takes as long as a GPU's step on small images.
    """
    if average is network:
        return lambda kept: None
    ours, theirs = (list(each.state_dict().values()) for each in (average, network))
    pairs = [(a, b) for a, b in zip(ours, theirs, strict=True) if a.is_floating_point()]
    ours, theirs = [a for a, _ in pairs], [b for _, b in pairs]
    return torch.no_grad()(lambda kept: torch._foreach_lerp_(ours, theirs, 1 - kept))


def schedule(progress: float, warmup: float) -> float:
    """The share of the peak learning rate: a linear rise over `warmup`, then half a cosine."""
    if progress < warmup:
        return (progress + 1e-3) / (warmup + 1e-3)
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


def train_side(recipe: Recipe, side: int, epoch: int) -> int:
    """Pixels of the training images in that epoch, from 1: growing by equal steps to `side`."""
    grown = (epoch - 1) / (recipe.epochs - 1) if recipe.epochs > 1 else 1.0
    return max(1, round(side * (recipe.resize_from + (1 - recipe.resize_from) * grown)))


def make_evaluation(
    network: nn.Module, data: DataSet, images: Images, capture: Capture | None = None
) -> Evaluation:
    """An evaluation of `network` on `images`, normalised as `data` is, in float32.

    With `capture` it is captured once for each size of batch.
    """
    normalise = normaliser(data)
    size = evaluated_at_once(images)
    by_size: dict[int, Callable[..., Tensor]] = {}

    def compute(pixels: Tensor, labels: Tensor) -> Tensor:
        logits = network(normalise(pixels)).float()
        losses = F.cross_entropy(logits, labels, reduction="none")
        return torch.stack([losses, (logits.argmax(1) == labels).float()])

    def of_batch(pixels: Tensor, labels: Tensor) -> Tensor:
        if capture is None:
            return compute(pixels, labels)
        if len(labels) not in by_size:
            by_size[len(labels)] = replayed(compute, (pixels, labels), capture)
        return by_size[len(labels)](pixels, labels)

    @torch.no_grad()
    def evaluate() -> tuple[NDArray[np.float32], float]:
        network.eval()
        with whole_precision(images.labels.device):
            losses, right = torch.cat([of_batch(*batch) for batch in in_order(images, size)], 1)
        return losses.cpu().numpy(), float(right.double().mean())

    return evaluate


def evaluated_at_once(images: Images) -> int:
    """How many images a batch of evaluation has: on a GPU more where they are small, in equal
    parts, so that one graph does for all but the last.
    """
    if images.labels.device.type != "cuda":
        return on_a_cpu(images.side)
    return equal_parts(len(images), images.side)


def on_a_cpu(side: int) -> int:
    """How many images of that side a batch of evaluation has on a CPU."""
    return max(FEWEST, min(EVAL_BATCH, CPU_PIXELS // side**2))


def equal_parts(images: int, side: int) -> int:
    """The size of the fewest equal batches of at most GPU_PIXELS pixels, or EVAL_BATCH images."""
    most = max(EVAL_BATCH, GPU_PIXELS // side**2)
    return math.ceil(images / math.ceil(images / most))


@contextmanager
def whole_precision(device: torch.device) -> Iterator[None]:
    """Convolutions in float32 on a GPU too, where torch would have them in TF32."""
    if device.type != "cuda":
        yield
        return
    convolutions = torch.backends.cudnn.conv  # type: ignore[attr-defined]
    usual, convolutions.fp32_precision = convolutions.fp32_precision, "ieee"
    try:
        yield
    finally:
        convolutions.fp32_precision = usual
