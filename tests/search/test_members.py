"""Networks trained to their end: the same trials as a search's, exact after kills, added to."""

import json
import os
import shutil
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from scalesearch.families.cards import find_card
from scalesearch.families.front import find_front
from scalesearch.families.trained import find_training
from scalesearch.networks.files import dump_model, read_model
from scalesearch.networks.models import build_model
from scalesearch.networks.weights import load_weights, read_weights
from scalesearch.search.members import run_training, train_lacking
from scalesearch.search.options import RunOptions
from scalesearch.search.targets import TrainOptions, prepare_training
from scalesearch.spaces.files import load_space
from scalesearch.studies import locked, read_losses, read_trials
from scalesearch.trials.key import TrialKey
from scalesearch.trials.train import make_evaluation
from scalesearch.trials.trial import decoded, prepared
from tests.chaos import exact, kill_a_worker, start
from tests.conftest import Command
from tests.forked import fork, wait

INLINE = RunOptions(runner="inline")
COEFFICIENTS = "1.25,1.25,1.1"


def trained(
    study: Path,
    phi: int = 1,
    seeds: int = 1,
    axes: bool = True,
    options: RunOptions = INLINE,
) -> Path:
    """The front of a study, trained in this process; with a mirror reported too."""
    from scalesearch.cli import parse

    wanted = TrainOptions(
        targets=(str(study),),
        phi=phi,
        seeds=seeds,
        axes=axes,
        coefficients=parse.coefficients(COEFFICIENTS),
    )
    training, folder = prepare_training(wanted)
    folder.mkdir(exist_ok=True)
    if options.mirror:
        run_training(training, folder, options, quiet=True)
    else:
        with locked(folder):
            train_lacking(training, folder, options, quiet=True, start=None, mirror=None)
    return folder


def same_weights(folder: Path, other: Path) -> None:
    """Two fronts have the same files of weights, to the byte."""
    mine, theirs = (sorted((f / "weights").glob("*.safetensors")) for f in (folder, other))
    assert [path.name for path in mine] == [path.name for path in theirs] and mine
    for a, b in zip(mine, theirs, strict=True):
        assert a.read_bytes() == b.read_bytes(), a.name


@pytest.fixture(scope="module")
def front(undisturbed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study whose networks were trained at one go, to 2x, with two seeds; not to be changed."""
    study = shutil.copytree(undisturbed, tmp_path_factory.mktemp("front") / "study")
    return trained(Path(study), seeds=2)


def test_lines_cost_what_they_are_to_at_no_more_pixels_than_the_images_have(front: Path) -> None:
    training = find_training(front)
    assert training is not None
    assert [line.name for line in training.lines] == [
        "small",
        "depth alone",
        "width alone",
        "resolution alone",
    ]
    start = training.entry("small_1x")
    for line in training.lines:
        assert line.members[0] == "small_1x", "every line begins at the baseline"
        for phi, name in enumerate(line.members):
            assert abs(training.entry(name).flops / start.flops / 2**phi - 1) <= 0.15
    assert max(one.resolution for one in training.entries) <= (training.images.side or 0)


def test_what_is_added_later_is_what_one_go_trains(front: Path, finished: Path) -> None:
    later = trained(finished, phi=0, seeds=1)
    before = {path: path.stat().st_mtime_ns for path in (later / "weights").iterdir()}
    later = trained(finished, phi=0, seeds=2)
    later = trained(finished, phi=1, seeds=1)
    training = find_training(later)
    assert training is not None and training.seeds == 2
    given = {one.name: training.seeds_of(one) for one in training.entries}
    assert {name for name, seeds in given.items() if seeds == 2} == {"small_1x"}
    assert len(list((later / "weights").glob("*.safetensors"))) == len(given) + 1
    later = trained(finished, phi=1, seeds=2)
    assert {path: path.stat().st_mtime_ns for path in before} == before, "none is trained again"
    exact(later, front)
    same_weights(later, front)


@pytest.mark.long
def test_a_training_goes_on_elsewhere_from_its_mirror(
    front: Path, undisturbed: Path, finished: Path, tmp_path: Path
) -> None:
    mirrored = replace(INLINE, mirror=f"file://{tmp_path}/mirror", log=("tensorboard",))
    here = trained(finished, phi=1, seeds=1, options=mirrored)
    copy = tmp_path / "mirror" / finished.name / "front"
    same_weights(copy, here)
    report = (copy.parent / "report.md").read_bytes()
    assert report == (finished / "report.md").read_bytes() and b"## The front" in report
    elsewhere = Path(shutil.copytree(undisturbed, tmp_path / "elsewhere" / finished.name))
    limited = replace(mirrored, max_hours=0.0)
    there = trained(elsewhere, phi=1, seeds=1, options=limited)
    same_weights(there, here)
    there = trained(elsewhere, phi=1, seeds=2, options=mirrored)
    exact(there, front)
    same_weights(there, front)
    exact(copy, front)
    assert list((there / "tensorboard").glob("*/events*"))


def test_weights_give_the_losses_of_their_trial(front: Path) -> None:
    training = find_training(front)
    assert training is not None
    for one in training.entries[:3]:
        path = front / "weights" / f"{one.name}-seed1.safetensors"
        model = read_model(front / "members" / f"{one.name}.yaml")
        network = build_model(model)
        load_weights(network, read_weights(path), str(path))
        data = prepared(decoded, training.data, 150, 100, *(one.resolution,) * 2, "cpu", "val")
        losses, accuracy = make_evaluation(network, data, data.val)()
        assert np.array_equal(losses, read_losses(front, TrialKey(one.key, 1, "val")))
        card = find_card(path)
        assert card is not None
        assert (card.accuracy, card.key, card.recipe.epochs) == (accuracy, one.key, 2)
        assert card.mean == data.mean and card.made_with["torch"]


def test_killed_drivers_leave_no_trace(front: Path, finished: Path) -> None:
    line = ["", "", "scalesearch", "train", str(finished), "--phi", "1", "--seeds", "2"]
    line += ["--coefficients", COEFFICIENTS, "--runner", "inline"]
    folder = finished / "front"
    for files in (1, 6):
        driver = fork(line)
        while driver.is_alive() and len(list(folder.glob("weights/*.safetensors"))) < files:
            time.sleep(0.01)
        os.kill(driver.pid or 0, signal.SIGKILL)
        assert wait(driver) == -signal.SIGKILL
    assert wait(fork(line)) == 0
    exact(folder, front)
    same_weights(folder, front)
    assert "## The front" in (finished / "report.md").read_text()


@pytest.mark.long
@pytest.mark.xdist_group("chaos")
def test_killed_workers_leave_no_trace(front: Path, finished: Path) -> None:
    line = [sys.executable, "-m", "scalesearch", "train", str(finished), "--phi", "1"]
    line += ["--seeds", "2", "--coefficients", COEFFICIENTS, "--workers", "2"]
    driver, folder = start(line), finished / "front"
    while driver.poll() is None and not list(folder.glob("weights/*.safetensors")):
        time.sleep(0.05)
    assert kill_a_worker(driver, np.random.default_rng(0))
    assert driver.wait() == 0
    exact(folder, front)
    same_weights(folder, front)


def test_names_are_fitted_to_the_images_and_trained(
    scalesearch: Command, tiny: Path, tmp_path: Path
) -> None:
    small = dump_model(load_space(str(tiny)).model)
    (tmp_path / "small.yaml").write_text(small)
    command = ("train", "small.yaml", "lenet5", "--space", tiny, "--seeds", 1, "--epochs", 1)
    command += ("--latency", 2)
    said = scalesearch(*command, "--dry-run", "--workers", 1)
    assert said.returncode == 0, said.stderr
    assert "2 networks in 2 lines" in said.stdout and not (tmp_path / "results").exists()
    found = json.loads(scalesearch(*command, "--runner", "inline", "--json").stdout)
    assert (found["trained"], found["unfinished"]) == (2, None)
    folder = tmp_path / found["folder"]
    assert "small" in (tmp_path / found["report"]).read_text()
    training = find_training(folder)
    assert training is not None
    assert {one.resolution for one in training.entries} <= set(range(1, 33))
    assert len(read_trials(folder)) == 2
    front = find_front(folder)
    assert front is not None and front.timed is not None and front.timed.batch == 2
    assert all(row.ms and row.ms_low and row.ms_low > 0 for row in front.rows)
    other = scalesearch(*command[:-1], 4, "--runner", "inline")
    assert other.stderr.startswith("error: --latency must be 2, at which networks have been timed")
    again = scalesearch(*command, "--runner", "inline", "--epochs", 2)
    assert again.stderr.startswith("error: --name must be another for another training: recipe.")
