"""Custom models: a user's function of three multipliers, in place of a stage table. No torch."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from scalesearch.networks.arch import STRICT
from scalesearch.networks.scaling import Scale

PREFIX = "python:"
COST_TABLES = (".csv", ".json")
DECLARED_FREE = "free"  # of an operator: it multiplies nothing
DEFAULT_RESOLUTION = 224


def functions_named(model: object) -> tuple[str, ...]:
    """The functions that a model calls, python:package.module:function; none of a stage table."""
    if not isinstance(model, CustomModel):
        return ()
    formulas = [formula for _, formula in model.operators]
    return tuple(n for n in (model.function, model.example, *formulas) if n.startswith(PREFIX))


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomModel:
    """The network that `function`, python:package.module:function, makes of three multipliers.

    It is called with depth, width and `resolution` over `base_resolution` (both pixels).
    `channels` and `classes` are 0 until they are known; `structure` digests the network once it
    has been built (models.realised), and tells distinct networks apart. `logits` is whether it must
    turn an image into a row of them, as our training wants it: what it returns is else its own.
    `example`, python:package.module:function, makes of the resolution what the network is called
    with, where that is not one square image. `operators` are what those cost that fvcore does not
    know: by name free, or the function of the formula.
    """

    __pydantic_config__: ClassVar = STRICT

    function: str
    resolution: int
    base_resolution: int
    depth: float = 1.0
    width: float = 1.0
    channels: int = 0
    classes: int = 0
    structure: str = ""
    name: str = ""
    logits: bool = True
    example: str = ""
    operators: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        check_reference("a custom model", self.function)
        if self.example:
            check_reference("example", self.example)
        for name, formula in self.operators:
            if formula != DECLARED_FREE:
                check_reference(f"what operator {name} costs, where it is not free,", formula)

    @property
    def multipliers(self) -> Scale:
        """What the function is called with."""
        return Scale(self.depth, self.width, self.resolution / self.base_resolution)

    @property
    def key(self) -> str:
        """Twelve hex digits that name the network itself, whatever multipliers made it."""
        content = f"{self.function} {self.resolution} {self.channels} {self.structure}"
        return hashlib.sha256(content.encode()).hexdigest()[:12]

    @property
    def depths(self) -> tuple[int, ...]:
        """(): what stages a function makes is not known."""
        return ()

    @property
    def widths(self) -> tuple[int, ...]:
        """(): what stages a function makes is not known."""
        return ()

    @property
    def train_resolution(self) -> int:
        """0: trained at its resolution."""
        return 0


def check_reference(what: str, name: str) -> None:
    """Raise ValueError, which says what it is, for a name that is none of a function."""
    module, _, function = name.removeprefix(PREFIX).partition(":")
    if not (name.startswith(PREFIX) and module and function):
        raise ValueError(f"{what} must be python:package.module:function, got {name!r}")


def is_table(source: str) -> bool:
    """Whether what tells costs is a table, FILE.csv or FILE.json, and not a function."""
    return not source.startswith(PREFIX) and Path(source).suffix.lower() in COST_TABLES


def check_cost(source: str) -> None:
    """Raise ValueError for what can tell no costs: neither a table nor a function's name."""
    if not is_table(source):
        check_reference("cost, where it is no FILE.csv or FILE.json,", source)


def custom_model(function: str, resolution: int) -> CustomModel:
    """The model of that function, at 1x for images of `resolution` pixels."""
    name = function.rpartition(":")[2]
    return CustomModel(
        function=function, resolution=resolution, base_resolution=resolution, name=name
    )
