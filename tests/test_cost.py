"""Measured cost: the published figures to the last digit, and the quick count equal to fvcore."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from fvcore.nn import FlopCountAnalysis
from torch import Tensor, nn

from scalesearch import zoo
from scalesearch.arch import Arch, Scale, scale_arch
from scalesearch.cost import cache_folder, cost, count, measure
from scalesearch.nets import build_network

GOLDEN = [
    row
    for row in csv.DictReader((Path(__file__).parent / "golden" / "models.csv").open())
    if row["model"].partition("_w")[0] in zoo.MODELS
]


def arch_of(row: dict[str, str]) -> Arch:
    return replace(zoo.find(row["model"]), resolution=int(row["resolution"]))


def test_the_golden_rows_are_there() -> None:
    assert len(GOLDEN) >= 22


@pytest.mark.parametrize("row", GOLDEN, ids=lambda row: f"{row['model']}@{row['resolution']}")
def test_cost_equals_the_published_figures(row: dict[str, str]) -> None:
    measured = cost(arch_of(row))
    assert measured.params == int(row["params"])
    assert f"{measured.flops / 1e9:.3f}" == f"{float(row['flops_g']):.3f}"
    for exact in ("flops", "activations"):
        if row[exact]:
            assert getattr(measured, exact) == int(row[exact])
    assert count(arch_of(row)) == measured


@pytest.mark.parametrize("name", ["efficientnet_b0", "resnet18", "resnet50", "mobilenet_v1"])
@pytest.mark.parametrize("scale", [Scale(1.3, 0.55, 0.31), Scale(0.6, 1.3, 0.5)])
def test_the_count_equals_fvcore_on_scaled_networks(name: str, scale: Scale) -> None:
    arch = replace(scale_arch(zoo.find(name), scale), channels=1, classes=10)
    assert count(arch) == cost(arch)


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


def test_cost_by_arithmetic() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Flatten(), nn.Linear(4 * 6 * 6, 5))
    measured = measure(network, (3, 6, 6))
    assert measured.flops == 4 * 3 * 9 * 36 + 144 * 5
    assert measured.params == 4 * 3 * 9 + 4 + 144 * 5 + 5
    assert measured.activations == 4 * 36 + 5


def test_an_operator_of_unknown_cost_is_an_error() -> None:
    class Sorted(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.flatten(1).sort().values

    with pytest.raises(ValueError, match="aten::sort"):
        measure(Sorted(), (3, 4, 4))


def test_cost_is_kept_on_disk_and_a_broken_file_is_measured_again() -> None:
    arch = replace(zoo.find("mobilenet_v1"), resolution=33)
    measured = cost(arch)
    kept = cache_folder() / f"{arch.key}.json"
    assert json.loads(kept.read_text())["flops"] == measured.flops
    kept.write_text('{"flops": 1')
    assert cost(arch) == measured
