"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009) from their binary archives; nothing is unpickled."""

import tarfile
import zlib
from pathlib import Path

import numpy as np
import torch

from scalesearch.data.download import obtain
from scalesearch.data.images import Images, Source

URL = "https://www.cs.toronto.edu/~kriz/"
SIDE = 32
ARCHIVES = {
    # file, SHA-256, training files, test file, names of the classes, label bytes
    "cifar10": (
        "cifar-10-binary.tar.gz",
        "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
        "test_batch.bin",
        "batches.meta.txt",
        1,
    ),
    "cifar100": (
        "cifar-100-binary.tar.gz",
        "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        ("train.bin",),
        "test.bin",
        "fine_label_names.txt",
        2,  # the coarse label, then the fine one
    ),
}


def cifar(name: str) -> Source:
    """50,000 training and 10,000 test colour images, 32 x 32."""
    file, sha256, *_ = ARCHIVES[name]
    return read_archive(obtain(name, file, URL + file, sha256), name)


def read_archive(path: Path, name: str) -> Source:
    """The data set in a binary archive, read in place. Raises ValueError for a broken one."""
    _, _, train, test, names, labels = ARCHIVES[name]
    try:
        with tarfile.open(path, "r:gz") as archive:
            files = {
                Path(member.name).name: archive.extractfile(member).read()  # type: ignore[union-attr]
                for member in archive
                if member.isfile()
            }
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise ValueError(f"{path} must be a whole tar.gz archive: {error}") from None
    missing = [file for file in (*train, test, names) if file not in files]
    if missing:
        raise ValueError(f"{path}: the archive must hold {', '.join(missing)}, which it does not")
    classes = tuple(files[names].decode("ascii", "replace").split())
    splits = [
        records(b"".join(files[file] for file in part), labels, len(classes), path)
        for part in (train, (test,))
    ]
    return Source(name=name, classes=classes, train=splits[0], test=splits[1])


def records(content: bytes, label_bytes: int, classes: int, path: Path) -> Images:
    """Images from records of label bytes and 3 x 32 x 32 pixels; the last label byte counts."""
    size = label_bytes + 3 * SIDE * SIDE
    if not content or len(content) % size:
        raise ValueError(f"{path}: records must be {size} bytes each, got {len(content)} in all")
    table = np.frombuffer(content, np.uint8).reshape(-1, size)
    labels = table[:, label_bytes - 1].astype(np.int64)
    if labels.max() >= classes:
        raise ValueError(f"{path}: labels must be below {classes}, got {labels.max()}")
    pixels = table[:, label_bytes:].reshape(-1, 3, SIDE, SIDE)
    return Images(torch.from_numpy(pixels.copy()), torch.from_numpy(labels))
