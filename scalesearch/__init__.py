"""Find how to spend compute on a convolutional network: depth, width or resolution."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import Tensor, nn

    from scalesearch.policy import Policy
    from scalesearch.tabular import Replayed, Table

__all__ = ["build", "load_torchvision", "replay"]


def build(name: str) -> "nn.Module":
    """The network of a zoo model's name, of a model's YAML file or of a function of your own
    (python:package.module:function), with fresh weights.

    A YAML file that `scalesearch export` left beside its .safetensors, or their folder, is built
    with those weights. Raises ValueError, in one line, for a name or a file that is none.
    """
    from scalesearch.files import find_model, model_file, weights_beside
    from scalesearch.models import build_model
    from scalesearch.weights import load_weights, read_weights

    network = build_model(find_model(name))
    path = model_file(name)
    if path and (weights := weights_beside(path)):
        load_weights(network, read_weights(weights), str(weights))
    return network


def load_torchvision(model: "nn.Module", state_dict: "Mapping[str, Tensor]") -> "nn.Module":
    """`model`, a network of the zoo, with the weights of torchvision's model of the same name.

    Raises ValueError for a name that is missing or left over, a shape that differs, or a network
    that is none of ours.
    """
    from scalesearch.nets import Network
    from scalesearch.weights import load_torchvision as load

    if not isinstance(model, Network):
        raise ValueError(f"model must be a network of `build`, got {type(model).__name__}")
    return load(model, state_dict)


def replay(
    policy: "Policy", table: "Path | Table", resamplings: int = 200, name: str = ""
) -> "Replayed":
    """What `policy` spends and what its pick costs, over that many orders of a table's seeds.

    `table` is one that `read_table` gave, or a directory such as results/lattice-fashion-mnist.
    Nothing is trained. Raises ValueError where the table has gaps.
    """
    from scalesearch.tabular import Table, read_table
    from scalesearch.tabular import replay as run

    found = table if isinstance(table, Table) else read_table(table)
    return run(policy, found, resamplings, name)
