"""Space files: found by name, read and checked, written with every default."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from scalesearch.errors import file_meant, meant
from scalesearch.files import read_yaml
from scalesearch.networks import zoo
from scalesearch.networks.arch import TABLES
from scalesearch.networks.checked import explain, renewed
from scalesearch.networks.custom import check_cost, is_table
from scalesearch.networks.files import SUFFIXES, with_suffixes
from scalesearch.spaces.augmentation import Augmentation
from scalesearch.spaces.budget import parse_budget
from scalesearch.spaces.metric import Metric
from scalesearch.spaces.proxy import baseline
from scalesearch.spaces.space import Grid, Growth, Proxy, Recipe, Space, Steps
from scalesearch.trusted import check_trusted

_ADAPTER = TypeAdapter(Space)


def space_folder() -> Path:
    """Where the shipped spaces are: inside the installed package, or beside it in a checkout."""
    inside = Path(__file__).parents[1] / "search_spaces"
    return inside if inside.is_dir() else Path(__file__).parents[2] / "search_spaces"


def space_names() -> list[str]:
    """Names of the shipped spaces."""
    return sorted(path.stem for path in space_folder().glob("*.yaml"))


def load_space(name: str) -> Space:
    """The shipped space of that name, or the one in that YAML file.

    Raises ValueError, in one line, for a name that does not exist or a file that breaks a rule.
    """
    path = Path(name)
    if name in space_names():
        path = space_folder() / f"{name}.yaml"
    elif path.suffix not in SUFFIXES:
        known = ", ".join(space_names())
        hint = file_meant(near(path)) or meant(name, space_names())
        raise ValueError(f"a space must be a YAML file or one of {known}; got {name!r}{hint}")
    try:
        content = read_yaml(path, f"space {path}")
    except OSError as error:
        raise ValueError(
            f"space {path} must be a readable file: {error.strerror}{file_meant(near(path))}"
        ) from None
    if not isinstance(content, dict):
        raise ValueError(f"space {path} must hold keys and values, got {type(content).__name__}")
    if content.get("policy") == "rungs":  # the first version's default
        content["policy"] = "adaptive"
    return check_space({"name": path.stem, **content}, str(path))


def named_space(name: str) -> Space:
    """The space of `load_space`, whose network is to be built.

    Raises ParameterError where a study that was not made here would run code.
    """
    space = load_space(name)
    if name not in space_names():
        check_trusted(Path(name), *space.functions)
    return space


def costed_by(space: Space, cost: str | Path | None) -> Space:
    """The space with that function or table for the ms of a budget, its own for None.

    A table's path is made absolute, so that its study finds it from anywhere. Raises ValueError for
    what is neither.
    """
    source = space.cost if cost is None else str(cost)
    if source is None:
        return space
    check_cost(source)
    return replace(space, cost=str(Path(source).absolute()) if is_table(source) else source)


def near(path: Path) -> list[Path]:
    """The space files that a path which is none may have been meant as."""
    return [path / "space.yaml", *with_suffixes(path)]


def check_space(content: dict[str, Any], source: str) -> Space:
    """The space that `content` declares. Raises ValueError with the rule and the value met."""
    try:
        space: Space = _ADAPTER.validate_python(renewed(content))
    except ValidationError as error:
        kinds = (Space, Grid, Steps, Proxy, Recipe, Augmentation, Growth, Metric, *TABLES)
        raise ValueError(f"space {source}: {explain(error, kinds)}") from None
    baseline(space)
    for name in space.matched:
        zoo.find(name)
    # as it is written everywhere: 2X and 2 x are the same study
    return replace(space, budget=parse_budget(space.budget).text)


def space_schema() -> dict[str, Any]:
    """The JSON schema of space files, by which editors complete and check them."""
    schema = _ADAPTER.json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def dump_space(space: Space) -> str:
    """The space as YAML, every default written out; reading it back gives the same space."""
    return yaml.safe_dump(_ADAPTER.dump_python(space, mode="json"), sort_keys=False)


def narrow(space: Space, proxy: str, **changes: Any) -> Space:
    """The space with that one proxy, `changes` made to it. Raises ValueError if it has none."""
    if proxy not in space.proxies:
        known = ", ".join(space.proxies)
        raise ValueError(f"space {space.name}: a proxy must be one of {known}; got {proxy!r}")
    changes = {key: value for key, value in changes.items() if value is not None}
    return replace(space, proxies={proxy: replace(space.proxies[proxy], **changes)})
