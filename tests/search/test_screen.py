"""The screen of a run: on a real terminal, of a study that is there, of a file that is damaged."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from rich.console import Console

from scalesearch.search.driver import SWEEP, stage_text
from scalesearch.search.progress import FILE, Progress, read_progress, rows
from scalesearch.search.screen import screen, status_text
from scalesearch.search.status import study_status
from scalesearch.selection.ranking import rank
from scalesearch.selection.terms import Ask
from tests.chaos import command
from tests.conftest import Command

REFERENCE = Path(__file__).parents[2] / "results/reference/efficientnet-first-version-2x"
NAMES = {"1x": "1x baseline", "a": "1.2/1/1", "b": "1/1.2/1", "c": "1/1/1.2"}
STATES = {"1x": "", "a": "training", "b": "", "c": "stopped"}


def test_rows_compare_whole_trials_alone() -> None:
    rng = (0.001, -0.002, 0.0015)
    curves = {("1x", seed): [0.9, 0.8 + noise] for seed, noise in enumerate(rng)}
    curves |= {("a", seed): [0.8, 0.6 + noise] for seed, noise in enumerate(rng)}
    curves |= {("b", seed): [0.8, 0.7 - noise] for seed, noise in enumerate(rng)}
    curves |= {("c", seed): [0.1] for seed in range(2)}  # after one epoch far the lowest loss
    losses: dict[str, dict[int, NDArray[np.float32]]] = {}
    for (key, seed), curve in curves.items():
        if len(curve) == 2:
            losses.setdefault(key, {})[seed] = np.array([curve[-1]], np.float32)
    ranking = rank(losses, losses["1x"], ["a", "b", "c"])
    found = rows(NAMES, "1x", curves, STATES, 3, ranking)
    assert [row.key for row in found] == ["1x", "a", "b", "c"]
    start, best, other, stopped = found
    assert (best.after, best.seeds, best.epochs) == (2, 3, 6)
    assert best.loss == pytest.approx(0.6 + sum(rng) / 3)
    assert best.p_best is not None and other.p_best is not None and stopped.p_best is not None
    assert best.p_best > 0.5 > stopped.p_best > other.p_best, "c may still be the best"
    assert best.p_best + other.p_best + stopped.p_best == pytest.approx(1)
    assert best.interval == (0, 0), "it leads"
    assert other.interval is not None and 0 < other.interval[0] < 0.1 < other.interval[1]
    assert (stopped.after, stopped.seeds) == (None, 0)
    assert start.p_best is None and start.loss == pytest.approx(0.8 + sum(rng) / 3)
    none_yet = rows(NAMES, "1x", curves, STATES, 3, None)
    assert all(row.p_best is None for row in none_yet)
    assert {row.key: row.loss for row in none_yet}["c"] == pytest.approx(0.1)


def test_the_losses_on_screen_are_those_of_the_trials(undisturbed: Path) -> None:
    """What is on screen solves the least squares of network and seed effects over trials.csv."""
    for folder in (REFERENCE, undisturbed):
        table = pd.read_csv(folder / "trials.csv")
        table = table[(table["split"] == "val") & (table["state"] == "COMPLETE")]
        losses = table.set_index(["candidate", "seed"])["loss"].unstack()
        start, *others = study_status(folder).networks
        assert start.loss == pytest.approx(losses.loc[start.key].mean(), abs=1e-6)
        compared = [start, *(row for row in others if row.seeds)]
        fitted = pd.Series({row.key: row.loss for row in compared})
        losses = losses.loc[fitted.index].dropna(axis="columns", how="all")
        seeds = losses.sub(fitted, axis="index").mean()
        assert seeds.sum() == pytest.approx(0, abs=1e-6), "what seeds share is in the means"
        means = losses.sub(seeds, axis="columns").mean(axis="columns")
        assert fitted.to_numpy() == pytest.approx(means.to_numpy(), abs=1e-6)
        whole = losses.notna().all(axis="columns")
        mean = losses[whole].mean(axis="columns").to_numpy()
        assert whole.any() and fitted[whole].to_numpy() == pytest.approx(mean, abs=1e-6)
    shown = Console(width=100, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    shown.print(status_text(study_status(REFERENCE)))
    assert re.search(r"1/1.4/1.4 .* 0\.4576 ", shown.export_text())


def test_a_stage_is_told_in_words() -> None:
    asks = [Ask("a", 0, 4), Ask("b", 0, 4), Ask("a", 1, 4)]
    assert stage_text(asks) == "2 networks, seeds 0 to 1, to epoch 4"
    assert stage_text(asks[:1]) == "1 network, seed 0, to epoch 4"


def drawn(progress: Progress, width: int, height: int | None = None) -> str:
    console = Console(width=width, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(screen(progress, width, height))
    return console.export_text()


@pytest.mark.parametrize("width", [80, 100])
def test_a_screen_fits_the_terminal_whole(undisturbed: Path, width: int) -> None:
    progress = read_progress(undisturbed)
    assert progress is not None and progress.queue == 0 and not progress.running
    progress = replace(progress, stage=SWEEP, seconds_left=100, trained_seconds=5000)
    text = drawn(progress, width)
    assert "grid points ->" in text and "1x baseline" in text and "P(best)" in text
    assert all(f" {row.p_best:.0%}" in text for row in progress.rows if row.p_best is not None)
    assert "warning: the images are synthetic" in text and "\u2026" not in text, "nothing is cut"
    assert max(map(len, text.splitlines())) <= width
    names = [replace(row, name="1.15/1.25/1.15", state="training") for row in progress.rows]
    many = replace(progress, rows=(*names,) * 30)
    assert "\u2026" not in drawn(many, width)
    assert "more" in drawn(many, width, 30) and len(drawn(many, width, 30).splitlines()) <= 30


def test_trials_that_pause_are_counted_as_such(undisturbed: Path) -> None:
    progress = read_progress(undisturbed)
    assert progress is not None
    text = " ".join(drawn(replace(progress, done=0, paused=14, ended=14, expected=46), 80).split())
    assert "trials: 0 done, 14 paused, 0 running, 0 in the queue" in text
    assert "14 of about 46 of this run" in text


def test_a_damaged_file_is_as_none(undisturbed: Path, tmp_path: Path) -> None:
    whole = json.loads((undisturbed / FILE).read_text())
    for damaged in ("", "[1]", "{}", json.dumps(whole | {"rows": [{"name": 1}]}), "\x00"):
        (tmp_path / FILE).write_text(damaged)
        assert read_progress(tmp_path) is None


def test_status_shows_how_a_study_stands(scalesearch: Command, undisturbed: Path) -> None:
    said = scalesearch("status", undisturbed).stdout
    assert "no process runs it" in said and "P(best)" in said and "failed" not in said
    assert "in the queue" not in said, "what its driver expected is past"
    document = json.loads(scalesearch("status", undisturbed, "--json").stdout)
    assert document["run"]["failed"] == 0 and document["run"]["plan"] in said


def on_a_terminal(line: list[str], place: Path) -> str:
    """What a command that ends well shows on a terminal of 80 by 40, without what steers it."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
    environment = {**os.environ, "TERM": "xterm-256color"}
    with subprocess.Popen(line, stdout=theirs, stderr=theirs, env=environment, cwd=place) as driver:
        os.close(theirs)
        seen = b""
        while True:
            try:
                seen += os.read(ours, 65536)
            except OSError:  # so a terminal ends
                break
    os.close(ours)
    assert driver.returncode == 0
    return " ".join(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode()).split())


def test_a_terminal_gets_one_screen_and_the_answer_in_the_end(tiny: Path, tmp_path: Path) -> None:
    line = command(tiny, tmp_path, "seen", "--runner", "inline", "--epochs", "8")
    text = on_a_terminal(line, tmp_path)
    assert "in the queue" in text and "of about 24 of this run" in text
    assert re.search(r"network +state +epochs .* behind, 95 % +P\(best\)", text)
    assert re.search(r"next: 6 networks, seed 0, to epoch 8; about 24 trials to the end", text)
    assert re.search(r"training \S+( baseline)? seed \d.*: (begun|epoch \d)", text)
    assert "report: " in text.rpartition("P(best)")[2], "the answer stands last"
    assert "Traceback" not in text


@pytest.mark.long
def test_a_training_has_the_screen_of_a_run(finished: Path, tmp_path: Path) -> None:
    line = [sys.executable, "-m", "scalesearch", "train", str(finished), "--phi", "1"]
    line += ["--coefficients", "1.2,1.2,1.2", "--no-axes", "--runner", "inline", "--epochs", "60"]
    text = on_a_terminal(line, tmp_path)
    assert "now: the networks to their end" in text and "of about 6 of this run" in text
    assert re.search(r"network +state +epochs +seeds +after +loss small_1x ", text)
    assert re.search(r"training small_\dx seed \d: (begun|epoch \d)", text)
    assert "P(best)" not in text, "nothing is compared"
    found = study_status(finished / "front").run
    assert found is not None and (found.done, found.queue) == (6, 0)
    trials = pd.read_csv(finished / "front/trials.csv")
    means = trials.groupby("candidate")["loss"].mean()
    assert {row.key: row.loss for row in found.rows} == pytest.approx(means.to_dict(), abs=1e-6)
