"""Augmentation: by the seed alone, the same shares of the image for every side, on any network."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import yaml
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor
from torch.nn.functional import interpolate

from scalesearch.networks import zoo
from scalesearch.networks.blocks import build_network
from scalesearch.networks.scaling import Scale, scale_arch
from scalesearch.spaces.augmentation import NAMED, Augmentation
from scalesearch.spaces.files import check_space, dump_space
from scalesearch.spaces.space import Recipe
from scalesearch.trials.augment import CROP, draws, erased, mixed_with_last, reshaped
from scalesearch.trials.randaugment import CHANGES, after
from scalesearch.trials.step import augmenter, normaliser
from scalesearch.trials.train import mirrored, train
from scalesearch.trials.trial import Trial, run_trial
from tests.data.files import noise
from tests.trials.test_step import ARCH, made

NOBODY = torch.zeros(8, dtype=torch.bool)
ALL = Augmentation(crop=0.3, shift=0.1, erase=0.5, mixup=0.2, cutmix=1.0, randaugment=9)


def images(n: int = 8, side: int = 16) -> Tensor:
    return torch.from_numpy(noise(n, 3, side, side)) / 255


def test_whole_images_are_resized_as_torch_does_and_mirrored() -> None:
    flipped = torch.arange(8) % 2 == 0
    drawn = draws(Augmentation(), flipped, 0, 1)
    for side in (16, 11, 24):
        found = reshaped(images(), Augmentation(), drawn, side)
        resized = interpolate(images(), size=(side, side), mode="bilinear", antialias=True)
        expected = torch.where(flipped.view(-1, 1, 1, 1), resized.flip(-1), resized)
        assert torch.allclose(found, expected, atol=1e-5), side


def test_a_shift_is_by_whole_pixels_within_its_share() -> None:
    augment = NAMED["small"]
    found = reshaped(images(), augment, draws(augment, NOBODY, 0, 1), 16)
    for before, after_it in zip(images(), found, strict=True):
        padded = torch.nn.functional.pad(before, (2, 2, 2, 2))  # 0.125 of 16
        windows = [padded[:, y : y + 16, x : x + 16] for y in range(5) for x in range(5)]
        assert any(torch.allclose(after_it, window, atol=1e-6) for window in windows)


def test_crops_are_of_the_same_shares_at_every_side() -> None:
    augment = NAMED["photos"]
    drawn = draws(augment, torch.zeros(200, dtype=torch.bool), 0, 1)
    place = torch.linspace(0, 1, 64).expand(200, 1, 64, 64)  # a ramp tells where a pixel was
    small, large = (reshaped(place, augment, drawn, side) for side in (16, 64))
    assert (small.mean((1, 2, 3)) - large.mean((1, 2, 3))).abs().max() < 0.02
    width = (large[..., -1] - large[..., 0]).mean((1, 2))
    assert width.min() > 0.2 and width.max() <= 1.0
    assert abs(drawn[:, 1 + CROP].mean() - 0.5) < 0.1


def test_a_box_is_erased_of_as_many_as_are_asked_for() -> None:
    augment = Augmentation(erase=0.25)
    drawn = draws(augment, torch.zeros(2000, dtype=torch.bool), 0, 1)
    found = erased(torch.ones(2000, 1, 32, 32), augment, drawn)
    gone = 1 - found.mean((1, 2, 3))
    assert abs((gone > 0).float().mean() - 0.25) < 0.03
    assert gone[gone > 0].min() > 0.01 and gone.max() < 0.37


@pytest.mark.parametrize("augment", [Augmentation(mixup=0.4), Augmentation(cutmix=1.0), ALL])
def test_labels_are_mixed_as_pixels_are(augment: Augmentation) -> None:
    labels = torch.tensor([0, 1, 2, 3, 0, 1, 2, 3])
    grey = torch.eye(4)[labels].view(8, 4, 1, 1).expand(8, 4, 16, 16)  # a channel a class
    found, shares = mixed_with_last(grey, labels, 4, augment, draws(augment, NOBODY, 3, 1))
    assert torch.allclose(found.mean((2, 3)), shares, atol=1e-5)
    assert torch.allclose(shares.sum(1), torch.ones(8)) and (shares.amax(1) < 1).any()


def pillow(change: int, amount: float, image: Image.Image) -> Image.Image:
    """What Pillow makes of an image by that change of CHANGES."""
    factor = 1 + 0.9 * amount
    return {
        1: lambda: ImageOps.autocontrast(image),
        2: lambda: ImageEnhance.Brightness(image).enhance(factor),
        3: lambda: ImageEnhance.Color(image).enhance(factor),
        4: lambda: ImageEnhance.Contrast(image).enhance(factor),
        6: lambda: ImageOps.posterize(image, 8 - round(4 * abs(amount))),
        7: lambda: ImageOps.solarize(image, round(256 * (1 - abs(amount)))),
        8: lambda: image.rotate(amount * 30, Image.Resampling.BILINEAR, fillcolor=(127,) * 3),
    }[change]()


@pytest.mark.parametrize("change", [1, 2, 3, 4, 6, 7, 8])
@pytest.mark.parametrize("amount", [-0.5, 0.3])
def test_changes_are_those_of_pillow(change: int, amount: float) -> None:
    given = (noise(16, 16, 3) // 3 + 60).astype(np.uint8)
    expected = np.asarray(pillow(change, amount, Image.fromarray(given))).astype(float)
    batch = torch.from_numpy(given).permute(2, 0, 1)[None] / 255
    found = after(batch, torch.tensor([change]), torch.tensor([amount]))[0]
    apart = np.abs(found.permute(1, 2, 0).numpy() * 255 - expected)
    inside = apart[3:-3, 3:-3] if change == 8 else apart  # the corners are filled otherwise
    assert inside.max() < 2.5, inside.max()


def test_every_change_keeps_values_and_the_others_images() -> None:
    batch = images(13)
    which = torch.arange(13)
    found = after(batch, which, torch.full((13,), 0.4))
    assert len(CHANGES) == 13 and found.min() >= 0 and found.max() <= 1
    same = [i for i in range(13) if torch.equal(found[i], batch[i])]
    assert same == [0]
    still = after(batch, which, torch.zeros(13))
    assert (still[2:] - batch[2:]).abs().max() < 1e-5  # but for autocontrast


def test_seed_and_epoch_alone_decide() -> None:
    rows = [draws(ALL, NOBODY, seed, epoch) for seed, epoch in ((0, 1), (0, 1), (0, 2), (1, 1))]
    assert torch.equal(rows[0], rows[1])
    assert not torch.equal(rows[0], rows[2]) and not torch.equal(rows[0], rows[3])


def test_alternate_mirrors_the_others_every_second_time() -> None:
    recipe, unused = Recipe(flip="alternate"), torch.Generator()
    first, second, third = (mirrored(500, recipe, unused, 7, epoch) for epoch in (1, 2, 3))
    assert torch.equal(first, ~second) and torch.equal(first, third)
    assert 200 < first.sum() < 300


def test_the_plain_recipe_is_what_it_was() -> None:
    data, flipped = made("cpu", 8), torch.arange(8) % 3 == 0
    x, labels = augmenter(data, Recipe(), 24)(data.train.pixels, data.train.labels, flipped)
    assert torch.equal(x, normaliser(data)(data.train.pixels, flipped))
    assert labels is data.train.labels


@pytest.mark.parametrize("augment", [NAMED["small"], NAMED["photos"], ALL])
def test_a_paused_run_ends_as_the_whole_one(augment: Augmentation) -> None:
    recipe = Recipe(epochs=2, batch_size=40, augment=augment, flip="alternate", resize_from=0.75)

    def run(**options: object) -> list[tuple[float, float, bytes | None]]:
        torch.manual_seed(0)
        steps = train(build_network(ARCH), made("cpu"), recipe, 0, side=20, **options)  # type: ignore[arg-type]
        return [(step.train_loss, step.loss, step.checkpoint) for step in steps]

    whole, first = run(), run(pause=1)
    rest = run(start=first[-1][2])
    assert [step[:2] for step in whole] == [step[:2] for step in (*first, *rest)]


def test_a_smaller_side_in_training_is_for_crops_alone() -> None:
    """Whole images at another side than that of evaluation would show another size of things."""
    arch = scale_arch(zoo.find("efficientnet_v2_b0"), Scale(0.3, 0.1, 32 / 224))
    arch = replace(arch, channels=1, classes=10)
    assert (arch.resolution, arch.train_resolution) == (32, 27)

    def loss(train_resolution: int, augment: Augmentation) -> float:
        recipe = Recipe(epochs=1, batch_size=32, augment=augment)
        seen = replace(arch, train_resolution=train_resolution)
        return next(run_trial(Trial(seen, 0, "shapes", 64, 50, recipe))).loss

    assert loss(27, Augmentation()) == loss(0, Augmentation())
    assert loss(27, Augmentation(crop=0.5)) != loss(0, Augmentation(crop=0.5))


def test_a_space_names_a_recipe_or_its_keys() -> None:
    def augment_of(given: object) -> Augmentation:
        content = {
            "model": "mobilenet_v2",
            "grid": {"alpha": [1.0], "beta": [1.0], "gamma": [1.0]},
            "proxies": {"quick": {"recipe": {"augment": given}}},
        }
        space = check_space(content, "made")
        again = check_space(yaml.safe_load(dump_space(space)), "again")
        assert again == space
        return space.proxies["quick"].recipe.augment

    assert augment_of("photos") == NAMED["photos"] and augment_of("plain") == Augmentation()
    assert augment_of({"mixup": 0.2}) == replace(Augmentation(), mixup=0.2)
    with pytest.raises(ValueError, match="must be one of plain, small, photos"):
        augment_of("autoaugment")
    with pytest.raises(ValueError, match="crop"):
        augment_of({"crop": 0})
