"""`scalesearch data`: what is kept packed, and removing it."""

import json
from pathlib import Path

from scalesearch.data import load, pack
from scalesearch.data.packs import DOCUMENT, alone
from scalesearch.files import read_checked, write_checked
from tests.conftest import Command
from tests.data.test_pack import write_set


def test_packs_are_listed_and_removed(scalesearch: Command, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    command = ("data", "--cache", cache)
    assert scalesearch(*command).stdout == f"0 packs kept in {cache}/packs\n"
    source = write_set(tmp_path / "set")
    whole, old, begun = (pack(source, side=side, cache=cache) for side in (10, 9, 8))
    write_checked(old / DOCUMENT, {**read_checked(old / DOCUMENT), "version": 0})
    (begun / DOCUMENT).unlink()
    listed = {found["name"]: found for found in json.loads(scalesearch(*command, "--json").stdout)}
    states = [listed[folder.name]["state"] for folder in (whole, old, begun)]
    assert states == ["whole", "of another version", "begun"]
    found = listed[whole.name]
    assert (found["images"], found["side"], found["source"]) == (40, 10, source)
    assert found["bytes"] >= 40 * 3 * 10 * 10
    assert f"{whole.name} is of {source}" in scalesearch(*command).stdout
    data = load(f"pack:{whole}")
    with alone(whole):
        refused = scalesearch(*command, "--remove", whole.name)
        assert refused.returncode == 2 and "is being packed" in refused.stderr
    assert scalesearch(*command, "--remove", whole.name, "--remove", old.name).returncode == 0
    assert [path.name for path in (cache / "packs").iterdir()] == [begun.name]
    assert data.train.pixels.float().mean() > 0  # whoever maps it keeps it
    refused = scalesearch(*command, "--remove", "other")
    assert refused.returncode == 2 and begun.name in refused.stderr and "'other'" in refused.stderr
    assert scalesearch(*command, "--remove", "all").returncode == 0
    assert not list((cache / "packs").iterdir())
