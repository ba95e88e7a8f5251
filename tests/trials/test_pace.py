"""The cost model: fitted exactly where it holds, and of the order of what is measured."""

import os
from pathlib import Path

import numpy as np
import pytest

from scalesearch.networks import zoo
from scalesearch.networks.arch import Arch
from scalesearch.networks.cost import cost
from scalesearch.networks.scaling import Scale, scale_arch
from scalesearch.trials import pace as paces
from scalesearch.trials.pace import Pace, calibrate, extremes, features, fit, recent_pace


def small(name: str, scale: Scale) -> Arch:
    return scale_arch(zoo.find(name), scale)


def test_features_are_modules_flops_and_activations() -> None:
    arch = small("resnet18", Scale(1, 0.125, 32 / 224))
    found = features(arch)
    assert tuple(found[1:]) == (cost(arch).flops, cost(arch).activations)
    deeper = features(small("resnet18", Scale(2, 0.125, 32 / 224)))
    # four stages of two blocks more: two convolutions, two norms, two activations each or so
    assert deeper[0] - found[0] >= 4 * 2 * 5


def test_a_fit_finds_the_parts_that_made_the_seconds() -> None:
    rows = np.array([[50, 1e6, 1e5], [90, 2e6, 1.5e5], [60, 2e6, 4e5], [120, 1e6, 2e5]])
    made = fit(rows, rows @ np.array([1e-4, 2e-9, 3e-8]))
    assert (made.module, made.flop, made.activation) == pytest.approx((1e-4, 2e-9, 3e-8))
    seconds = rows @ np.array([1e-4, 0, 3e-8]) * np.array([1, 0.99, 1.01, 1])
    least = fit(rows, seconds)
    parts = np.array([least.module, least.flop, least.activation])
    # of least squares without negative parts: no part could miss less by growing (Karush, Kuhn,
    # Tucker), and none that is above zero by shrinking; freely fitted, flops would come out below 0
    relative = rows / seconds[:, None]
    assert np.linalg.lstsq(relative, np.ones(4))[0].min() < 0
    slope = relative.T @ (relative @ parts - 1) / np.linalg.norm(relative, axis=0)
    assert parts.min() >= 0 and slope.min() > -1e-12
    assert slope[parts > 0] == pytest.approx(0, abs=1e-12)


def test_the_networks_that_are_timed_are_those_at_the_ends() -> None:
    rows = [np.array(row) for row in ([1, 5, 5], [2, 4, 6], [3, 5, 9], [2, 9, 5])]
    assert extremes(rows) == [0, 1, 2, 3]
    assert extremes(rows[:1] * 3) == [0]


def test_a_larger_network_is_expected_to_take_longer() -> None:
    archs = [small("mobilenet_v2", Scale(d, 0.1, 32 / 224)) for d in (1, 2)]
    pace = calibrate(archs, batch_size=16)
    assert isinstance(pace, Pace)
    assert 0 < pace.step_seconds(archs[0]) < pace.step_seconds(archs[1]) < 10


def test_a_pace_is_remembered_for_an_hour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    timed: list[int] = []

    def calibrated(models: object, batch_size: int, workers: int, device: str) -> Pace:
        timed.append(batch_size)
        return Pace(1e-4, 2e-9, float(len(timed)))

    monkeypatch.setattr(paces, "calibrate", calibrated)
    archs = [small("mobilenet_v2", Scale(d, 0.1, 32 / 224)) for d in (1, 2)]
    first = recent_pace(archs, 16)
    assert recent_pace(archs, 16) == first == Pace(1e-4, 2e-9, 1.0)
    recent_pace(archs, 32)
    recent_pace(archs[:1], 16)
    recent_pace(archs, 16, workers=2)
    assert timed == [16, 32, 16, 16]
    for path in tmp_path.rglob("paces/*.json"):
        old = path.stat().st_mtime - 3601
        os.utime(path, (old, old))
    assert recent_pace(archs, 16) == Pace(1e-4, 2e-9, 5.0)
    [kept] = tmp_path.rglob("paces/*.json")  # the others are forgotten
    kept.write_text(kept.read_text().replace("5.0", "6.0"))  # changed since it was written
    assert recent_pace(archs, 16) == Pace(1e-4, 2e-9, 6.0)
