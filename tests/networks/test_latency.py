"""Latency: the interval of a median, rounds that are compared, and plans under milliseconds."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from scalesearch.families import solve as curve
from scalesearch.families.members import by_latency
from scalesearch.families.solve import flops_for, nearest_latency
from scalesearch.networks import latency, zoo
from scalesearch.networks.count import count
from scalesearch.networks.custom import custom_model
from scalesearch.networks.device import Compute
from scalesearch.networks.latency import (
    Conditions,
    Repeats,
    Timings,
    conditions_here,
    device_of,
    pass_on_gpu,
    timed,
    visit,
)
from scalesearch.networks.models import Model, realised
from scalesearch.networks.scaling import Coefficients
from scalesearch.plans import limits
from scalesearch.plans.document import read_timings, write_timings
from scalesearch.plans.limits import ROUNDS, SCREEN, Limit, time_networks
from scalesearch.plans.plan import make_plan
from scalesearch.spaces.budget import parse_budget
from scalesearch.spaces.files import load_space
from tests.conftest import Command

HERE = conditions_here(1)


def small(pixels: int = 32) -> Model:
    return replace(zoo.find("mobilenet_v1_w0.25"), resolution=pixels)


def test_the_interval_of_a_median_is_by_order_statistics() -> None:
    # Conover 1999, Practical Nonparametric Statistics: of 9 the 2nd and 8th cover 96.1 %
    assert Repeats(tuple(range(9))).interval == (1, 7)
    assert Repeats(tuple(range(6))).interval == (0, 5)  # 96.9 %
    assert Repeats(tuple(range(3))).interval == (0, 2)
    assert Repeats((4.0,)).interval == (4.0, 4.0)
    assert Repeats(tuple(range(27))).interval == (7, 19)


@pytest.mark.parametrize("n", [6, 9, 18, 27])
def test_the_interval_covers_the_median_of_a_skewed_distribution(n: int) -> None:
    rng = np.random.default_rng(n)
    inside = 0
    for _ in range(2000):
        low, high = Repeats(tuple(rng.exponential(size=n).tolist())).interval
        inside += low <= np.log(2) <= high
    assert inside / 2000 >= 0.94


def test_ratios_are_of_the_same_round() -> None:
    drifting = Repeats((1.0, 2.0, 4.0))
    twice = Repeats((2.0, 4.0, 8.0, 100.0))
    assert twice.over(drifting).values == (2.0, 2.0, 2.0)


def test_a_forward_pass_takes_longer_for_more() -> None:
    models = {"small": small(), "large": replace(zoo.find("resnet18"), resolution=96)}
    threads = torch.get_num_threads()
    found = timed(Timings(HERE), models, 6)
    assert torch.get_num_threads() == threads
    assert all(len(values) == 6 for values in found.visits.values())
    low, _ = found["large"].over(found["small"]).interval
    assert low > 1, "resnet18 at 96 px has 200 times the flops"
    batch = timed(Timings(conditions_here(8)), {"small": models["large"]}, 6)
    assert batch["small"].over(found["large"]).median > 1.5


def test_what_was_timed_is_not_timed_again_and_rounds_go_both_ways(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order: list[int] = []

    def noted(model: Model, batch: int, device: str) -> float:
        order.append(model.resolution)
        return float(model.resolution)

    monkeypatch.setattr(latency, "visit", noted)
    models = {str(n): small(n) for n in (32, 33, 34)}
    found = timed(Timings(HERE), models, 2)
    assert order == [32, 33, 34, 34, 33, 32]
    assert timed(found, models, 2) is found
    more = timed(found, {"32": models["32"]}, 4)
    assert order[6:] == [32, 32]
    assert (len(more.visits["32"]), len(more.visits["34"])) == (4, 2)


def test_latencies_of_another_device_are_not_mixed_with_this_ones(tmp_path: Path) -> None:
    elsewhere = Timings(Conditions("TPU", "9.9", 1, 1), {"a": (1.0, 2.0)})
    assert timed(elsewhere, {"a": small()}, 2) is elsewhere
    with pytest.raises(ValueError, match=r"compared on one device: these are of TPU, torch 9\.9"):
        timed(elsewhere, {"a": small()}, 3)
    path = tmp_path / "latency.json"
    assert read_timings(path) is None
    write_timings(path, elsewhere)
    assert read_timings(path) == elsewhere
    path.write_text('{"conditions": 3, "visits": {}}')
    with pytest.raises(ValueError, match=r"latency\.json"):
        read_timings(path)


def pretend(
    monkeypatch: pytest.MonkeyPatch, milliseconds: Mapping[int, float], noise: float, seed: int = 0
) -> None:
    """Let a network's pass take a time by its resolution, times a round's drift and noise."""
    rng = np.random.default_rng(seed)

    def take(model: Model, batch: int, device: str) -> float:
        return milliseconds[model.resolution] * float(np.exp(noise * rng.standard_normal()))

    monkeypatch.setattr(latency, "visit", take)


@pytest.mark.parametrize("noise", [0.002, 0.02])
def test_a_network_is_within_only_if_its_whole_interval_is(
    monkeypatch: pytest.MonkeyPatch, noise: float
) -> None:
    truth = {32: 1.0, 33: 2.0, 34: 2.09, 35: 2.5, 36: 9.0}
    archs = {str(n): small(n) for n in truth if n != 32}
    start = replace(small(32), name="start")
    archs = {arch.key: arch for arch in archs.values()}
    keys = {arch.resolution: key for key, arch in archs.items()}
    limit = Limit(parse_budget("2xms").target, 2.0, 0.05)
    pretend(monkeypatch, truth, noise)
    found, inside, unclear = time_networks(Timings(HERE), start, archs, [limit])
    assert keys[33] in inside
    assert keys[35] not in inside and keys[36] not in inside
    assert len(found.visits[keys[36]]) == SCREEN, "far off: a few rounds are enough"
    assert len(found.visits[keys[33]]) >= ROUNDS[0]
    if noise > 0.01:  # 2.09 is within 5 % of 2, but not beyond doubt
        assert keys[34] not in inside
        assert len(found.visits[keys[34]]) == ROUNDS[-1] and unclear >= 1
    # with what was timed nothing is timed again, and the answer is the same
    monkeypatch.setattr(latency, "visit", None)
    assert time_networks(found, start, archs, [limit]) == (found, inside, unclear)


def test_a_cap_of_latency_holds_for_the_upper_end(monkeypatch: pytest.MonkeyPatch) -> None:
    truth = {32: 1.0, 33: 1.2, 34: 1.49, 35: 3.0}
    archs = {small(n).key: small(n) for n in (33, 34, 35)}
    pretend(monkeypatch, truth, 0.03)
    cap = Limit(parse_budget("1.5xms").target, 1.5, None)
    _, inside, unclear = time_networks(Timings(HERE), small(32), archs, [cap])
    assert inside == {small(33).key} and unclear == 1


def test_too_many_networks_are_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_TIMED", 2)
    archs = {str(n): small(n) for n in (33, 34, 35)}
    with pytest.raises(ValueError, match="times at most 2 networks, got 3: take coarser steps"):
        time_networks(Timings(HERE), small(), archs, [])


def test_the_flops_of_a_latency_are_read_off_the_line_of_the_nearest_two() -> None:
    assert flops_for([(10.0, 1.0)], 2.0) == 11.0
    assert flops_for([(10.0, 1.0), (12.0, 2.0), (20.0, 9.0)], 1.5) == 11.0
    assert flops_for([(10.0, 1.0), (10.0, 2.0)], 1.4) == pytest.approx(10.4)


@pytest.mark.parametrize("power", [0.4, 1.0, 1.4])
@pytest.mark.parametrize("ratio", [2.0, 4.0, 0.5])
def test_a_member_is_found_whatever_power_of_flops_a_latency_goes_with(
    monkeypatch: pytest.MonkeyPatch, power: float, ratio: float
) -> None:
    start = zoo.find("mobilenet_v1_w0.25")
    base = count(start).flops
    monkeypatch.setattr(
        latency, "visit", lambda model, batch, device: 3 * (count(model).flops / base) ** power
    )
    member = by_latency(start, Coefficients(1.2, 1.1, 1.15), ratio, "m", 1)
    assert abs(member.ratio / ratio - 1) < 0.15
    assert (member.measure, member.figure) == ("ms", pytest.approx(3 * member.ratio))
    monkeypatch.setattr(curve, "LONGEST", 1.0)
    with pytest.raises(ValueError, match="latency must be at most 1 ms"):
        nearest_latency(start, Coefficients(1.2, 1.1, 1.15), ratio, 1, 0.1)


def test_the_command_line_times_on_this_device(scalesearch: Command, tiny: Path) -> None:
    found = scalesearch("plan", tiny, "--budget", "2x", "--latency", "2", "--json")
    assert found.returncode == 0, found.stderr
    document = json.loads(found.stdout)
    assert document["latency"]["batch"] == 2
    assert document["latency"]["device"] == HERE.device
    for row in [document["baseline"], *document["candidates"]]:
        assert 0 < row["ms_low"] <= row["ms"] <= row["ms_high"]
    shown = scalesearch("plan", tiny, "--budget", "2x", "--latency", "2").stdout
    assert HERE.device in shown and "±" in shown
    assert max(map(len, shown.splitlines()[2:])) <= 100


def test_a_study_under_milliseconds_keeps_what_it_timed(
    scalesearch: Command, tiny: Path, tmp_path: Path
) -> None:
    # a cap far above what any network takes: every candidate stays, however noisy the machine
    command = ("run", tiny, "--budget", "2x,50xms@2", "--runner", "inline", "--json")
    ran = scalesearch(*command)
    assert ran.returncode == 0, ran.stderr
    folder = tmp_path / "results" / "tiny-shapes-2x-50xms-2"
    before = (folder / "latency.json").read_text()
    again = scalesearch(*command)
    assert json.loads(again.stdout)["trained"] == 0
    assert (folder / "latency.json").read_text() == before
    plan = json.loads((folder / "plan.json").read_text())
    assert plan["caps"][0]["measure"] == "ms" and plan["latency"]["batch"] == 2


def test_a_target_of_latency_is_refused_with_the_nearest_where_none_meets_it(tiny: Path) -> None:
    space = load_space(str(tiny))
    with pytest.raises(
        ValueError, match=r"of \d+ networks none is; the nearest, by alpha"
    ) as caught:
        make_plan(space, "quick", "40xms", 3, 3)
    assert "\n" not in str(caught.value)
    with pytest.raises(ValueError, match="must differ from the baseline by more than"):
        make_plan(space, "quick", "1xms", 3, 3)


def test_a_run_is_timed_on_the_device_that_its_trials_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "CARD")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    assert conditions_here(1, "cpu") == HERE, "whatever is visible"
    on_card = conditions_here(1, "cuda")
    assert on_card.device == "CARD, CUDA graphs, TF32" and conditions_here(1) == on_card
    assert device_of(on_card) == "cuda" and device_of(HERE) == "cpu"
    devices: list[str] = []

    def noted(model: Model, batch: int, device: str) -> float:
        devices.append(device)
        return 1.0

    monkeypatch.setattr(latency, "visit", noted)
    for conditions in (HERE, on_card):
        timed(Timings(conditions), {"a": small()}, 1)
    assert devices == ["cpu", "cuda"]


def test_a_visit_to_a_gpu_is_the_median_of_fifty_replays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Told by events that show how often the graph has run; one replay takes twice as long."""
    replays: list[int] = []

    def capture(compute: Compute, inputs: Sequence[Tensor]) -> Compute:
        def again(*_: Tensor) -> Tensor:
            replays.append(len(replays))
            return inputs[0]

        return again

    class Event:
        def __init__(self, enable_timing: bool) -> None:
            self.at = 0.0

        def record(self) -> None:
            self.at = 0.5 * len(replays) + (len(replays) > 20)

        def elapsed_time(self, other: "Event") -> float:
            return other.at - self.at

    monkeypatch.setattr(latency, "in_place", capture)
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    assert pass_on_gpu(torch.nn.Identity(), torch.zeros(1)) == 0.5
    assert len(replays) == 51, "the first is not timed"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_pass_on_a_gpu_is_timed() -> None:
    assert 0 < visit(small(), 4, "cuda") < 1000


def test_a_batch_that_no_memory_holds_is_refused() -> None:
    with pytest.raises(ValueError, match="a batch that fits into memory, got 999999999999:"):
        visit(zoo.find("lenet5"), 999_999_999_999)


PAIRS = """
import time
import torch
from torch import nn


class Pairs(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(1, 4, 3)

    def forward(self, left, wide):
        time.sleep(0.02 if wide.shape == (1, 1, 8, 24) else 0)
        return {"maps": [self.layer(left), self.layer(wide)]}


def net(depth, width, resolution):
    return Pairs()


def example(pixels):
    left = torch.zeros(1, 1, pixels, pixels)
    return {"left": left, "wide": torch.cat([left] * 3, -1)}
"""


@pytest.fixture
def pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    """A network that takes two tensors and returns a dict, with an example of its own."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "pairs.py").write_text(PAIRS)
    model = custom_model("python:pairs:net", 8)
    return realised(replace(model, example="python:pairs:example", logits=False))


def test_a_network_with_an_example_is_timed_on_it(pairs: Model) -> None:
    assert 20 <= visit(pairs, 1) < 1000
    with pytest.raises(ValueError, match=r"a batch of 1 where python:pairs:example .* got 8"):
        visit(pairs, 8)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_network_with_an_example_is_timed_on_a_gpu(pairs: Model) -> None:
    assert 0 < visit(pairs, 1, "cuda") < 1000
