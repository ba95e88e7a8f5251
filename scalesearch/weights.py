"""torchvision's weights in our networks."""

from collections.abc import Mapping

from torch import Tensor

from scalesearch.nets.network import Network
from scalesearch.torchvision_names import torchvision_names


def load_torchvision(network: Network, state_dict: Mapping[str, Tensor]) -> Network:
    """`network` with the weights of torchvision's model of the same name.

    Auxiliary heads keep theirs where the state dict has none, as torchvision's own GoogLeNet has.
    Raises ValueError for a name that is missing or left over, or a shape that differs.
    """
    names = torchvision_names(network)
    used: dict[str, Tensor] = {}
    mine = network.state_dict()
    for name in mine:
        module, _, parameter = name.rpartition(".")
        theirs = f"{names[module]}.{parameter}"
        if theirs in state_dict:
            used[theirs] = state_dict[theirs]
        elif module.startswith("auxiliary.") or parameter == "num_batches_tracked":
            continue  # checkpoints from before torch 0.4.1 count no batches
        else:
            raise ValueError(f"{network.arch.name}: the state dict must have {theirs!r}")
        if used[theirs].shape != mine[name].shape:
            raise ValueError(
                f"{network.arch.name}: {theirs} must be of shape {tuple(mine[name].shape)}, "
                f"got {tuple(used[theirs].shape)}"
            )
        mine[name] = used[theirs]
    if left := sorted(state_dict.keys() - used.keys()):
        raise ValueError(
            f"{network.arch.name}: the state dict has {left[0]!r}, which nothing takes"
        )
    network.load_state_dict(mine)
    return network
