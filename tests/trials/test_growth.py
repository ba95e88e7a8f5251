"""Regularisation that grows with the network's flops, and the learning rate with its depth."""

from dataclasses import replace

import pytest

from scalesearch.networks import zoo
from scalesearch.networks.count import count
from scalesearch.networks.scaling import Scale, scale_arch
from scalesearch.spaces.augmentation import Augmentation
from scalesearch.spaces.growth import added
from scalesearch.spaces.space import Growth, Recipe
from scalesearch.trials import trial as trials
from scalesearch.trials.growth import grown, ratios
from scalesearch.trials.trial import Trial, run_trial
from tests.trials.test_step import ARCH

GROWTH = Growth(dropout=0.1, stochastic_depth=0.2, randaugment=3, depth_rate=0.5)


def test_efficientnets_dropout_is_that_of_its_table() -> None:
    b0, b7 = zoo.find("efficientnet_b0"), zoo.find("efficientnet_b7")
    ratio = count(b7).flops / count(b0).flops
    assert (b0.dropout, b7.dropout) == (0.2, 0.5) and 97 < ratio < 98  # 6.6 doublings
    recipe = Recipe(growth=Growth(dropout=0.0455))
    network, _ = grown(replace(b7, dropout=0.2), recipe, (ratio, 1.0))
    assert network.dropout == pytest.approx(0.5, abs=0.001)


def test_what_grows_with_a_doubling_and_stays_within_bounds() -> None:
    recipe = Recipe(learning_rate=0.04, augment=Augmentation(randaugment=9), growth=GROWTH)
    arch = replace(ARCH, dropout=0.2, stochastic_depth=0.1)
    network, own = grown(arch, recipe, (2.0, 4.0))
    assert (network.dropout, network.stochastic_depth) == pytest.approx((0.3, 0.3))
    assert (own.augment.randaugment, own.learning_rate) == pytest.approx((12, 0.02))
    smaller, less = grown(arch, recipe, (2.0**-4, 0.25))
    assert (smaller.dropout, smaller.stochastic_depth) == (0, 0)
    assert (less.augment.randaugment, less.learning_rate) == (0, 0.08)
    largest, most = grown(arch, recipe, (2.0**10, 1.0))
    assert (largest.dropout, largest.stochastic_depth, most.augment.randaugment) == (0.9, 0.9, 30)
    assert added(recipe, 2.0, 4.0).dropout == pytest.approx(0.1)


def test_nothing_grows_unless_it_is_declared() -> None:
    recipe = Recipe()
    assert ratios(ARCH, ARCH, recipe) == (1, 1)
    assert grown(ARCH, recipe, (2.0, 2.0)) == (ARCH, recipe)


def test_a_trial_is_trained_with_what_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    built = []

    def watched(model: object) -> object:
        built.append(model)
        raise InterruptedError

    monkeypatch.setattr(trials, "build_model", watched)
    recipe = Recipe(growth=GROWTH)
    arch = replace(ARCH, channels=1, classes=10, dropout=0.2)
    trial = Trial(arch, 0, "shapes", 20, 20, recipe, grown_by=(2.0, 1.0))
    with pytest.raises(InterruptedError):
        next(run_trial(trial))
    assert built[0].dropout == pytest.approx(0.3) and trial.key.network == arch.key


def test_sizes_are_over_the_baselines() -> None:
    recipe, deeper = Recipe(growth=GROWTH), scale_arch(ARCH, Scale(depth=2))
    flops, depth = ratios(deeper, ARCH, recipe)
    assert flops == count(deeper).flops / count(ARCH).flops
    assert depth == sum(deeper.depths) / sum(ARCH.depths) > 1.5
