"""Weights and images that need no file: each value is a function of its name and its index."""

from collections.abc import Mapping
from functools import lru_cache
from zlib import crc32

import torch
from torch import Tensor

PERIOD = 65521  # a prime, so that the values line up with no layer's shape


@lru_cache(maxsize=1)
def _table() -> Tensor:
    """u(k) = 2 (k^11 mod PERIOD) / PERIOD - 1: every multiple of 2 / PERIOD once, in [-1, 1)."""
    exact = [2 * pow(k, 11, PERIOD) / PERIOD - 1 for k in range(PERIOD)]
    return torch.tensor(exact, dtype=torch.float64).float()


def values(name: str, shape: tuple[int, ...]) -> Tensor:
    """Float32 values of `shape`, the i-th of them u(crc32(name) + i mod PERIOD)."""
    count = int(torch.Size(shape).numel())
    start = crc32(name.encode()) % PERIOD
    repeated = _table().repeat((start + count) // PERIOD + 1)
    return repeated[start : start + count].reshape(shape)


def state(shapes: Mapping[str, tuple[int, ...]], gain: float) -> dict[str, Tensor]:
    """A state dict of those names and shapes; `gain` multiplies the weights of matrices."""
    return {name: _entry(name, tuple(shape), gain) for name, shape in shapes.items()}


def _entry(name: str, shape: tuple[int, ...], gain: float) -> Tensor:
    if name.endswith("num_batches_tracked"):
        return torch.tensor(0)
    drawn = values(name, shape)
    if len(shape) > 1:  # variance 2 / fan_in, times gain^2
        return drawn * gain * (6 / torch.Size(shape[1:]).numel()) ** 0.5
    if name.endswith("running_var"):
        return 1 + drawn / 2
    return 1 + drawn / 4 if name.endswith("weight") else drawn / 10
