"""What the tests of data sets write to read it back, and how they are refused."""

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scalesearch.data import load

FASHION = Path("/usr/share/datasets/fashion-mnist")
installed = pytest.mark.skipif(
    not FASHION.is_dir(), reason="the package dataset-fashion-mnist is not installed"
)


def fails(source: str, *says: str, **options: Any) -> str:
    """The message of the ValueError that loading gives: one line that says all of `says`."""
    with pytest.raises(ValueError) as caught:
        load(source, **options)
    message = str(caught.value)
    assert "\n" not in message
    for part in says:
        assert part in message
    return message


def noise(*shape: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def write_idx(path: Path, array: np.ndarray[Any, Any], magic: int | None = None) -> Path:
    head = struct.pack(f">{1 + array.ndim}I", magic or 0x0800 + array.ndim, *array.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(head + array.astype(np.uint8).tobytes(), 1))
    return path


def small_fashion(root: Path, n: int = 40) -> None:
    for prefix in ("train", "t10k"):
        write_idx(root / f"{prefix}-images-idx3-ubyte.gz", noise(n, 28, 28))
        write_idx(root / f"{prefix}-labels-idx1-ubyte.gz", np.arange(n) % 10)
