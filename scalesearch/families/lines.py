"""The lines of networks that are trained: for the images that there are, at no more pixels.

A study's lines begin at its proxy's baseline and cost ratio^phi times its flops: the family along
the coefficients found, other models made as costly, and growth along each axis alone.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from scalesearch.families.document import find_family
from scalesearch.families.members import completed
from scalesearch.families.strategies import STRATEGIES
from scalesearch.families.trained import Entry, Kind, entry
from scalesearch.networks import zoo
from scalesearch.networks.arch import Arch
from scalesearch.networks.count import count
from scalesearch.networks.files import find_model
from scalesearch.networks.models import Model, at_output_stride, at_resolution
from scalesearch.networks.scaling import Coefficients
from scalesearch.networks.stride import total_stride
from scalesearch.plans.look import NARROW
from scalesearch.studies.images import Images

AXES = ("depth", "width", "resolution")
WIDTH = Coefficients(1, 2, 1)
# rounding leaves a small network few costs: the nearest of these that some network meets is taken
TOLERANCES = (0.02, 0.05, 0.15)
Lines = dict[tuple[str, Kind], tuple[Entry, ...]]


@dataclass(frozen=True, slots=True)
class Made:
    """Lines of networks, and what could not be made, and why."""

    lines: Lines
    remarks: tuple[str, ...]


def study_lines(
    start: Model,
    ratio: float,
    phi: int,
    coefficients: Coefficients,
    match: Sequence[str],
    axes: bool,
    most: int,
) -> Made:
    """The lines of a study whose proxy's baseline is `start`, for images of `most` pixels a side.

    Each has a member for every phi up to that one, as far as it can be made.
    """
    remarks: list[str] = []
    lines: Lines = {}
    targets = [count(start).flops * ratio**step for step in range(1, phi + 1)]

    def grow(name: str, kind: Kind, first: Model, along: Coefficients) -> None:
        lines[name, kind] = tuple(grown(name, first, along, targets, most, remarks))

    grow(start.name, "family", start, coefficients)
    for name in match:
        try:
            first = made_as_costly(zoo.find(name), start, most)
        except ValueError as error:
            remarks.append(f"{name} is left out: {error}")
        else:
            grow(name, "matched", first, coefficients)
    for axis in AXES if axes else ():
        grow(f"{axis} alone", "axis", start, STRATEGIES[axis])
    return Made(lines, tuple(remarks))


def grown(
    name: str,
    first: Model,
    coefficients: Coefficients,
    targets: Sequence[float],
    most: int,
    remarks: list[str],
) -> Iterator[Entry]:
    """The first network of a line, and one for each target of flops; what cannot be is remarked."""
    stem = name.replace(" ", "_")
    yield entry(f"{stem}_1x", first, stride_of(first))
    for phi, target in enumerate(targets, 1):
        try:
            found = nearest(first, coefficients, target, most)
        except ValueError as error:
            remarks.append(f"{name} ends before phi {phi}: {error}")
            return
        yield entry(f"{stem}_phi{phi}", found, stride_of(found))


def nearest(start: Model, coefficients: Coefficients, target: float, most: int) -> Model:
    """The network along the coefficients that costs `target` flops, with at most `most` pixels.

    Where the images have no more pixels depth and width take what is left. Raises ValueError where
    none is within the last of TOLERANCES.
    """
    for tolerance in TOLERANCES[:-1]:
        with suppress(ValueError):
            return completed(start, coefficients, target, tolerance, "flops", most)[1]
    return completed(start, coefficients, target, TOLERANCES[-1], "flops", most)[1]


def made_as_costly(model: Arch, start: Model, most: int) -> Model:
    """A model of the zoo made as costly as `start` by its width, for the same images as that.

    At the same resolution, output stride and divisor of widths.
    """
    rules = start.rules if isinstance(start, Arch) else model.rules
    shaped = replace(
        model,
        channels=start.channels,
        classes=start.classes,
        dropout=0.0,
        stochastic_depth=0.0,
        auxiliary=(),
        rules=replace(model.rules, divisor=rules.divisor),
    )
    fitting = at_stride(at_resolution(shaped, start.resolution), stride_of(start))
    return nearest(fitting, WIDTH, count(start).flops, most)


def stride_of(model: Model) -> int | None:
    """A model's output stride, None where a function makes it."""
    return total_stride(model) if isinstance(model, Arch) else None


def at_stride(model: Model, stride: int | None) -> Model:
    """The model at the largest output stride that it can have and is at most `stride`."""
    if stride is None or not isinstance(model, Arch):
        return model
    for wanted in strides_down(model, stride):
        with suppress(ValueError):
            return at_output_stride(model, wanted)
    return model


def strides_down(model: Arch, most: int) -> list[int]:
    """The output strides that divide the model's own, from the largest of at most `most` down."""
    own = total_stride(model)
    return [wanted for wanted in range(min(own, most), 0, -1) if own % wanted == 0]


def fitted(model: Model, images: Images, output_stride: int | None = None) -> Model:
    """The model for the data's classes and channels, at no more pixels than the images have.

    Unless it is given, the output stride is the largest that leaves the last map 4 pixels. Raises
    ValueError where the network cannot be built for these images.
    """
    side, classes, channels = images.side or model.resolution, images.classes, images.channels
    pixels = min(side, model.resolution)
    if not isinstance(model, Arch):
        return replace(model, classes=classes or 0, channels=channels or 0, resolution=pixels)
    shaped = replace(
        model, classes=classes or model.classes, channels=channels or model.channels, auxiliary=()
    )
    if output_stride is not None:
        return at_output_stride(at_resolution(shaped, pixels), output_stride)
    for wanted in strides_down(shaped, total_stride(shaped)):
        if -(-pixels // wanted) >= NARROW:
            with suppress(ValueError):
                found = at_output_stride(at_resolution(shaped, pixels), wanted)
                count(found)  # which raises for maps that are too small
                return found
    raise ValueError(
        f"{model.name}: images must be large enough for one of its output strides, got {pixels} px"
    )


def named_lines(names: Iterable[str], images: Images, output_stride: int | None = None) -> Made:
    """Networks of the zoo, of YAML files or of folders of members, each fitted to the images.

    Those of one family of the zoo make a line. Raises ValueError where a name is none.
    """
    lines: dict[tuple[str, Kind], list[Entry]] = {}
    remarks: list[str] = []
    for name in names:
        for line, own, model in named_models(name):
            try:
                found = fitted(model, images, output_stride)
                made = entry(own, found, stride_of(found))
            except ValueError as error:
                remarks.append(f"{own} is left out: {error}")
            else:
                lines.setdefault((line, "zoo"), []).append(made)
    return Made({key: tuple(members) for key, members in lines.items()}, tuple(remarks))


def named_models(name: str) -> list[tuple[str, str, Model]]:
    """What a target means: models, each with the name of its line and its own."""
    family = find_family(Path(name)) if Path(name).is_dir() else None
    if family is None:
        model = find_model(name)
        return [(family_of(model), model.name or Path(name).stem, model)]
    files = Path(name) / "family"
    groups = {family.baseline.name: family.members, **family.matched}
    return [
        (line, member.name, find_model(str(files / f"{member.name}.yaml")))
        for line, members in groups.items()
        for member in members
    ]


def family_of(model: Model) -> str:
    """The zoo's family that a model is of, by its name; else the model's own name."""
    return family_named(model.name) or model.name


def family_named(model: str) -> str | None:
    """The zoo's family that has a model of that name, or is of it; None where none does."""
    if model in zoo.FAMILIES:
        return model
    name = model.partition("_w")[0]
    return next((family for family, room in zoo.FAMILIES.items() if name in room.MODELS), None)
