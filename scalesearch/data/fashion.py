"""Fashion-MNIST (Xiao, Rasul & Vollgraf 2017, arXiv:1708.07747), from its gzipped IDX files."""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from scalesearch.data.fetch import data_cache, download
from scalesearch.data.images import DataInfo, Images, Parts, Wanted, split

CLASSES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)
SIDE = 28
# where Debian's and Ubuntu's package dataset-fashion-mnist puts the files
SYSTEM_FOLDER = Path("/usr/share/datasets/fashion-mnist")
URL = "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/"
# SHA-256 of the upstream .gz, as in tensorflow_datasets' url_checksums/fashion_mnist.txt. Debian's
# are the same deflate streams under a gzip header without name and time, so they hash otherwise.
SHA256 = {
    "train-images-idx3-ubyte.gz": (
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
    ),
    "train-labels-idx1-ubyte.gz": (
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"
    ),
    "t10k-images-idx3-ubyte.gz": (
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"
    ),
    "t10k-labels-idx1-ubyte.gz": (
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"
    ),
}
OTHERWISE = (
    "apt-get install dataset-fashion-mnist, or use the data set shapes, which needs no download"
)


def describe(argument: str = "") -> DataInfo:
    """Ten classes of grey images, 28 pixels; nothing is read."""
    return DataInfo("fashion-mnist", CLASSES, channels=1, side=SIDE)


def read(argument: str, wanted: Wanted) -> Parts:
    """The 60,000 training images, split, and the 10,000 test images."""
    pool = _read_pair("train")
    train, val = split(len(pool), wanted.train_examples, wanted.val_examples)
    return Parts(pool.at(train), pool.at(val), _read_pair("t10k"))


def find(name: str) -> Path:
    """The file `name` in the cache, else as the system's package has it, else downloaded."""
    cached = data_cache("fashion-mnist") / name
    for path in (cached, SYSTEM_FOLDER / name):
        if path.exists():
            return path
    return download(URL + name, cached, SHA256[name], OTHERWISE)


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """The unsigned bytes of a gzipped IDX file of so many `dimensions`.

    The header is 0, 0, 8 for bytes, the number of dimensions, and each one's size, big-endian.
    Raises ValueError, in one line, where the file says otherwise or is cut off.
    """
    header_bytes = 4 + 4 * dimensions
    try:
        content = gzip.decompress(path.read_bytes())
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path}: must be a whole gzip file, got: {error}") from error
    if len(content) < header_bytes:
        raise ValueError(f"{path}: header must be {header_bytes} bytes, got {len(content)}")
    magic, *shape = struct.unpack_from(f">{1 + dimensions}I", content)
    if magic != 0x0800 + dimensions:
        raise ValueError(f"{path}: magic number must be {0x0800 + dimensions}, got {magic}")
    size = math.prod(shape)
    if len(content) - header_bytes != size:
        raise ValueError(
            f"{path}: a shape of {shape} must be {size} bytes, got {len(content) - header_bytes}"
        )
    # copied, for torch cannot hold what may not be written to
    return np.frombuffer(content, np.uint8, offset=header_bytes).reshape(shape).copy()


def _read_pair(prefix: str) -> Images:
    """The images of `prefix`, (n, 1, 28, 28), and their labels."""
    images_path = find(f"{prefix}-images-idx3-ubyte.gz")
    labels_path = find(f"{prefix}-labels-idx1-ubyte.gz")
    pixels, labels = read_idx(images_path, 3), read_idx(labels_path, 1)
    if pixels.shape[1:] != (SIDE, SIDE):
        raise ValueError(f"{images_path}: images must be 28x28, got {pixels.shape[1:]}")
    if len(labels) != len(pixels):
        raise ValueError(
            f"{labels_path}: labels must be as many as images, {len(pixels)}, got {len(labels)}"
        )
    if labels.max(initial=0) >= len(CLASSES):
        raise ValueError(f"{labels_path}: labels must be 0 to 9, got {labels.max()}")
    return Images(torch.from_numpy(pixels)[:, None], torch.from_numpy(labels).long())
