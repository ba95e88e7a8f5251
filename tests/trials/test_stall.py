"""A worker that is stopped: its trial is handed on, with a word. A training of a user's own that
hangs, or takes all memory, fails alone."""

import ctypes
import logging
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from scalesearch.spaces.metric import Metric
from scalesearch.testing.runners import RECIPE, SOUND, Notes
from scalesearch.trials.custom import CustomTraining, TrainingRun
from scalesearch.trials.runners.ray import RayOptions, run_ray
from scalesearch.trials.train import Metrics
from scalesearch.trials.trial import Reader, Trial


@pytest.mark.long
def test_a_trial_of_a_stopped_worker_is_handed_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mark = tmp_path / "stopped"

    # nested, so that it travels to the workers by value
    def stopping(trial: Trial, read: Reader) -> Iterator[Metrics]:
        for epoch in (1, 2):
            if trial.seed == 1 and epoch == 2 and not mark.exists():
                mark.write_text(str(os.getpid()))
                os.kill(os.getpid(), signal.SIGSTOP)
            yield Metrics(epoch, 1.0, 0.5, 0.0, 0.01 * epoch, np.zeros(3, np.float32))

    recipe = replace(RECIPE, epochs=2)
    notes = Notes([replace(SOUND[0], seed=seed, recipe=recipe) for seed in (0, 1)])
    with caplog.at_level(logging.WARNING, "scalesearch"):
        run_ray(notes.driver(), RayOptions(workers=2, stall=15.0), stopping)
    assert sorted(notes.completed) == [0, 1] and notes.lost == [1] and not notes.failed
    assert "has reported nothing for" in caplog.text and "is handed on" in caplog.text
    for _ in range(100):  # and nothing stays behind
        if not Path("/proc", mark.read_text()).exists():
            return
        time.sleep(0.1)
    raise AssertionError(f"process {mark.read_text()} is still there")


@pytest.mark.long
@pytest.mark.xdist_group("chaos")
def test_a_hang_in_c_and_a_leak_fail_their_trials_and_the_others_go_on() -> None:
    # nested, so that it travels to the workers by value
    def train(network: nn.Module, run: TrainingRun) -> Iterator[float]:
        yield 0.5
        if run.seed == 1:
            mutex = ctypes.create_string_buffer(64)
            for _ in range(2):  # the second waits for ever, whatever signal comes
                ctypes.CDLL(None).pthread_mutex_lock(mutex)
        if run.seed == 2:
            leaked = []
            for _ in range(400):  # 64 MB each, 25 GB in all
                leaked.append(torch.ones(2**24))
        yield 0.25

    custom = CustomTraining(
        "python:mine:train", Metric(name="mse", goal="min"), 600, "", train, 0.5
    )
    sound = replace(SOUND[0], data="", recipe=replace(RECIPE, epochs=2), custom=custom)
    trials = [replace(sound, seed=seed) for seed in range(4)]
    trials[1] = replace(trials[1], custom=replace(custom, limit=10))
    notes = Notes(trials)
    run_ray(notes.driver(), RayOptions(workers=2, stall=20.0))
    assert sorted(notes.completed) == [0, 3]
    assert notes.failed == {
        1: "TrialFailed: an epoch must take at most 10 s (epoch_limit)",
        2: "TooMuchMemory: training must take at most 0.5 GiB of memory (memory_limit)",
    }
