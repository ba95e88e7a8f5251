"""A study whose networks a function of the user's own trains: what becomes of its metric."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from torch import Tensor, nn

import scalesearch as ss
from scalesearch.families.front import find_front
from scalesearch.families.trained import find_training
from scalesearch.networks.files import read_model
from scalesearch.networks.models import build_model
from scalesearch.networks.weights import load_weights, read_weights
from scalesearch.search.screen import status_text
from scalesearch.search.status import study_status
from scalesearch.spaces.files import load_space
from scalesearch.studies.setup import check_study, prepare, write_setup
from scalesearch.trials.custom import TrainingRun
from tests.chaos import exact, harass
from tests.conftest import Command

SPACE = """
model: python:own_maps:net
resolution: 8
metric: {name: agreement, goal: max}
grid: {alpha: [1.0, 1.5], beta: [1.0, 1.4], gamma: [1.0, 1.4]}
tolerance: 0.3
proxies:
  quick: {recipe: {epochs: 2}}
"""
MODULE = """
from torch import nn

class Maps(nn.Module):
    def __init__(self, depth, width):
        super().__init__()
        layers, channels = [], 1
        for _ in range(round(2 * depth)):
            layers += [nn.Conv2d(channels, round(8 * width), 3, 1, 1), nn.ReLU()]
            channels = round(8 * width)
        self.body, self.head = nn.Sequential(*layers), nn.Conv2d(channels, 1, 1)

    def forward(self, images):
        return {"maps": [self.head(self.body(images))], "images": images}

def net(depth, width, resolution):
    return Maps(depth, width)

def train(network, run):
    for epoch in range(run.done, run.epochs):
        yield 0.5
"""
KEEPS = """
import io, time
import torch

def train(network, run):
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    generator = torch.Generator().manual_seed(run.seed)
    if run.checkpoint is not None:
        print(f"goes on after epoch {run.done}")
        left = torch.load(io.BytesIO(run.checkpoint), weights_only=True)
        network.load_state_dict(left["network"])
        optimizer.load_state_dict(left["optimizer"])
        generator.set_state(left["generator"])
    for epoch in range(run.done, run.epochs):
        time.sleep(0.2)  # so that it is killed in the middle
        images = torch.rand(8, 1, run.resolution, run.resolution, generator=generator)
        errors = (network(images)["maps"][0] - images.roll(1, -1)).square().mean((1, 2, 3))
        optimizer.zero_grad()
        errors.mean().backward()
        optimizer.step()
        left = {"network": network.state_dict(), "optimizer": optimizer.state_dict()}
        file = io.BytesIO()
        torch.save({**left, "generator": generator.get_state()}, file)
        agreements = 1 - errors
        told = {"agreement": agreements.mean(), "examples": agreements}
        yield {**told, "checkpoint": file.getvalue()}
"""


def fit(network: nn.Module, run: TrainingRun) -> Iterator[dict[str, Any]]:
    """Learns to shift images; its metric is 1 less the mean error of eight images."""
    generator = torch.Generator().manual_seed(run.seed)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    for _ in range(run.epochs):
        images = torch.rand(8, 1, run.resolution, run.resolution, generator=generator)
        made: Tensor = network(images)["maps"][0]
        errors = (made - images.roll(1, -1)).square().mean((1, 2, 3))
        optimizer.zero_grad()
        errors.mean().backward()
        optimizer.step()
        if run.seed == 1 and sum(p.numel() for p in network.parameters()) > 1240:
            raise ArithmeticError("it is too large")
        yield {"agreement": 1 - errors.mean(), "examples": 1 - errors}


@pytest.fixture
def space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A space file in an empty directory, whose network is in a module beside it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Path("own_maps.py").write_text(MODULE)
    Path("maps.yaml").write_text(SPACE)
    yield Path("maps.yaml")
    sys.modules.pop("own_maps", None)


def test_a_study_in_the_metrics_own_words(space: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study = ss.run(space, train=fit, runner="inline", quiet=True)
    trials = study.trials()
    assert {"loss", "accuracy", "train_loss"}.isdisjoint(trials)
    failed = trials[trials["state"] == "FAIL"]
    assert failed["error"].tolist() == ["ArithmeticError: it is too large"]
    assert (trials.loc[trials["state"] == "COMPLETE", "agreement"] > 0).all()
    assert pd.read_csv(study.folder / "trials.csv").columns.tolist() == trials.columns.tolist()

    found = study.selection
    assert found.examples == 8
    assert not any("one number" in warning for warning in found.warnings)
    mine = trials[trials["candidate"] == study.plan.baseline.key]["agreement"]
    assert -found.baseline_loss == pytest.approx(mine.mean(), abs=1e-6)
    outcomes = {gate.name: gate for gate in found.gates}
    assert "was not swept" in outcomes["fair"].text
    from rich.console import Console

    console = Console(width=100)
    console.print(status_text(study_status(study.folder)))
    assert "agreement" in (shown := capsys.readouterr().out)
    assert f"{-found.baseline_loss:.4f}" in shown
    report = (study.folder / "report.md").read_text()
    assert "agreement of every network that was trained to the end" in report
    assert "higher is better" in report
    assert f"{mine.mean():.4f}" in report
    with pytest.raises(ValueError, match="falls, got agreement, of which more is better"):
        study.verify()


def in_one_number(network: nn.Module, run: TrainingRun) -> Iterator[dict[str, Any]]:
    """The metric of `fit` alone, of a training without examples' values."""
    for told in fit(network, run):
        yield {"agreement": told["agreement"]}


def test_an_answer_from_single_numbers_says_what_it_cannot_know(space: Path) -> None:
    study = ss.run(space, train=in_one_number, runner="inline", quiet=True)
    warned = [warning for warning in study.selection.warnings if "one number" in warning]
    assert warned == [
        "each trial told one number, not its examples' values: P(best), sets and intervals are of "
        "these validation examples, and others may order the candidates otherwise"
    ]
    assert warned[0] in (study.folder / "report.md").read_text()


def rows(study: ss.SavedStudy) -> pd.DataFrame:
    return study.trials().sort_values(["candidate", "seed"])[["candidate", "seed", "agreement"]]


@pytest.mark.long
def test_a_function_that_no_module_has_trains_on_ray_to_the_same_bits(
    space: Path, scalesearch: Command
) -> None:
    def here(network: nn.Module, run: TrainingRun) -> Iterator[float]:
        yield from (float(told["agreement"].detach()) for told in fit(network, run))

    given: dict[str, Any] = {"train": here, "max_trials": 2, "workers": 1, "quiet": True}
    one, other = (
        ss.run(space, runner=runner, name=runner, **given) for runner in ("inline", "ray")
    )
    assert rows(one).equals(rows(other))
    # so does the family of such a study
    along: dict[str, Any] = {"coefficients": (1.1, 1.2, 1.25), "axes": False, "epochs": 1}
    ss.train(one, runner="inline", **along, **given)
    ss.train(other, runner="ray", **along, **given)
    ended = [pd.read_csv(study.folder / "front" / "trials.csv") for study in (one, other)]
    assert (ended[0]["state"] == "COMPLETE").sum() == 2
    columns = ["candidate", "seed", "state", "agreement"]
    assert ended[0][columns].equals(ended[1][columns])

    with pytest.raises(ValueError, match=r"train must be what .* got python:.*:fit$"):
        ss.train(one, train=fit, **along)
    with pytest.raises(ValueError, match="trains a study's networks, got lenet5 alone"):
        ss.train("lenet5", "shapes", train=here)
    line = ("train", one.folder, "--coefficients", "1.1,1.2,1.25")
    told = scalesearch(*line, "--no-axes", "--epochs", 1, "--runner", "inline")
    assert told.returncode == 2 and told.stderr.count("\n") == 1
    assert "one that is in no module is given in Python, as `train`" in told.stderr


@pytest.mark.long
@pytest.mark.xdist_group("chaos")
def test_killed_workers_and_drivers_leave_no_trace_of_its_own_state(
    space: Path, tmp_path: Path
) -> None:
    Path("own_state.py").write_text(KEEPS)
    keys = "train: python:own_state:train\n" + SPACE.replace("epochs: 2", "epochs: 8")
    space.write_text(keys.replace("quick: {", "quick: {seeds: 2, "))
    whole = ss.run(space, results=tmp_path, name="whole", runner="inline", quiet=True)
    assert harass(space, tmp_path, ["worker", "driver"], "killed") == 2
    exact(tmp_path / "killed", whole.folder)
    printed = [path.read_text() for path in (tmp_path / "killed").glob("custom/*/printed.txt")]
    assert any("goes on after epoch" in text for text in printed)


def test_its_family_is_trained_to_the_end_by_the_same_function(
    space: Path, scalesearch: Command
) -> None:
    Path("own_state.py").write_text(KEEPS.replace("time.sleep(0.2)", "pass"))
    space.write_text(f"train: python:own_state:train\n{SPACE}")
    study = ss.run(space, runner="inline", max_trials=4, quiet=True).folder
    with pytest.raises(ValueError, match=r"coefficients must be given, for .* has no answer yet"):
        ss.train(study)
    line = ("train", study, "--coefficients", "1.1,1.2,1.25", "--seeds", 2, "--epochs", 3)
    said = scalesearch(*line, "--no-axes", "--dry-run")
    assert said.returncode == 0, said.stderr
    assert "3 networks in 1 line" in said.stdout and "as long as your training takes" in said.stdout
    done = scalesearch(*line, "--no-axes", "--runner", "inline", "--max-trials", 2)
    assert done.returncode == 0, done.stderr
    done = scalesearch(*line, "--no-axes", "--runner", "inline", "--json")
    assert json.loads(done.stdout)["trained"] == 4

    front, table = find_front(study / "front"), pd.read_csv(study / "front" / "trials.csv")
    assert front is not None and front.metric is not None and front.metric.name == "agreement"
    assert [row.flops / front.rows[0].flops for row in front.rows] == pytest.approx(
        [1, 2, 4], rel=0.15
    )
    for row in front.rows:
        mine = table[table["candidate"] == find_key(study, row.name)]["agreement"]
        # the mean of draws, which is near that of the trials
        assert row.accuracy == pytest.approx(mine.mean(), abs=0.01) and len(mine) == 2
        weights = read_weights(study / "front" / "weights" / f"{row.name}-seed1.safetensors")
        model = read_model(study / "front" / "members" / f"{row.name}.yaml")
        load_weights(build_model(model), weights, row.name)
    text = (study / "report.md").read_text()
    assert "| agreement (95 %) | seeds |" in text and "of agreement from" in text
    other = scalesearch(*line, "--match", "mobilenet_v2", "--dry-run")
    assert other.returncode == 2 and "--match must be left out where a function" in other.stderr
    other = scalesearch(*line, "lenet5", "--dry-run")
    assert other.returncode == 2 and "must be the study alone" in other.stderr


def find_key(study: Path, name: str) -> str:
    """The key of a network that was trained to its end."""
    training = find_training(study / "front")
    assert training is not None
    return training.entry(name).key


def test_whose_training_runs(space: Path) -> None:
    space.write_text(f"train: python:own_maps:train\n{SPACE}")
    given, results = load_space(str(space)), Path("results")
    search = prepare(given, "quick", None, None, None, None, results, None)
    search.folder.mkdir(parents=True)
    write_setup(search)
    check_study(search.folder)
    moved = search.folder.rename("elsewhere")
    with pytest.raises(ValueError, match="own_maps:net and python:own_maps:train"):
        check_study(moved)
    ss.trust(moved)
    check_study(moved)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ("train: python:own_maps", "train must be python:package.module:function"),
        ("train: python:own_maps:missing", "must have a function 'missing'"),
        ("train: python:own_maps:trian", "got None; did you mean 'train'?"),
        ("", "a metric is what `train` tells"),
    ],
)
def test_a_space_that_cannot_be_trained(
    keys: str, words: str, space: Path, scalesearch: Command
) -> None:
    space.write_text(f"{keys}\n{SPACE}")
    run = scalesearch("run", "maps.yaml", "--runner", "inline")
    assert run.returncode == 2
    assert words in run.stderr and run.stderr.count("\n") == 1
    assert not Path("results").exists(), "nothing is trained, nothing written"
    assert "Traceback" not in run.stderr
    assert json.dumps(run.stdout) == '""'
