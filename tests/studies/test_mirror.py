"""A study kept at a URL too: copied whole, fetched elsewhere, one driver at a time."""

import json
import time
from pathlib import Path

import pytest

from scalesearch.studies import JOURNAL, StudyLocked
from scalesearch.studies.mirror import DRIVER, mirror_of, opened


def test_what_was_copied_is_fetched_elsewhere(tmp_path: Path) -> None:
    here, there = tmp_path / "here" / "a", tmp_path / "there" / "a"
    url = f"file://{tmp_path}/far/a"  # the study's name stands in the URL too
    (here / "losses").mkdir(parents=True)
    (here / JOURNAL).write_text("one\n")
    (here / "losses" / "x.npy").write_bytes(b"x")
    (here / ".half.1").write_text("no")
    with opened(url, here):
        (here / JOURNAL).write_text("one\ntwo\n")
    with opened(url, there):
        pass
    found = sorted(p.relative_to(there).as_posix() for p in there.rglob("*") if p.is_file())
    assert found == ["losses/x.npy", JOURNAL]
    assert (there / JOURNAL).read_text() == "one\ntwo\n"


def test_a_driver_that_lives_is_named_and_one_long_silent_is_not(tmp_path: Path) -> None:
    folder, url = tmp_path / "here" / "a", f"file://{tmp_path}/far"
    folder.mkdir(parents=True)
    (tmp_path / "far" / "a").mkdir(parents=True)
    driver = tmp_path / "far" / "a" / DRIVER
    driver.write_text(json.dumps({"name": "process 1 on elsewhere", "time": time.time()}))
    with pytest.raises(StudyLocked, match="process 1 on elsewhere"):
        mirror_of(url, folder).pull()
    driver.write_text(json.dumps({"name": "process 1 on elsewhere", "time": 0.0}))
    mirror_of(url, folder).pull()


def test_a_url_of_no_file_system_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mirror must be a URL"):
        mirror_of("nosuch://bucket", tmp_path)
