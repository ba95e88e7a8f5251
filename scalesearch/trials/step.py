"""One training step: plain on a CPU; on a GPU in bfloat16 and replayed as a CUDA graph."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from scalesearch.data import DataSet, Images
from scalesearch.networks.blocks import weighted_loss
from scalesearch.spaces.space import Recipe

# indices of a batch's images, which of them are mirrored, the learning rate -> the mean loss
Step = Callable[[Tensor, Tensor, float], Tensor]
WARM_UP = 3


def make_optimizer(network: nn.Module, recipe: Recipe, device: torch.device) -> torch.optim.AdamW:
    """AdamW over the network's parameters; on a GPU its rate is a tensor, for graphs to read."""
    graphed = device.type == "cuda"
    return torch.optim.AdamW(
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
    graph: bool = True,
) -> Step:
    """A step on batches of `images`, normalised as `data` is.

    On a GPU a step on a whole batch is captured once and replayed, unless `graph` is False.
    """
    loss_of = partial(F.cross_entropy, label_smoothing=recipe.label_smoothing)
    normalise = normaliser(data)

    def compute(batch: Tensor, flipped: Tensor) -> Tensor:
        x = normalise(images.pixels[batch], flipped)
        with mixed(x.device):
            loss = weighted_loss(network, x, partial(loss_of, target=images.labels[batch]))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return loss.detach()

    def eager(batch: Tensor, flipped: Tensor, rate: float) -> Tensor:
        set_rate(optimizer, rate)
        return compute(batch, flipped)

    whole = min(recipe.batch_size, len(images))
    if images.pixels.device.type != "cuda" or not graph:
        return eager
    replay = captured(compute, network, optimizer, whole, images.pixels.device)

    def step(batch: Tensor, flipped: Tensor, rate: float) -> Tensor:
        if len(batch) != whole:
            return eager(batch, flipped, rate)
        set_rate(optimizer, rate)
        return replay(batch, flipped)

    return step


def captured(
    compute: Callable[[Tensor, Tensor], Tensor],
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch_size: int,
    device: torch.device,
) -> Callable[[Tensor, Tensor], Tensor]:
    """`compute` as a CUDA graph for batches of that size; weights and optimizer stay as they are.

    A capture needs steps before it, which train: what they changed is put back.
    """
    batch = torch.arange(batch_size, device=device)
    flipped = torch.zeros(batch_size, dtype=torch.bool, device=device)
    before = deepcopy(network.state_dict())
    moments = {p: deepcopy(state) for p, state in optimizer.state.items()}
    random = torch.cuda.get_rng_state(device)
    side = torch.cuda.Stream(device)
    side.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(side):
        for _ in range(WARM_UP):
            compute(batch, flipped)
    torch.cuda.current_stream(device).wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = compute(batch, flipped)
    network.load_state_dict(before)  # copies in place, where the graph looks
    put_back(optimizer, moments)
    torch.cuda.set_rng_state(random, device)

    def replay(of: Tensor, mirrored: Tensor) -> Tensor:
        batch.copy_(of)
        flipped.copy_(mirrored)
        graph.replay()
        return loss.clone()  # the next replay writes over it

    return replay


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
    device = data.train.pixels.device
    mean = torch.tensor(data.mean, device=device).view(1, -1, 1, 1)
    std = torch.tensor(data.std, device=device).view(1, -1, 1, 1)
    layout = torch.channels_last if device.type == "cuda" else torch.contiguous_format

    def normalise(pixels: Tensor, flipped: Tensor | None = None) -> Tensor:
        images = (pixels / 255 - mean) / std
        if flipped is not None:
            images = torch.where(flipped.view(-1, 1, 1, 1), images.flip(-1), images)
        return images.contiguous(memory_format=layout)

    return normalise
