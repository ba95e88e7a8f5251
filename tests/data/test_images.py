"""Images as tensors: split, resized, their statistics."""

import pytest
import torch

from scalesearch.data import Images, resized
from scalesearch.data.images import RESIZE_CHUNK, channel_statistics, split
from tests.data.files import noise


def test_split_is_fixed_disjoint_and_whole() -> None:
    train, val = split(100, None, 20)
    assert sorted([*train.tolist(), *val.tolist()]) == list(range(100))
    assert len(val) == 20
    torch.manual_seed(1)
    fewer, same = split(100, 7, 20)
    assert torch.equal(same, val) and torch.equal(fewer, train[:7])
    assert val.tolist() != list(range(20))


@pytest.mark.parametrize(("train", "val"), [(None, 100), (81, 20), (1, 100), (None, 101)])
def test_split_of_more_than_there_is(train: int | None, val: int) -> None:
    with pytest.raises(ValueError, match=rf"than there are, 100, got {val} for validation"):
        split(100, train, val)
    assert len(split(100, 80, 20)[0]) == 80


def test_resized_is_antialiased() -> None:
    # of stripes, one pixel in four, a quarter of the light is left; plain bilinear misses them all
    stripes = (torch.arange(16) % 4 == 0).to(torch.uint8).expand(1, 1, 16, 16) * 200
    images = Images(stripes, torch.tensor([3]))
    quarter = resized(images, 4)
    assert quarter.pixels.dtype == torch.uint8 and quarter.pixels.shape == (1, 1, 4, 4)
    assert quarter.labels.tolist() == [3]
    assert (quarter.pixels[..., 1:3].int() - 50).abs().max() <= 10
    assert resized(images, 16) is images


def test_resized_rounds_and_keeps_every_chunk() -> None:
    n = RESIZE_CHUNK + 3
    flat = (torch.arange(n) % 256).to(torch.uint8)[:, None, None, None].expand(n, 3, 5, 5)
    doubled = resized(Images(flat, torch.arange(n)), 10)
    assert torch.equal(doubled.pixels[:, 2, 9, 9], flat[:, 0, 0, 0])
    step = torch.tensor([[0, 1], [0, 1]], dtype=torch.uint8)[None, None] * 3
    # a bilinear doubling of 0, 3 is 0, 0.75, 2.25, 3
    assert resized(Images(step, torch.zeros(1)), 4).pixels[0, 0, 0].tolist() == [0, 1, 2, 3]


def test_channel_statistics() -> None:
    pixels = torch.from_numpy(noise(50, 3, 6, 6))
    mean, std = channel_statistics(pixels)
    scaled = pixels.double() / 255
    assert mean == pytest.approx(scaled.mean((0, 2, 3)).tolist(), abs=1e-12)
    assert std == pytest.approx(scaled.std((0, 2, 3), correction=0).tolist(), abs=1e-12)
    assert channel_statistics(torch.full((2, 1, 3, 3), 255, dtype=torch.uint8)) == ((1.0,), (1.0,))
