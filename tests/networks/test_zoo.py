"""What holds for every model of the zoo, whatever its family."""

from dataclasses import replace

import pytest
import torch

from scalesearch.networks import zoo
from scalesearch.networks.blocks import Network, build_network, weighted_loss
from scalesearch.networks.models import at_resolution
from scalesearch.networks.scaling import Scale, scale_arch
from scalesearch.spaces.space import Recipe
from scalesearch.testing import check_family
from scalesearch.testing.families import small
from scalesearch.trials.train import train, train_side
from scalesearch.trials.trial import decoded, prepared


def test_the_zoo_has_every_system() -> None:
    wanted = [
        *("lenet5", "alexnet", "googlenet", "inception_v3", "mobilenet_v1", "mobilenet_v2"),
        *(f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "_bn")),
        *(f"resnet{depth}" for depth in (18, 34, 50, 101, 152)),
        *("wide_resnet50_2", "wide_resnet101_2"),
        *(f"efficientnet_b{size}" for size in range(9)),
        "efficientnet_l2",
        *(f"efficientnet_v2_{size}" for size in ["s", "m", "l", "xl", "b0", "b1", "b2", "b3"]),
    ]
    assert set(wanted) <= set(zoo.MODELS)
    assert all(name == arch.name for name, arch in zoo.MODELS.items())


def test_efficientnet_v2_trains_on_smaller_images_than_it_is_evaluated_on() -> None:
    pixels = {
        name.removeprefix("efficientnet_v2_"): (arch.train_resolution, arch.resolution)
        for name, arch in zoo.FAMILIES["efficientnet_v2"].MODELS.items()
    }
    assert pixels == {  # google/automl efficientnetv2/effnetv2_configs.py
        **{"s": (300, 384), "m": (384, 480), "l": (384, 480), "xl": (384, 512)},
        **{"b0": (192, 224), "b1": (192, 240), "b2": (208, 260), "b3": (240, 300)},
    }


@pytest.mark.parametrize("family", zoo.FAMILIES)
def test_a_family_keeps_the_contract(family: str) -> None:
    check_family(zoo.FAMILIES[family])


def test_auxiliary_heads_answer_in_training_only_and_weigh_in_the_loss() -> None:
    network = build_network(small(zoo.find("googlenet")))
    images = torch.randn(4, 3, 32, 32)
    assert [logits.shape for logits in network(images)] == [(4, 10)] * 3
    assert network.eval()(images).shape == (4, 10)
    network.train()
    weighted = weighted_loss(network, images, lambda logits: torch.ones(()))
    assert weighted.item() == pytest.approx(1 + 0.3 + 0.3)


def test_a_width_multiplier_by_name() -> None:
    assert zoo.find("mobilenet_v1_w0.5").widths == (32, 64, 128, 256, 512)
    with pytest.raises(ValueError, match="did you mean 'resnet50'"):
        zoo.find("resnet_50")


def test_lenets_output_is_the_distance_to_codes_that_differ() -> None:
    network = build_network(zoo.find("lenet5"))
    codes = network.classifier.codes
    assert len({tuple(code) for code in codes.tolist()}) == 10
    x = torch.randn(3, 84)
    distances = torch.cdist(x, codes).square()
    torch.testing.assert_close(network.classifier(x), -distances, rtol=1e-4, atol=1e-3)


def test_lenets_sparse_layer_joins_60_of_96_maps() -> None:
    network = Network(zoo.find("lenet5")).eval()
    joined = 0
    for i in range(6):
        moved = torch.zeros(1, 6, 14, 14)
        moved[0, i] = 1.0
        change = network.stages[0](moved) - network.stages[0](torch.zeros_like(moved))
        joined += int((change.abs().amax((0, 2, 3)) > 0).sum())
    assert joined == 60


def test_training_images_have_the_training_resolution() -> None:
    data = prepared(decoded, "shapes", 60, 20, 24, 18, "cpu", "val")
    assert data.train.pixels.shape[-1] == 18
    assert data.val.pixels.shape[-1] == 24
    arch = scale_arch(zoo.find("efficientnet_v2_b0"), Scale(resolution=24 / 224))
    assert (arch.train_resolution, at_resolution(arch, 48).train_resolution) == (21, 42)


def test_training_images_grow_to_their_size() -> None:
    recipe = Recipe(epochs=5, resize_from=0.5)
    assert [train_side(recipe, 24, epoch) for epoch in range(1, 6)] == [12, 15, 18, 21, 24]
    assert train_side(Recipe(epochs=5), 24, 1) == 24
    assert train_side(Recipe(epochs=1, resize_from=0.5), 24, 1) == 24
    arch = replace(scale_arch(zoo.find("resnet18"), Scale(1, 0.1, 24 / 224)), classes=10)
    data = prepared(decoded, "shapes", 60, 20, 24, 24, "cpu", "val")
    seen = []
    network = build_network(replace(arch, channels=data.train.pixels.shape[1]))
    network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].shape[-1]))
    *_, last = train(network, data, replace(recipe, epochs=2), seed=0)
    assert sorted(set(seen)) == [12, 24] and seen[0] == 12
    assert last.epoch == 2
