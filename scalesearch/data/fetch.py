"""Files of public data sets: kept in the user's cache, downloaded once, checked."""

import hashlib
import http.client
import os
import urllib.request
from contextlib import suppress
from pathlib import Path

TIMEOUT_SECONDS = 30
CHUNK_BYTES = 1 << 20


def cache_folder(name: str) -> Path:
    """Where the files of the data set `name` are kept."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "scalesearch" / "data" / name


def download(url: str, path: Path, sha256: str, otherwise: str) -> Path:
    """`path`, downloaded from `url` and moved into place when whole.

    Raises ValueError where it cannot be had or has another SHA-256 than `sha256` (hex);
    `otherwise` tells the user what else to do.
    """
    # each process writes its own file, so that workers that start together do not mix theirs
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        found = _copy(url, partial)
        if found != sha256:
            raise ValueError(f"{url} must have SHA-256 {sha256}, got {found}; {otherwise}")
        partial.replace(path)
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or str(error) or type(error).__name__
        raise ValueError(f"{url} must be within reach, got: {reason}; {otherwise}") from error
    finally:
        with suppress(OSError):  # what went wrong before this is what the user must read
            partial.unlink()
    return path


def _copy(url: str, path: Path) -> str:
    """The SHA-256, in hex, of what `url` served into `path`."""
    digest = hashlib.sha256()
    with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as served, path.open("wb") as file:
        while chunk := served.read(CHUNK_BYTES):
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()
