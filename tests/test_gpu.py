"""What must hold on a card: skipped without one. `make gpu` runs these."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import Tensor

from scalesearch.data import DataSet, Images
from scalesearch.networks import zoo
from scalesearch.networks.arch import Arch
from scalesearch.networks.blocks import build_network
from scalesearch.networks.device import Capture, capture_on, placed
from scalesearch.networks.scaling import Scale, scale_arch
from scalesearch.spaces.space import Recipe
from scalesearch.studies import read_trials
from scalesearch.testing.runners import check_same
from scalesearch.trials.runners.together import run_together
from scalesearch.trials.step import make_optimizer, make_step
from scalesearch.trials.train import Metrics
from scalesearch.trials.trial import Trial, run_trial

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"),
]
CUDA = torch.device("cuda")
RUNNER = "inline" if find_spec("ray") is None else "ray"
ROOT = Path(__file__).parents[1]


def small(name: str, channels: int = 1, dropout: float = 0.0) -> Arch:
    """A narrow model of the zoo on small images, for ten classes."""
    arch = zoo.find(name)
    if name != "lenet5":
        arch = scale_arch(arch, Scale(1, 0.25, 32 / arch.resolution))
        arch = replace(arch, channels=channels)
    return replace(arch, classes=10, dropout=dropout)


def trial(seed: int, epochs: int = 4) -> Trial:
    recipe = Recipe(epochs=epochs, batch_size=128)
    return Trial(small("efficientnet_b0"), seed, "shapes", 1000, 500, recipe, device="cuda")


@pytest.fixture
def repeatable() -> Iterator[None]:
    """Kernels that repeat to the bit, so that what differs is of the code compared."""
    before = torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = True
    yield
    torch.backends.cudnn.deterministic = before


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_trial_that_paused_at_half_ends_as_the_whole_one(seed: int, repeatable: None) -> None:
    whole = list(run_trial(trial(seed)))
    first = list(run_trial(replace(trial(seed), pause=2)))
    rest = list(run_trial(replace(trial(seed), start=first[-1].checkpoint)))
    assert [step.epoch for step in rest] == [3, 4]
    for a, b in zip(whole, [*first, *rest], strict=True):
        assert a.loss == pytest.approx(b.loss, abs=1e-4)


def steps(arch: Arch, capture: Capture | None, count: int = 20) -> list[float]:
    """Losses of that many steps, every fifth of them on a partial batch."""
    generator = torch.Generator().manual_seed(0)
    shape = (256, arch.channels, arch.resolution, arch.resolution)
    pixels = torch.randint(256, shape, dtype=torch.uint8, generator=generator)
    images = Images(pixels, torch.randint(10, (256,), generator=generator)).to(CUDA)
    grey = (0.5,) * arch.channels
    data = DataSet("made", images, images, None, (), grey, grey)
    torch.manual_seed(0)
    network = placed(build_network(arch), CUDA).train()
    recipe = Recipe(batch_size=128)
    optimizer = make_optimizer(network, recipe, CUDA)
    step = make_step(network, optimizer, data, images, recipe, capture)
    found: list[Tensor] = []
    for i in range(count):
        batch = torch.arange(80 if i % 5 == 4 else 128, device=CUDA) + i
        found.append(step(batch, batch % 2 == 0, 1e-3))
    return [float(loss) for loss in found]


@pytest.mark.parametrize("dropout", [0.0, 0.2])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["efficientnet_b0", "mobilenet_v2", "resnet18", "vgg11_bn"])
def test_captured_steps_are_the_eager_ones(
    name: str, channels: int, dropout: float, repeatable: None
) -> None:
    arch = small(name, channels, dropout)
    eager, captured = steps(arch, None), steps(arch, capture_on(CUDA))
    assert eager[0] == pytest.approx(captured[0], rel=1e-3), "warming up leaves no trace"
    if not dropout:  # a graph may draw other masks than eager steps do
        assert captured == pytest.approx(eager, rel=2e-2)
    assert captured[-1] == pytest.approx(eager[-1], rel=0.2)


def test_forty_trials_in_one_process_leave_little_behind() -> None:
    recipe = Recipe(epochs=2, batch_size=128, resize_from=0.5)
    list(run_trial(replace(trial(0), recipe=recipe)))

    def taken() -> int:
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        free, total = torch.cuda.mem_get_info()
        return total - free

    before = taken()
    for seed in range(40):
        list(run_trial(replace(trial(seed), recipe=recipe)))
    assert taken() - before <= 64 * 2**20


def test_a_run_that_is_killed_goes_on_as_the_undisturbed_one(tmp_path: Path) -> None:
    space = tmp_path / "tiny.yaml"
    space.write_text(
        "model: mobilenet_v2\nbudget: 2x\ntolerance: 0.3\npolicy: grid\n"
        "grid: {alpha: [1.0], beta: [1.0, 1.2, 1.4], gamma: [1.0, 1.2, 1.4]}\n"
        "proxies: {quick: {data: shapes, width: 0.25, divisor: 1, resolution: 24, seeds: 2, "
        "train_examples: 1000, val_examples: 500, recipe: {epochs: 4}}}\n"
    )
    command = [sys.executable, "-m", "scalesearch", "run", str(space), "--gpus-per-trial", "0.25"]
    command += ["--runner", RUNNER, "--results", str(tmp_path), "--name"]
    subprocess.run([*command, "whole"], cwd=ROOT, check=True, timeout=280)
    journal = tmp_path / "killed" / "study.journal"
    process = subprocess.Popen([*command, "killed"], cwd=ROOT, start_new_session=True)
    while process.poll() is None and not (journal.exists() and journal.stat().st_size > 20_000):
        torch.cuda._sleep(10_000_000)
        torch.cuda.synchronize()
    assert process.poll() is None, "it must be killed before it ends"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    subprocess.run([*command, "killed"], cwd=ROOT, check=True, timeout=280)
    whole, killed = (read_trials(tmp_path / name) for name in ("whole", "killed"))
    assert len(whole) == len(killed)
    assert set(whole["state"]) == set(killed["state"]) == {"COMPLETE"}


def test_a_capture_that_fails_leaves_the_card_usable() -> None:
    arch = small("mobilenet_v2")
    eager = steps(arch, None, 4)

    def synchronising(compute: object, inputs: object) -> object:
        def with_item(*given: Tensor) -> Tensor:
            loss: Tensor = compute(*given)  # type: ignore[operator]
            loss.item()  # which cannot be captured
            return loss

        capture = capture_on(CUDA)
        assert capture is not None
        return capture(with_item, inputs)  # type: ignore[arg-type]

    assert steps(arch, synchronising, 4) == pytest.approx(eager, rel=2e-2)  # type: ignore[arg-type]


def test_equal_trials_are_equal(repeatable: None) -> None:
    check_same(list(run_trial(trial(5, 2))), list(run_trial(trial(5, 2))))


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one GPU")
def test_two_cards_train_what_one_does() -> None:
    recipe = Recipe(epochs=2, batch_size=128, learning_rate=1e-3)
    wanted = Trial(small("mobilenet_v2"), 0, "shapes", 1000, 500, recipe, device="cuda")
    one, two = list(run_trial(wanted)), list(run_together(wanted, size=2))
    for mine, theirs in zip(two, one, strict=True):
        assert isinstance(mine, Metrics), mine
        assert mine.loss == pytest.approx(theirs.loss, rel=0.02), "in bfloat16"
        assert mine.train_loss == pytest.approx(theirs.train_loss, rel=0.02)
