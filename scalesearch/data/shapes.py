"""Shapes: drawings made on the spot, for tests and for use offline. Not real data."""

import math

import torch
from torch import Tensor

from scalesearch.data.images import Images, Source

SIDE = 28
CLASSES = ("disc", "ring", "square", "frame", "cross", "plus", "bars", "checks", "wedge", "dots")


def shapes(train: int = 12000, test: int = 2000) -> Source:
    """Ten classes of grey drawings, 28 x 28, with random place, size, turn, contrast and noise."""
    generator = torch.Generator().manual_seed(20190528)
    drawn = draw(train + test, generator)
    labels = torch.arange(train + test) % len(CLASSES)
    return Source(
        name="shapes",
        classes=CLASSES,
        train=Images(drawn[:train], labels[:train]),
        test=Images(drawn[train:], labels[train:]),
        synthetic=True,
    )


def draw(n: int, generator: torch.Generator) -> Tensor:
    """`n` drawings as uint8 (n, 1, 28, 28), of the classes in turn."""

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(n, 1, 1, generator=generator) * (high - low) + low

    axis = torch.linspace(-1, 1, SIDE)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    turn, size = uniform(-0.5, 0.5), uniform(0.45, 0.8)
    dx, dy = x - uniform(-0.25, 0.25), y - uniform(-0.25, 0.25)
    u = (torch.cos(turn) * dx + torch.sin(turn) * dy) / size
    v = (torch.cos(turn) * dy - torch.sin(turn) * dx) / size
    radius, square = (u**2 + v**2).sqrt(), torch.maximum(u.abs(), v.abs())
    wave = torch.sin(2.5 * math.pi * u)
    figures = [
        radius < 0.8,
        (radius < 1) & (radius > 0.6),
        square < 0.7,
        (square < 0.9) & (square > 0.55),
        (square < 0.95) & ((u - v).abs().minimum((u + v).abs()) < 0.3),
        (square < 0.95) & (u.abs().minimum(v.abs()) < 0.22),
        (square < 0.9) & (wave > 0),
        (square < 0.9) & (wave * torch.sin(2.5 * math.pi * v) > 0),
        (v < 0.7) & (v > 2 * u.abs() - 0.9),
        (square < 0.95) & (wave * torch.sin(2.5 * math.pi * v) > 0.5),
    ]
    classes = torch.arange(n) % len(figures)
    picked = torch.stack(figures, 1)[torch.arange(n), classes].float()
    noise = torch.randn(n, SIDE, SIDE, generator=generator) * uniform(0.05, 0.25)
    grey = uniform(0.1, 0.4) + picked * uniform(0.15, 0.5) + noise
    return (grey.clamp(0, 1) * 255).round().to(torch.uint8).unsqueeze(1)
