"""Files that belong together are all put in place or none, and killed processes leave nothing."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

from scalesearch.families.document import find_family, write_family
from scalesearch.files import clear_partials, this_process, write_text
from scalesearch.networks.scaling import Coefficients
from scalesearch.scratch import BEGUN, SCRATCH, WRITTEN, all_or_none, finish, scratch
from scalesearch.search import run
from scalesearch.selection.selection import find_selection, read_selection
from scalesearch.studies import Study
from scalesearch.studies.setup import open_search


def killed(call: Callable[[], object], step: int) -> bool:
    """Whether a process that makes this call is killed at that step: a file or folder renamed."""
    child = os.fork()
    if child == 0:
        steps = count()

        def counted(move: Callable[[Path, Path], Path]) -> Callable[[Path, Path], Path]:
            def moved(path: Path, target: Path) -> Path:
                if next(steps) == step:
                    os._exit(9)
                return move(path, target)

            return moved

        for name in ("replace", "rename"):
            setattr(Path, name, counted(getattr(Path, name)))
        try:
            call()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def test_a_kill_leaves_the_old_answer_or_the_new(
    undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next call completes it: a selection never stands beside the family of another."""
    folder = tmp_path / "s"
    shutil.copytree(undisturbed, folder)
    search, found = open_search(folder), read_selection(folder)
    old = replace(found, coefficients=Coefficients(1.0, 1.5, 1.0))
    new = replace(found, coefficients=Coefficients(1.5, 1.25, 1.0))
    family = run.family_of_study(search.space, search.plan, Coefficients(1.5, 1.25, 1.0))
    monkeypatch.setattr(run, "family_of_study", lambda *given: family)

    def write() -> None:
        with all_or_none(folder) as start:
            run.write_answer(start, search, new, find_selection(folder))

    states = {"old": 0, "new": 0}
    for step in count(0, 3):
        with all_or_none(folder) as start:
            run.write_selection(start, old)
            write_family(start, replace(family, space="old"))
        more = killed(write, step)
        finish(folder)
        found, scaled = find_selection(folder), find_family(folder)
        assert (found, scaled) in ((old, replace(family, space="old")), (new, family))
        states["new" if found == new else "old"] += 1
        write()
        assert (find_selection(folder), find_family(folder)) == (new, family)
        assert not [*folder.glob(f"{BEGUN}*"), *folder.glob(f"{WRITTEN}*")]
        if not more:
            break
    assert min(states.values()) > 2, "kills came before and behind the decision"


def test_what_fails_puts_nothing_in_place(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="full"), all_or_none(tmp_path) as new:
        (new / "a").write_text("a")
        raise OSError("full")
    assert list(tmp_path.iterdir()) == []


def test_what_killed_processes_left_is_cleared_and_what_live_ones_use_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code = "import os; from scalesearch.scratch import scratch\nwith scratch(): os._exit(9)"
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=False)
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(SCRATCH)
    kept = [tmp_path / "scalesearch-results", tmp_path / f"{SCRATCH}elsewhere-1-ab"]
    for path in kept:
        path.mkdir()
    with scratch() as mine, scratch() as other:
        assert sorted(tmp_path.iterdir()) == sorted([mine, other, *kept])
    assert sorted(tmp_path.iterdir()) == sorted(kept)


def test_what_a_killed_write_had_written_is_cleared(tmp_path: Path) -> None:
    for name in ("losses", "checkpoints"):
        (tmp_path / name).mkdir()
    for path in (tmp_path / "run.json", tmp_path / "losses/a.npy", tmp_path / "checkpoints/a.pt"):
        assert killed(lambda path=path: write_text(path, "half"), 0)
    host, mine = this_process().rsplit("-", 1)
    kept = [tmp_path / f".a.{host}-{mine}", tmp_path / ".a.elsewhere-1", tmp_path / f".a.{host}-x"]
    for path in kept:
        path.write_text("")
    assert len(list(tmp_path.rglob(".*"))) == 3 + len(kept)
    Study(tmp_path, ["a"])
    assert sorted(tmp_path.rglob(".*")) == sorted(kept)
    clear_partials(tmp_path / "none")
