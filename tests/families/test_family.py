"""Scale-up by the published table, the formula and measured budgets; matched families."""

import csv
from pathlib import Path

import pytest

import scalesearch
from scalesearch.families.members import by_budget, by_formula, by_table, matched
from scalesearch.networks import zoo
from scalesearch.networks.cost import cost
from scalesearch.networks.files import dump_model, find_model, read_model
from scalesearch.networks.scaling import Coefficients

PAPER = Coefficients(1.2, 1.1, 1.15)
B0 = zoo.find("efficientnet_b0")


def test_published_members_equal_the_published_figures() -> None:
    golden = Path(__file__).parents[1] / "golden" / "models.csv"
    rows = {(row["model"], row["resolution"]): row for row in csv.DictReader(golden.open())}
    members = by_table("efficientnet")
    assert [member.name for member in members][:8] == [f"efficientnet_b{i}" for i in range(8)]
    for member in members:
        row = rows[member.name, str(member.arch.resolution)]
        assert (member.cost.flops, member.cost.params) == (int(row["flops"]), int(row["params"]))
    with pytest.raises(ValueError, match="published table must be one of"):
        by_table("resnet")


def test_the_formula_overshoots() -> None:
    members = by_formula(B0, PAPER, range(1, 8))
    ratios = [round(member.ratio, 2) for member in members]
    assert ratios == [2.57, 4.69, 8.43, 16.38, 29.48, 52.08, 102.81]


@pytest.mark.parametrize("coefficients", [PAPER, Coefficients(1.0, 1.4, 1.0)])
@pytest.mark.parametrize("phi", [0.5, 1, 2, 3, 5, 7, -1, -2])
def test_budget_members_cost_what_was_asked(coefficients: Coefficients, phi: float) -> None:
    member = by_budget(B0, coefficients, cost(B0).flops * 2**phi, "m", phi)
    assert abs(member.ratio / 2**phi - 1) <= 0.01
    assert member.cost == cost(member.arch)
    assert member.phi == phi


def test_matched_families_cost_what_their_targets_cost() -> None:
    targets = by_table("efficientnet")[1:8]
    names = ("resnet50", "mobilenet_v1", "mobilenet_v2")
    for name, members in matched(names, PAPER, targets).items():
        assert [member.name for member in members] == [f"{name}_as_{t.name}" for t in targets]
        for member, target in zip(members, targets, strict=True):
            assert abs(member.cost.flops / target.cost.flops - 1) <= 0.01


def test_coefficients_that_stand_still_reach_no_budget() -> None:
    with pytest.raises(ValueError, match="must not be 1"):
        by_budget(B0, Coefficients(1, 1, 1), 8e8, "m")


def test_a_member_survives_its_file(tmp_path: Path) -> None:
    member = by_budget(zoo.find("mobilenet_v1_w0.25"), PAPER, 8e7, "found")
    path = tmp_path / "found.yaml"
    path.write_text(dump_model(member.arch))
    assert read_model(path) == member.arch
    network = scalesearch.build(str(path))
    assert sum(p.numel() for p in network.parameters()) == member.cost.params
    assert find_model(str(path), 96).resolution == 96


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x\nresolution: 8\nstem: []\nstages: []\nclases: 3\n", "did you mean 'classes'"),
        ("name: [", "must be YAML"),
        ("name: x\n", "is missing"),
        ("- 1\n", "got"),
    ],
)
def test_a_file_that_is_no_arch_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        scalesearch.build(str(path))
    assert "\n" not in str(caught.value)
