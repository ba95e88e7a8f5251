"""Trainings that are added to later."""

from dataclasses import replace

import pytest

from scalesearch.families.trained import Entry, Training, entry, joined, training_of
from scalesearch.networks import zoo
from scalesearch.spaces.space import Growth, Recipe
from scalesearch.studies.images import Images

IMAGES = Images(name="shapes", train=10, val=10, test=None, channels=1, classes=10)


def made(name: str) -> Entry:
    return entry(name, replace(zoo.find(name), resolution=32))


def training(name: str, growth: Growth) -> Training:
    recipe = Recipe(growth=growth)
    return training_of("t", {(name, "zoo"): (made(name),)}, "shapes", 10, 10, IMAGES, recipe, 1)


def test_nothing_is_added_that_would_change_what_others_were_given() -> None:
    """A recipe's growth is over the cheapest network: trials have been trained by it."""
    grows, small, large = Growth(depth_rate=0.5), "lenet5", "mobilenet_v2"
    assert made(small).flops < made(large).flops
    with pytest.raises(ValueError, match="over the cheapest network: mobilenet_v2, and lenet5"):
        joined(training(large, grows), training(small, grows))
    assert len(joined(training(small, grows), training(large, grows)).entries) == 2
    plain = joined(training(large, Growth()), training(small, Growth()))
    assert {one.name for one in plain.entries} == {small, large}
