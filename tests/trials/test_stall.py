"""A worker that is stopped: its trial is handed on, with a word."""

import logging
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scalesearch.testing.runners import RECIPE, SOUND, Notes
from scalesearch.trials.runners.ray import RayOptions, run_ray
from scalesearch.trials.train import Metrics
from scalesearch.trials.trial import Reader, Trial


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
