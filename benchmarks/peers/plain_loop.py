"""The loop that both sides of a comparison train by."""

import copy
import time

import torch
import torch.nn.functional as F
from torch import nn


def train(
    network: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    optimizer: torch.optim.Optimizer,
    steps: int,
) -> tuple[list[float], list[float]]:
    """The loss and the seconds of each of that many steps on one batch: a plain loop."""
    losses, seconds = [], []
    for _ in range(steps):
        started = time.perf_counter()
        loss = F.cross_entropy(network(images), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        seconds.append(time.perf_counter() - started)
        losses.append(loss.item())
    return losses, seconds


def curve(network: nn.Module, images: torch.Tensor, labels: torch.Tensor) -> list[float]:
    """The losses of ten steps of SGD in float64, of a copy of the network.

    In float32 equal functions part as fast as float32 from float64; and at a rate at which the loss
    goes up and down, in any precision.
    """
    twin = copy.deepcopy(network).double()
    optimizer = torch.optim.SGD(twin.parameters(), lr=1e-4)
    return train(twin, images.double(), labels, optimizer, 10)[0]
