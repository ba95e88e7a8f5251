"""Weights in and out: safetensors, which hold tensors and nothing else, and torchvision's."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from scalesearch.files import check_regular
from scalesearch.networks.blocks.network import Network
from scalesearch.networks.torchvision import torchvision_names


@dataclass(frozen=True, slots=True)
class Started:
    """Which tensors a network began with: those taken whole, in part, and left fresh."""

    whole: tuple[str, ...]
    grown: tuple[str, ...]
    fresh: tuple[str, ...]


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


def torchvision_state(network: Network) -> dict[str, Tensor]:
    """The network's weights and statistics by torchvision's names."""
    names = torchvision_names(network)
    found = {}
    for name, value in network.state_dict().items():
        module, _, parameter = name.rpartition(".")
        found[f"{names[module]}.{parameter}"] = value
    return found


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file. Raises ValueError, in one line, where it is none."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        check_regular(path)
        return load_file(path)
    except OSError as error:
        raise ValueError(f"{path} must be a readable file: {error.strerror or error}") from None
    except SafetensorError as error:
        said = " ".join(str(error).split())
        raise ValueError(f"{path} must be a safetensors file: {said}") from None


def write_weights(path: Path, state_dict: Mapping[str, Tensor], notes: Mapping[str, str]) -> None:
    """Write tensors, and notes as the file's metadata, as safetensors."""
    path.write_bytes(as_safetensors(state_dict, notes))


def as_safetensors(
    state_dict: Mapping[str, Tensor], notes: Mapping[str, str] | None = None
) -> bytes:
    """Tensors, and notes as metadata, as the bytes of a safetensors file."""
    from safetensors.torch import save

    # the file may not share memory between tensors, which tied weights do
    apart = {name: value.detach().cpu().contiguous().clone() for name, value in state_dict.items()}
    return in_order(save(apart, metadata=dict(notes or {})))


def in_order(content: bytes) -> bytes:
    """A safetensors file whose notes are in order, which the library leaves to chance: the same
    weights are the same file.
    """
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header.get("__metadata__", {}).items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)  # the tensors are aligned
    return len(text).to_bytes(8, "little") + text + content[8 + size :]


def tensors_of(content: bytes) -> dict[str, Tensor]:
    """The tensors of the bytes of a safetensors file that `as_safetensors` made."""
    from safetensors.torch import load

    return load(content)


def read_any_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, or of a state dict that torch saved: weights alone.

    Raises ValueError, in one line, where it is neither.
    """
    if path.suffix == ".safetensors":
        return read_weights(path)
    try:
        check_regular(path)
        found = torch.load(path, weights_only=True, map_location="cpu")
    except OSError as error:
        raise ValueError(f"{path} must be a readable file: {error.strerror or error}") from None
    except Exception as error:  # of whatever kind a damaged or a foreign file brings
        said = " ".join(str(error).split())[:200]
        raise ValueError(f"{path} must be safetensors, or a state dict: {said}") from None
    if not isinstance(found, Mapping) or not all(isinstance(x, Tensor) for x in found.values()):
        raise ValueError(f"{path} must be a state dict of tensors, got {type(found).__name__}")
    return {str(name): value for name, value in found.items()}


@torch.no_grad()
def start_from(network: nn.Module, weights: Mapping[str, Tensor], source: str) -> Started:
    """Begin from weights, by our names or torchvision's: all that fit, and parts of those that do
    not, where a layer has grown; the classifier of other classes stays fresh.

    Raises ValueError, naming `source`, where nothing fits.
    """
    mine = network.state_dict()
    theirs = renamed(network, weights)
    dense = {name.rpartition(".")[0] for name, value in mine.items() if value.ndim == 2}
    whole, grown = [], []
    for name, value in mine.items():
        given = theirs.get(name)
        if given is None or given.ndim != value.ndim:
            continue
        if given.shape == value.shape:
            value.copy_(given)
            whole.append(name)
        elif name.rpartition(".")[0] not in dense:  # every class of a classifier is another
            part = tuple(slice(min(a, b)) for a, b in zip(given.shape, value.shape, strict=True))
            value[part] = given[part].to(value.dtype)
            grown.append(name)
    if not whole:
        raise ValueError(f"{source} must have weights of the network, and none fits")
    fresh = [name for name in mine if name not in whole and name not in grown]
    return Started(tuple(whole), tuple(grown), tuple(fresh))


def renamed(network: nn.Module, weights: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Weights by our names, where they have torchvision's."""
    mine = network.state_dict()
    if not isinstance(network, Network) or weights.keys() & mine.keys():
        return weights
    try:
        names = torchvision_names(network)
    except ValueError:
        return weights
    found = {}
    for name in mine:
        module, _, parameter = name.rpartition(".")
        theirs = f"{names.get(module, module)}.{parameter}"
        if theirs in weights:
            found[name] = weights[theirs]
    return found


def load_weights(network: nn.Module, weights: Mapping[str, Tensor], source: str) -> None:
    """Put weights, by our names or torchvision's, into a network; auxiliary heads' are left out.

    Raises ValueError, naming `source`, for a name that is missing or left over, or a shape that
    differs.
    """
    mine = network.state_dict()
    given = {name: value for name, value in weights.items() if not name.startswith("auxiliary.")}
    wanted = {name for name in mine if not name.startswith("auxiliary.")}
    if isinstance(network, Network) and given and not given.keys() & wanted:
        try:
            load_torchvision(network, given)
        except ValueError as error:
            raise ValueError(
                f"{source} fits neither our names nor torchvision's: {error}"
            ) from None
        return
    for name in sorted(wanted - given.keys()):
        if not name.endswith("num_batches_tracked"):
            raise ValueError(f"{source} must have {name!r}")
    for name, value in given.items():
        if name not in wanted:
            raise ValueError(f"{source} has {name!r}, which nothing in the network takes")
        if value.shape != mine[name].shape:
            raise ValueError(
                f"{source}: {name} must be of shape {tuple(mine[name].shape)}, got "
                f"{tuple(value.shape)}: the model's classes, channels and widths must be theirs"
            )
    network.load_state_dict(mine | given)
