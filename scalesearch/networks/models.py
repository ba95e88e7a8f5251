"""Models: archs, which are tables, and users' own functions, scaled and built alike."""

import hashlib
import importlib
import os
import sys
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from scalesearch.errors import meant
from scalesearch.networks.arch import Arch
from scalesearch.networks.blocks import build_network
from scalesearch.networks.custom import PREFIX, CustomModel
from scalesearch.networks.scaling import Scale, round_resolution, scale_arch
from scalesearch.networks.stride import with_output_stride

Model = Arch | CustomModel


def build_model(model: Model) -> nn.Module:
    """The model with fresh weights. Raises ValueError, in one line, where there can be none."""
    return build_network(model) if isinstance(model, Arch) else call_function(model)


def scale_model(model: Model, scale: Scale, name: str | None = None) -> Model:
    """The model with depth, width and resolution multiplied, rounded by its own rules.

    Raises ValueError for an axis that has no meaning for an arch, or where `realised` does.
    """
    if isinstance(model, Arch):
        return scale_arch(model, scale, name)
    return realised(
        replace(
            model,
            depth=model.depth * scale.depth,
            width=model.width * scale.width,
            resolution=round_resolution(model.resolution * scale.resolution),
            name=name or model.name,
        )
    )


def at_resolution(model: Model, pixels: int) -> Model:
    """The model for images of `pixels` a side.

    Where it trains on images of another size, theirs changes in proportion.
    """
    if isinstance(model, CustomModel):
        return realised(replace(model, resolution=pixels))
    train = model.train_resolution and round_resolution(
        model.train_resolution * pixels / model.resolution, model.rules.pixels
    )
    return replace(model, resolution=pixels, train_resolution=train)


def at_output_stride(model: Model, output_stride: int | None) -> Model:
    """The model with that output stride, its own for None. Raises ValueError where it has none."""
    if output_stride is None:
        return model
    if isinstance(model, CustomModel):
        raise ValueError(f"output_stride needs a stage table, and {model.function} is a function")
    return with_output_stride(model, output_stride)


def realised(model: Model) -> Model:
    """A user's model with its channels, classes and structure, found by building it once.

    Archs, which state theirs, are returned as they are. Raises ValueError, in one line, where the
    function returns no network, or one that does not turn an image into a row of logits.
    """
    if isinstance(model, Arch):
        return model
    network = call_function(model)
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    channels = model.channels or (convolutions[0].in_channels if convolutions else 3)
    classes = model.classes
    if model.logits:
        classes = checked_logits(model, forward_zeros(model, network, channels))
    shapes = [f"{key} {tuple(value.shape)}" for key, value in network.state_dict().items()]
    digest = hashlib.sha256("\n".join([str(network), *shapes]).encode()).hexdigest()
    return replace(model, channels=channels, classes=classes, structure=digest[:16])


def checked_logits(model: CustomModel, logits: object) -> int:
    """How many classes there are in what a user's network makes of one image.

    Raises ValueError where it makes no row of logits, or not one for each of the data's classes.
    """
    wanted = model.classes or "classes"
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != 1:
        got = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ValueError(
            f"{model.function}: one image must give logits (1, {wanted}), got {got}: what "
            "gives anything else is trained by a function of yours, which a space names as `train`"
        )
    if model.classes and logits.shape[1] != model.classes:
        raise ValueError(
            f"{model.function}: there must be a logit for each of the data's {model.classes} "
            f"classes, got {logits.shape[1]}"
        )
    return logits.shape[1]


@torch.no_grad()
def forward_zeros(model: CustomModel, network: nn.Module, channels: int) -> object:
    """What a user's network returns in eval mode for one image of zeros, (1, channels, px, px).

    Raises ValueError, in one line, where it cannot take such an image.
    """
    shape = (channels, model.resolution, model.resolution)
    try:
        return network.eval()(torch.zeros(1, *shape))
    except Exception as error:
        raise ValueError(
            f"{model.function}: the network must take images of {' x '.join(map(str, shape))}, "
            f"got {in_one_line(error)}"
        ) from None


def call_function(model: CustomModel) -> nn.Module:
    """The network that a user's function returns for the model's multipliers.

    Raises ValueError, in one line, where it raises anything or returns something else.
    """
    function = load_function(model.function)
    m = model.multipliers
    call = f"{model.function} called with {m.depth:g}, {m.width:g}, {m.resolution:g}"
    try:
        network = function(m.depth, m.width, m.resolution)
    except Exception as error:
        raise ValueError(f"{call} must return a network, got {in_one_line(error)}") from None
    if not isinstance(network, nn.Module):
        raise ValueError(f"{call} must return an nn.Module, got {type(network).__name__}")
    return network


def load_function(reference: str) -> Callable[..., object]:
    """The function of python:package.module:function, from the working directory or installed.

    Raises ValueError where it cannot be imported.
    """
    place, _, name = reference.removeprefix(PREFIX).partition(":")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # a console script does not look where the user stands
    try:
        module = importlib.import_module(place)
        found: Callable[..., object] | None = getattr(module, name, None)
    except (Exception, SystemExit) as error:
        raise ValueError(
            f"{reference}: {place} must be a module that can be imported from {os.getcwd()}, "
            f"got {in_one_line(error)}"
        ) from None
    if not callable(found):
        near = meant(name, [known for known in vars(module) if callable(getattr(module, known))])
        raise ValueError(f"{reference}: {place} must have a function {name!r}, got {found!r}{near}")
    return found


def in_one_line(error: BaseException) -> str:
    """An error's class and message, without line breaks."""
    return " ".join(f"{type(error).__name__}: {error}".split())
