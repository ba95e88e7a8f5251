"""A study of image files: counted when it is planned, packed when it is run, refused if changed."""

import json
import os
from pathlib import Path

from tests.conftest import Command
from tests.data.test_pack import write_set


def test_files_are_packed_for_a_run_and_not_for_its_plan(
    scalesearch: Command, tiny: Path, tmp_path: Path
) -> None:
    source, cache = write_set(tmp_path / "set", images=60, side=16), tmp_path / "cache"
    given = ("--data", source, "--cache", cache, "--runner", "inline", "--policy", "grid")
    run = ("run", tiny, *given)
    planned = scalesearch(*run, "--dry-run", "--json")
    assert planned.returncode == 0 and not cache.exists()
    (tmp_path / "set" / "a" / "3.png").write_bytes(b"none")
    ended = scalesearch(*run, "--json", "--max-hours", 0)
    assert ended.returncode == 0, ended.stderr
    study = tmp_path / "results" / "tiny-set-2x"
    images = json.loads((study / "data.json").read_text())
    assert (images["train"], images["val"], images["test"]) == (95, 24, None)
    assert images["side"] == 16 and "1 of 120 images could not be read" in images["notes"][1]
    (folder,) = (cache / "packs").iterdir()
    assert folder.name.startswith("set-15px-")  # the largest candidate's
    os.utime(tmp_path / "set" / "b" / "5.png", (1, 1))
    refused = scalesearch(*run)
    assert refused.returncode == 2 and "was trained with other images" in refused.stderr
