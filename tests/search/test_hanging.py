"""A worker that hangs in the middle of a training: verify and train hand its trial on."""

import re
from pathlib import Path

import pytest

from scalesearch.studies import read_trials
from tests.conftest import Command

# hangs once, in a worker that has trained a trial
MODULE = """
import sys
import time
from pathlib import Path

from torch import nn

MARK = Path(__file__).with_name("hung")
calls = 0


class Hanging(nn.Sequential):
    def forward(self, x):
        global calls
        calls += self.training
        if calls == 7 and sys.argv[0].endswith("default_worker.py") and not MARK.exists():
            MARK.touch()
            time.sleep(10_000)
        return super().forward(x)


def make(depth, width, resolution):
    out = round(8 * width)
    blocks = [nn.Conv2d(1, out, 3, 2, 1)]
    blocks += [nn.Conv2d(out, out, 3, 1, 1) for _ in range(round(8 * depth))]
    return Hanging(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(out, 10))
"""
SPACE = """
model: python:hangs:make
resolution: 12
grid: {alpha: [1.0, 1.5], beta: [1.0, 1.2, 1.4], gamma: [1.0, 1.2]}
tolerance: 0.2
proxies:
  quick:
    data: shapes
    train_examples: 100
    val_examples: 50
    seeds: 2
    recipe: {epochs: 2, batch_size: 50}
"""


@pytest.mark.long
def test_verify_and_train_hand_on_the_trial_of_a_worker_that_hangs(
    in_a_process: Command, tmp_path: Path
) -> None:
    (tmp_path / "hangs.py").write_text(MODULE)
    (tmp_path / "space.yaml").write_text(SPACE)
    said = in_a_process("run", "space.yaml", "--runner", "inline", "--name", "s", timeout=300)
    assert said.returncode == 0, said.stderr
    study = "results/s"
    for folder, line in (
        ("phi2", ("verify", study, "--top", "2", "--seeds", "2")),
        ("front", ("train", study, "--no-axes", "--coefficients", "1.2,1.2,1.2", "--phi", "1")),
    ):
        said = in_a_process(*line, "--workers", "1", "--stall", "10s", timeout=300)
        assert said.returncode == 0, said.stderr
        assert re.search(r"a worker of .* has reported nothing for 1\d s", said.stderr)
        trials = read_trials(tmp_path / study / folder)
        assert set(trials["state"]) == {"COMPLETE"} and len(trials) >= 6
        (tmp_path / "hung").unlink()
