"""The look at the test split: at the weights that the trials ended with, or trained again."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import scalesearch as ss
from scalesearch.networks import zoo
from scalesearch.networks.scaling import Scale, scale_arch
from scalesearch.selection.answer import remedy_of
from scalesearch.spaces.space import Recipe
from scalesearch.studies import read_trials
from scalesearch.studies.setup import open_search, open_study
from scalesearch.trials.train import Metrics, train
from scalesearch.trials.trial import Trial, run_trial
from tests.chaos import exact

ARCH = scale_arch(zoo.find("mobilenet_v2"), Scale(width=0.125, resolution=32 / 224))


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_a_look_at_the_weights_is_the_look_after_training_again(average: float) -> None:
    recipe = Recipe(epochs=2, batch_size=20, average=average)
    trial = Trial(replace(ARCH, channels=1, classes=10), 1, "shapes", 100, 50, recipe)
    validated = list(run_trial(replace(trial, look=True)))
    assert [step.weights is None for step in validated] == [True, False], "at its end alone"
    test = replace(trial, split="test")
    (again,) = run_trial(test)
    end = validated[-1]
    (looked,) = run_trial(replace(test, begin=end.weights, trained=end.point))
    assert looked.losses.tolist() == again.losses.tolist() != end.losses.tolist()
    assert (looked.accuracy, looked.train_loss) == (again.accuracy, again.train_loss)
    assert looked.epoch == 2


@pytest.mark.long
def test_a_study_looks_at_weights_and_trains_again_where_they_are_gone(
    tiny: Path, tmp_path: Path, undisturbed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = []

    def counted(*given: Any) -> Iterator[Metrics]:
        trained.append(given)
        return train(*given)

    monkeypatch.setattr("scalesearch.trials.trial.train", counted)
    splits = read_trials(undisturbed)["split"]
    looks = int((splits == "test").sum())
    assert looks == 4

    def run(name: str, most: int | None = None) -> Path:
        space = ss.space(tiny)
        results = tmp_path / name
        return ss.run(space, results=results, max_trials=most, runner="inline", quiet=True).folder

    folder = run("all")
    exact(folder, undisturbed)
    assert len(trained) == len(splits) - looks, "a look trains nothing"
    assert list(folder.glob("checkpoints/*")) == [], "nothing is left behind"
    trained.clear()
    ends = list(run("part", len(splits) - looks + 1).glob("checkpoints/*-end.safetensors"))
    assert len(ends) == (splits == "val").sum()
    for path in ends:
        path.unlink()
    exact(run("part"), undisturbed)
    assert len(trained) == len(splits) - 1, "but for the first look they are trained again"


def test_more_trials_are_said_to_take_what_those_on_validation_took(undisturbed: Path) -> None:
    search = open_search(undisturbed)
    trials = read_trials(undisturbed)
    seconds = trials[trials["split"] == "val"]["seconds"]
    assert remedy_of(search, open_study(search)).seconds == pytest.approx(seconds.mean())
