"""IDX files, as MNIST's makers defined them, and Fashion-MNIST (Xiao et al. 2017)."""

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from scalesearch.data.download import obtain
from scalesearch.data.images import Images, Source

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
URL = "https://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
# SHA-256 of the contents: the packaged and the downloaded files are compressed differently
FILES = {
    "train-images-idx3-ubyte.gz": (
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888"
    ),
    "train-labels-idx1-ubyte.gz": (
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9"
    ),
    "t10k-images-idx3-ubyte.gz": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels-idx1-ubyte.gz": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}
CLASSES = (
    *("t-shirt", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle boot"),
)
HINT = ": `apt-get install dataset-fashion-mnist`, or use --data shapes"


def fashion_mnist() -> Source:
    """60,000 training and 10,000 test images of clothes, 28 x 28 grey, ten classes."""
    paths = {
        file: obtain("fashion-mnist", file, URL + file, sha256, gzip.decompress, DEBIAN, HINT)
        for file, sha256 in FILES.items()
    }
    return Source(
        name="fashion-mnist",
        classes=CLASSES,
        train=read_pair(paths["train-images-idx3-ubyte.gz"], paths["train-labels-idx1-ubyte.gz"]),
        test=read_pair(paths["t10k-images-idx3-ubyte.gz"], paths["t10k-labels-idx1-ubyte.gz"]),
    )


def read_pair(images: Path, labels: Path) -> Images:
    """Images and their labels from two IDX files. Raises ValueError where they do not fit."""
    pixels, classes = read_idx(images, 3), read_idx(labels, 1)
    if len(pixels) != len(classes):
        raise ValueError(
            f"{labels}: labels must be as many as the images, {len(pixels)}; got {len(classes)}"
        )
    return Images(pixels.unsqueeze(1), classes.long())


def read_idx(path: Path, dimensions: int) -> Tensor:
    """The uint8 array of an IDX file, gzipped or not. Raises ValueError for a broken one."""
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} must be a whole IDX file: {error}") from None
    magic = 0x0800 + dimensions  # two zero bytes, type unsigned byte, number of dimensions
    found = int.from_bytes(content[:4], "big")
    if found != magic:
        raise ValueError(f"{path}: its magic number must be {magic:#010x}, got {found:#010x}")
    header = 4 + 4 * dimensions
    if len(content) < header:
        raise ValueError(f"{path}: its header must be {header} bytes, got {len(content)}")
    shape = struct.unpack(f">{dimensions}I", content[4:header])
    size = int(np.prod(shape, dtype=np.int64))
    if len(content) - header != size:
        raise ValueError(f"{path}: it must hold {size} bytes of data, got {len(content) - header}")
    array = np.frombuffer(content, np.uint8, offset=header).reshape(shape)
    return torch.from_numpy(array.copy())
