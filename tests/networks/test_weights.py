"""The same function as torchvision's: logits, state-dict names, initialisation.

The golden files are written by benchmarks/peers/torchvision_golden.py.
"""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import scalesearch as package
from benchmarks.peers.closed_form import state, values
from scalesearch.networks.blocks import Network, build_network
from scalesearch.networks.scaling import Scale, scale_arch
from scalesearch.networks.torchvision import torchvision_names
from scalesearch.networks.weights import load_torchvision
from scalesearch.networks.zoo import find

GOLDEN = Path(__file__).parents[1] / "golden"
MODELS = sorted(path.stem for path in (GOLDEN / "torchvision").glob("*.json"))
INITIAL = json.loads((GOLDEN / "torchvision_init.json").read_text())


def golden(name: str) -> dict[str, Any]:
    """torchvision's logits of two images under closed-form weights, and its state dict's layout."""
    content: dict[str, Any] = json.loads((GOLDEN / "torchvision" / f"{name}.json").read_text())
    return content


def shapes(layers: list[str]) -> dict[str, tuple[int, ...]]:
    """The state dict's names and shapes, from a line a module (torchvision_golden.layers)."""
    entries: dict[str, tuple[int, ...]] = {}
    for line in layers:
        module, kind, sizes = line.split(" ")
        shape = tuple(map(int, sizes.split(",")))
        entries[f"{module}.weight"] = shape
        if kind in "BN":
            entries[f"{module}.bias"] = shape[:1]
        if kind == "N":
            entries |= {f"{module}.running_mean": shape, f"{module}.running_var": shape}
            entries[f"{module}.num_batches_tracked"] = ()
    return entries


def small(name: str, resolution: int) -> Network:
    """The zoo's model with ten classes, its weights not yet drawn."""
    with torch.device("meta"):
        network = Network(replace(find(name), classes=10, resolution=resolution))
    return network.to_empty(device="cpu").eval()


def test_every_model_that_both_have_is_golden() -> None:
    assert len(MODELS) == 32
    assert {"alexnet", "googlenet", "inception_v3", "mobilenet_v2", "efficientnet_v2_l"} < {*MODELS}


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_logits_equal_torchvisions(name: str) -> None:
    expected = golden(name)
    px = expected["resolution"]
    network = small(name, px)
    load_torchvision(network, state(shapes(expected["layers"]), expected["gain"]))
    logits = network(values("images", (2, 3, px, px)))
    torch.testing.assert_close(logits, torch.tensor(expected["logits"]), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "maps"),
    [
        ("googlenet", {"aux1": (512, 14, 14), "aux2": (528, 14, 14)}),
        ("inception_v3", {"AuxLogits": (768, 17, 17)}),
    ],
)
@torch.no_grad()
def test_auxiliary_logits_equal_torchvisions(name: str, maps: dict[str, tuple[int, ...]]) -> None:
    expected = golden(name)
    network = small(name, expected["resolution"])
    load_torchvision(network, state(shapes(expected["layers"]), expected["gain"]))
    for head, (their_name, shape), logits in zip(
        network.auxiliary, maps.items(), expected["auxiliary"], strict=True
    ):
        ours = head(values(their_name, (2, *shape)))
        torch.testing.assert_close(ours, torch.tensor(logits), rtol=0, atol=1e-4)


def test_a_state_dict_without_auxiliary_heads_leaves_ours() -> None:
    expected = golden("googlenet")
    network = small("googlenet", 64)
    kept = network.auxiliary[0].classifier.bias.detach().clone().fill_(3.0)
    network.auxiliary[0].classifier.bias.data.copy_(kept)
    theirs = state(shapes(expected["layers"]), 1.0)
    load_torchvision(network, {k: v for k, v in theirs.items() if not k.startswith("aux")})
    assert torch.equal(network.auxiliary[0].classifier.bias, kept)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fc.bias": None}, "must have 'fc.bias'"),
        ({"fc.bias": torch.zeros(7)}, r"fc.bias must be of shape \(10,\), got \(7,\)"),
        ({"extra.weight": torch.zeros(1)}, "has 'extra.weight', which nothing takes"),
    ],
)
def test_a_state_dict_that_does_not_fit_is_refused(change: dict[str, Any], message: str) -> None:
    theirs = state(shapes(golden("resnet18")["layers"]), 1.0) | change
    with pytest.raises(ValueError, match=message):
        load_torchvision(small("resnet18", 64), {k: v for k, v in theirs.items() if v is not None})


def test_a_scaled_model_has_names_of_the_same_kind() -> None:
    network = build_network(scale_arch(find("resnet18"), Scale(depth=1.5)))
    assert "layer2.2.conv1" in torchvision_names(network).values()
    with pytest.raises(ValueError, match="torchvision names 11 Inception blocks, got 20"):
        torchvision_names(build_network(scale_arch(find("inception_v3"), Scale(2.0, 0.25))))
    with pytest.raises(ValueError, match="torchvision has no lenet5"):
        torchvision_names(build_network(find("lenet5")))


@pytest.mark.parametrize("name", INITIAL)
def test_weights_are_drawn_as_torchvision_draws_them(name: str) -> None:
    """Means and standard deviations of two independent draws differ by chance alone.

    For n values the difference of two sample means has standard deviation s sqrt(2 / n), and the
    relative difference of two sample deviations at most 1 / sqrt(n) (normal; less if uniform).
    Five of them are allowed: one in 10^6 by chance, for each of about 1,000 tensors.
    """
    torch.manual_seed(0)
    network = build_network(find(name))
    ours = dict(network.named_parameters())
    compared = set()
    for module, theirs in torchvision_names(network).items():
        for parameter in ("weight", "bias"):
            key = f"{theirs}.{parameter}"
            if key not in INITIAL[name]:  # batch norm's, or no bias
                continue
            mean, std = INITIAL[name][key]
            values = ours[f"{module}.{parameter}"]
            compared.add(key)
            if std == 0:
                assert torch.equal(values, torch.full_like(values, mean)), key
                continue
            n = values.numel()
            assert abs(values.std().item() / std - 1) < 5 / math.sqrt(n), key
            assert abs(values.mean().item() - mean) < 5 * std * math.sqrt(2 / n), key
    assert compared == INITIAL[name].keys()


def test_batch_norm_starts_as_the_identity() -> None:
    for module in build_network(find("inception_v3")).modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            assert torch.equal(module.weight, torch.ones_like(module.weight))
            assert torch.equal(module.bias, torch.zeros_like(module.bias))


def test_weights_are_loaded_through_the_package() -> None:
    expected = golden("resnet18")
    network = small("resnet18", 64)
    theirs = state(shapes(expected["layers"]), expected["gain"])
    assert package.load_torchvision(network, theirs) is network
    with pytest.raises(ValueError, match=r"must be a network of `build`, got Linear"):
        package.load_torchvision(torch.nn.Linear(1, 1), {})
