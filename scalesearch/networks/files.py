"""Models as YAML files, and what a model's name means on the command line."""

import re
from pathlib import Path

import yaml
from pydantic import TypeAdapter, ValidationError

from scalesearch.errors import check_range, file_meant
from scalesearch.files import read_yaml
from scalesearch.networks import zoo
from scalesearch.networks.arch import TABLES, Arch
from scalesearch.networks.checked import explain, renewed
from scalesearch.networks.custom import (
    DEFAULT_RESOLUTION,
    PREFIX,
    CustomModel,
    custom_model,
    functions_named,
)
from scalesearch.networks.models import Model, at_output_stride, at_resolution, realised
from scalesearch.trusted import check_trusted

SUFFIXES = (".yaml", ".yml")
MEMBERS = "members"  # what the networks that are trained are in, beside the folder of weights
_ARCH = TypeAdapter(Arch)
_CUSTOM = TypeAdapter(CustomModel)


def dump_model(model: Model) -> str:
    """A model as YAML; read_model gives it back."""
    if isinstance(model, CustomModel):
        return yaml.safe_dump(_CUSTOM.dump_python(model, mode="json"), sort_keys=False)
    return yaml.safe_dump(_ARCH.dump_python(model, mode="json"), sort_keys=False)


def read_model(path: Path) -> Model:
    """The model in a YAML file. Raises ValueError, in one line, where it is none."""
    try:
        content = renewed(read_yaml(path, str(path)))
        if isinstance(content, dict) and {"model", "grid"} <= {*content}:
            raise ValueError(f"{path} must be of a model, got a space: run it, and name its study")
        if isinstance(content, dict) and "function" in content:
            return _CUSTOM.validate_python(content)
        return _ARCH.validate_python(content)
    except OSError as error:
        raise ValueError(
            f"{path} must be a readable file: {error.strerror}{file_meant(with_suffixes(path))}"
        ) from None
    except ValidationError as error:
        raise ValueError(f"{path}: {explain(error, (*TABLES, CustomModel))}") from None


def find_model(name: str, resolution: int | None = None, output_stride: int | None = None) -> Model:
    """The model of a YAML file, of an exported folder, of the zoo, or of a function, at
    `resolution` and with `output_stride` if they are given.

    Raises ParameterError where a study that was not made here would run code.
    """
    check_range("resolution", resolution, 1)
    if name.startswith(PREFIX):
        model = realised(custom_model(name, resolution or DEFAULT_RESOLUTION))
        return at_output_stride(model, output_stride)
    path = model_file(name)
    model = read_model(path) if path else zoo_model(name)
    if path:
        check_trusted(path, *functions_named(model))
    model = at_output_stride(realised(model), output_stride)
    return at_resolution(model, resolution) if resolution else model


def zoo_model(name: str) -> Arch:
    """The zoo's model of that name. Raises ValueError, which tells of a file that was meant."""
    try:
        return zoo.find(name)
    except ValueError as error:
        hint = file_meant(with_suffixes(Path(name)))
        raise ValueError(f"{error}{hint}") from None


def label(name: str) -> str:
    """A model's name as a file, a heading or a line of code may have it."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.")[:100] or "network"


def with_suffixes(path: Path) -> list[Path]:
    """The YAML files that a path without its suffix, or with the other one, may mean."""
    return [path.with_suffix(suffix) for suffix in SUFFIXES] if path.name else []


def model_file(name: str) -> Path | None:
    """The YAML file that a model's name means: itself, or the one that a folder has beside its
    weights; None for a model of the zoo or a function."""
    path = Path(name)
    if path.suffix in SUFFIXES:
        return path
    if name.startswith(PREFIX) or name in zoo.MODELS or not path.is_dir():
        return None
    found = [file for file in sorted(path.glob("*.yaml")) if weights_beside(file)]
    if len(found) != 1:
        raise ValueError(
            f"{path} must have one model's YAML file with its .safetensors beside it, got "
            f"{len(found)}: name the YAML file"
        )
    return found[0]


def weights_beside(path: Path) -> Path | None:
    """The weights that `export` left beside a model's YAML file, or `train` those of a member with
    its first seed; None where there are none."""
    weights = path.with_suffix(".safetensors")
    if weights.is_file():
        return weights
    if path.parent.name != MEMBERS:
        return None
    name = re.compile(re.escape(path.stem) + r"-seed(\d+)\.safetensors")
    trained = [(name.fullmatch(file.name), file) for file in path.parent.parent.glob("weights/*")]
    seeds = {int(match[1]): file for match, file in trained if match}
    return seeds[min(seeds)] if seeds else None
