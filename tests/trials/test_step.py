"""The training step: captured it does what the plain one does, after a resume too."""

import logging
import weakref
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from scalesearch.data import DataSet, Images
from scalesearch.networks import zoo
from scalesearch.networks.blocks import build_network
from scalesearch.networks.blocks.lenet import RadialBasis
from scalesearch.networks.device import Capture, Compute, capture_on, channels_last
from scalesearch.networks.scaling import Scale, scale_arch
from scalesearch.spaces.space import Recipe
from scalesearch.trials import train as training
from scalesearch.trials.step import (
    make_optimizer,
    make_step,
    normaliser,
    parameter_groups,
    set_rate,
)
from scalesearch.trials.train import (
    equal_parts,
    make_evaluation,
    on_a_cpu,
    restore,
    snapshot,
    train,
)

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


def losses(
    device: str, capture: Capture | None, steps: int = 6, dropout: float = 0.0
) -> tuple[list[float], torch.Tensor]:
    """Losses of steps on whole batches and a smaller one, and the weights after them."""
    torch.manual_seed(0)
    network = build_network(replace(ARCH, dropout=dropout)).to(device).train()
    recipe, data = Recipe(batch_size=32), made(device)
    optimizer = make_optimizer(network, recipe, torch.device(device))
    step = make_step(network, optimizer, data, data.train, recipe, capture)
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


def test_the_optimizer_is_torchs_to_the_bit() -> None:
    recipe, data = Recipe(), made("cpu")

    def theirs(network: nn.Module) -> torch.optim.Optimizer:
        groups = parameter_groups(network, recipe.weight_decay)
        return torch.optim.AdamW(groups, lr=recipe.learning_rate, fused=True)

    def ours(network: nn.Module) -> torch.optim.Optimizer:
        return make_optimizer(network, recipe, torch.device("cpu"))

    found = []
    for make in (ours, theirs):
        torch.manual_seed(0)
        network = build_network(ARCH).train()
        step = make_step(network, make(network), data, data.train, recipe)
        for i in range(4):
            step(torch.arange(16) + i, torch.arange(16) % 2 == 0, 1e-3)
        found.append(network.state_dict())
    assert all(torch.equal(value, found[1][key]) for key, value in found[0].items())


def test_the_rate_reaches_every_group() -> None:
    network = build_network(ARCH)
    optimizer = make_optimizer(network, Recipe(), torch.device("cpu"))
    set_rate(optimizer, 0.125)
    assert [group["lr"] for group in optimizer.param_groups] == [0.125, 0.125]
    assert [group["weight_decay"] for group in optimizer.param_groups] == [0.01, 0.0]


def rehearsed(sizes: list[int], error: RuntimeError | None = None) -> Capture:
    """What a capture does beside capturing: run the work a few times first, and maybe fail."""

    def capture(compute: Compute, inputs: Sequence[Tensor]) -> Compute:
        sizes.append(len(inputs[0]))
        for _ in range(3):
            compute(*inputs)
        if error is not None:
            raise error
        return compute

    return capture


def capture_error(code: int) -> RuntimeError:
    error = torch.AcceleratorError("CUDA error: of a made-up kind\nand more")
    error.error_code = code
    return error


def test_a_capture_leaves_no_trace_and_one_that_fails_is_done_without(
    caplog: pytest.LogCaptureFixture,
) -> None:
    plain, weights = losses("cpu", None, dropout=0.2)
    assert plain[0] != plain[1]
    sizes: list[int] = []
    captured, same = losses("cpu", rehearsed(sizes), dropout=0.2)
    assert captured == plain and torch.equal(weights, same)
    assert sizes == [32, 20], "each size of batch is captured once, the partial one too"
    for error in (RuntimeError("cannot be captured"), capture_error(900)):
        with caplog.at_level(logging.WARNING):
            failed, same = losses("cpu", rehearsed([], error), dropout=0.2)
        assert failed == plain and torch.equal(weights, same), "as if nothing had been tried"
        assert "\n" not in caplog.messages[-1] and "not captured" in caplog.messages[-1]
    for fatal in (capture_error(2), capture_error(710), torch.OutOfMemoryError("CUDA out of")):
        with pytest.raises(type(fatal)):
            losses("cpu", rehearsed([], fatal))


def graph_like(network: nn.Module) -> torch.optim.AdamW:
    """The optimizer of a GPU, on a CPU: its rate is a tensor that a graph would read."""
    groups = parameter_groups(network, 0.01)
    return torch.optim.AdamW(groups, lr=torch.tensor(0.5), fused=True, capturable=True)


def stepped(network: nn.Module, optimizer: torch.optim.Optimizer, rate: float) -> Tensor:
    """The weights after a step with that rate on a gradient of ones."""
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    set_rate(optimizer, rate)
    optimizer.step()
    return torch.cat([p.detach().flatten() for p in network.parameters()])


@pytest.mark.parametrize("saved_on_gpu", [False, True])
def test_the_rate_of_a_resumed_trial_goes_on_changing(saved_on_gpu: bool) -> None:
    def made_optimizer(network: nn.Module, like_gpu: bool) -> torch.optim.AdamW:
        if like_gpu:
            return graph_like(network)
        return make_optimizer(network, Recipe(), torch.device("cpu"))

    torch.manual_seed(0)
    network, order = nn.Linear(3, 2), torch.Generator()
    optimizer = made_optimizer(network, saved_on_gpu)
    stepped(network, optimizer, 0.25)
    checkpoint = snapshot(1, 2.0, network, optimizer, order, order, network)
    expected = [stepped(network, optimizer, rate) for rate in (0.125, 0.0, 1.0)]
    for like_gpu in (False, True):
        other = nn.Linear(3, 2)
        resumed = made_optimizer(other, like_gpu)
        before = resumed.param_groups[0]["lr"]
        assert restore(checkpoint, other, resumed, order, order, other) == (1, 2.0)
        for group in resumed.param_groups:
            assert group["lr"] is before, "the tensor that a graph reads, where it is one"
            assert group["capturable"] is like_gpu and group["fused"]
        for rate, weights in zip((0.125, 0.0, 1.0), expected, strict=True):
            assert torch.allclose(stepped(other, resumed, rate), weights, rtol=1e-6, atol=1e-7)


def test_moments_are_laid_out_as_the_weights_of_the_device_that_goes_on() -> None:
    """A checkpoint of a CPU, gone on with where the channels lie last."""
    torch.manual_seed(0)
    network, order = nn.Conv2d(2, 3, 3), torch.Generator()
    optimizer = make_optimizer(network, Recipe(), torch.device("cpu"))
    for parameter in network.parameters():
        parameter.grad = torch.randn_like(parameter)
    optimizer.step()
    checkpoint = snapshot(1, 2.0, network, optimizer, order, order, network)
    other = nn.Conv2d(2, 3, 3).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    resumed = make_optimizer(other, Recipe(), torch.device("cpu"))
    restore(checkpoint, other, resumed, order, order, other)
    moments = resumed.state[other.weight]["exp_avg"]
    assert moments.stride() == other.weight.stride() != network.weight.stride()
    assert torch.equal(moments, optimizer.state[network.weight]["exp_avg"])
    assert torch.allclose(stepped(other, resumed, 0.1), stepped(network, optimizer, 0.1))


def test_the_step_of_a_smaller_side_is_let_go_of_before_the_next_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made_steps: list[weakref.ref[Any]] = []
    alive: list[int] = []

    def watched(*arguments: Any) -> Callable[..., Tensor]:
        alive.append(sum(step() is not None for step in made_steps))
        step = make_step(*arguments)
        made_steps.append(weakref.ref(step))
        return step

    monkeypatch.setattr(training, "make_step", watched)
    recipe = Recipe(epochs=3, batch_size=50, resize_from=0.5)
    list(train(build_network(ARCH), made("cpu"), recipe, 0))
    assert alive == [0, 0, 0]


def test_weights_and_images_are_laid_out_channels_last_by_their_strides() -> None:
    network = build_network(replace(zoo.find("efficientnet_b0"), channels=1))
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    last = [m for m in convolutions if m.weight.stride()[1] == 1 and m.weight.stride()[0] != 1]
    assert len(convolutions) == 81 and len(last) >= 78
    grey = torch.zeros(2, 1, 5, 5)
    assert channels_last(grey).stride() == (25, 1, 5, 1)
    assert grey.contiguous(memory_format=torch.channels_last).stride() == (25, 25, 5, 1)


def test_a_radial_basis_is_in_whole_precision_under_autocast() -> None:
    torch.manual_seed(0)
    basis, x = RadialBasis(84, 10), torch.randn(4, 84)
    with torch.autocast("cpu", torch.bfloat16):
        under = basis(x)
        assert nn.Linear(84, 10)(x).dtype == torch.bfloat16
    assert under.dtype == torch.float32 and torch.equal(under, basis(x))


def test_an_evaluation_is_captured_for_each_size_of_batch_and_the_same() -> None:
    network, data = build_network(ARCH), made("cpu", 700)
    sizes: list[int] = []
    plain, accuracy = make_evaluation(network, data, data.val)()
    evaluate = make_evaluation(network, data, data.val, rehearsed(sizes))
    for _ in range(2):
        captured, same = evaluate()
        assert (captured == plain).all() and same == accuracy
    assert sizes == [347, 6], "200,000 / 24^2 = 347 at most: twice, and what is left of 700"


def test_batches_of_evaluation_on_a_cpu_hold_so_many_pixels() -> None:
    assert [on_a_cpu(side) for side in (8, 20, 28, 64, 224, 1000)] == [500, 500, 255, 48, 16, 16]


def test_batches_of_evaluation_are_equal_and_larger_at_small_sides() -> None:
    assert equal_parts(5000, 32) == 2500, "4,000,000 / 32^2 = 3,906 at most: two halves"
    assert equal_parts(5000, 224) == 500
    assert equal_parts(7, 20) == 7


@gpu
@needs_gpu
def test_the_captured_step_is_the_plain_one() -> None:
    plain, weights = losses("cuda", None)
    captured, same = losses("cuda", capture_on(torch.device("cuda")))
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
