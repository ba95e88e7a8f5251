"""Shares of a GPU under Ray, which believes in a GPU here: what is asked of nodes, memory, errors
that a process does not survive."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import ray
import torch

from scalesearch.testing.runners import RECIPE, SOUND, Notes
from scalesearch.trials.runners.ray import RayOptions, lacking_resources, run_ray
from scalesearch.trials.train import Metrics
from scalesearch.trials.trial import Reader, Trial

QUARTER = RayOptions(workers=1, gpus_per_trial=0.25, accelerator="TEST")


@pytest.fixture(autouse=True)
def a_gpu_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    resources = {"CPU": 4, "GPU": 1, "accelerator_type:TEST": 1}
    monkeypatch.setenv("RAY_OVERRIDE_RESOURCES", json.dumps(resources))


@pytest.mark.long
def test_a_trial_out_of_memory_runs_again_with_twice_the_share_and_is_then_reported() -> None:
    """And a worker that has lost its GPU takes no other trial, though one waits for it."""

    # nested, so that it travels to the workers by value
    def hungry(trial: Trial, read: Reader) -> Iterator[Metrics]:
        assert trial.device == "cuda"
        if trial.seed == 2:
            raise torch.AcceleratorError(f"CUDA error: device-side assert in {os.getpid()}")
        if trial.seed == 3:
            yield Metrics(1, float(os.getpid()), 0.5, 0.0, 1.0, np.zeros(3, np.float32))
            return
        share = ray.get_runtime_context().get_assigned_resources()["GPU"]
        if share < {0: 0.5, 1: 2.0}[trial.seed]:
            raise torch.OutOfMemoryError("CUDA out of memory")
        yield Metrics(1, share, 0.5, 0.0, 1.0, np.zeros(3, np.float32))

    recipe = replace(RECIPE, epochs=1)
    # the networks differ: what one needs says nothing of another
    trials = [
        replace(SOUND[0], seed=seed, recipe=recipe, arch=replace(SOUND[0].arch, classes=10 + seed))
        for seed in (2, 3, 0, 1)
    ]
    notes = Notes(trials)
    lacking: list[str] = []

    def report(trial: Trial, step: Metrics) -> bool:
        lacking.clear()
        for wanted in (
            QUARTER,
            replace(QUARTER, accelerator="H100"),
            replace(QUARTER, gpus_per_trial=2),
        ):
            lacking.append(lacking_resources(wanted))
        return notes.hear(trial, step)

    run_ray(replace(notes.driver(), report=report), QUARTER, hungry)
    told = notes.failed.pop(2)
    assert told.startswith("AcceleratorError: CUDA error: device-side assert in ")
    assert notes.completed.pop(3)[-1].loss != float(told.split()[-1]), "in another process"
    assert {seed: curve[-1].loss for seed, curve in notes.completed.items()} == {0: 0.5}
    assert sorted(notes.lost) == [0, 1, 1], "0.25 -> 0.5, and of the second on to 1"
    assert notes.failed == {1: "OutOfMemoryError: CUDA out of memory"}
    here, kind, two = lacking
    assert here == "" and kind == "1 CPU, 0.25 GPU, 0.001 accelerator_type:H100"
    assert two.startswith("1 CPU, 2 GPU"), "what no node has is named before the wait"
