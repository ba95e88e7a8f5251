"""The examples of the page "Scale your detector": each trains, and the detector detects."""

import importlib
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import torch

import scalesearch as ss
from scalesearch.families.front import find_front
from scalesearch.plans.document import read_plan
from scalesearch.selection.selection import read_selection

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "scale-your-detector.md"
STUDY = ROOT / "results" / "reference" / "circles-train-2x"


@pytest.fixture(autouse=True)
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working directory with the files of the page."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for content in re.findall(r"^```(?:python|yaml)\n(.*?)^```$", PAGE.read_text(), re.M | re.S):
        Path(content.splitlines()[0].removeprefix("# ")).write_text(content)


@pytest.mark.parametrize(
    ("name", "metric"), [("circles", "IoU"), ("shapes_detector", "AP"), ("discs", "MSE")]
)
def test_an_example_trains(name: str, metric: str) -> None:
    study = ss.run(f"{name}.yaml", runner="inline", max_trials=2, epochs=2, quiet=True)
    trials = study.trials()
    done = trials[trials["state"] == "COMPLETE"]
    assert len(done) == 2 and not (trials["state"] == "FAIL").any()
    assert (done[metric] > 0).all()


def test_the_page_tells_what_the_committed_study_of_the_segmenter_shows() -> None:
    plan, found, front = read_plan(STUDY), read_selection(STUDY), find_front(STUDY / "front")
    for name in ("circles.py", "circles.yaml"):
        assert Path(name).read_text() == (STUDY / name).read_text(), "the page's own files"
    assert found.coefficients is not None and front is not None and front.metric is not None
    trials, alpha = len(pd.read_csv(STUDY / "trials.csv")), found.coefficients.alpha
    assert front.metric.name == "IoU" and {row.seeds for row in front.rows} == {3}
    low, high = found.gain_interval
    level = {row.name: f"{row.accuracy:.3f}" for row in front.rows}
    family, depth, width, resolution = (
        [level[name] for name in line.members] for line in front.lines
    )
    ratio = front.efficiencies[0]
    assert ratio.line == "depth alone" and not any(step.pays for step in front.steps)
    assert all(one.low is None or one.low < 1 for one in front.efficiencies), "none is told apart"
    text = " ".join(PAGE.read_text().split())
    for words in (
        f"{len(plan.candidates)} networks of 2x, {trials} trials",
        f"alpha {alpha:g}, beta {found.coefficients.beta:g}, gamma {found.coefficients.gamma:g}",
        f"by {found.gain:.3f} of IoU on average (95 % interval {low:.3f} to {high:.3f})",
        f"all {len(found.confidence_set)} may be the best",
        f"IoU {family[0]}, {family[1]} and {family[2]} at 1x, 2x and 4x; at 4x depth alone has "
        f"{depth[-1]}, width alone {width[-1]}, resolution alone {resolution[-1]}.",
        f"needs {ratio.ratio:.1f} times the flops, but with three seeds that may be "
        f"{ratio.low:.1f} to {ratio.high:.1f} times",
    ):
        assert words in text, words
    gates = {gate.name: gate.outcome for gate in found.gates}
    assert gates.pop("trained enough") == "passed" and gates.pop("resolved") == "failed"
    assert {*gates.values()} == {"not shown"}


def test_the_detector_detects() -> None:
    module: Any = importlib.import_module("shapes_detector")
    torch.manual_seed(0)
    run = SimpleNamespace(resolution=24, seed=0, epochs=6)
    found = [*module.train(module.detector(1, 1, 1), run)]
    assert found[-1] > 0.5 > found[0]


def test_its_average_precision_is_that_of_its_boxes() -> None:
    module: Any = importlib.import_module("shapes_detector")
    wide = torch.tensor([[0.0, 0.0, 0.5, 0.5], [0.0, 0.0, 0.5, 0.4], [0.5, 0.0, 1.0, 0.5]])
    assert module.overlap(wide[0], wide).tolist() == pytest.approx([1, 0.8, 0])
    assert module.strongest(wide, torch.tensor([0.1, 0.3, 0.2])) == [1, 2]
    # two cells of one image tell of discs: the surer of nothing, the other of the one that is there
    cells = torch.full((1, 2, 2, 7), -20.0)
    cells[0, 0, 0] = torch.tensor([5.0, 0, 0, -1.0986, -1.0986, -20, 20])  # at 1/4, 1/4 wide
    cells[0, 1, 1] = torch.tensor([2.0, 0, 0, -1.0986, -1.0986, -20, 20])
    boxes, classes = module.boxes_of(cells)[:, 1, 1][:, None], torch.tensor([[1]])
    assert boxes[0, 0].tolist() == pytest.approx([0.625, 0.625, 0.875, 0.875], abs=1e-4)
    assert module.average_precision(cells, boxes, classes, 1) == 0.5
    cells[0, 1, 1, 0] = 8
    assert module.average_precision(cells, boxes, classes, 1) == 1


def test_a_network_of_timm_is_trained_by_ours() -> None:
    pytest.importorskip("timm", reason="timm is not installed")
    study = ss.run("small_resnet.yaml", runner="inline", max_trials=3, quiet=True)
    assert (study.trials()["state"] == "COMPLETE").sum() == 3
    assert len(study.plan.candidates) >= 2
