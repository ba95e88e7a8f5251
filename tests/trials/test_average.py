"""Averaged weights at a constant rate: what is validated, and how a training goes on."""

from dataclasses import replace

import pytest
import torch

from scalesearch.data import load
from scalesearch.networks.arch import Arch, Stage
from scalesearch.networks.models import build_model
from scalesearch.spaces.space import Recipe
from scalesearch.trials.train import Metrics, averager, rate_at, schedule, share_kept, train

RECIPE = Recipe(
    epochs=3, batch_size=20, learning_rate=0.01, schedule="constant", average=0.9, warmup=0.1
)
ARCH = Arch(
    name="small",
    resolution=16,
    stem=(Stage(block="conv", width=4, stride=2),),
    stages=(Stage(block="separable", width=8, stride=2),),
    classes=10,
)


def trained(recipe: Recipe, start: bytes | None = None, pause: int | None = None) -> list[Metrics]:
    data = load("shapes", train_examples=60, val_examples=40)
    torch.manual_seed(0)
    network = build_model(replace(ARCH, channels=data.train.pixels.shape[1], classes=10))
    return list(train(network, data, recipe, 0, start=start, pause=pause))


def test_a_constant_rate_stays_after_its_warm_up() -> None:
    shares = [rate_at(RECIPE, at) for at in (0.0, 0.05, 0.1, 0.5, 0.999)]
    assert shares[:2] == [schedule(0.0, 0.1), schedule(0.05, 0.1)]
    assert shares[2:] == [1, 1, 1]
    assert rate_at(replace(RECIPE, schedule="cosine"), 0.5) == schedule(0.5, 0.1) < 1


def test_an_average_moves_towards_the_network_and_first_is_it() -> None:
    one, other = torch.nn.BatchNorm2d(2), torch.nn.BatchNorm2d(2)
    with torch.no_grad():
        other.weight.fill_(3.0)
        other.running_mean.fill_(1.0)  # type: ignore[union-attr]
    averager(one, other)(0.75)  # weights were 1, means 0
    assert one.weight.tolist() == [1.5, 1.5]
    assert one.running_mean.tolist() == [0.25, 0.25]  # type: ignore[union-attr]
    assert other.weight.tolist() == [3, 3]
    averager(one, other)(share_kept(0.9, 0))
    assert one.weight.tolist() == [3, 3]
    assert [share_kept(0.9, step) for step in (10, 90, 1000)] == [0.5, 0.9, 0.9]


@pytest.mark.parametrize("schedule_name", ["constant", "cosine"])
def test_the_average_is_validated_and_goes_on_to_the_same_bits(schedule_name: str) -> None:
    recipe = replace(RECIPE, schedule=schedule_name)
    whole = trained(recipe)
    first = trained(recipe, pause=1)
    rest = trained(recipe, first[-1].checkpoint)
    assert [m.loss for m in first + rest] == [m.loss for m in whole]
    plain = trained(replace(recipe, average=0.0))
    assert [m.train_loss for m in plain] == [m.train_loss for m in whole], "the steps are the same"
    assert plain[-1].loss != whole[-1].loss


def test_a_constant_rate_is_readable_at_any_epoch() -> None:
    """The epochs of a longer training are those of a shorter one; a cosine's are not."""
    flat = replace(RECIPE, warmup=0.0)
    longer, shorter = trained(flat), trained(replace(flat, epochs=2))
    assert [m.loss for m in longer[:2]] == [m.loss for m in shorter]
    bent = replace(flat, schedule="cosine")
    assert trained(bent)[1].loss != trained(replace(bent, epochs=2))[1].loss
