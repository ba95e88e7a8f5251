"""The contract of a family of the zoo: tables that are built, scaled, counted and trained."""

import re
from dataclasses import replace
from types import ModuleType

import torch
from torch.nn.functional import cross_entropy

from scalesearch.networks import zoo
from scalesearch.networks.arch import Arch, InputTooSmall
from scalesearch.networks.blocks import build_network, weighted_loss
from scalesearch.networks.blocks.layout import map_sides
from scalesearch.networks.cost import cost
from scalesearch.networks.count import count
from scalesearch.networks.scaling import Scale, scale_arch

AXES = ("depth", "width", "resolution")


def check_family(family: ModuleType) -> None:
    """Raise AssertionError where a module of the zoo breaks the contract of a family.

    It must cite its paper and have MODELS by their own names, which no other family has. Of each
    model: scaling by one must change nothing; its cost must grow along each axis that it can be
    scaled by and be what fvcore measures; and a small form of it must give logits and train, a
    gradient reaching every parameter.
    """
    assert re.search(r"\b(19|20)\d\d\b", family.__doc__ or ""), "a paper and its year"
    assert family.MODELS, "a family must have a model"
    for name, arch in family.MODELS.items():
        assert arch.name == name, f"{name} must be its own name, got {arch.name}"
        homes = [home for home, other in zoo.FAMILIES.items() if name in other.MODELS]
        assert len(homes) <= 1, f"{name} must be in one family, got {homes}"
        check_model(arch)


def check_model(arch: Arch) -> None:
    """Raise AssertionError where one model breaks the contract of its family."""
    assert scale_arch(arch, Scale()) == arch, f"{arch.name}: scaling by one must change nothing"
    assert count(arch) == cost(arch), f"{arch.name}: the count must be what fvcore measures"
    for axis in AXES:
        check_axis(arch, axis)
    check_training(small(arch))


def can_scale(arch: Arch, axis: str) -> bool:
    """Whether the axis has a meaning for the arch."""
    return axis not in dict(arch.rules.fixed)


def check_axis(arch: Arch, axis: str) -> None:
    """Raise AssertionError where cost does not grow along an axis, or a fixed one is scaled."""
    if can_scale(arch, axis):
        flops = [count(scale_arch(arch, Scale(**{axis: by}))).flops for by in (1.0, 1.4, 2.0)]
        assert flops == sorted(flops), f"{arch.name}: flops along {axis} must grow, got {flops}"
        assert flops[0] < flops[-1], f"{arch.name}: flops along {axis} must grow, got {flops}"
        return
    try:
        scale_arch(arch, Scale(**{axis: 2.0}))
    except ValueError as error:
        assert f"{axis} cannot be scaled" in str(error), error
        return
    raise AssertionError(f"{arch.name}: {axis} is fixed, and must not be scaled")


def small(arch: Arch) -> Arch:
    """The model with ten classes, narrowed and shrunk by its own rules, nothing dropped."""
    width = 0.25 if can_scale(arch, "width") else 1.0
    arch = scale_arch(arch, Scale(1.0, width, smallest_side(arch) / arch.resolution))
    hidden = tuple(replace(layer, dropout=0.0) for layer in arch.hidden)
    heads = tuple(replace(head, dropout=0.0) for head in arch.auxiliary)
    return replace(arch, classes=10, dropout=0, stochastic_depth=0, hidden=hidden, auxiliary=heads)


def smallest_side(arch: Arch) -> int:
    """The least of a few resolutions that leaves something of the map for every block."""
    for side in (32, 64, 96, 128):
        try:
            map_sides(replace(arch, resolution=side))
        except InputTooSmall:
            continue
        return side
    return arch.resolution


def check_training(arch: Arch) -> None:
    """Raise AssertionError where a gradient does not reach a parameter, or logits are none."""
    torch.manual_seed(0)
    network = build_network(arch)
    images = torch.randn(4, arch.channels, arch.resolution, arch.resolution)
    labels = torch.arange(4)
    weighted_loss(network, images, lambda logits: cross_entropy(logits, labels)).backward()
    without = [key for key, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert not without, f"{arch.name}: a gradient must reach {', '.join(without)}"
    with torch.no_grad():
        shape = tuple(network.eval()(images).shape)
    assert shape == (4, arch.classes), f"{arch.name}: logits must be (4, {arch.classes}), {shape}"
