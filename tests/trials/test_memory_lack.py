"""Workers without memory: one that is refused it, and one that the kernel kills for it."""

import logging
import os
import resource
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scalesearch.testing.runners import RECIPE, SOUND, Notes
from scalesearch.trials.runners.ray import RayOptions, run_ray
from scalesearch.trials.train import Metrics
from scalesearch.trials.trial import Reader, Trial


@pytest.mark.long
def test_a_trial_without_memory_fails_and_that_of_a_killed_worker_is_handed_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    mark = tmp_path / "killed"

    # nested, so that it travels to the workers by value
    def starving(trial: Trial, read: Reader) -> Iterator[Metrics]:
        for epoch in (1, 2):
            if trial.seed == 0 and epoch == 2:
                used = int(Path("/proc/self/statm").read_text().split()[0]) * 4096
                before = resource.getrlimit(resource.RLIMIT_AS)
                resource.setrlimit(resource.RLIMIT_AS, (used + (100 << 20), before[1]))
                try:
                    np.ones(1 << 30)
                finally:
                    resource.setrlimit(resource.RLIMIT_AS, before)
            if trial.seed == 1 and epoch == 2 and not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)  # as the kernel does
            yield Metrics(epoch, 1.0, 0.5, 0.0, 0.01 * epoch, np.zeros(3, np.float32))

    recipe = replace(RECIPE, epochs=2)
    notes = Notes([replace(SOUND[0], seed=seed, recipe=recipe) for seed in (0, 1)])
    with caplog.at_level(logging.WARNING, "scalesearch"):
        run_ray(notes.driver(), RayOptions(workers=1), starving)
    assert "Unable to allocate 8.00 GiB" in notes.failed.pop(0) and not notes.failed
    assert notes.lost == [1] and list(notes.completed) == [1]
    (said,) = [r.getMessage() for r in caplog.records if r.name.startswith("scalesearch")]
    assert said.endswith(
        "-seed1 died, killed or for lack of memory (fewer workers need less): "
        "its trial is handed on"
    )
    out, err = capfd.readouterr()
    assert "raylet" not in out + err and out == ""
