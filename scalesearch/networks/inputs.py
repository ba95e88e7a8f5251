"""What a user's network is called with and returns: one image, or tensors in tuples and dicts."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

from scalesearch.networks.custom import CustomModel
from scalesearch.networks.models import Model, in_one_line, load_function


def example_of(model: CustomModel) -> Any:
    """What the model's network is called with, of one image: the model's own example, or zeros.

    A tuple or list holds its arguments, a dict those by name. Raises ValueError, in one line, where
    the function of the example returns no tensors.
    """
    if not model.example:
        return torch.zeros(1, model.channels, model.resolution, model.resolution)
    try:
        example = load_function(model.example)(model.resolution)
    except Exception as error:
        raise ValueError(
            f"{model.example} called with {model.resolution} must return what the network takes, "
            f"got {in_one_line(error)}"
        ) from None
    if not tensors_in(example):
        raise ValueError(
            f"{model.example} must return a tensor, or a tuple or dict of some, got "
            f"{type(example).__name__}"
        )
    return example


def batch_of(model: Model, batch: int, make: Callable[..., Tensor]) -> Any:
    """What a network is called with for a batch of images: its own example, or what `make` makes of
    (batch, channels, pixels, pixels).

    Raises ValueError for more than one image where it has an example, which is of one.
    """
    if not (isinstance(model, CustomModel) and model.example):
        return make(batch, model.channels, model.resolution, model.resolution)
    if batch != 1:
        raise ValueError(
            f"a latency must be of a batch of 1 where {model.example} makes what the network "
            f"takes, got {batch}"
        )
    return example_of(model)


def tensors_in(value: Any) -> list[Tensor]:
    """The tensors in a tensor, a list, a tuple, a dict or a dataclass, whatever is in those."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, Mapping):
        value = list(value.values())
    elif is_dataclass(value) and not isinstance(value, type):
        value = [getattr(value, each.name) for each in fields(value)]
    if not isinstance(value, list | tuple):
        return []
    return [tensor for part in value for tensor in tensors_in(part)]


def called(network: nn.Module, example: Any) -> Any:
    """What a network returns for an example."""
    if isinstance(example, Mapping):
        return network(**example)
    return network(*example) if isinstance(example, list | tuple) else network(example)


class Flat(nn.Module):
    """A network that takes the tensors of an example and returns those of its output, one by one:
    a trace knows no others."""

    def __init__(self, network: nn.Module, example: Any) -> None:
        super().__init__()
        self.network, self.example = network, example

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(tensors_in(called(self.network, filled(self.example, iter(tensors)))))


def filled(example: Any, tensors: Iterator[Tensor]) -> Any:
    """The example with other tensors in the place of its own."""
    if isinstance(example, Tensor):
        return next(tensors)
    if isinstance(example, Mapping):
        return {name: filled(part, tensors) for name, part in example.items()}
    if isinstance(example, list | tuple):
        return [filled(part, tensors) for part in example]
    return example
