"""Files of public data sets: found in the cache or beside it, else downloaded and checked."""

import hashlib
import os
import urllib.request
from collections.abc import Callable
from pathlib import Path


def cache_folder() -> Path:
    """Where downloaded data sets are kept."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "scalesearch" / "data"


def obtain(
    name: str,
    file: str,
    url: str,
    sha256: str,
    contents: Callable[[bytes], bytes] = bytes,
    packaged: Path | None = None,
    hint: str = "",
) -> Path:
    """The path of one file of the data set `name`, downloaded into the cache where it is missing.

    `sha256` is that of the file's `contents`, `packaged` a folder where a package installs it.
    Raises ValueError, in one line, where it cannot be had or is not the file it should be.
    """
    cached = cache_folder() / name / file
    for path in (cached, *([packaged / file] if packaged else [])):
        if path.exists():
            return path
    partial = cached.with_name(f"{file}.{os.getpid()}")
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:
            content = answer.read()
        check(contents(content), sha256, url)
        cached.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        partial.replace(cached)
    except OSError as error:
        raise ValueError(
            f"data {name}: {file} is not in {cached.parent} and could not be downloaded ({error})"
            f"{hint}"
        ) from None
    finally:
        partial.unlink(missing_ok=True)
    return cached


def check(content: bytes, sha256: str, source: str) -> None:
    """Raise ValueError where the SHA-256 is not the one published."""
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ValueError(f"{source}: its SHA-256 must be {sha256}, got {found}")
