"""What a shell completes: the names that a command would take. Nothing heavy is imported."""

from collections.abc import Iterable
from glob import glob
from pathlib import Path
from typing import Any


def matching(names: Iterable[str], incomplete: str) -> list[str]:
    """Those that begin so."""
    return [name for name in names if name.startswith(incomplete)]


def paths(incomplete: str, suffixes: tuple[str, ...]) -> list[str]:
    """Directories that begin so, with a slash behind, and files that end so."""
    found = sorted(glob(f"{incomplete}*"))
    return [f"{path}/" for path in found if Path(path).is_dir()] + [
        path for path in found if path.endswith(suffixes)
    ]


def spaces(incomplete: str) -> list[str]:
    """Shipped spaces, and YAML files."""
    from scalesearch.spaces.files import space_names

    return matching(space_names(), incomplete) + paths(incomplete, (".yaml", ".yml"))


def models(incomplete: str) -> list[str]:
    """Models of the zoo, and YAML files."""
    from scalesearch.networks import zoo

    return matching(sorted(zoo.MODELS), incomplete) + paths(incomplete, (".yaml", ".yml"))


def proxies(ctx: Any, incomplete: str) -> list[str]:
    """Proxies of the space that was named before, or of the one that is the default."""
    from scalesearch.spaces.files import load_space

    try:
        return matching(load_space(ctx.params.get("space") or "efficientnet").proxies, incomplete)
    except (ValueError, OSError):
        return []


def studies(incomplete: str) -> list[str]:
    """Directories of studies, here or in results/, and directories on the way to others."""
    kept = [str(path.parent) for place in (".", "results") for path in found_in(place)]
    return matching(kept, incomplete) or paths(incomplete, ())


def found_in(place: str) -> list[Path]:
    """The journals of studies in a directory."""
    return sorted(Path(place).glob("*/study.journal"))


def one_of(*names: str) -> Any:
    """A completion of a choice."""
    return lambda incomplete: matching(names, incomplete)
