"""The device of a trial: the one that it was given, whatever is there; errors that end it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks import gpu, gpu_steps
from scalesearch.search.options import RunOptions, device_of, slots, worker_count
from scalesearch.testing.runners import SOUND, Notes
from scalesearch.trials.runners import together
from scalesearch.trials.runners.ask_tell import Failure, advance
from scalesearch.trials.runners.inline import run_inline
from scalesearch.trials.runners.worker import Job, begun
from scalesearch.trials.train import Metrics
from scalesearch.trials.trial import Reader, Trial, decoded, run_trial


def test_a_card_that_is_visible_is_not_used_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    recipe = replace(SOUND[0].recipe, epochs=1)
    (step,) = run_trial(replace(SOUND[0], recipe=recipe))
    assert step.epoch == 1, "it would have failed on the card that is not there"
    assert device_of(RunOptions()) == "cpu"
    assert device_of(RunOptions(gpus_per_trial=0.25)) == "cuda"


def test_the_inline_runner_gives_its_device_and_ends_after_a_sticky_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    def run(trial: Trial, read: Reader) -> Iterator[Metrics]:
        asked.append(trial.device)
        raise torch.AcceleratorError("CUDA error: device-side assert triggered")
        yield

    monkeypatch.setattr(together, "run_trial", run)
    notes = Notes([*SOUND])
    with pytest.raises(ValueError, match="type the same command again"):
        run_inline(notes.driver(), "cuda")
    assert asked == ["cuda"], "no other trial is begun"
    assert list(notes.failed) == [SOUND[0].seed]


@pytest.mark.parametrize(
    ("error", "memory", "broken"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), True, False),
        (2, True, False),  # cudaErrorMemoryAllocation: of a capture, or the context's own
        (901, False, False),  # cudaErrorStreamCaptureInvalidated
        (710, False, True),  # cudaErrorAssert
        (None, False, True),
        (ValueError("of its own"), False, False),
    ],
)
def test_errors_of_a_device_are_told_apart(
    error: Exception | int | None, memory: bool, broken: bool
) -> None:
    def raising() -> Iterator[Metrics]:
        if isinstance(error, Exception):
            raise error
        of_torch = torch.AcceleratorError("CUDA error")
        if error is not None:
            of_torch.error_code = error
        raise of_torch
        yield

    failure = advance(raising())
    assert isinstance(failure, Failure)
    assert (failure.out_of_memory, failure.breaks_device) == (memory, broken)


def test_a_worker_takes_no_more_of_a_card_than_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", asked.append)

    def nothing(trial: Trial, read: Reader) -> Iterator[Metrics]:
        assert read is decoded
        yield from ()

    for share in (0.25, 2, 0.0):
        assert not list(begun(Job(SOUND[0], None, None, nothing, share)))
    assert asked == [0.25, 1.0], "a share again after a larger one; none without a card"


def test_as_many_trials_run_as_cards_have_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [slots(2, share) for share in (0.25, 0.1, 1 / 3, 0.4, 1, 2)] == [8, 20, 6, 4, 2, 1]
    assert worker_count(RunOptions(workers=16, gpus_per_trial=0.25)) == 8
    assert worker_count(RunOptions(workers=3, gpus_per_trial=0.25)) == 3
    assert worker_count(RunOptions(workers=16, gpus_per_trial=4)) == 1, "which waits, and says so"
    assert worker_count(RunOptions(workers=16)) == 16
    elsewhere = RunOptions(workers=16, gpus_per_trial=0.25, address="head:6379")
    assert worker_count(elsewhere) == 16, "a cluster's cards are not this machine's"
    assert worker_count(RunOptions(runner="inline", gpus_per_trial=0.25)) == 1


def test_where_no_card_is_the_benchmark_says_so_and_writes_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(gpu, "RESULT", tmp_path / "gpu.md")
    assert gpu.main(["steps", "--write"]) == 1, "make gpu fails"
    assert capsys.readouterr().out == "no GPU here: nothing was measured\n"
    assert not (tmp_path / "gpu.md").exists()


def test_parts_of_the_benchmark_are_written_beside_one_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gpu, "made_on", lambda: "CARD")
    page = gpu.with_section("# No card\n\nNothing is claimed.\n", "steps", ["old"])
    page = gpu.with_section(page, "sharing", ["| 8 |"])
    page = gpu.with_section(page, "steps", ["| new |"])
    assert page.startswith("# Training on one GPU\n") and "claimed" not in page
    assert page.endswith("## sharing\n\nCARD\n\n| 8 |\n\n## steps\n\nCARD\n\n| new |\n")


def test_the_benchmarks_step_is_the_same_network_in_either_layout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a CPU, for both channels; what a card takes for it is the benchmark's to say."""
    monkeypatch.setattr(gpu_steps, "CUDA", torch.device("cpu"))
    for channels in (1, 3):
        case = gpu_steps.Case("mobilenet_v2", channels=channels, batch=8)
        data = gpu_steps.random_data(32, channels, 16, 8)
        losses = []
        for last in (True, False):
            torch.manual_seed(0)
            losses.append(float(gpu_steps.our_step(case, data, last=last)()))
        assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, 2, 1, bias=False))
    gpu_steps.recolour(network, 1)
    assert network(torch.zeros(1, 1, 8, 8)).shape == (1, 4, 4, 4)
