"""Cost: published figures, and the quick count against fvcore's trace."""

import csv
import importlib
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from fvcore.nn import FlopCountAnalysis
from torch import nn

from scalesearch.networks import zoo
from scalesearch.networks.blocks import build_network
from scalesearch.networks.cost import Cost, code_digest, cost, cost_cache, measure
from scalesearch.networks.count import auxiliary_params, count
from scalesearch.networks.custom import custom_model
from scalesearch.networks.models import realised
from scalesearch.networks.scaling import Scale, scale_arch

GOLDEN = Path(__file__).parents[1] / "golden"
NETWORKS = Path(zoo.__file__).parents[1]
ROWS = list(csv.DictReader((GOLDEN / "models.csv").open()))
# torchvision's num_params of Inception v3 has its auxiliary head's 3,326,696 (GoogLeNet's has
# not): torchvision 0.29.2 models/inception.py; timm 1.0.31 counts 23.83 M without it
WITH_AUXILIARY = {"inception_v3"}


@pytest.fixture(autouse=True)
def fresh_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.mark.parametrize("row", ROWS, ids=[f"{row['model']}-{row['resolution']}" for row in ROWS])
def test_published_figures(row: dict[str, str]) -> None:
    arch = replace(zoo.find(row["model"]), resolution=int(row["resolution"]))
    found = count(arch)
    extra = auxiliary_params(arch) if arch.name in WITH_AUXILIARY else 0
    assert found.params + extra == int(row["params"])
    if row["flops"]:
        assert found.flops == int(row["flops"])
    if row["flops_g"]:
        digits = len(row["flops_g"].partition(".")[2])
        assert f"{found.flops / 1e9:.{digits}f}" == row["flops_g"]
    if row["activations"]:
        assert found.activations == int(row["activations"])


@pytest.mark.parametrize(("name", "params"), json.loads((GOLDEN / "timm.json").read_text()).items())
def test_parameters_equal_timms(name: str, params: int) -> None:
    assert count(zoo.find(name)).params == params


def test_auxiliary_heads_are_counted_apart() -> None:
    assert auxiliary_params(zoo.find("inception_v3")) == 27_161_264 - 23_834_568
    # GoogLeNet's, each: 1 x 1 convolution and norm, 2048 to 1024 to 1000
    dense = 2048 * 1024 + 1024 + 1024 * 1000 + 1000
    both = (512 + 528) * 128 + 2 * (2 * 128 + dense)
    assert auxiliary_params(zoo.find("googlenet")) == both
    assert auxiliary_params(zoo.find("resnet18")) == 0


@pytest.mark.parametrize(
    ("name", "scale"),
    [
        ("efficientnet_b0", Scale(1.3, 0.7, 0.55)),
        ("googlenet", Scale(2.0, 1.3, 0.6)),
        ("inception_v3", Scale(1.5, 0.4, 0.5)),
        ("lenet5", Scale(resolution=2.1)),
        ("resnext50_32x4d", Scale(0.5, 0.6, 0.4)),
        ("vgg11_bn", Scale(1.5, 0.3, 0.4)),
        ("alexnet", Scale(2.0, 0.6, 1.1)),
        ("efficientnet_v2_s", Scale(0.5, 1.1, 0.5)),
    ],
)
def test_the_count_of_scaled_archs_equals_fvcores_trace(name: str, scale: Scale) -> None:
    arch = scale_arch(zoo.find(name), scale)
    assert count(arch) == cost(arch)


def test_lenet5_has_the_connections_of_its_paper() -> None:
    """340,908 connections less those of biases and of subsampling are multiply-adds."""
    biases = 28 * 28 * 6 + 10 * 10 * 16 + 120 + 84
    subsampling = 5880 + 2000
    assert count(zoo.find("lenet5")).flops == 340_908 - biases - subsampling


def test_cost_is_arithmetic_on_a_small_network() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 4 * 4, 5)
    )
    found = measure(network, (3, 8, 8))
    assert found.flops == 3 * 9 * 8 * 16 + 128 * 5
    assert found.params == 3 * 9 * 8 + 8 + 128 * 5 + 5
    assert found.activations == 8 * 16 + 5


def test_measured_costs_are_kept_and_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    arch = zoo.find("lenet5")
    found = cost(arch)

    def never(*args: object) -> Cost:
        raise AssertionError("measured again")

    monkeypatch.setattr(importlib.import_module("scalesearch.networks.cost"), "measure", never)
    assert cost(replace(arch, name="other")) == found


def test_an_operator_of_unknown_cost_is_an_error() -> None:
    class Odd(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.erfinv(x)

    with pytest.raises(ValueError, match="every operator must have a known cost, got aten::erfinv"):
        measure(Odd(), (3, 8, 8))


def test_a_batch_of_no_images_counts_what_fvcore_counts_for_one() -> None:
    arch = replace(zoo.find("efficientnet_b0"), resolution=65)
    network = build_network(arch).eval()
    analysis = FlopCountAnalysis(network, torch.zeros(1, 3, 65, 65))
    analysis.unsupported_ops_warnings(False)
    with torch.no_grad():
        operators = analysis.by_operator()
    measured = measure(network, (3, 65, 65))
    assert measured.flops == operators["conv"] + operators["linear"]
    assert measured.fvcore_total == sum(operators.values())


def test_costs_are_kept_apart_for_each_version_of_the_blocks(tmp_path: Path) -> None:
    shutil.copytree(NETWORKS, tmp_path / "networks")
    digest = code_digest(NETWORKS)
    assert cost_cache().name.startswith(f"cost-{digest}-torch-2.")
    assert code_digest(tmp_path / "networks") == digest
    with (tmp_path / "networks/blocks/residual.py").open("a") as file:
        file.write("# edited")
    code_digest.cache_clear()
    assert code_digest(tmp_path / "networks") != digest


ODD = """
import torch
from torch import nn


class Odd(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.first = nn.Conv2d(3, round(4 * width), 3, padding=1)

    def forward(self, x):
        y = self.first(x)
        y = torch.erfinv(torch.cumsum(y, 1).tanh()) + torch.erfinv(y.tanh())
        return y.mean((2, 3))


def net(depth, width, resolution):
    return Odd(width)


def sums(inputs, outputs):
    (_, channels, height, width), = outputs
    assert inputs[0] == [1, channels, height, width]
    return channels * height * width


def wrong(inputs, outputs):
    return "much"
"""


def test_operators_of_unknown_cost_are_named_and_may_be_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "odd.py").write_text(ODD)
    model = realised(custom_model("python:odd:net", 8))
    with pytest.raises(ValueError, match="known cost, got aten::cumsum") as caught:
        cost(model)
    said = r"aten::cumsum \(1 time, \d+% of the time\), aten::erfinv \(2 times, \d+% of the time\);"
    assert re.search(said, str(caught.value)) and "under `operators`" in str(caught.value)

    without = cost(replace(model, operators=(("cumsum", "free"), ("aten::erfinv", "free"))))
    assert without.flops == 3 * 9 * 4 * 64
    counted = (("cumsum", "python:odd:sums"), ("erfinv", "free"))
    assert cost(replace(model, operators=counted)) == replace(
        without,
        flops=without.flops + 4 * 64,
        activations=without.activations + 4 * 64,
        fvcore_total=without.fvcore_total + 4 * 64,
    )
    with pytest.raises(ValueError, match=r"odd:wrong called with .* must return multiply-adds"):
        cost(replace(model, operators=(("cumsum", "python:odd:wrong"), ("erfinv", "free"))))
    with pytest.raises(ValueError, match="what operator cumsum costs, where it is not free, must"):
        replace(model, operators=(("cumsum", "nothing"),))
