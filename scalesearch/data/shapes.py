"""Drawn shapes: a data set that needs no download, for trying things out. Not a benchmark.

Ten shapes, each at a random place, size and angle, light on dark or dark on light, on a slope of
grey, with noise. Image i of a split is the same whatever the number of images.
"""

import re
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from scalesearch.data.images import DataInfo, Images, Parts, Wanted
from scalesearch.files import SHOWN

SIDE = 28
TRAIN_EXAMPLES = 10_000
MOST = 1_000_000  # 784 MB of pixels
TEST_EXAMPLES = 2000
CHUNK = 1000
SEED = 20190528
NOISE = (6.0, 30.0)  # standard deviation, in levels of 255; each image has its own
CONTRAST = (30.0, 100.0)  # levels between shape and ground, either way

Grid = NDArray[np.float32]  # (n, side, side)


def _box(u: Grid, v: Grid, width: float, height: float) -> Grid:
    """How far (u, v) lies outside a box of half that width and height; negative inside."""
    outside: Grid = np.maximum(abs(u) - np.float32(width), abs(v) - np.float32(height))
    return outside


def _triangle(u: Grid, v: Grid) -> Grid:
    """How far (u, v) lies outside an equilateral triangle; negative inside."""
    rise = v * np.float32(3**0.5 / 2)
    outside: Grid = np.maximum(u, abs(rise) - u / 2) - np.float32(0.5)
    return outside


# how far (u, v) lies outside each shape of radius about 1; negative inside
SHAPES: dict[str, Callable[[Grid, Grid], Grid]] = {
    "disc": lambda u, v: np.hypot(u, v) - np.float32(0.85),
    "ring": lambda u, v: abs(np.hypot(u, v) - np.float32(0.72)) - np.float32(0.18),
    "square": lambda u, v: _box(u, v, 0.75, 0.75),
    "frame": lambda u, v: abs(_box(u, v, 0.65, 0.65)) - np.float32(0.16),
    "triangle": _triangle,
    "cross": lambda u, v: np.minimum(_box(u, v, 0.95, 0.22), _box(u, v, 0.22, 0.95)),
    "bar": lambda u, v: _box(u, v, 0.95, 0.25),
    "bars": lambda u, v: _box(u, abs(v) - np.float32(0.5), 0.9, 0.2),
    "corner": lambda u, v: np.minimum(
        _box(u, v + np.float32(0.65), 0.9, 0.22), _box(u + np.float32(0.65), v, 0.22, 0.9)
    ),
    "tee": lambda u, v: np.minimum(_box(u, v + np.float32(0.65), 0.9, 0.22), _box(u, v, 0.22, 0.9)),
}
CLASSES = tuple(SHAPES)


def describe(argument: str = "") -> DataInfo:
    """Ten classes of grey images, 28 pixels; synthetic. Raises ValueError for a bad N."""
    _available(argument)
    return DataInfo("shapes", CLASSES, channels=1, side=SIDE, synthetic=True)


def read(argument: str, wanted: Wanted) -> Parts:
    """Drawn training, validation and test images, each split from random numbers of its own."""
    available = _available(argument)
    train_examples = wanted.train_examples or available
    if train_examples > available:
        raise ValueError(
            f"train_examples must be at most {available}, got {train_examples}; "
            f"use shapes:{train_examples}"
        )
    if wanted.val_examples > MOST:
        raise ValueError(f"val_examples must be at most {MOST}, got {wanted.val_examples}")
    return Parts(
        draw(train_examples, stream=0), draw(wanted.val_examples, stream=1), draw(TEST_EXAMPLES, 2)
    )


def draw(examples: int, stream: int) -> Images:
    """The first `examples` images of a stream of them, (n, 1, 28, 28), its classes in turn."""
    drawn = []
    for chunk in range(-(-examples // CHUNK)):
        rng = np.random.default_rng([SEED, stream, chunk])
        drawn.append(_draw_chunk(rng))
    pixels = torch.from_numpy(np.concatenate(drawn))[:examples, None].clone()
    return Images(pixels, torch.arange(examples) % len(CLASSES))


def _available(argument: str) -> int:
    """The training images of shapes:N; TRAIN_EXAMPLES where there is no N."""
    if not argument:
        return TRAIN_EXAMPLES
    if not re.fullmatch(r"0*[1-9][0-9]{0,6}", argument) or int(argument) > MOST:
        raise ValueError(
            f"the N of shapes:N must be a whole number from 1 to {MOST}, got {argument[:SHOWN]!r}"
        )
    return int(argument)


def _draw_chunk(rng: np.random.Generator) -> NDArray[np.uint8]:
    """CHUNK images, (n, 28, 28): classes in turn."""

    def each(low: float, high: float) -> Grid:
        return rng.uniform(low, high, (CHUNK, 1, 1)).astype(np.float32)

    radius = each(5, 10)
    x = _pixels(axis=2) - each(-1, 1) * (SIDE / 2 - radius)
    y = _pixels(axis=1) - each(-1, 1) * (SIDE / 2 - radius)
    angle = each(0, 2 * np.pi)
    u = (x * np.cos(angle) + y * np.sin(angle)) / radius
    v = (y * np.cos(angle) - x * np.sin(angle)) / radius
    outside = np.empty_like(u)
    for label, distance in enumerate(SHAPES.values()):
        mine = slice(label, None, len(SHAPES))
        outside[mine] = distance(u[mine], v[mine])
    covered = np.clip(np.float32(0.5) - outside * radius, 0, 1)  # of each pixel, by the shape
    contrast = each(*CONTRAST) * np.sign(each(-1, 1))
    slope = x * each(-2, 2) + y * each(-2, 2)
    noise = rng.standard_normal(u.shape, np.float32) * each(*NOISE)
    image: Grid = each(90, 165) + slope + contrast * covered + noise
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def _pixels(axis: int) -> Grid:
    """Centres of the pixels along one axis of (n, height, width), from the image's centre."""
    shape = [1, 1, 1]
    shape[axis] = SIDE
    return (np.arange(SIDE, dtype=np.float32) - np.float32((SIDE - 1) / 2)).reshape(shape)
