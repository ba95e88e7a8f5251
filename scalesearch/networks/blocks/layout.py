"""Where each block of an arch stands, and what it is given."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from threading import Lock
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from scalesearch.networks.arch import Arch, InputTooSmall, Stage
from scalesearch.networks.blocks.blocks import block_layer
from scalesearch.networks.blocks.layer import Layer, build
from scalesearch.networks.blocks.layers import Style, style_of

ModuleType = TypeVar("ModuleType", bound=nn.Module)
RUNNING = Lock()  # held while one of the shared empty blocks is hooked


class Placed(NamedTuple):
    """A block's place in its network: part, row from 1, the row, input channels, stride, drop."""

    part: str
    row: int
    stage: Stage
    in_width: int
    stride: int
    drop: float

    def layer(self, style: Style) -> Layer:
        """The layer that the block is. Raises ValueError for a row that none can be made of."""
        return block_layer(style, self.stage, self.in_width, self.stride, self.drop)


def placed_blocks(arch: Arch) -> Iterator[Placed]:
    """Every block of `arch` in order, stem to head; only stages drop (stochastic depth)."""
    in_width = arch.channels
    total = sum(arch.depths)
    done = 0
    for part, stages in arch.parts:
        for row, stage in enumerate(stages, 1):
            for repeat in range(stage.depth):
                drop = 0.0
                if part == "stages":
                    drop = arch.stochastic_depth * done / total
                    done += 1
                stride = stage.stride if repeat == 0 else 1
                yield Placed(part, row, stage.with_width(in_width), in_width, stride, drop)
                in_width = stage.width_after(in_width)


@contextmanager
def naming(arch: Arch, place: Placed) -> Iterator[None]:
    """Put the model and the row before what a block's error says."""
    try:
        yield
    except ValueError as error:
        kind = InputTooSmall if isinstance(error, InputTooSmall) else ValueError
        raise kind(f"{arch.name}, {place.part} row {place.row}: {error}") from None


def map_sides(arch: Arch) -> tuple[int, ...]:
    """The side of the map after each block, in pixels.

    Raises ValueError for a row that cannot be built, InputTooSmall where the input is; both name
    the row.
    """
    sides = []
    side = arch.resolution
    for place in placed_blocks(arch):
        row = replace(place.stage, depth=1, stride=place.stride)
        with naming(arch, place):
            side = _side_after(style_of(arch), row, place.in_width, side)
        sides.append(side)
    return tuple(sides)


@lru_cache(maxsize=65536)
def _side_after(style: Style, row: Stage, in_width: int, side: int) -> int:
    return run_block(style, row, no_maps(in_width, side)).shape[-1]


def emptied(module: ModuleType) -> ModuleType:
    """A module of the meta device moved to the CPU, its weights not initialised.

    As Module.to_empty does it, without importing torch._refs, which takes half a second. Raises
    ValueError where memory does not hold it.
    """
    try:
        module._apply(  # type: ignore[no-untyped-call]
            lambda tensor: torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu")
        )
    except RuntimeError as error:
        params = sum(p.numel() for p in module.parameters())
        raise ValueError(f"it must fit into memory, got {params:,} parameters") from error
    return module


@lru_cache(maxsize=1024)
def empty_block(style: Style, row: Stage, in_width: int) -> nn.Module:
    """One block of a row in eval mode, its weights not initialised; many maps are run through it.

    Raises ValueError for a row that cannot be built.
    """
    with torch.device("meta"):
        block = build(block_layer(style, row, in_width)).eval()
    return emptied(block)


@contextmanager
def hooked(block: nn.Module, hook: Callable[..., None] | None) -> Iterator[None]:
    """Have `hook`, if there is one, called after every module of a block."""
    handles = [module.register_forward_hook(hook) for module in block.modules()] if hook else []
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def run_block(
    style: Style, row: Stage, images: Tensor, hook: Callable[..., None] | None = None
) -> Tensor:
    """What one block of a row writes for a batch of no maps, (0, channels, side, side).

    It is run with `hook` on each module: nothing is computed or initialised, and unlike the meta
    device that takes no second to start.

    Raises InputTooSmall for a map too small for the block, ValueError where it cannot run.
    """
    in_width, side = images.shape[1], images.shape[-1]
    # with padding even a map of one pixel could be strided over; max_pool_ceil is meant to do so
    if side < row.stride and row.block != "max_pool_ceil":
        raise InputTooSmall(
            f"the input is too small: stride {row.stride} needs a map of as many pixels, got {side}"
        )
    block = empty_block(style, row, in_width)
    try:
        # whatever device the caller builds on; the block is every thread's
        with torch.no_grad(), torch.device("cpu"), RUNNING, hooked(block, hook):
            written: Tensor = block(images)
    except RuntimeError as error:
        reason = str(error).splitlines()[0]
        said = f"the block cannot run on a map of {side} pixels ({reason})"
        if "too small" in reason or "greater than actual input" in reason:
            raise InputTooSmall(f"the input is too small: {said}") from None
        raise ValueError(said) from None
    return written


def no_maps(width: int, side: int) -> Tensor:
    """A batch of none, (0, width, side, side), on the CPU whatever device the caller builds on."""
    return torch.empty(0, width, side, side, device="cpu")
