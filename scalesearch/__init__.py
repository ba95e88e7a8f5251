"""Find how to spend compute on a convolutional network: depth, width or resolution."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

__all__ = ["build"]


def build(name: str) -> "nn.Module":
    """The network of a zoo model's name or of an arch's YAML file, with fresh weights.

    Raises ValueError, in one line, for a name or a file that is none.
    """
    from scalesearch.files import find_arch
    from scalesearch.nets import build_network

    return build_network(find_arch(name))
