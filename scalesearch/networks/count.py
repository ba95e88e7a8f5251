"""Costs in closed form, from the rows of an arch, held to fvcore's."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple, replace
from functools import lru_cache, reduce

import torch
from torch import Tensor, nn

from scalesearch.files import clear_partials, read_checked, write_checked
from scalesearch.networks.arch import Arch, InputTooSmall, Stage
from scalesearch.networks.blocks import Network
from scalesearch.networks.blocks.layers import Style, style_of
from scalesearch.networks.blocks.layout import (
    empty_block,
    naming,
    no_maps,
    placed_blocks,
    run_block,
)
from scalesearch.networks.cost import Cost, cost, cost_cache
from scalesearch.networks.custom import CustomModel
from scalesearch.networks.models import Model

FEW = 40  # networks that fvcore measures in some ten seconds


def count(model: Model) -> Cost:
    """The cost of `model` added up from its blocks, each run once on a batch of no images.

    Equal to `cost(model)`, which a test holds over the whole zoo, in a hundredth of the time: that
    is what lets a plan look at every network of a grid. A user's model is measured.
    """
    return cost(model) if isinstance(model, CustomModel) else _count(model)


@lru_cache(maxsize=16384)  # a plan asks for each network's four times, for its own model's at each
def _count(arch: Arch) -> Cost:
    style = style_of(arch)
    total = Cost(0, 0, 0, 0)
    side, width = arch.resolution, arch.channels
    for place in placed_blocks(arch):
        row = replace(place.stage, depth=1, stride=place.stride)
        with naming(arch, place):
            block, side = _count_block(style, row, place.in_width, side)
        total = _add(total, block)
        width = place.stage.width
    fixed = arch.classifier == "rbf"
    total = _add(total, Cost(0, 0, 0, width * side**2))  # the pooling before the dense layers
    width *= arch.pool**2
    for outputs in (*(layer.width for layer in arch.hidden), arch.classes):
        dense = Cost(width * outputs, (width + 1) * outputs, outputs, width * outputs)
        total, width = _add(total, dense), outputs
    # a radial basis layer's codes are fixed: no parameters
    return replace(total, params=total.params - dense.params) if fixed else total


def auxiliary_params(arch: Arch) -> int:
    """The parameters of the auxiliary heads, which no `Cost` has: they are gone after training."""
    if not arch.auxiliary:
        return 0
    with torch.device("meta"):
        network = Network(arch)
    return sum(p.numel() for p in network.auxiliary.parameters())


@lru_cache(maxsize=65536)
def _count_block(style: Style, row: Stage, in_width: int, side: int) -> tuple[Cost, int]:
    """The cost of one block on a square map, and the side of the map that it writes."""
    seen: list[Cost] = []

    def hook(module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        seen.append(_module_cost(module, inputs[0], output))

    written = run_block(style, row, no_maps(in_width, side), hook)
    params = sum(p.numel() for p in empty_block(style, row, in_width).parameters())
    return reduce(_add, seen, Cost(0, params, 0, 0)), written.shape[-1]


def _module_cost(module: nn.Module, x: Tensor, y: Tensor) -> Cost:
    """What one leaf module adds by fvcore's conventions, its parameters apart."""
    read, written = (math.prod(value.shape[1:]) for value in (x, y))
    if isinstance(module, nn.Conv2d):
        flops = module.weight.numel() * y.shape[-1] * y.shape[-2]
        return Cost(flops, 0, written, flops)
    if isinstance(module, nn.BatchNorm2d):
        return Cost(0, 0, 0, 2 * read)
    if isinstance(module, nn.AdaptiveAvgPool2d):
        return Cost(0, 0, 0, read)
    return Cost(0, 0, 0, 0)


def _add(a: Cost, b: Cost) -> Cost:
    return Cost(
        a.flops + b.flops,
        a.params + b.params,
        a.activations + b.activations,
        a.fvcore_total + b.fvcore_total,
    )


def all_counted(models: Mapping[str, Model]) -> dict[str, Cost]:
    """The cost of each model by count, kept on disk by its key; a user's code may change."""
    path = cost_cache() / "counts.json"
    known = {key: Cost(*figures) for key, figures in (read_checked(path) or {}).items()}
    found = {key: known[key] if key in known else counted(model) for key, model in models.items()}
    fresh = {
        key: costs
        for key, costs in found.items()
        if key not in known and not isinstance(models[key], CustomModel)
    }
    if fresh:
        clear_partials(path.parent)
        write_checked(path, {key: astuple(costs) for key, costs in (known | fresh).items()})
    return found


def measured_costs(models: Sequence[Model]) -> list[Cost]:
    """The cost of each model: measured by fvcore, or counted where measuring FEW agrees with that.

    Of many, FEW that are spread evenly are measured; if a single one differs from its count, all
    are. A test holds the two equal over the whole zoo.
    """
    if len(models) <= FEW:
        return [cost(model) for model in models]
    counts = [count(model) for model in models]
    spread = range(0, len(models), math.ceil(len(models) / FEW))
    if all(cost(models[i]) == counts[i] for i in spread):
        return counts
    return [cost(model) for model in models]


def counted(model: Model) -> Cost:
    """The model's cost by count; nothing, which meets no budget, where its input is too small."""
    try:
        return count(model)
    except InputTooSmall:
        return Cost(0, 0, 0, 0)
