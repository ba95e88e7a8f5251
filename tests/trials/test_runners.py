"""A contract over the runners: the same trials, the same metrics, failures recorded."""

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scalesearch.networks import zoo
from scalesearch.networks.scaling import Scale, scale_arch
from scalesearch.spaces.space import Recipe
from scalesearch.trials.runners import Desk
from scalesearch.trials.runners.inline import run_inline
from scalesearch.trials.train import Metrics
from scalesearch.trials.trial import Trial
from tests.cluster import below

ARCH = replace(
    scale_arch(zoo.find("mobilenet_v2"), Scale(0.5, 0.1, 24 / 224)), channels=1, classes=10
)
RECIPE = Recipe(epochs=2, batch_size=50)
SOUND = [Trial(ARCH, seed, "shapes", 200, 100, RECIPE) for seed in (0, 1)]
DIVERGES = Trial(ARCH, 2, "shapes", 200, 100, replace(RECIPE, learning_rate=1e30))
RAISES = Trial(ARCH, 3, "npz:/no/such/file.npz", 200, 100, RECIPE)


class Notes:
    """A desk that notes what it is told."""

    def __init__(self, trials: list[Trial]) -> None:
        self.waiting = list(trials)
        self.reported: dict[int, list[Metrics]] = {}
        self.completed: dict[int, list[Metrics]] = {}
        self.failed: dict[int, str] = {}
        self.paused: dict[int, list[Metrics]] = {}
        self.checkpoints: dict[int, bytes] = {}
        self.stop_after: int | None = None
        self.lost_seeds: list[int] = []

    def desk(self) -> Desk:
        return Desk(
            ask=lambda: self.waiting.pop(0) if self.waiting else None,
            report=self.report,
            stopped=lambda trial, curve, made: self.paused.update({trial.seed: curve}),
            complete=lambda trial, curve, made: self.completed.update({trial.seed: curve}),
            fail=lambda trial, message: self.failed.update({trial.seed: message}),
            lost=self.lost,
        )

    def report(self, trial: Trial, step: Metrics) -> bool:
        self.reported.setdefault(trial.seed, []).append(step)
        if step.checkpoint is not None:
            self.checkpoints[trial.seed] = step.checkpoint
        return step.epoch == self.stop_after

    def lost(self, trial: Trial) -> None:
        self.lost_seeds.append(trial.seed)
        self.waiting.append(trial)


def run_with_ray(desk: Desk) -> None:
    from scalesearch.trials.runners.ray import RayOptions, run_ray

    run_ray(desk, RayOptions(workers=2))


@pytest.fixture(scope="module", params=[run_inline, run_with_ray], ids=["inline", "ray"])
def noted(request: pytest.FixtureRequest) -> Iterator[Notes]:
    notes = Notes([SOUND[0], DIVERGES, RAISES, SOUND[1]])
    request.param(notes.desk())
    yield notes


def test_every_trial_ends_once_and_each_epoch_is_reported_once(noted: Notes) -> None:
    assert set(noted.completed) == {0, 1}
    assert set(noted.failed) == {2, 3}
    assert noted.lost_seeds == []
    for seed in (0, 1):
        assert [step.epoch for step in noted.reported[seed]] == [1, 2]
        assert noted.completed[seed][-1].losses.shape == (100,)
        assert noted.completed[seed][-1].loss == pytest.approx(
            noted.completed[seed][-1].losses.mean()
        )


def test_a_trial_that_diverges_or_raises_says_why(noted: Notes) -> None:
    assert noted.failed[2].startswith("TrialFailed: the loss must be finite, got ")
    assert noted.failed[3].startswith("ValueError: ") and "/no/such/file.npz" in noted.failed[3]
    assert "\n" not in noted.failed[2] + noted.failed[3]


def test_the_metrics_are_the_same_to_the_bit_whoever_runs_the_trial(noted: Notes) -> None:
    here = Notes(SOUND)
    run_inline(here.desk())
    for seed in (0, 1):
        for mine, theirs in zip(here.completed[seed], noted.completed[seed], strict=True):
            assert (mine.loss, mine.accuracy, mine.train_loss) == (
                theirs.loss,
                theirs.accuracy,
                theirs.train_loss,
            )
            assert np.array_equal(mine.losses, theirs.losses)


LONG = [replace(trial, recipe=replace(RECIPE, epochs=4, resize_from=0.7)) for trial in SOUND]


@pytest.mark.parametrize("run", [run_inline, run_with_ray], ids=["inline", "ray"])
def test_a_trial_that_pauses_goes_on_to_the_same_bits(run: Callable[[Desk], None]) -> None:
    whole = Notes(LONG)
    run_inline(whole.desk())
    first = Notes([replace(trial, pause=2) for trial in LONG])
    run(first.desk())
    assert not first.completed and set(first.paused) == {0, 1}
    rest = Notes([replace(trial, start=first.checkpoints[trial.seed]) for trial in LONG])
    run(rest.desk())
    for seed in (0, 1):
        assert [step.epoch for step in first.paused[seed]] == [1, 2]
        assert [step.epoch for step in rest.completed[seed]] == [3, 4]
        curve = [*first.paused[seed], *rest.completed[seed]]
        for mine, theirs in zip(curve, whole.completed[seed], strict=True):
            assert (mine.loss, mine.train_loss) == (theirs.loss, theirs.train_loss)
            assert np.array_equal(mine.losses, theirs.losses)


@pytest.mark.parametrize("run", [run_inline, run_with_ray], ids=["inline", "ray"])
def test_a_trial_stops_where_the_desk_says_so(run: Callable[[Desk], None]) -> None:
    notes = Notes(LONG)
    notes.stop_after = 3
    run(notes.desk())
    assert not notes.completed and notes.lost_seeds == []
    assert {seed: len(curve) for seed, curve in notes.paused.items()} == {0: 3, 1: 3}


def test_seeds_differ(noted: Notes) -> None:
    assert noted.completed[0][-1].loss != noted.completed[1][-1].loss


def kill_my_workers() -> None:
    """Kill the Ray workers that train for this process; other agents take the node with them."""
    for pid in below(os.getpid()):
        title = Path(f"/proc/{pid}/cmdline")
        if title.exists() and title.read_bytes().startswith(
            (b"ray::Worker", b"ray::ResourceTrainable")
        ):
            os.kill(pid, signal.SIGKILL)


def test_a_trial_whose_worker_is_killed_is_handed_back_and_run_again() -> None:
    notes = Notes([replace(SOUND[0], recipe=replace(RECIPE, epochs=6))])

    def report(trial: Trial, step: Metrics) -> bool:
        if not notes.reported:
            kill_my_workers()
        return notes.report(trial, step)

    run_with_ray(replace(notes.desk(), report=report))
    assert notes.lost_seeds == [0]
    assert set(notes.completed) == {0}
    assert [step.epoch for step in notes.completed[0]] == [1, 2, 3, 4, 5, 6]


def test_an_error_of_the_desk_stops_the_run_and_is_raised() -> None:
    def full(trial: Trial, step: Metrics) -> None:
        raise OSError(28, "No space left on device")

    for run in (run_inline, run_with_ray):
        notes = Notes([SOUND[0], SOUND[1], *SOUND])
        with pytest.raises(OSError, match="No space left"):
            run(replace(notes.desk(), report=full))
        assert not notes.completed
