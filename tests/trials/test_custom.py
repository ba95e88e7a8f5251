"""Training of a user's own: what a function is given, what is made of all that it may yield."""

import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from scalesearch.spaces.metric import Metric
from scalesearch.spaces.space import Recipe
from scalesearch.trials.custom import CustomTraining, TrainingRun, custom_epochs
from scalesearch.trials.guarded import MOST_PRINTED
from scalesearch.trials.runners.ask_tell import Failure, advance
from scalesearch.trials.train import Metrics

SCORE = Metric(name="score", goal="max")
ERROR = Metric(name="mse", goal="min")
Function = Callable[[nn.Module, TrainingRun], Iterator[Any]]


def epochs_of(
    function: Function,
    folder: Path,
    epochs: int = 3,
    metric: Metric = SCORE,
    limit: float = 60,
    memory: float | None = None,
    start: bytes | None = None,
) -> list[Metrics | Failure]:
    """What each epoch of a function's training comes to, up to the first that fails."""
    torch.manual_seed(0)
    network = nn.Linear(3, 1)
    custom = CustomTraining("python:mine:train", metric, limit, "", function, memory)
    run = TrainingRun(0, epochs, 8, torch.device("cpu"), folder, Recipe())
    steps, found = custom_epochs(custom, network, run, start, epochs), []
    while (step := advance(steps)) is not None:
        found.append(step)
        if isinstance(step, Failure):
            break
    return found


def failure(function: Function, folder: Path, **given: Any) -> str:
    last = epochs_of(function, folder, **given)[-1]
    assert isinstance(last, Failure)
    assert "\n" not in last.message
    return last.message


def descent(network: nn.Module, run: TrainingRun) -> Iterator[dict[str, Any]]:
    """A least-squares fit with momentum, its state left whole after each epoch."""
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05, momentum=0.9)
    generator = torch.Generator().manual_seed(run.seed)
    if run.checkpoint is not None:
        state = torch.load(io.BytesIO(run.checkpoint), weights_only=True)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        generator.set_state(state["generator"])
    for _ in range(run.done, run.epochs):
        for _ in range(4):
            x = torch.randn(16, 3, generator=generator)
            loss = (network(x) - x.sum(1, keepdim=True)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        file = io.BytesIO()
        states = {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
        torch.save({**states, "generator": generator.get_state()}, file)
        yield {"mse": loss, "checkpoint": file.getvalue()}


def test_a_metric_to_be_maximised_is_a_loss_inside_by_its_negative(tmp_path: Path) -> None:
    found = epochs_of(lambda network, run: iter([0.25, 0.5, 0.0]), tmp_path)
    losses = [step.loss for step in found if isinstance(step, Metrics)]
    assert losses == [-0.25, -0.5, 0.0]
    assert [SCORE.value(loss) for loss in losses] == [0.25, 0.5, 0.0]
    assert SCORE.interval((-0.5, -0.25)) == (0.25, 0.5)
    least = epochs_of(lambda network, run: iter([0.25] * 3), tmp_path, metric=ERROR)
    assert [step.loss for step in least if isinstance(step, Metrics)] == [0.25] * 3


def test_values_of_examples_stand_in_the_metrics_place(tmp_path: Path) -> None:
    told = {"score": 0.5, "examples": [0.25, 0.75], "checkpoint": b"", "lr": 0.1}
    last = epochs_of(lambda network, run: iter([told] * 3), tmp_path)[-1]
    assert isinstance(last, Metrics)
    assert last.losses.tolist() == [-0.25, -0.75]
    alone = epochs_of(lambda network, run: iter([0.5] * 3), tmp_path)[-1]
    assert isinstance(alone, Metrics)
    assert alone.losses.tolist() == [-0.5]


def test_it_goes_on_from_its_own_state_to_the_same_bits(tmp_path: Path) -> None:
    whole = epochs_of(descent, tmp_path, epochs=5, metric=ERROR)
    second = whole[1]
    assert isinstance(second, Metrics)
    resumed = epochs_of(descent, tmp_path, epochs=5, metric=ERROR, start=second.checkpoint)
    assert [m.epoch for m in resumed if isinstance(m, Metrics)] == [3, 4, 5]
    for one, other in zip(whole[2:], resumed, strict=True):
        assert isinstance(one, Metrics)
        assert isinstance(other, Metrics)
        assert one.loss == other.loss
        assert other.seconds > second.seconds
        if one.checkpoint and other.checkpoint:  # behind the seconds, which differ
            assert one.checkpoint[12:] == other.checkpoint[12:]


def raises(network: nn.Module, run: TrainingRun) -> Iterator[float]:
    yield 0.5
    raise ZeroDivisionError("by nothing\nat all")


def exits(network: nn.Module, run: TrainingRun) -> Iterator[float]:
    yield 0.5
    sys.exit(3)


def hangs(network: nn.Module, run: TrainingRun) -> Iterator[float]:
    yield 0.5
    try:
        time.sleep(60)
    except Exception:  # which must not catch the limit
        time.sleep(60)
    yield 0.5


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (raises, "ZeroDivisionError: by nothing at all"),
        (exits, "training must not end its process, got SystemExit(3)"),
        (hangs, "an epoch must take at most 0.3 s (epoch_limit)"),
        (lambda network, run: iter([0.5]), "after each of 3 epochs, ended after 1"),
        (lambda network, run: iter([float("nan")]), "score after epoch 1 of python:mine:train must "
         "be finite, got nan"),
        (lambda network, run: iter([{"ap": 0.5, "lr": 1}]), "the metric score must be yielded "
         "after epoch 1 of python:mine:train, got ap, lr"),
        (lambda network, run: iter(["high"]), "must be a number, got str"),
        (lambda network, run: 0.5, "must yield its metric after each epoch, returned float"),
        (lambda network, run: iter([{"score": 0.5, "examples": [0.5, 0.9]}]), "mean of the "
         "examples must be the metric after epoch 1 of python:mine:train, got 0.7 and 0.5"),
        (lambda network, run: iter([{"score": 0.5, "checkpoint": "text"}]), "must be bytes"),
    ],
)  # fmt: skip
def test_what_goes_wrong_is_said_in_one_line(
    function: Function, words: str, tmp_path: Path
) -> None:
    limit = 0.3 if function is hangs else 60
    assert words in failure(function, tmp_path, limit=limit)


def test_a_leak_of_memory_ends_its_own_trial_alone(tmp_path: Path) -> None:
    leaked = []

    def leaks(network: nn.Module, run: TrainingRun) -> Iterator[float]:
        yield 0.5
        for _ in range(400):  # 64 MB each, 25 GB in all
            leaked.append(torch.ones(2**24))
        yield 0.5

    message = failure(leaks, tmp_path, memory=0.25)
    assert "training must take at most 0.25 GiB of memory (memory_limit)" in message
    assert len(leaked) < 400
    held = epochs_of(lambda network, run: iter([0.5] * 3), tmp_path, memory=0.25)
    assert [step.epoch for step in held if isinstance(step, Metrics)] == [1, 2, 3]


def test_what_it_prints_is_kept_apart_and_no_more_than_enough(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def prints(network: nn.Module, run: TrainingRun) -> Iterator[float]:
        for _ in range(run.epochs):
            print("x" * MOST_PRINTED, file=sys.stderr)
            yield 0.5

    assert isinstance(epochs_of(prints, tmp_path)[-1], Metrics)
    assert (tmp_path / "printed.txt").stat().st_size == MOST_PRINTED
    assert capsys.readouterr() == ("", "")


def test_a_child_that_it_forks_does_not_go_on_in_its_place(tmp_path: Path) -> None:
    def forks(network: nn.Module, run: TrainingRun) -> Iterator[float]:
        for _ in range(run.epochs):
            child = os.fork()
            if child:  # the parent waits for it: it ends, and not well
                yield float(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            else:
                yield 0.0

    found = epochs_of(forks, tmp_path)
    assert [SCORE.value(step.loss) for step in found if isinstance(step, Metrics)] == [1.0] * 3
