"""A look inside a network before it is trained: on how many pixels do its blocks work?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from scalesearch.networks.arch import Arch, Stage
from scalesearch.networks.blocks.layers import Style, style_of
from scalesearch.networks.blocks.layout import map_sides, no_maps, placed_blocks, run_block
from scalesearch.networks.count import count
from scalesearch.networks.custom import CustomModel
from scalesearch.networks.inputs import called, example_of, tensors_in
from scalesearch.networks.models import Model, build_model
from scalesearch.networks.stride import POOLS

NARROW = 4  # pixels a side below which a kernel's border is most of what it sees
TINY = 2  # the last at which that is all it sees: 3 x 3 reaches the border from every pixel
# what leaves nothing of where on the map something was
POOLED = ("adaptive_avg_pool2d", "adaptive_max_pool2d", "mean", "sum", "amax")


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The maps inside a network, for the images that it is trained on."""

    sides: tuple[int, ...]
    """Pixels a side of the maps that the stem and each stage write; of a function's network those
    of its convolutions, one after another, as they change."""
    receptive_field: int
    """Pixels a side of the images that a pixel of the last map sees, squeeze-excitation apart."""
    blocks: int
    """Blocks of the stages, pools apart; of a function's network its convolutions."""
    narrow_blocks: int
    """Of them those that write maps narrower than 4 pixels."""
    tiny_blocks: int
    """Of them those that write maps of 2 pixels or less."""
    narrow_flops: float
    """The share of the multiply-adds that convolutions do on maps narrower than 4 pixels."""


class Reach(NamedTuple):
    """What a pixel of a map is to the images, by height and width: where the next one starts, and
    how many pixels it sees."""

    steps: tuple[int, int] = (1, 1)
    sees: tuple[int, int] = (1, 1)

    def through(self, kernel: Any, stride: Any) -> "Reach":
        """After a window of that size and stride."""
        (tall, wide), (down, along) = pair(kernel), pair(stride)
        return Reach(
            (self.steps[0] * down, self.steps[1] * along),
            (
                self.sees[0] + (tall - 1) * self.steps[0],
                self.sees[1] + (wide - 1) * self.steps[1],
            ),
        )


class Followed(NamedTuple):
    """What is followed through a network or a block: the side and multiply-adds of every
    convolution, and how many pixels of the images the widest window sees."""

    convolutions: tuple[tuple[int, int], ...]
    field: int


class Trace(TorchFunctionMode):
    """Follows what is made of the images, or of maps of that reach, through a network: the reach of
    every map, and the side and multiply-adds of every convolution. Maps of no reach, which has been
    lost in a pool, are not followed."""

    def __init__(self, images: Sequence[Tensor], reach: Reach | None) -> None:
        super().__init__()
        # the tensors too, so that no other is given their place in memory
        self.known = {id(image): (image, reach) for image in images if reach}
        self.convolutions: list[tuple[int, int]] = []
        self.field = 1

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        reaches = [self.known[id(x)][1] for x in flat(args) if id(x) in self.known]
        if reaches and name not in POOLED:
            reach = max(reaches, key=lambda reach: max(reach.sees))
            if name in ("conv2d", "max_pool2d", "avg_pool2d"):
                reach = self.after_window(name, reach, out, args, kwargs or {})
            for made in flat([out]):
                self.known[id(made)] = (made, reach)
        return out

    @property
    def followed(self) -> Followed:
        """What has been followed so far."""
        return Followed(tuple(self.convolutions), self.field)

    def after_window(self, name: str, reach: Reach, out: Tensor, args: Any, given: Any) -> Reach:
        """The reach after a convolution or a pool, which are noted."""

        def argument(place: int, word: str, default: Any) -> Any:
            return args[place] if len(args) > place else given.get(word, default)

        if name == "conv2d":
            weight = argument(1, "weight", None)
            kernel, stride = weight.shape[2:], argument(3, "stride", 1)
            apart = pair(argument(5, "dilation", 1))
            kernel = tuple((k - 1) * d + 1 for k, d in zip(kernel, apart, strict=True))
            written = out.shape[-1] * out.shape[-2]
            self.convolutions.append((min(out.shape[-2:]), weight.numel() * written))
        else:
            kernel = argument(1, "kernel_size", 1)
            stride = argument(2, "stride", None) or kernel
        reach = reach.through(kernel, stride)
        self.field = max(self.field, *reach.sees)
        return reach


@lru_cache(maxsize=4096)
def look(model: Model) -> Look:
    """What is inside `model`, from one pass that computes nothing of a table's network.

    Raises ValueError, naming the row, where the images are too small for it.
    """
    trained = as_trained(model)
    if isinstance(trained, Arch):
        sides, blocks = stage_sides(trained), block_sides(trained)
        found = traced_blocks(trained)
    else:
        found = traced_network(trained)
        blocks = [side for side, _ in found.convolutions]
        sides = tuple(side for side, _ in groupby(blocks))
    narrow = sum(flops for side, flops in found.convolutions if side < NARROW)
    return Look(
        sides=sides,
        receptive_field=found.field,
        blocks=len(blocks),
        narrow_blocks=sum(side < NARROW for side in blocks),
        tiny_blocks=sum(side <= TINY for side in blocks),
        narrow_flops=narrow / count(trained).flops,
    )


def as_trained(model: Model) -> Model:
    """The model at the side of its training images, where it has another for them."""
    smaller = 0 < model.train_resolution < model.resolution
    return replace(model, resolution=model.train_resolution) if smaller else model


def traced_network(model: CustomModel) -> Followed:
    """What is followed through a function's network, by a pass of one image."""
    example = example_of(model)
    trace = Trace(tensors_in(example), Reach())
    with torch.no_grad(), trace:
        called(build_model(model).eval(), example)
    return trace.followed


def traced_blocks(arch: Arch) -> Followed:
    """What is followed through a table's network, up to its last map, block by block."""
    style, side = style_of(arch), arch.resolution
    reach: Reach | None = Reach()
    convolutions: list[tuple[int, int]] = []
    field = 1
    for place in placed_blocks(arch):
        row = replace(place.stage, depth=1, stride=place.stride)
        found, side, reach = traced_block(style, row, place.in_width, side, reach)
        convolutions += found.convolutions
        field = max(field, found.field)
    return Followed(tuple(convolutions), field)


@lru_cache(maxsize=65536)
def traced_block(
    style: Style, row: Stage, in_width: int, side: int, reach: Reach | None
) -> tuple[Followed, int, Reach | None]:
    """What is followed through one block, by a pass of no maps of that reach; and the side and the
    reach of what it writes, None behind a pool to one size. The networks of a grid share most of
    their blocks."""
    maps = no_maps(in_width, side)
    trace = Trace([maps], reach)
    with trace:
        written = run_block(style, row, maps)
    _, after = trace.known.get(id(written), (None, None))
    return trace.followed, written.shape[-1], after


def stage_sides(arch: Arch) -> tuple[int, ...]:
    """The side of the map after the stem, if there is one, and after each stage."""
    ends: dict[tuple[str, int], int] = {}
    for place, side in zip(placed_blocks(arch), map_sides(arch), strict=True):
        ends[place.part, place.row if place.part == "stages" else 0] = side
    return tuple(side for (part, _), side in ends.items() if part != "head")


def block_sides(arch: Arch) -> list[int]:
    """The side of the map that each block of the stages writes, pools apart."""
    placed = zip(placed_blocks(arch), map_sides(arch), strict=True)
    return [s for p, s in placed if p.part == "stages" and p.stage.block not in POOLS]


def pair(value: Any) -> tuple[int, int]:
    """Height and width of what is given as one number or as both."""
    return (value, value) if isinstance(value, int) else (value[0], value[-1])


def flat(values: Any) -> list[Tensor]:
    """The tensors among values, and among those of lists in them."""
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, list | tuple):
            found += flat(value)
    return found
