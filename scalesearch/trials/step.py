"""One training step: plain on a CPU; on a GPU in bfloat16 and replayed as a CUDA graph."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from inspect import unwrap
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scalesearch.data import DataSet, Images
from scalesearch.networks.blocks import weighted_loss
from scalesearch.networks.device import Capture, Compute, channels_last, replayed
from scalesearch.spaces.augmentation import Augmentation
from scalesearch.spaces.space import Recipe
from scalesearch.trials.augment import changed, erased, mixed_with_last, mixes, reshaped
from scalesearch.trials.team import team_size


class Step(Protocol):
    """A step on a batch, by indices of images or itself where it is streamed.

    It is told which of the images are mirrored, or all that augmentation has drawn for them; the
    learning rate; of a process's share of a batch how many images the whole has. It returns the
    loss, whose mean over the processes is that of the batch.
    """

    def __call__(
        self, batch: Tensor | Images, drawn: Tensor, rate: float, whole: int | None = None
    ) -> Tensor: ...


class AdamW(torch.optim.AdamW):
    """torch's AdamW without its marks for the compiler: heeding them imports that, seconds of
    every process that trains, and nothing here is compiled."""

    add_param_group = unwrap(torch.optim.AdamW.add_param_group)
    zero_grad = unwrap(torch.optim.AdamW.zero_grad)
    state_dict = unwrap(torch.optim.AdamW.state_dict)
    load_state_dict = unwrap(torch.optim.AdamW.load_state_dict)
    step = torch.no_grad()(unwrap(torch.optim.AdamW.step))


def make_optimizer(network: nn.Module, recipe: Recipe, device: torch.device) -> AdamW:
    """AdamW over the network's parameters; on a GPU its rate is a tensor, for graphs to read."""
    graphed = device.type == "cuda"
    return AdamW(
        parameter_groups(network, recipe.weight_decay),
        lr=torch.tensor(recipe.learning_rate, device=device) if graphed else recipe.learning_rate,
        fused=True,
        capturable=graphed,
    )


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Weights of convolutions and classifiers, which decay, and all else, which does not."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    groups: list[dict[str, object]] = [{"params": decayed, "weight_decay": weight_decay}]
    return [*groups, {"params": others, "weight_decay": 0.0}] if others else groups


def make_step(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    data: DataSet,
    images: Images,
    recipe: Recipe,
    capture: Capture | None = None,
    side: int | None = None,
) -> Step:
    """A step on batches of `images`, normalised as `data` is; augmented to `side` pixels, if given.

    With `capture` it is captured once for each size of batch: the whole ones, and the last. A
    network that a team has joined is trained on this process's shares of batches.
    """
    loss_of = partial(batch_loss, size=team_size(network), smoothing=recipe.label_smoothing)
    prepare = augmenter(data, recipe, side or images.side)
    by_size: dict[int, Compute] = {}
    resident = (images.pixels, images.labels)

    def compute(whole: int, drawn: Tensor, *batch: Tensor) -> Tensor:
        pixels, labels = batch if len(batch) == 2 else (x[batch[0]] for x in resident)
        x, labels = prepare(pixels, labels, drawn)
        with mixed(x.device):
            loss = weighted_loss(network, x, partial(loss_of, labels=labels, whole=whole))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss.detach()

    def step(
        batch: Tensor | Images, drawn: Tensor, rate: float, whole: int | None = None
    ) -> Tensor:
        set_rate(optimizer, rate)
        one = partial(compute, whole or len(batch))
        inputs = (batch,) if isinstance(batch, Tensor) else (batch.pixels, batch.labels)
        if capture is None:
            return one(drawn, *inputs)
        if len(batch) not in by_size:
            kept = unchanged(network, optimizer)
            by_size[len(batch)] = replayed(one, (drawn, *inputs), capture, kept)
        return by_size[len(batch)](drawn, *inputs)

    return step


def batch_loss(logits: Tensor, labels: Tensor, whole: int, size: int, smoothing: float) -> Tensor:
    """The mean cross-entropy over a batch; of a share of it that whose mean over so many processes
    is the batch's of `whole` images, for that is what they do with gradients."""
    if size == 1:
        return F.cross_entropy(logits, labels, label_smoothing=smoothing)
    own = F.cross_entropy(logits, labels, label_smoothing=smoothing, reduction="sum")
    return own * (size / whole)


@contextmanager
def unchanged(network: nn.Module, optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Put weights, moments and random numbers back to what they were, in place: graphs look there.

    A capture needs steps before it, which train.
    """
    before = deepcopy(network.state_dict())
    moments = {p: deepcopy(state) for p, state in optimizer.state.items()}
    devices = {p.device for p in network.parameters() if p.device.type == "cuda"}
    with torch.random.fork_rng([*devices]):
        try:
            yield
        finally:
            network.load_state_dict(before)
            put_back(optimizer, moments)


def put_back(optimizer: torch.optim.Optimizer, before: Mapping[Tensor, dict[str, Any]]) -> None:
    """Set the optimizer's tensors to what they were, in place; to zero where there were none."""
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if parameter in before:
                value.copy_(before[parameter][name])
            else:
                value.zero_()


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of every group, in place where it is a tensor."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def mixed(device: torch.device) -> torch.autocast:
    """bfloat16 where it is safe, on a GPU; nothing on a CPU."""
    cuda = device.type == "cuda"
    return torch.autocast(device.type, torch.bfloat16, enabled=cuda, cache_enabled=False)


def normaliser(data: DataSet) -> Callable[..., Tensor]:
    """A function of uint8 images, and of which to mirror: floats of zero mean, unit variance."""
    device = data.train.labels.device
    mean, std = statistics(data)

    def normalise(pixels: Tensor, flipped: Tensor | None = None) -> Tensor:
        images = (pixels / 255 - mean) / std
        if flipped is not None:
            images = torch.where(flipped.view(-1, 1, 1, 1), images.flip(-1), images)
        return channels_last(images) if device.type == "cuda" else images.contiguous()

    return normalise


def statistics(data: DataSet) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel, on the data's device, (1, channels, 1, 1)."""
    device = data.train.labels.device
    mean, std = (torch.tensor(of, device=device).view(1, -1, 1, 1) for of in (data.mean, data.std))
    return mean, std


def augmenter(
    data: DataSet, recipe: Recipe, side: int
) -> Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]:
    """A function of uint8 images, labels and what was drawn: what a network is trained on.

    Drawn is which images are mirrored; where the recipe augments them, the rows of `augment.draws`.
    """
    augment, (mean, std) = recipe.augment, statistics(data)
    if augment == Augmentation():
        normalise = normaliser(data)
        return lambda pixels, labels, flipped: (normalise(pixels, flipped), labels)

    def prepare(pixels: Tensor, labels: Tensor, drawn: Tensor) -> tuple[Tensor, Tensor]:
        x = (changed(pixels / 255, augment, drawn) - mean) / std
        x = erased(reshaped(x, augment, drawn, side), augment, drawn)
        if mixes(augment):
            x, labels = mixed_with_last(x, labels, len(data.classes), augment, drawn)
        return (channels_last(x) if x.device.type == "cuda" else x.contiguous()), labels

    return prepare
