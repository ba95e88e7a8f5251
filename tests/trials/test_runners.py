"""The runners: the contract of scalesearch.testing, and a worker that is killed."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from scalesearch.testing import check_runner
from scalesearch.testing.runners import LONG, Notes, Runner
from scalesearch.trials.runners import AskTell
from scalesearch.trials.runners.inline import run_inline
from scalesearch.trials.train import Metrics
from scalesearch.trials.trial import Trial
from tests.cluster import below


def run_with_ray(driver: AskTell) -> None:
    from scalesearch.trials.runners.ray import RayOptions, run_ray

    run_ray(driver, RayOptions(workers=2))


@pytest.mark.parametrize("run", [run_inline, run_with_ray], ids=["inline", "ray"])
def test_a_runner_keeps_the_contract(run: Runner) -> None:
    check_runner(run)


def test_a_runner_that_breaks_the_contract_is_told_so() -> None:
    def never_reports(driver: AskTell) -> None:
        run_inline(replace(driver, report=lambda trial, step: False))

    with pytest.raises(AssertionError, match="reported with a checkpoint"):
        check_runner(never_reports)


def kill_my_workers() -> None:
    """Kill the Ray workers that train for this process; other agents take the node with them."""
    for pid in below(os.getpid()):
        title = Path(f"/proc/{pid}/cmdline")
        if title.exists() and title.read_bytes().startswith(
            (b"ray::Worker", b"ray::ResourceTrainable")
        ):
            os.kill(pid, signal.SIGKILL)


def test_a_trial_whose_worker_is_killed_is_handed_back_and_run_again() -> None:
    notes = Notes([LONG[0]])

    def report(trial: Trial, step: Metrics) -> bool:
        if not notes.reported:
            kill_my_workers()
        return notes.hear(trial, step)

    run_with_ray(replace(notes.driver(), report=report))
    assert notes.lost == [LONG[0].seed]
    (curve,) = notes.completed.values()
    assert [step.epoch for step in curve] == [1, 2, 3, 4]
