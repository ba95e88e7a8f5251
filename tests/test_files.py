"""Files are written whole or not at all, whatever ends the writing."""

import os
from pathlib import Path

import pytest

from scalesearch.files import cache_root, write_bytes, write_text
from scalesearch.networks.cost import cost_cache


def test_a_file_is_replaced_whole_and_its_folder_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file"
    write_bytes(path, b"before")
    write_text(path, "π after")
    assert path.read_bytes() == b"\xcf\x80 after" and os.listdir(path.parent) == ["file"]


def test_what_stops_a_write_leaves_all_as_it_was(tmp_path: Path) -> None:
    path, folder = tmp_path / "file", tmp_path / "folder"
    write_bytes(path, b"before", synced=True)
    write_bytes(folder / "inside", b"before")
    with pytest.raises(TypeError):
        write_bytes(path, "no bytes", synced=True)  # type: ignore[arg-type]
    with pytest.raises(OSError, match="folder"):
        write_bytes(folder, b"after", synced=True)
    assert path.read_bytes() == (folder / "inside").read_bytes() == b"before"
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_the_cache_is_where_the_system_keeps_caches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_root() == tmp_path / "scalesearch"
    assert cost_cache().parent == cache_root()
