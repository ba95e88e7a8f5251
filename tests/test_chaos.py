"""Faults while a study runs: it ends as the undisturbed one, to the bit.

The suite has a short form; `make chaos` kills at least a hundred times (CHAOS kills), and prints
the seed that repeats it.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from scalesearch.search.progress import FILE
from scalesearch.search.status import study_status
from scalesearch.studies import JOURNAL, read_trials
from tests.chaos import SEED, command, completions, exact, harass, start
from tests.cluster import cluster
from tests.forked import fork, wait

KILLS = int(os.environ.get("CHAOS", "0"))


@pytest.mark.xdist_group("chaos")
def test_killed_workers_and_drivers_leave_no_trace(
    tiny: Path, tmp_path: Path, undisturbed: Path
) -> None:
    wanted = int(0.9 * KILLS) or 2
    kills, round_ = 0, 0
    while kills < wanted:
        kinds = ["worker", "driver"] if not KILLS else ["worker"] * 4 + ["driver"] * 3
        kills += harass(tiny, tmp_path, kinds, f"killed{round_}")
        exact(tmp_path / f"killed{round_}", undisturbed)
        shutil.rmtree(tmp_path / f"killed{round_}")
        round_ += 1
        print(f"seed {SEED}, round {round_}: {kills} kills so far, all exact", flush=True)


@pytest.mark.skipif(not KILLS, reason="the long form: make chaos")
def test_lost_nodes_and_heads_leave_no_trace(tiny: Path, tmp_path: Path, undisturbed: Path) -> None:
    kills, round_ = 0, 0
    rng = np.random.default_rng(SEED)
    while kills < max(2, KILLS // 10):
        with cluster("one", "two") as nodes:
            name = f"nodes{round_}"
            line = command(tiny, tmp_path, name, "--address", nodes.address)
            for kind in ("raylet", "gcs_server", ""):
                driver = subprocess.Popen(line, env=nodes.environment, stderr=subprocess.DEVNULL)
                while driver.poll() is None and not list(tmp_path.glob(f"{name}/losses/*")):
                    time.sleep(0.1)
                time.sleep(rng.uniform(0.5, 6.0))
                if kind and driver.poll() is None:
                    place = "one" if kind == "raylet" else "head"
                    nodes.kill(place, kind)
                    kills += 1
                    if kind == "gcs_server":  # the driver dies with its cluster, or is ended
                        driver.send_signal(signal.SIGKILL)
                        driver.wait()
                        for node in list(nodes.nodes):
                            nodes.stop(node)
                        nodes.start("head")
                        for node in ("one", "two"):
                            nodes.join(node)
                    else:
                        nodes.stop(place)
                        nodes.join(place)
                    nodes.ready()
                driver.wait(timeout=300)
            exact(tmp_path / name, undisturbed)
        round_ += 1
        print(f"seed {SEED}, {kills} nodes and heads lost so far, all exact", flush=True)


@pytest.mark.xdist_group("chaos")
def test_a_full_disk_leaves_whole_lines_and_the_study_goes_on(
    tiny: Path, tmp_path: Path, undisturbed: Path
) -> None:
    """The kernel takes the part of a write that fits, and refuses the rest."""
    size = (undisturbed / JOURNAL).stat().st_size
    line = command(tiny, tmp_path, "full", "--runner", "inline")
    for share in (0.5, 0.9):
        limit = int(share * size)
        assert wait(fork(line, tmp_path / "stderr", limit)) == 2
        said = (tmp_path / "stderr").read_text()
        assert said.splitlines()[-1].startswith("error: [Errno 27] File too large")
        assert "Traceback" not in said
        content = (tmp_path / "full" / JOURNAL).read_bytes()
        assert len(content) <= limit and content.endswith(b"\n")
    assert wait(fork(line)) == 0
    exact(tmp_path / "full", undisturbed)


@pytest.mark.long
@pytest.mark.xdist_group("chaos")
@pytest.mark.skipif(shutil.which("faketime") is None, reason="faketime is not installed")
def test_a_clock_that_goes_backwards_changes_nothing(
    tiny: Path, tmp_path: Path, undisturbed: Path
) -> None:
    line = command(tiny, tmp_path, "clock", "--runner", "inline")
    assert wait(fork([*line, "--max-trials", "9"])) in (0, 2)
    assert start(["faketime", "-f", "-30d", *line]).wait() == 0
    exact(tmp_path / "clock", undisturbed)


@pytest.mark.xdist_group("chaos")
def test_a_second_interrupt_stops_now_and_leaves_nothing_running(
    tiny: Path, tmp_path: Path
) -> None:
    line = command(tiny, tmp_path, "stopped", "--runner", "inline", "--epochs", "4000")
    driver = fork(line, tmp_path / "stderr")
    folder = tmp_path / "stopped"
    while not (folder / FILE).exists() and driver.is_alive():
        time.sleep(0.05)
    time.sleep(1)
    found = study_status(folder)
    assert (
        found.run is not None and found.driver == f"process {driver.pid} on {socket.gethostname()}"
    )
    assert found.run.queue > 0 and found.run.workers == 1
    (running,) = found.run.running
    assert running.startswith("1x baseline seed 0")
    os.kill(driver.pid or 0, signal.SIGINT)
    time.sleep(0.5)
    assert driver.is_alive(), "the first interrupt lets the trial end"
    os.kill(driver.pid or 0, signal.SIGTERM)
    assert wait(driver, 20) == 130
    said = (tmp_path / "stderr").read_text()
    assert "Ctrl-C again stops now" in said and "Traceback" not in said
    assert completions(folder) == {}


@pytest.mark.long
@pytest.mark.xdist_group("chaos")
def test_a_signal_to_all_processes_of_a_run_under_ray_ends_it_as_one_to_its_own(
    tiny: Path, tmp_path: Path, undisturbed: Path
) -> None:
    """What `timeout`, make and a terminal do: Ray's processes must outlive the trials that run."""
    line, folder = command(tiny, tmp_path, "group", "--workers", "1"), tmp_path / "group"
    stderr = tmp_path / "stderr"
    for seen in ("next: ", "[1/"):  # while Ray is started, and in the second trial
        driver = fork(line, stderr)
        while driver.is_alive() and not (stderr.exists() and seen in stderr.read_text()):
            time.sleep(0.05)
        os.killpg(driver.pid or 0, signal.SIGTERM)
        assert wait(driver) == 130, stderr.read_text()
        said = stderr.read_text()
        assert "Ctrl-C again stops now" in said
        assert said.endswith(f"\nstopped; the same command continues {folder}\n"), said
        assert not re.search(r"\bray\b|GCS|SIGTERM|Traceback", said, re.IGNORECASE), said
        stderr.unlink()
    assert "WAITING" in set(read_trials(folder)["state"])
    assert wait(fork([*line, "--runner", "inline"])) == 0
    exact(folder, undisturbed)
