"""Processes that train one network together: as one does, and lost together where one dies."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest
import torch

from scalesearch.data import Images, resized
from scalesearch.errors import ParameterError
from scalesearch.networks.weights import tensors_of
from scalesearch.search.options import RunOptions, check_options
from scalesearch.spaces.augmentation import Augmentation
from scalesearch.spaces.space import Recipe
from scalesearch.testing.runners import SOUND, Notes, check_same
from scalesearch.trials.runners import inline, together
from scalesearch.trials.runners.ask_tell import Failure
from scalesearch.trials.runners.inline import run_inline
from scalesearch.trials.runners.ray import RayOptions, run_ray
from scalesearch.trials.runners.together import end, end_with_parent, told
from scalesearch.trials.team import Team
from scalesearch.trials.train import Metrics
from scalesearch.trials.trial import Trial
from tests.cluster import below
from tests.trials.test_local import is_loopback, listening

FORK = multiprocessing.get_context("fork")
# with all that looks at more than one image. The last batch is one pair, of which the second
# process has none. At a higher rate the order of sums tells, as it does between two kernels
RECIPE = Recipe(
    epochs=4,
    batch_size=34,
    learning_rate=1e-3,
    average=0.9,
    label_smoothing=0.1,
    augment=Augmentation(mixup=0.3, cutmix=0.5),
)
TRIAL = replace(
    SOUND[0],
    arch=replace(SOUND[0].arch, resolution=40),
    train_examples=104,
    recipe=RECIPE,
    keep="mobilenet",
)


@pytest.fixture(scope="module")
def pair() -> list[Metrics]:
    """The epochs of the trial, trained by two processes without a break."""
    notes, places = Notes([TRIAL]), set[tuple[str, str]]()

    def report(trial: Trial, step: Metrics) -> bool:
        places.update(listening(os.getpid()))
        return notes.hear(trial, step)

    run_inline(replace(notes.driver(), report=report), processes=2)
    assert places and all(is_loopback(address) for _, address in places)
    assert notes.failed == {} and notes.lost == []
    return notes.completed[TRIAL.seed]


def test_every_image_has_one_process_and_those_that_are_mixed_have_the_same() -> None:
    for size in (1, 2, 3, 4):
        for n in (1, 2, 7, 50):
            batch = torch.randperm(n)
            shares = [Team(rank, size).share(batch) for rank in range(size)]
            assert sorted(torch.cat(shares).tolist()) == list(range(n))
            assert max(map(len, shares)) - min(map(len, shares)) <= 2
            mixed = dict(zip(batch.tolist(), batch.flip(0).tolist(), strict=True))
            for share in shares:
                assert [mixed[image] for image in share.tolist()] == share.flip(0).tolist()


def test_a_share_may_have_no_image() -> None:
    none = Images(torch.empty(0, 3, 20, 20, dtype=torch.uint8), torch.empty(0, dtype=torch.long))
    assert resized(none, 12).pixels.shape == (0, 3, 12, 12)


def test_two_processes_train_what_one_does(pair: list[Metrics]) -> None:
    notes = Notes([TRIAL])
    run_inline(notes.driver())
    one = notes.completed[TRIAL.seed]
    for mine, theirs in zip(pair, one, strict=True):
        np.testing.assert_allclose(mine.losses, theirs.losses, rtol=1e-5)
        assert mine.train_loss == pytest.approx(theirs.train_loss, rel=1e-5)
    trained, other = (tensors_of(metrics[-1].weights or b"") for metrics in (pair, one))
    assert trained.keys() == other.keys()
    for name, weights in trained.items():
        torch.testing.assert_close(weights, other[name], rtol=0, atol=1e-4)


def kill_one_of_mine() -> None:
    """Kill one of the processes that train together below this one."""
    for pid in below(os.getpid()):
        if b"multiprocessing.spawn" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return os.kill(pid, signal.SIGKILL)
    raise AssertionError("none is there")


@pytest.mark.long
def test_a_trial_goes_on_from_its_checkpoint_where_one_process_is_killed(
    pair: list[Metrics],
) -> None:
    notes, epochs = Notes([replace(TRIAL, pause=2)]), list[int]()

    def report(trial: Trial, step: Metrics) -> bool:
        epochs.append(step.epoch)
        if epochs == [1, 2, 3]:
            kill_one_of_mine()
        return notes.hear(trial, step)

    run_ray(replace(notes.driver(), report=report), RayOptions(workers=1, processes=2))
    assert (notes.lost, notes.failed) == ([TRIAL.seed], {})
    assert epochs == [1, 2, 3, 3, 4], "it went on from the pause, and from there again"
    check_same(notes.completed[TRIAL.seed], pair[2:])
    assert notes.completed[TRIAL.seed][-1].weights == pair[-1].weights


def test_the_inline_runner_hands_on_what_ends_early(
    pair: list[Metrics], monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = [1, 0, 4]
    monkeypatch.setattr(inline, "run_together", lambda trial, size: iter(pair[: ends.pop(0)]))
    notes = Notes([TRIAL])
    run_inline(notes.driver(), processes=2)
    assert notes.lost == [TRIAL.seed] * 2 and notes.completed == {TRIAL.seed: pair}


def telling(*messages: object) -> Callable[[Connection], None]:
    """What tells this and waits to be ended; of a number, it kills itself with that signal."""

    def tell(connection: Connection) -> None:
        for message in messages:
            if isinstance(message, int):
                os.kill(os.getpid(), message)
            connection.send(message)
        time.sleep(60)

    return tell


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., list[object]]]:
    monkeypatch.setattr(together, "GRACE", 1.0)
    started = []

    def hear(*tells: Callable[[Connection], None]) -> list[object]:
        processes = {}
        for tell in tells:
            here, there = FORK.Pipe()
            process = FORK.Process(target=tell, args=(there,), daemon=True)
            process.start()
            there.close()
            processes[here] = process
            started.append(process)
        return list(told(processes))  # type: ignore[arg-type]

    yield hear
    for process in started:
        end(process)  # type: ignore[arg-type]


def test_a_failure_is_told_apart_from_the_death_of_another(
    heard: Callable[..., list[object]],
) -> None:
    failure = Failure("RuntimeError: Connection closed by peer")
    assert heard(telling(failure), telling()) == [failure]
    assert heard(telling(signal.SIGKILL), telling("an epoch", failure)) in (["an epoch"], [])
    assert heard(telling(signal.SIGKILL), telling()) == []


def test_they_end_with_the_process_that_started_them() -> None:
    def start(connection: Connection) -> None:
        child = FORK.Process(target=end_with_parent)
        child.start()
        connection.send(child.pid)
        child.join()

    here, there = FORK.Pipe()
    parent = FORK.Process(target=start, args=(there,))
    parent.start()
    child = Path(f"/proc/{here.recv()}/exe")
    time.sleep(0.3)
    assert child.exists()
    end(parent)  # type: ignore[arg-type]
    for _ in range(100):
        if not child.exists():
            return
        time.sleep(0.05)
    raise AssertionError("it lives on")


def test_gpus_beyond_one_are_whole_and_here(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        ParameterError, match="a share of one GPU, or a whole number of them, got 2"
    ):
        check_options(RunOptions(gpus_per_trial=2.5))
    check_options(RunOptions(gpus_per_trial=4))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    check_options(RunOptions("inline", gpus_per_trial=2))
    with pytest.raises(ParameterError, match="must be at most 2, for torch finds so many GPUs"):
        check_options(RunOptions("inline", gpus_per_trial=4))
