"""A command that is killed while it writes leaves the old state or the new, and the next call of it
completes it.

The suite kills each some times, `make chaos` (CHAOS) before every single file that is put in place,
and, before every sixth, commands that draw a report too.
"""

import os
import shutil
import signal
import sys
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from scalesearch.scratch import finish
from scalesearch.search.progress import FILE as PROGRESS
from scalesearch.studies import JOURNAL
from scalesearch.studies.setup import DATA
from tests.chaos import exact
from tests.forked import fork, wait

LONG = int(os.environ.get("CHAOS", "0"))
SECONDS = 280  # of a command, on a machine that does much else


@dataclass(frozen=True)
class Case:
    """A command, its words with the place for the folder that it writes; what stands there before;
    at which of its files the suite kills it.
    """

    words: str
    before: str
    steps: tuple[int, ...]


FORMULA = "scale {space} --mode formula --coefficients 1.2,1.1,1.15 --out {folder} --phi"
EXPORT = "export lenet5 --format safetensors,python --overwrite --out {folder} --resolution"
VERIFY = "verify {folder} --runner inline --top 2 --seeds 2 --phi"
CASES = {
    "select": Case("select {folder}", "", (0, 3, 5)),
    "verify": Case(f"{VERIFY} 2", f"{VERIFY} 2", (6, 8)),
    "scale": Case(f"{FORMULA} 1,2", f"{FORMULA} 1", (0, 3, 7)),
    "export": Case(f"{EXPORT} 32", f"{EXPORT} 40", (0, 2, 5)),
}
REPORTED = {
    "run": Case("run {space} --runner inline --results {results} --name {name}", "", ()),
    "verify, with its report": Case(f"{VERIFY} 2", f"{VERIFY} 2", ()),
    "report": Case("report {folder}", "", ()),
}
STUDIES = ("select", "verify", "run", "verify, with its report", "report")
ANSWERS = ("selection.json", "verify.json", "trials.csv", "report.md")


def files(folder: Path) -> dict[str, bytes]:
    """What can be seen in a folder, by name."""
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("[!.]*")}
    return {name: path.read_bytes() for name, path in found.items() if path.is_file()}


def answer(found: dict[str, bytes], command: str) -> dict[str, bytes]:
    """Those files; of a run without what its driver says of the moment, which it writes as it
    goes."""
    moment = {PROGRESS} if command == "run" else set()
    return {name: content for name, content in found.items() if name not in moment}


def hidden(folder: Path) -> list[str]:
    """What is being written in a folder, or was."""
    return [path.name for path in folder.rglob(".*") if path.name != ".lock"]


def age(folder: Path) -> None:
    """Make an answer an older one: it differs from the new in every file that is left."""
    for name in ANSWERS:
        path = folder / name
        if path.exists():
            path.write_text(path.read_text() + "\n")  # which readers allow
    (folder / "curves.csv").unlink(missing_ok=True)


def killed_everywhere(case: Case, name: str, tiny: Path, start: Path, tmp: Path) -> int:
    """Kill a command at its files, one after the other; how often it was killed."""
    folder = tmp / "results" / "s"

    def line(words: str) -> list[str]:
        where = {"folder": folder, "space": tiny, "results": folder.parent, "name": folder.name}
        return [sys.executable, "-m", "scalesearch", *words.format(**where).split()]

    if name in STUDIES:
        shutil.copytree(start, folder)
        if name in CASES:
            (folder / "run.json").unlink()  # then no report is drawn
        if name == "select":
            (folder / DATA).unlink()  # which the first version did not keep
    if case.before:
        assert wait(fork(line(case.before)), SECONDS) == 0
    if name in STUDIES:
        age(folder)
    template = shutil.copytree(folder, tmp / "template")
    old = files(folder)
    assert wait(fork(line(case.words), tmp / "said"), SECONDS) == 0, (tmp / "said").read_text()
    new, found = files(folder), {"old": 0, "new": 0}
    answers = [answer(old, name), answer(new, name)]
    assert answers[0] != answers[1]
    for step in count(0, 1 if case.steps else 6) if LONG else case.steps:
        shutil.rmtree(folder)
        shutil.copytree(template, folder)
        if wait(fork(line(case.words), step=step), SECONDS) != -signal.SIGKILL:
            assert LONG, "its files were fewer"
            break
        finish(folder)
        now = answer(files(folder), name)
        assert now in answers, [name for name in old | new if now.get(name) != old.get(name)]
        found["old" if now == answers[0] else "new"] += 1
        assert wait(fork(line(case.words)), SECONDS) == 0
        assert files(folder) == new and hidden(folder) == []
    assert min(found.values()) > 0, "kills came before and behind the decision"
    return sum(found.values())


@pytest.mark.xdist_group("chaos")
@pytest.mark.parametrize("name", [*CASES, *(REPORTED if LONG else ())])
def test_a_killed_command_leaves_the_old_state_or_the_new(
    name: str, tiny: Path, undisturbed: Path, tmp_path: Path
) -> None:
    case = CASES.get(name) or REPORTED[name]
    kills = killed_everywhere(case, name, tiny, undisturbed, tmp_path)
    print(f"{name}: {kills} kills", flush=True)


@pytest.mark.long
@pytest.mark.xdist_group("chaos")
def test_a_full_disk_during_verify_leaves_the_old_answer_and_verify_goes_on(
    finished: Path, tmp_path: Path
) -> None:
    """The kernel takes no file beyond a size: no whole journal, then no whole report."""
    there = Path(shutil.copytree(finished, tmp_path / "there" / finished.name))
    start = [sys.executable, "-m", "scalesearch"]
    here, line = ([*start, *f"{VERIFY} 2".format(folder=x).split()] for x in (there, finished))
    assert wait(fork(here), SECONDS) == 0
    old, said = files(finished), tmp_path / "said"
    for what in (f"phi2/{JOURNAL}", "report.html"):
        limit = (there / what).stat().st_size // 2
        assert wait(fork(line, said, limit), SECONDS) == 2
        assert said.read_text().splitlines()[-1].startswith("error: [Errno 27] File too large")
        assert "Traceback" not in said.read_text() and hidden(finished) == []
        now = files(finished)
        assert {name: now[name] for name in now if not name.startswith("phi2/")} == old
        journal = now[f"phi2/{JOURNAL}"]
        assert len(journal) <= limit and journal.endswith(b"\n")
    assert wait(fork(line), SECONDS) == 0
    exact(finished / "phi2", there / "phi2")
    assert (finished / "verify.json").read_bytes() == (there / "verify.json").read_bytes()
