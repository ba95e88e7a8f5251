"""A user's own function as a model: realised, scaled, costed, refused in one line."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

import scalesearch as package
from scalesearch.families.members import by_budget
from scalesearch.families.strategies import STRATEGIES
from scalesearch.networks.cost import cost
from scalesearch.networks.count import count
from scalesearch.networks.custom import CustomModel, custom_model
from scalesearch.networks.files import dump_model, read_model
from scalesearch.networks.models import at_resolution, build_model, realised, scale_model
from scalesearch.networks.scaling import Scale

CODE = """
from torch import nn

def plain(depth, width, resolution):
    w = round(8 * width)
    layers = [nn.Conv2d(1, w, 3, 2, 1), nn.ReLU()]
    for _ in range(round(3 * depth)):
        layers += [nn.Conv2d(w, w, 3, 1, 1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(w, 10))

def raises(depth, width, resolution):
    raise RuntimeError("no\\nway")

def number(depth, width, resolution):
    return 3

def maps(depth, width, resolution):
    return nn.Conv2d(1, 10, 3)

def large_only(depth, width, resolution):
    return nn.Sequential(nn.Conv2d(1, 8, 31), nn.AdaptiveAvgPool2d(1), nn.Flatten())
"""


@pytest.fixture
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a module of networks in the working directory."""
    name = f"nets_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{name}.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def plain(nets: str) -> CustomModel:
    model = realised(custom_model(f"python:{nets}:plain", 20))
    assert isinstance(model, CustomModel)
    return model


def test_cost_is_that_of_the_network_returned(nets: str) -> None:
    found = cost(plain(nets))
    # 10 px maps of 8: 9 * 1 * 8 once, 9 * 8 * 8 three times; then 8 * 10
    assert found.flops == 100 * (72 + 3 * 576) + 80
    assert found.params == 72 + 8 + 3 * (576 + 8) + 90
    assert count(plain(nets)) == found


def test_the_multipliers_reach_the_function_and_the_images(nets: str) -> None:
    scaled = scale_model(plain(nets), Scale(2, 1.5, 1.4))
    assert (scaled.resolution, scaled.channels, scaled.classes) == (28, 1, 10)
    network = build_model(scaled)
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert [m.out_channels for m in convolutions] == [12] * 7
    assert scale_model(scaled, Scale(1 / 2, 1 / 1.5, 1 / 1.4)).key == plain(nets).key
    assert at_resolution(plain(nets), 28).resolution == 28


def test_multipliers_that_round_to_one_network_are_one(nets: str) -> None:
    model = plain(nets)
    assert scale_model(model, Scale(1.1, 1.05)).key == model.key
    others = [Scale(1.4), Scale(1, 1.2), Scale(1, 1, 1.2)]
    assert len({scale_model(model, scale).key for scale in others} | {model.key}) == 4


def test_a_member_of_its_family_is_built_from_its_file(nets: str, tmp_path: Path) -> None:
    member = by_budget(plain(nets), STRATEGIES["efficientnet"], 4 * cost(plain(nets)).flops, "big")
    assert member.ratio == pytest.approx(4, rel=0.01)
    path = tmp_path / "big.yaml"
    path.write_text(dump_model(member.arch))
    assert read_model(path) == member.arch
    network = package.build(str(path))
    assert sum(p.numel() for p in network.parameters()) == member.cost.params
    pixels = member.arch.resolution
    assert network(torch.zeros(2, 1, pixels, pixels)).shape == (2, 10)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("raises", r"called with 1, 1, 1 must return a network, got RuntimeError: no way"),
        ("number", r"called with 1, 1, 1 must return an nn.Module, got int"),
        ("maps", r"one image must give logits \(1, classes\), got \(1, 10, 18, 18\)"),
        ("missing", r"must have a function 'missing', got None"),
        ("large_only", r"must take images of 1 x 20 x 20, got RuntimeError: .*"),
    ],
)
def test_a_function_that_gives_no_network(nets: str, function: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        realised(custom_model(f"python:{nets}:{function}", 20))
    assert "\n" not in str(caught.value)


def test_a_module_that_is_not_there_and_a_name_that_is_none() -> None:
    with pytest.raises(ValueError, match="nowhere must be a module that can be imported"):
        realised(custom_model("python:nowhere:f", 20))
    with pytest.raises(ValueError, match=r"must be python:.*, got 'python:f'"):
        custom_model("python:f", 20)


def test_the_datas_channels_and_classes_are_held_to(nets: str) -> None:
    model = custom_model(f"python:{nets}:plain", 20)
    with pytest.raises(ValueError, match="must take images of 3 x 20 x 20"):
        realised(replace(model, channels=3))
    with pytest.raises(ValueError, match="each of the data's 7 classes, got 10"):
        realised(replace(model, channels=1, classes=7))
