"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009), from the archives in the binary format.

The format is one record an image: the label (CIFAR-100: the coarse one, then the fine one), then
32x32 bytes each of red, green and blue. The Python archives hold pickles and are never read.
"""

import hashlib
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from scalesearch.data.fetch import data_cache, download
from scalesearch.data.images import DataInfo, Images, Parts, Wanted, split

SIDE = 32
URL = "https://www.cs.toronto.edu/~kriz/"
# in the order of batches.meta.txt and of fine_label_names.txt
CLASSES10 = "airplane automobile bird cat deer dog frog horse ship truck"
CLASSES100 = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly
camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup
dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower
leopard lion lizard lobster man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid
otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray
road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle
wardrobe whale willow_tree wolf woman worm
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What an archive holds: its members, and how many label bytes precede the pixels."""

    name: str
    archive: str
    sha256: str
    train: tuple[str, ...]
    test: tuple[str, ...]
    label_bytes: int
    classes: tuple[str, ...]


# SHA-256 of both archives: tensorflow_datasets' url_checksums/cifar10.txt and cifar100.txt, and the
# same in JuliaML/MLDatasets.jl
CIFAR10 = Layout(
    name="cifar10",
    archive="cifar-10-binary.tar.gz",
    sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    train=tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
    test=("test_batch.bin",),
    label_bytes=1,
    classes=tuple(CLASSES10.split()),
)
CIFAR100 = Layout(
    name="cifar100",
    archive="cifar-100-binary.tar.gz",
    sha256="58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
    train=("train.bin",),
    test=("test.bin",),
    label_bytes=2,
    classes=tuple(CLASSES100.split()),
)


def describe10(argument: str = "") -> DataInfo:
    """Ten classes of RGB images, 32 pixels; nothing is read."""
    return DataInfo(CIFAR10.name, CIFAR10.classes, channels=3, side=SIDE)


def describe100(argument: str = "") -> DataInfo:
    """A hundred classes of RGB images, 32 pixels; nothing is read."""
    return DataInfo(CIFAR100.name, CIFAR100.classes, channels=3, side=SIDE)


def read10(argument: str, wanted: Wanted) -> Parts:
    """CIFAR-10's 50,000 training images, split, and its 10,000 test images."""
    return _read(CIFAR10, wanted)


def read100(argument: str, wanted: Wanted) -> Parts:
    """CIFAR-100's 50,000 training images, split, and its 10,000 test images; fine labels."""
    return _read(CIFAR100, wanted)


def read_archive(path: Path, layout: Layout, sha256: str) -> tuple[Images, Images]:
    """Training and test images of the archive at `path`, which must have the SHA-256 `sha256`.

    Members are read where they lie. Raises ValueError, in one line, for another digest, a member
    that is missing, or records that are cut off or badly labelled.
    """
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise ValueError(f"{path} must have SHA-256 {sha256}, got {found}; remove it to start over")
    members = {name: b"" for name in (*layout.train, *layout.test)}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for entry in archive:
                name = Path(entry.name).name
                if name in members and (content := archive.extractfile(entry)):
                    members[name] = content.read()
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} must be a whole tar.gz archive, got: {error}") from error
    train = [_records(path, name, members[name], layout) for name in layout.train]
    test = [_records(path, name, members[name], layout) for name in layout.test]
    return _joined(train), _joined(test)


def _read(layout: Layout, wanted: Wanted) -> Parts:
    """Both splits of the archive, which is downloaded first where it is not in the cache."""
    path = data_cache(layout.name) / layout.archive
    if not path.exists():
        otherwise = (
            f"put the file there by hand, {path}, or use the data set shapes, which needs none"
        )
        download(URL + layout.archive, path, layout.sha256, otherwise)
    pool, test = read_archive(path, layout, layout.sha256)
    train, val = split(len(pool), wanted.train_examples, wanted.val_examples)
    return Parts(pool.at(train), pool.at(val), test)


def _records(path: Path, name: str, content: bytes, layout: Layout) -> Images:
    """The images of one member, (n, 3, 32, 32).

    Raises ValueError for records that are cut off, or a label that is no class.
    """
    size = layout.label_bytes + 3 * SIDE**2
    if not content or len(content) % size:
        raise ValueError(
            f"{path}: {name} must be records of {size} bytes each, got {len(content)} bytes"
        )
    records = np.frombuffer(bytearray(content), np.uint8).reshape(-1, size)
    labels = records[:, layout.label_bytes - 1]
    if labels.max() >= len(layout.classes):
        raise ValueError(
            f"{path}: labels of {name} must be below {len(layout.classes)}, got {labels.max()}"
        )
    pixels = torch.from_numpy(records[:, layout.label_bytes :]).reshape(-1, 3, SIDE, SIDE)
    return Images(pixels, torch.from_numpy(labels).long())


def _joined(parts: list[Images]) -> Images:
    """The images of all parts, in their order."""
    return Images(torch.cat([p.pixels for p in parts]), torch.cat([p.labels for p in parts]))
