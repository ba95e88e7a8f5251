"""What the tests of failures share: a driver as a process, and what an undisturbed one leaves."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import gettempdir

import numpy as np
import pandas as pd

from scalesearch.studies import JOURNAL, cut_torn_tail, read_losses, read_trials
from scalesearch.studies.tables import metric_of
from scalesearch.trials.key import TrialKey
from tests.cluster import below

SEED = int(os.environ.get("CHAOS_SEED", "20190528"))
COLUMNS = ["candidate", "seed", "split", "state", "epochs", "loss", "accuracy", "train_loss"]
ORDER = ["candidate", "seed", "split"]


def command(space: Path, results: Path, name: str, *options: str) -> list[str]:
    """The command line of a study."""
    line = [sys.executable, "-m", "scalesearch", "run", str(space)]
    return [*line, "--results", str(results), "--name", name, *options]


def start(line: list[str]) -> subprocess.Popen[bytes]:
    """A driver in a process group of its own, whose output nobody reads."""
    return subprocess.Popen(
        line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )


def exact(disturbed: Path, undisturbed: Path) -> None:
    """No trial lost, repeated or left running, and every metric and loss the same to the bit."""
    tables = []
    for folder in (disturbed, undisturbed):
        table = read_trials(folder)
        whos = list(zip(*(table[column] for column in ORDER), strict=True))
        assert len(whos) == len(set(whos)), "no trial is in the study twice"
        assert not {"RUNNING", "FAIL", "WAITING"} & set(table["state"])
        columns = [name for name in (*COLUMNS, metric_of(folder).name) if name in table]
        tables.append(table[[*dict.fromkeys(columns)]].sort_values(ORDER, ignore_index=True))
    pd.testing.assert_frame_equal(tables[0], tables[1], check_exact=True)
    for who in zip(*(tables[1][column] for column in ORDER), strict=True):
        key = TrialKey(*who)
        if (undisturbed / "losses" / f"{key.stem}.npy").exists():
            a, b = read_losses(disturbed, key), read_losses(undisturbed, key)
            assert np.array_equal(a, b)


def trained(folder: Path) -> int:
    """How many epochs the trials of a study, which may be running, have been trained for."""
    journal = folder / JOURNAL
    if not journal.exists() or not journal.stat().st_size:
        return 0
    table = read_trials(folder)
    return int(table["epochs"].sum()) if len(table) else 0


def completions(folder: Path) -> dict[tuple[str, int, str], float]:
    """The trials of a journal that are complete, with their losses; a torn tail is cut first."""
    cut_torn_tail(folder / JOURNAL)
    if not (folder / JOURNAL).exists() or not (folder / JOURNAL).stat().st_size:
        return {}
    table = read_trials(folder)
    if not len(table):
        return {}
    done = table[table["state"] == "COMPLETE"]
    return {(r.candidate, int(r.seed), r.split): float(r.loss) for r in done.itertuples()}


def kill_driver(driver: subprocess.Popen[bytes]) -> set[int]:
    """SIGKILL a driver; it and all that it had started, some of which lives on for a minute."""
    pids = {driver.pid, *below(driver.pid)}
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    return pids


def left_of(pids: set[int]) -> list[str]:
    """What is left of killed drivers and of what they had started: processes, temporary files."""
    processes = [f"process {pid}" for pid in pids if Path(f"/proc/{pid}/exe").exists()]
    folders = [p for place in {"/tmp", gettempdir()} for p in Path(place).glob("scalesearch-*")]
    names = [str(p) for p in folders if pids & {int(n) for n in re.findall(r"\d+", p.name)}]
    return processes + names


def kill_a_worker(driver: subprocess.Popen[bytes], rng: np.random.Generator) -> bool:
    """SIGKILL one of the Ray workers that train for a driver; whether there was one."""
    workers = []
    for pid in below(driver.pid):
        title = Path(f"/proc/{pid}/cmdline")
        try:
            if title.read_bytes().startswith((b"ray::Worker", b"ray::ResourceTrainable")):
                workers.append(pid)
        except OSError:
            continue
    if not workers:
        return False
    try:
        os.kill(int(rng.choice(workers)), signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def harass(space: Path, results: Path, kinds: list[str], name: str) -> int:
    """Run a study under Ray to its end, killing a driver or a worker now and then; how often."""
    rng = np.random.default_rng([SEED, *name.encode()])
    folder, kills, before = results / name, 0, dict[tuple[str, int, str], float]()
    killed = set[int]()
    line = command(space, results, name, "--workers", "2")
    while True:
        driver, began = start(line), trained(folder)
        while driver.poll() is None:
            if kills >= len(kinds) or trained(folder) <= began:
                time.sleep(0.25)
                continue
            time.sleep(rng.uniform(0.0, 1.0))
            if driver.poll() is not None:
                break
            if kinds[kills] == "driver":
                killed |= kill_driver(driver)
                kills += 1
                done = completions(folder)
                assert before.items() <= done.items(), "what was complete stays as it was"
                before = done
            else:
                began = trained(folder)  # the next fault hits what is trained after this one
                kills += kill_a_worker(driver, rng)
        if driver.returncode == 0:
            left = left_of(killed)
            assert left == [], f"the next run clears what killed ones left: {left}"
            return kills
        assert driver.returncode == -signal.SIGKILL
