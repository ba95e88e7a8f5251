"""Data sets are read from a cache of each test's own, and nothing is within reach."""

from pathlib import Path

import pytest

from scalesearch.data import cifar, fashion


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own, and nothing within reach of a download."""
    cache = tmp_path.with_name(f"{tmp_path.name}-cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setattr(fashion, "URL", (tmp_path / "nowhere").as_uri() + "/")
    monkeypatch.setattr(cifar, "URL", (tmp_path / "nowhere").as_uri() + "/")
    return cache / "scalesearch" / "data"
