"""The training step: on a GPU its captured form does what the plain one does."""

from dataclasses import replace

import pytest
import torch

from scalesearch.data import DataSet, Images
from scalesearch.networks import zoo
from scalesearch.networks.blocks import build_network
from scalesearch.networks.scaling import Scale, scale_arch
from scalesearch.spaces.space import Recipe
from scalesearch.trials.step import make_optimizer, make_step, normaliser, set_rate
from scalesearch.trials.train import train

ARCH = replace(
    scale_arch(zoo.find("mobilenet_v2"), Scale(0.5, 0.25, 24 / 224)), classes=4, dropout=0.0
)
gpu = pytest.mark.gpu
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")


def made(device: str, images: int = 100) -> DataSet:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (images, 3, 24, 24), dtype=torch.uint8, generator=generator)
    labels = torch.randint(4, (images,), generator=generator)
    both = Images(pixels, labels).to(device)
    return DataSet("made", both, both, None, tuple("abcd"), (0.5,) * 3, (0.2, 0.3, 0.4))


def losses(device: str, graph: bool, steps: int = 6) -> tuple[list[float], torch.Tensor]:
    """Losses of steps on whole batches and a smaller one, and the weights after them."""
    torch.manual_seed(0)
    network = build_network(ARCH).to(device).train()
    recipe, data = Recipe(batch_size=32), made(device)
    optimizer = make_optimizer(network, recipe, torch.device(device))
    step = make_step(network, optimizer, data, data.train, recipe, graph)
    found = []
    for i in range(steps):
        batch = torch.arange(32 if i != 3 else 20, device=device) + i
        found.append(float(step(batch, batch % 2 == 0, 1e-3 * (i + 1))))
    return found, torch.cat([p.detach().flatten().cpu() for p in network.parameters()])


def test_images_are_normalised_and_mirrored() -> None:
    data = made("cpu", 6)
    flipped = torch.tensor([True, False, True, False, False, False])
    images = normaliser(data)(data.train.pixels, flipped)
    plain = normaliser(data)(data.train.pixels)
    assert torch.equal(images[0], plain[0].flip(-1)) and torch.equal(images[1], plain[1])
    value = data.train.pixels[1, 2, 0, 0].item()
    assert images[1, 2, 0, 0].item() == pytest.approx((value / 255 - 0.5) / 0.4, rel=1e-5)


def test_the_rate_reaches_every_group() -> None:
    network = build_network(ARCH)
    optimizer = make_optimizer(network, Recipe(), torch.device("cpu"))
    set_rate(optimizer, 0.125)
    assert [group["lr"] for group in optimizer.param_groups] == [0.125, 0.125]
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.01, 0.0]


def test_a_step_trains_and_is_the_same_on_a_cpu_with_and_without_graphs() -> None:
    plain, weights = losses("cpu", graph=False)
    asked, same = losses("cpu", graph=True)
    assert plain == asked and torch.equal(weights, same)
    assert plain[0] != plain[1]


@gpu
@needs_gpu
def test_the_captured_step_is_the_plain_one() -> None:
    plain, weights = losses("cuda", graph=False)
    captured, same = losses("cuda", graph=True)
    assert captured == pytest.approx(plain, rel=1e-2)
    assert (weights - same).abs().max() < 1e-2
    assert plain[0] == pytest.approx(captured[0], rel=1e-3), "warming up leaves no trace"


@gpu
@needs_gpu
def test_training_on_a_gpu_lowers_the_loss_and_goes_on_from_a_checkpoint() -> None:
    recipe = Recipe(epochs=4, batch_size=32, learning_rate=0.02)
    torch.manual_seed(0)
    whole = list(train(build_network(ARCH).cuda(), made("cuda"), recipe, 0))
    assert whole[-1].train_loss < whole[0].train_loss
    torch.manual_seed(0)
    first = list(train(build_network(ARCH).cuda(), made("cuda"), recipe, 0, pause=2))
    start = first[-1].checkpoint
    rest = list(train(build_network(ARCH).cuda(), made("cuda"), recipe, 0, start=start))
    assert [step.epoch for step in rest] == [3, 4]
    assert rest[-1].loss == pytest.approx(whole[-1].loss, rel=0.05)
