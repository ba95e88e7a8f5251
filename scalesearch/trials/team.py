"""Processes that train one network together: each takes its share of every batch.

torch's DistributedDataParallel averages their gradients, and batch norm takes the statistics of the
whole batch. So they train what one process does, but for the order of sums, and for what dropout
and dropped paths draw: every process draws for its own images.
"""

import os
import socket
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from scalesearch.networks.blocks.fast import BatchNorm2d

# for one another: one that dies is seen, and a run gives up one that hangs
WAIT = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Team:
    """Which of how many processes that train one network together this one is.

    The first of them evaluates the network, and tells of it.
    """

    rank: int = 0
    size: int = 1

    def meet(self, device: str, folder: Path) -> None:
        """Join the others, who meet by a file in that folder and then talk on the loopback alone.

        A process's GPU is the one of its rank among those that are visible.
        """
        loopback = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
        os.environ["GLOO_SOCKET_IFNAME"] = loopback
        os.environ["NCCL_SOCKET_IFNAME"] = f"={loopback}"  # and none that only begins so
        if device == "cuda":
            torch.cuda.set_device(self.rank)
        backend = "nccl" if device == "cuda" else "gloo"
        store = dist.FileStore(str(folder / "met"), self.size)  # type: ignore[attr-defined]
        dist.init_process_group(
            backend, timeout=WAIT, store=store, rank=self.rank, world_size=self.size
        )

    def joined(self, network: nn.Module) -> nn.Module:
        """What a step calls in place of `network`, for the gradients of whole batches; the network
        itself where there is one process. Its batch norms are changed in place."""
        if self.size == 1:
            return network
        if next(network.parameters()).device.type == "cuda":
            nn.SyncBatchNorm.convert_sync_batchnorm(network)
        for module in network.modules():
            if type(module) is BatchNorm2d:  # on a CPU, where torch's SyncBatchNorm does not run
                module.__class__ = JointBatchNorm2d  # with the weights and statistics that it has
        return DistributedDataParallel(network)

    def share(self, batch: Tensor) -> Tensor:
        """This process's images of a batch, in their order.

        The first and the last go to the same process, as do the second and the last but one: these
        are mixed with each other where a recipe mixes images.
        """
        if self.size == 1:
            return batch
        places = torch.arange(len(batch), device=batch.device)
        pair = torch.minimum(places, len(batch) - 1 - places)
        return batch[pair % self.size == self.rank]

    def draws_for_itself(self, seed: int, epoch: int) -> None:
        """Have a process other than the first draw random numbers of its own in that epoch."""
        if self.rank > 0:
            words = np.random.SeedSequence((seed, epoch, self.rank)).generate_state(1, np.uint64)
            torch.manual_seed(int(words[0]))

    def mean(self, value: Tensor) -> Tensor:
        """The mean of a value over the processes."""
        if self.size > 1:
            dist.all_reduce(value)
        return value / self.size


ALONE = Team()


def team_size(network: nn.Module) -> int:
    """How many processes train a network, by what `Team.joined` made of it."""
    return dist.get_world_size() if isinstance(network, DistributedDataParallel) else 1


class JointBatchNorm2d(BatchNorm2d):
    """Batch norm by the statistics of the images of all processes, on a CPU."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        found = summed(torch.cat([x.sum((0, 2, 3)), x.new_tensor([x[:, 0].numel()])]))
        count = found[-1].detach()
        mean = found[:-1] / count
        centred = x - mean.view(1, -1, 1, 1)
        variance = summed(centred.square().sum((0, 2, 3))) / count
        self.move(mean.detach(), variance.detach() * (count / (count - 1)))
        scale = self.weight * (variance + self.eps).rsqrt()
        return centred * scale.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)

    def move(self, mean: Tensor, variance: Tensor) -> None:
        """Move the running statistics towards those of a batch."""
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None and self.momentum is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)


def summed(own: Tensor) -> Tensor:
    """The sum over all processes of what each has, with its gradient."""
    found: Tensor = Summed.apply(own)  # type: ignore[no-untyped-call]
    return found


class Summed(torch.autograd.Function):
    """A sum over processes: what each has is in the result of every other."""

    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:
        found = own.clone()
        dist.all_reduce(found)
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        found = gradients[0].clone()
        dist.all_reduce(found)
        return found
