"""A module as a value: its class and what that is called with. Built here, written by exports."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ParamSpec

from torch import nn

Parameters = ParamSpec("Parameters")


@dataclass(frozen=True, slots=True)
class Layer:
    """A call that makes a module. Arguments that are layers themselves are built first."""

    make: Callable[..., nn.Module]
    arguments: tuple[object, ...] = ()
    options: Mapping[str, object] = field(default_factory=dict)


def layer(
    make: Callable[Parameters, nn.Module],
    *arguments: Parameters.args,
    **options: Parameters.kwargs,
) -> Layer:
    """The call of `make` with these arguments, which mypy holds to its signature."""
    return Layer(make, arguments, options)


def sequence(*layers: Layer) -> Layer:
    """The layers one after the other."""
    return Layer(nn.Sequential, layers)


def build(layer: Layer) -> nn.Module:
    """The module with fresh weights, drawn from torch's global generator in the order written."""
    arguments = [build(x) if isinstance(x, Layer) else x for x in layer.arguments]
    return layer.make(*arguments, **layer.options)
