"""The front: flops at equal accuracy by arithmetic, what is not reached, growth that stopped."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from scalesearch.families.front import Curve, Front, efficiency, front_of, write_front
from scalesearch.families.trained import Entry, Line, Training
from scalesearch.networks.latency import Conditions, Timings
from scalesearch.report import write_front_report
from scalesearch.report.figures.front import fronts
from scalesearch.report.words import step_text, times_text
from scalesearch.spaces.metric import Metric
from scalesearch.spaces.space import Recipe
from scalesearch.studies.images import Images
from scalesearch.trials.curve import Point
from scalesearch.trials.custom import CustomTraining
from scalesearch.trials.key import TrialKey

IMAGES = Images(
    name="squares", train=1000, val=500, test=None, channels=1, classes=10, side=28, notes=()
)
# at 1, 2 and 4 times the flops of the cheapest
ACCURACIES = {
    "found": (0.80, 0.84, 0.88),
    "matched": (0.80, 0.82, 0.84),
    "depth": (0.80, 0.81, 0.8105),
    "worse": (0.60, 0.65, 0.70),
}


def front(
    noise: float = 1e-4,
    seeds: int = 4,
    metric: Metric | None = None,
    timings: Timings | None = None,
) -> Front:
    """The front of four lines whose trials scatter by that much; of a user's own training, whose
    metric is the accuracy or the error."""
    entries, ends, rng = [], {}, np.random.default_rng(0)
    for line, values in ACCURACIES.items():
        for i, accuracy in enumerate(values):
            flops = 1_000_000 * 2**i
            entries.append(
                Entry(
                    name=f"{line}_{i}",
                    key=f"{line}-{i}",
                    resolution=16,
                    flops=flops,
                    params=flops // 100,
                    activations=flops // 10,
                    fvcore_total=flops,
                )
            )
            for seed in range(seeds):
                drawn = accuracy + noise * rng.standard_normal()
                end = Point(5, 1 - drawn, drawn, 0.1, 9.0)
                if metric is not None:
                    end = Point(5, -drawn if metric.goal == "max" else 1 - drawn, None, None, 9.0)
                ends[TrialKey(f"{line}-{i}", seed, "val")] = end
    training = Training(
        title="four lines",
        data="shapes",
        examples=None,
        held_out=500,
        images=IMAGES,
        recipe=Recipe(),
        seeds=seeds,
        custom=metric and CustomTraining("python:mine:train", metric, 60),
        entries=tuple(entries),
        lines=tuple(
            Line(
                name=line,
                kind="axis" if line == "depth" else "family" if line == "found" else "matched",
                members=tuple(f"{line}_{i}" for i in range(3)),
            )
            for line in ACCURACIES
        ),
    )
    found = front_of(training, ends, timings)
    assert found is not None
    return found


def test_flops_at_equal_accuracy_are_interpolated_on_the_log_axis() -> None:
    found = {one.line: one for one in front().efficiencies}
    # matched comes to 84 % at 4x, found at 2x
    assert found["matched"].ratio == pytest.approx(2, rel=0.02)
    assert found["matched"].accuracy == pytest.approx(0.84, abs=3e-4)
    # depth alone comes to 81.05 % at 4x, found at 2^(1.05 / 4)
    assert found["depth"].ratio == pytest.approx(4 / 2 ** (1.05 / 4), rel=0.02)
    for one in (found["matched"], found["depth"]):
        assert one.ratio is not None and one.low is not None and one.high is not None
        assert one.low < one.ratio < one.high < 1.2 * one.ratio
    assert found["worse"].ratio is None and found["worse"].high is None
    said = times_text(found["worse"], front())
    assert said.startswith("worse does not reach the 80.") and said.endswith("begins with.")


def test_a_line_that_begins_above_needs_at_most_so_much() -> None:
    draws = np.zeros((100, 1))
    mine = Curve(np.log([2e6]), np.array([0.80]), 0.80 + draws)
    above = Curve(np.log([6e6]), np.array([0.90]), 0.90 + draws)
    line = Line(name="larger", kind="matched", members=("one",))
    found = efficiency(mine, above, line, 1, None)
    assert found.at_most and found.ratio == pytest.approx(3) and found.low is found.high is None
    said = times_text(found, front())
    assert said.startswith("larger begins above 80.00 %") and "at most 3.00 times" in said
    same = efficiency(mine, replace(above, accuracy=np.array([0.80])), line, 1, None)
    assert not same.at_most and same.ratio == pytest.approx(3)


def test_intervals_widen_with_the_noise_and_need_seeds() -> None:
    narrow, wide = (front(noise).efficiencies[0] for noise in (1e-4, 3e-3))
    assert narrow.low is not None and wide.low is not None and wide.low < narrow.low
    alone = front(seeds=1)
    assert alone.rows[0].interval is None and alone.efficiencies[0].low is None
    assert "too few seeds for an interval" in times_text(alone.efficiencies[0], alone)


def test_growth_that_has_stopped_paying_is_said() -> None:
    steps = {step.line: step for step in front(1e-3).steps}
    assert steps["found"].pays and not steps["depth"].pays
    assert "that growth pays is not shown" in step_text(steps["depth"], front(1e-3))
    # 84 to 88 %, by means of four seeds of one point each: four standard errors of a difference
    assert steps["found"].gain == pytest.approx(0.04, abs=4 * 1e-3 / 2**0.5)


@pytest.mark.parametrize("goal", ["min", "max"])
def test_a_metric_of_ones_own_is_told_in_its_own_words(
    goal: Literal["min", "max"], tmp_path: Path
) -> None:
    metric = Metric(name="MSE" if goal == "min" else "IoU", goal=goal)
    ours, found = front(1e-3), front(1e-3, metric=metric)

    def turned(value: float) -> float:
        return 1 - value if goal == "min" else value

    for a, b in zip(ours.rows, found.rows, strict=True):
        assert b.accuracy == pytest.approx(turned(a.accuracy))
        assert a.interval is not None and b.interval is not None
        ends = sorted(map(turned, a.interval))
        assert b.interval == pytest.approx(ends, abs=1e-3)  # of other draws
    assert [e.ratio for e in found.efficiencies] == pytest.approx(
        [e.ratio for e in ours.efficiencies], nan_ok=True
    )
    for one, other in zip(ours.steps, found.steps, strict=True):
        assert one.pays == other.pays
        assert other.gain == pytest.approx(one.gain if goal == "max" else -one.gain)
    write_front(tmp_path, found)
    write_front_report(tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "accuracy" not in text and f"| {metric.name} (95 %) | seeds |" in text
    assert f"of {metric.name} from found_1" in text and " %" not in text.replace("95 %", "")


def test_the_report_of_a_front_says_what_it_found(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    found = replace(front(), title=evil, remarks=(evil,))
    write_front(tmp_path, found)
    page = write_front_report(tmp_path).read_text()
    assert evil not in page and "&lt;script&gt;alert(1)" in page
    text = (tmp_path / "report.md").read_text()
    for one in found.efficiencies:
        assert times_text(one, found) in text
    assert "| found_2 | found | 16 | 4M |" in text
    for cost in ("flops", "params", "activations"):
        assert (tmp_path / "figures" / f"front_{cost}.png").stat().st_size > 1000
    with pytest.raises(ValueError, match="format must be html, md, pdf or csv, got 'foo'"):
        write_front_report(tmp_path, "foo")
    with pytest.raises(ValueError, match="got none yet"):
        write_front_report(tmp_path / "figures")


def test_latency_is_drawn_where_it_was_timed() -> None:
    conditions = Conditions("CPU of a test", "2.13", 1, 8)
    times = {
        f"{line}-{i}": (1.0 + i, 3.0 + i, 2.0 + i) for line in ("found", "depth") for i in (0, 1)
    }
    found = front(timings=Timings(conditions, times))
    assert (found.row("found_1").ms, found.row("found_1").ms_low) == (3.0, 2.0)
    assert found.row("matched_1").ms is None and found.timed == conditions
    *counted, drawn = fronts(found)
    assert [figure.name for figure in counted] == [
        "front_flops",
        "front_params",
        "front_activations",
    ]
    assert drawn.name == "front_ms" and "ms of 8 images on CPU of a test" in drawn.alt
    assert [entry.label for entry in drawn.legend] == ["found", "depth"]
    assert ": 4 networks in 2 lines" in drawn.alt
    assert front(timings=Timings(conditions)).timed is None, "none of these was"


def test_published_accuracies_stand_beside_the_families_that_have_some() -> None:
    lines = tuple(
        replace(line, name={"matched": "resnet18", "worse": "lenet5"}.get(line.name, line.name))
        for line in front().lines
    )
    figures = {figure.name: figure for figure in fronts(replace(front(), lines=lines))}
    beside = figures["front_published_params"]
    assert [entry.label for entry in beside.legend] == ["ResNet, ResNeXt, Wide ResNet"]
    assert "trained on ImageNet, at full size" in beside.caption
    assert "front_published_ms" not in figures
    assert not any("published" in figure.name for figure in fronts(front())), "of no family"
