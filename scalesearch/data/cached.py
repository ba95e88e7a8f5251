"""The packs that are kept in a cache: what each holds, how large it is, and removing one."""

import fcntl
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from scalesearch.data.packs import DOCUMENT, VERSION, pack_cache, read_pack
from scalesearch.files import read_checked

State = Literal["whole", "begun", "damaged", "of another version"]


@dataclass(frozen=True, slots=True)
class CachedPack:
    """One pack: its name, where it lies, its bytes; what it was made of, where it says so."""

    name: str
    folder: str
    state: State
    bytes: int
    source: str | None
    side: int | None
    images: int | None


def cached_packs(cache: Path | None = None) -> list[CachedPack]:
    """Every pack in `cache`, or in the user's, by name; none is read."""
    place = pack_cache(cache)
    folders = sorted(path for path in place.glob("*") if path.is_dir()) if place.is_dir() else []
    return [cached_pack(folder) for folder in folders]


def cached_pack(folder: Path) -> CachedPack:
    """What a pack's folder holds."""
    pack = read_pack(folder)
    return CachedPack(
        name=folder.name,
        folder=str(folder),
        state="whole" if pack else state_of(folder),
        bytes=sum(path.stat().st_blocks * 512 for path in folder.iterdir()),
        source=pack.source if pack else None,
        side=pack.side if pack else None,
        images=sum(part.images for part in pack.parts.values()) if pack else None,
    )


def state_of(folder: Path) -> State:
    """Why a pack is not one to use."""
    if not (folder / DOCUMENT).exists():
        return "begun"
    found = read_checked(folder / DOCUMENT)
    other = isinstance(found, dict) and found.get("version") != VERSION
    return "of another version" if other else "damaged"


def remove_pack(name: str, cache: Path | None = None) -> CachedPack:
    """Remove a pack of `cache`, or of the user's; what it was. A run that maps it keeps its images.

    Raises ValueError where there is none of that name, and while another process packs it.
    """
    found = {pack.name: pack for pack in cached_packs(cache)}
    if name not in found:
        known = ", ".join(found) or "none"
        raise ValueError(f"a pack must be one of {pack_cache(cache)}: {known}; got {name!r}")
    folder = Path(found[name].folder)
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"{folder} must not be in use, and is being packed") from None
        (folder / DOCUMENT).unlink(missing_ok=True)  # first, so that no half of it looks whole
        shutil.rmtree(folder)
    return found[name]
