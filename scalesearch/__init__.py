"""Find how to spend compute on a convolutional network: depth, width or resolution."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

__all__ = ["build"]


def build(name: str) -> "nn.Module":
    """The network of a zoo model's name, of a model's YAML file or of a function of your own
    (python:package.module:function), with fresh weights.

    Raises ValueError, in one line, for a name or a file that is none.
    """
    from scalesearch.files import find_model
    from scalesearch.models import build_model

    return build_model(find_model(name))
