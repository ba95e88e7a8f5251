"""Images that are streamed from a pack's map train to the bits of those in memory."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from scalesearch.data import PACK, DataSet, Images, load, pack, resized
from scalesearch.spaces.space import Recipe
from scalesearch.trials import trial as trials
from scalesearch.trials.feed import fed, in_order, streamed
from scalesearch.trials.train import Metrics
from scalesearch.trials.trial import Trial, fits, prepared, run_trial
from tests.data.files import noise
from tests.data.test_pack import write_set
from tests.trials.test_step import ARCH

RECIPE = Recipe(epochs=2, batch_size=16, resize_from=0.75)


@pytest.fixture
def small_trial(tmp_path: Path) -> Iterator[Trial]:
    """A trial at 24 px on a pack of 30 px; nothing of it is kept from an earlier one."""
    source = write_set(tmp_path / "set", images=60, side=30)
    folder = pack(source, cache=tmp_path / "cache")
    prepared.cache_clear()
    arch = replace(ARCH, classes=2)
    yield Trial(arch, 3, f"{PACK}{folder}", None, 5000, RECIPE)
    prepared.cache_clear()


def in_memory(source: str, *wanted: object) -> DataSet:
    """A pack's images, copied."""
    data = load(source)
    both = [Images(part.pixels.clone(), part.labels) for part in (data.train, data.val)]
    return replace(data, train=both[0], val=both[1])


def known(steps: list[Metrics]) -> list[tuple[float, ...]]:
    return [(step.loss, step.train_loss, *step.losses.tolist()) for step in steps]


def test_a_trial_from_the_map_streamed_and_paused_is_the_one_from_memory(
    small_trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = known(list(run_trial(small_trial, in_memory)))
    assert known(list(run_trial(small_trial))) == memory
    prepared.cache_clear()
    monkeypatch.setattr(trials, "RESIDENT_BYTES", 0)
    first = list(run_trial(replace(small_trial, pause=1)))
    rest = list(run_trial(replace(small_trial, start=first[-1].checkpoint)))
    assert known([*first, *rest]) == memory
    data = prepared(trials.decoded, small_trial.data, None, 5000, 24, 24, "cpu", "val")
    assert data.train.shown == (24,) and data.val.side == 24 and data.train.pixels.shape[-1] == 30


def test_batches_come_in_the_order_that_was_asked_for() -> None:
    images = Images(torch.from_numpy(noise(50, 3, 10, 10)), torch.arange(50))
    shown = Images(images.pixels, images.labels, shown=(6,))
    whole = resized(images, 6)
    batches = torch.randperm(50).split(8)
    for (chosen, batch), asked in zip(fed(shown, batches), batches, strict=True):
        assert isinstance(batch, Images) and torch.equal(chosen, asked)
        assert torch.equal(batch.pixels, whole.pixels[asked])
        assert torch.equal(batch.labels, asked)
    for one, other in zip(in_order(shown, 15), in_order(whole, 15), strict=True):
        assert all(map(torch.equal, one, other))
    assert all(chosen is batch for chosen, batch in fed(whole, batches))
    assert resized(shown, 9).side == 9


def test_what_a_thread_fails_at_is_raised_and_one_left_early_ends() -> None:
    images = Images(torch.from_numpy(noise(8, 3, 4, 4)), torch.arange(8), shown=(2,))
    with pytest.raises(IndexError):
        list(streamed(images, [torch.tensor([1]), torch.tensor([8])]))
    batches = streamed(images, torch.arange(8).split(1))
    next(batches)
    batches.close()  # type: ignore[attr-defined]


def test_what_lies_in_a_map_at_its_own_side_is_not_copied(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    images = Images(torch.zeros(10, 3, 8, 8, dtype=torch.uint8), torch.zeros(10))
    cpu = torch.device("cpu")
    monkeypatch.setattr(trials, "RESIDENT_BYTES", 10 * 3 * 6 * 6)
    assert fits(images, 8, cpu) and fits(images, 6, cpu) and not fits(images, 7, cpu)
