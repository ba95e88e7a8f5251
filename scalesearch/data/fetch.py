"""Files of public data sets: kept in the user's cache, downloaded once, checked."""

import http.client
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch.hub import download_url_to_file

from scalesearch.files import cache_root

TIMEOUT_SECONDS = 30


def data_cache(name: str) -> Path:
    """Where the files of the data set `name` are kept."""
    return cache_root() / "data" / name


def download(url: str, path: Path, sha256: str, otherwise: str) -> Path:
    """`path`, downloaded from `url` and moved into place when whole.

    Raises ValueError where it cannot be had or has another SHA-256 than `sha256` (hex);
    `otherwise` tells the user what else to do.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _impatient():
            download_url_to_file(url, str(path), sha256, progress=sys.stderr.isatty())
    except RuntimeError as error:  # which torch raises for another digest
        raise ValueError(
            f"{url} must be the file that was published: {error}; {otherwise}"
        ) from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or str(error) or type(error).__name__
        raise ValueError(f"{url} must be within reach, got: {reason}; {otherwise}") from error
    return path


@contextmanager
def _impatient() -> Iterator[None]:
    """A server that says nothing for TIMEOUT_SECONDS is given up; torch would wait for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT_SECONDS)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
