"""Spaces: what a file in `search_spaces/` declares, checked and with its defaults filled in."""

import difflib
import math
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from scalesearch import zoo
from scalesearch.arch import Arch, Auxiliary, Hidden, Rules, Scale, Stage, scale_arch
from scalesearch.own import PREFIX, OwnModel, own_model

# what stands under a key says what it means: in the schema, in editors, in the reference
STRICT = ConfigDict(extra="forbid", use_attribute_docstrings=True)
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
DEFAULT_RESOLUTION = 224
PolicyName = Literal["rungs", "grid", "asha"]
UNKNOWN_KEY = ("unexpected_keyword_argument", "extra_forbidden")
UNION_MEMBERS = ("Arch", "Steps", "str")  # which pydantic names beside the keys
Fraction = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True, config=STRICT, kw_only=True)
class Steps:
    """Evenly spaced values from `start` to `stop`, both included."""

    start: Positive
    """The first value."""
    stop: Positive
    """The last value."""
    step: Positive
    """From one value to the next."""

    def values(self) -> tuple[float, ...]:
        """The values, rounded to ten digits so that 1.1 is 1.1."""
        steps = math.floor((self.stop - self.start) / self.step + 1e-9)
        return tuple(round(self.start + i * self.step, 10) for i in range(steps + 1))


Axis = Steps | Annotated[tuple[Positive, ...], Field(min_length=1)]


@dataclass(frozen=True, config=STRICT, kw_only=True)
class Grid:
    """The coefficients that are tried; `gamma: solve` lets the budget fix the resolution."""

    alpha: Axis
    """Depth: a list of values, or steps."""
    beta: Axis
    """Width: a list of values, or steps."""
    gamma: Axis | Literal["solve"]
    """Resolution: a list of values, or steps; `solve` takes what the budget leaves."""


@dataclass(frozen=True, config=STRICT, kw_only=True)
class Recipe:
    """How every network of a study is trained: AdamW, linear warm-up, cosine schedule."""

    epochs: Count = 4
    """Passes over the training images."""
    batch_size: Annotated[int, Field(ge=2)] = 64
    """Images a step."""
    learning_rate: Positive = 0.01
    """The highest, at the end of the warm-up."""
    warmup: Fraction = 0.1
    """The share of all steps in which the learning rate rises."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """AdamW's, on weights alone."""
    label_smoothing: Fraction = 0.0
    """The share of the target that goes to all classes alike."""
    flip: bool = True
    """Whether training images are mirrored at random."""
    zero_residuals: bool = True
    """Whether every residual branch starts at zero (Goyal et al. 2017, arXiv:1706.02677, section
    5.1): without it short training takes depth for a fault."""
    resize_from: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Below 1, training images grow, epoch by epoch, from that share of their size to the whole of
    it (progressive learning: Tan & Le 2021, arXiv:2104.00298, section 4)."""


@dataclass(frozen=True, config=STRICT, kw_only=True)
class Proxy:
    """How candidates are made cheap: a reduced baseline, its data, seeds and recipe.

    What is left out stays the model's own.
    """

    data: str | None = None
    """The images: fashion-mnist, cifar10, cifar100, shapes, imagefolder:DIR or npz:FILE."""
    train_examples: Count | None = None
    """How many training images are used; all unless given."""
    val_examples: Count = 5000
    """How many are held out, where the data bring no validation images of their own."""
    depth: Positive = 1.0
    """Multiplier of the baseline's depth."""
    width: Positive = 1.0
    """Multiplier of the baseline's width."""
    resolution: Count | None = None
    """The baseline's image size, pixels."""
    divisor: Count | None = None
    """Widths are rounded to a multiple of it; stage tables only."""
    stem_stride: Count | None = None
    """The stride of the first row; stage tables with a stem only."""
    dropout: Fraction | None = None
    """Before the classifier; stage tables only."""
    stochastic_depth: Fraction | None = None
    """How often blocks are skipped in training, from 0 at the first up; stage tables only."""
    seeds: Annotated[int, Field(ge=2)] = 2
    """Seeds a candidate; with rungs at most."""
    recipe: Recipe = Recipe()
    """How every network is trained."""
    grid: Grid | None = None
    """In place of the space's grid."""
    shrink: Grid | None = None
    """In place of the space's grid below 1x."""


@dataclass(frozen=True, config=STRICT, kw_only=True)
class Space:
    """What a file in `search_spaces/` declares: a baseline, grids, proxies, a tolerance."""

    name: str = ""
    """In the study's name and its report; the file's unless given."""
    model: str | Arch
    """A name of the zoo, a stage table, or python:package.module:function."""
    resolution: Count | None = None
    """Pixels at 1x; the model's own unless given, and 224 for a function."""
    grid: Grid
    """Coefficients tried for budgets above 1x."""
    shrink: Grid | None = None
    """Coefficients tried for budgets below 1x."""
    budget: str = "2x"
    """2x, 0.5x, or multiply-adds of the model itself: 800M, 1.6G."""
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """How far a candidate's measured flops may be off the budget, as a share of it."""
    matched: tuple[str, ...] = ()
    """Models of the zoo that are scaled to the same flops beside the family."""
    policy: PolicyName = "rungs"
    """Which trials are trained: rungs, the whole grid, or Optuna's successive halving."""
    proxies: dict[str, Proxy]
    """By name; quick is trained unless another is asked for."""


_ADAPTER = TypeAdapter(Space)


def space_folder() -> Path:
    """Where the shipped spaces are: inside the installed package, or beside it in a checkout."""
    inside = Path(__file__).parent / "search_spaces"
    return inside if inside.is_dir() else Path(__file__).parents[1] / "search_spaces"


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
    elif path.suffix not in (".yaml", ".yml"):
        near = difflib.get_close_matches(name, space_names(), 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        known = ", ".join(space_names())
        raise ValueError(f"a space must be a YAML file or one of {known}; got {name!r}{hint}")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeError) as error:
        raise ValueError(f"space {path} must be a readable file: {error}") from None
    except yaml.YAMLError as error:
        raise ValueError(f"space {path} must be YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise ValueError(f"space {path} must hold keys and values, got {type(content).__name__}")
    return check_space({"name": path.stem, **content}, str(path))


def check_space(content: dict[str, Any], source: str) -> Space:
    """The space that `content` declares. Raises ValueError with the rule and the value met."""
    try:
        space: Space = _ADAPTER.validate_python(content)
    except ValidationError as error:
        raise ValueError(f"space {source}: {explain(error)}") from None
    baseline(space)
    for name in space.matched:
        zoo.find(name)
    return space


def space_schema() -> dict[str, Any]:
    """The JSON schema of space files, by which editors complete and check them."""
    schema = _ADAPTER.json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def explain(error: ValidationError) -> str:
    """The first thing wrong, in one line: where, the rule, the value met, the nearest key."""
    # of what a union's members say, that of the one that was meant: it got furthest
    plain = [e for e in error.errors() if e["type"] != "string_type"] or error.errors()
    first = max(plain, key=lambda e: (len(e["loc"]), e["type"] in UNKNOWN_KEY))
    where = ".".join(str(part) for part in first["loc"] if part not in UNION_MEMBERS)
    if first["type"] in UNKNOWN_KEY:
        tables = (Space, Grid, Steps, Proxy, Recipe, Arch, Stage, Rules, Hidden, Auxiliary)
        known = sorted({field.name for table in tables for field in fields(table)})
        near = difflib.get_close_matches(str(first["loc"][-1]), known, 1, cutoff=0.5)
        return f"{where} is not a key" + (f"; did you mean {near[0]!r}?" if near else "")
    if first["type"] == "missing":
        return f"{where} is missing"
    return f"{where}: {first['msg'].removeprefix('Value error, ')}, got {first['input']!r}"


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


def baseline(space: Space) -> Arch | OwnModel:
    """The space's own baseline: the network that is to be scaled in the end."""
    if isinstance(space.model, str) and space.model.startswith(PREFIX):
        return own_model(space.model, space.resolution or DEFAULT_RESOLUTION)
    arch = zoo.find(space.model) if isinstance(space.model, str) else space.model
    if space.resolution is None:
        return arch
    return scale_arch(arch, Scale(resolution=space.resolution / arch.resolution))


def proxy_baseline(
    space: Space, proxy: Proxy, channels: int | None, classes: int | None
) -> Arch | OwnModel:
    """The baseline that `proxy` trains, with the data's channels and classes where given."""
    arch = baseline(space)
    if isinstance(arch, OwnModel):
        return own_proxy(arch, proxy, channels, classes)
    if proxy.divisor is not None:
        arch = replace(arch, rules=replace(arch.rules, divisor=proxy.divisor))
    pixels = proxy.resolution or arch.resolution
    arch = scale_arch(arch, Scale(proxy.depth, proxy.width, pixels / arch.resolution))
    if proxy.stem_stride is not None:
        if not arch.stem:
            raise ValueError(f"stem_stride needs a model with a stem, and {arch.name} has none")
        first = replace(arch.stem[0], stride=proxy.stem_stride)
        arch = replace(arch, stem=(first, *arch.stem[1:]))
    return replace(
        arch,
        channels=channels or arch.channels,
        classes=classes or arch.classes,
        dropout=arch.dropout if proxy.dropout is None else proxy.dropout,
        stochastic_depth=(
            arch.stochastic_depth if proxy.stochastic_depth is None else proxy.stochastic_depth
        ),
    )


def own_proxy(model: OwnModel, proxy: Proxy, channels: int | None, classes: int | None) -> OwnModel:
    """A user's model as `proxy` trains it. Raises ValueError for what needs a stage table."""
    for key in ("divisor", "stem_stride", "dropout", "stochastic_depth"):
        if getattr(proxy, key) is not None:
            raise ValueError(f"{key} needs a stage table, and {model.function} is a function")
    return replace(
        model,
        depth=proxy.depth,
        width=proxy.width,
        resolution=proxy.resolution or model.resolution,
        channels=channels or 0,
        classes=classes or 0,
    )


def grid_points(grid: Grid) -> list[tuple[float, float, float | None]]:
    """Every (alpha, beta, gamma) of the grid; gamma is None where the budget is to solve it."""

    def values(axis: Axis) -> tuple[float, ...]:
        return axis.values() if isinstance(axis, Steps) else axis

    gammas: tuple[float | None, ...] = (
        (None,) if isinstance(grid.gamma, str) else tuple(values(grid.gamma))
    )
    return [(a, b, g) for a in values(grid.alpha) for b in values(grid.beta) for g in gammas]
