"""The drawn shapes: the same every time, and not a matter of their mean."""

import torch

from scalesearch.data import describe, load
from scalesearch.data.images import channel_statistics
from scalesearch.data.shapes import draw
from scalesearch.testing import check_source
from tests.data.files import fails


def test_shapes_keep_the_contract() -> None:
    check_source("shapes")
    check_source("shapes:40")


def test_shapes_are_the_same_every_time_and_say_that_they_are_synthetic() -> None:
    one, two = (load("shapes:300", val_examples=100) for _ in range(2))
    assert one.synthetic and describe("shapes").synthetic
    assert torch.equal(one.train.pixels, two.train.pixels)
    assert (len(one.train), len(one.val), len(one.test or [])) == (300, 100, 2000)
    assert one.train.pixels.shape[1:] == (1, 28, 28)
    assert torch.bincount(one.train.labels).tolist() == [30] * 10
    assert not torch.equal(one.train.pixels[:100], one.val.pixels)
    # a smaller set is the beginning of a larger one, across the edge of a drawn chunk
    assert torch.equal(draw(1500, 0).pixels[:1100], draw(1100, 0).pixels)
    assert torch.equal(one.train.pixels, draw(1100, 0).pixels[:300])


def test_shapes_are_no_matter_of_their_mean_template() -> None:
    train, val = draw(4000, 0), draw(1000, 1)
    templates = torch.stack([train.pixels[train.labels == c].float().mean(0) for c in range(10)])
    distances = torch.cdist(val.pixels.float().flatten(1), templates.flatten(1))
    assert (distances.argmin(1) == val.labels).float().mean() < 0.3


def test_shapes_limits() -> None:
    fails("shapes:300", "must be at most 300, got 301; use shapes:301", train_examples=301)
    for bad in ("0", "many", "-3", "1.5"):
        fails(f"shapes:{bad}", "must be a whole number from 1 to 1000000", repr(bad))


def test_side_applies_to_every_split() -> None:
    data = load("shapes:50", val_examples=10, side=16)
    assert data.test
    assert {i.pixels.shape[2:] for i in (data.train, data.val, data.test)} == {(16, 16)}
    assert data.mean == channel_statistics(data.train.pixels)[0]
