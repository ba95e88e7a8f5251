"""What is trained to its end: networks in lines, the data and the recipe; as training.json has it.

A line is a family that grows, what matches it, or one axis alone. Networks stand once, though
several lines may go through one, as all do through their baseline.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from itertools import chain
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from scalesearch.errors import ParameterError
from scalesearch.files import optional_document, write_document, write_text
from scalesearch.networks.arch import Arch
from scalesearch.networks.cost import CONVENTION, cost
from scalesearch.networks.files import MEMBERS, dump_model, label, read_model
from scalesearch.networks.measured import Measured, measured
from scalesearch.networks.models import Model
from scalesearch.spaces.metric import LOSS, Metric
from scalesearch.spaces.space import Growth, Recipe
from scalesearch.studies.images import Images
from scalesearch.trials.custom import CustomTraining
from scalesearch.trials.growth import ratios
from scalesearch.trials.trial import Trial

FILE = "training.json"
FRONT = "front"  # what a study's directory keeps the training of its networks in
Kind = Literal["family", "matched", "axis", "zoo"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(Measured):
    """A network that is trained, by its name and its key, with what it costs.

    `seeds` is with how many; None, as in older files, for all of its training's.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]{0,119}$")]
    key: str
    output_stride: int | None = None
    seeds: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Networks of one kind, by their names, from the least flops up."""

    name: str
    kind: Kind
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What is trained on which images by which recipe, with how many seeds a network at most.

    `data`, `examples` of the training images (None for all) and `held_out` are a trial's; `remarks`
    say what could not be made and why. `start` is the SHA-256 of the weights that all begin from.
    With `custom` a user's function trains them; `data` may then be "", for none of ours. With
    `latency` they are timed as well, at that batch size.
    """

    title: str
    data: str
    examples: int | None
    held_out: int
    images: Images
    recipe: Recipe
    seeds: int
    start: str | None = None
    flops_convention: str = CONVENTION
    entries: tuple[Entry, ...]
    lines: tuple[Line, ...]
    remarks: tuple[str, ...] = ()
    custom: CustomTraining | None = None
    latency: int | None = None

    @property
    def metric(self) -> Metric:
        """What its networks are compared by in tables of trials."""
        return self.custom.metric if self.custom else LOSS

    @property
    def names(self) -> dict[str, str]:
        """The networks' names by their keys."""
        return {entry.key: entry.name for entry in self.entries}

    def seeds_of(self, one: Entry) -> int:
        """With how many seeds a network is trained."""
        return self.seeds if one.seeds is None else one.seeds

    def entry(self, name: str) -> Entry:
        """The network of that name."""
        return next(entry for entry in self.entries if entry.name == name)


def entry(name: str, model: Model, output_stride: int | None = None) -> Entry:
    """A network to train, measured."""
    name = label(name)
    found = measured(replace(model, name=name), cost(model))
    return Entry(name=name, key=model.key, output_stride=output_stride, **found)


def trials_of(
    training: Training, source: str, begin: Mapping[str, bytes] | None = None
) -> list[Trial]:
    """Every trial of a training: all networks with the first seed, the cheapest first, and so on.

    A run that is ended early has then trained whole lines with fewer seeds. `source` is where they
    read the images, `begin` the weights that networks begin from, by their names.
    """
    here = sorted((e for e in training.entries if e.model is not None), key=lambda e: e.flops)
    return [
        Trial(
            arch=replace(entry.arch, name=""),
            seed=seed,
            data=source,
            train_examples=training.examples,
            val_examples=training.held_out,
            recipe=training.recipe,
            keep=entry.name,
            grown_by=ratios(entry.arch, cheapest(tuple(here)).arch, training.recipe),
            begin=(begin or {}).get(entry.name),
            custom=training.custom,
        )
        for seed in range(training.seeds)
        for entry in here
        if seed < training.seeds_of(entry)
    ]


def joined(earlier: Training, new: Training) -> Training:
    """Both trainings as one: what was trained stays, its members and their seeds are added to.

    Raises ParameterError where they are not of the same images and recipe, a name has become
    another network's, what has been trained would have grown over another network, or latencies
    would be of two batch sizes.
    """
    for what in ("data", "examples", "held_out", "recipe", "start", "custom"):
        before, now = getattr(earlier, what), getattr(new, what)
        if before != now:
            raise ParameterError(
                "name",
                f"must be another for another training: {changed(what, before, now)}",
            )
    if earlier.latency and new.latency and earlier.latency != new.latency:
        rule = f"must be {earlier.latency}, at which networks have been timed, got {new.latency}"
        raise ParameterError("latency", rule)
    known = {entry.name: entry.key for entry in earlier.entries}
    for one in new.entries:
        if known.get(one.name, one.key) != one.key:
            raise ParameterError(
                "name", f"must be another, for {one.name} was another network before"
            )
    entries = joined_entries(earlier, new)
    before, now = cheapest(earlier.entries), cheapest(tuple(entries.values()))
    if new.recipe.growth != Growth() and before.key != now.key:
        raise ParameterError(
            "name",
            f"must be another, for what grows does so over the cheapest network: {before.name}, "
            f"and {now.name} costs less",
        )
    return replace(
        new,
        title=earlier.title,
        seeds=max(earlier.seeds, new.seeds),
        entries=tuple(entries.values()),
        lines=joined_lines((*earlier.lines, *new.lines), entries),
        remarks=tuple(dict.fromkeys((*earlier.remarks, *new.remarks))),
        latency=new.latency or earlier.latency,
    )


def joined_entries(earlier: Training, new: Training) -> dict[str, Entry]:
    """The networks of both by their names, each with the more seeds that either gives it."""
    seeds: dict[str, int] = {}
    for training in (earlier, new):
        for one in training.entries:
            seeds[one.name] = max(seeds.get(one.name, 0), training.seeds_of(one))
    every = (*earlier.entries, *new.entries)
    return {one.name: replace(one, seeds=seeds[one.name]) for one in every}


def cheapest(entries: tuple[Entry, ...]) -> Entry:
    """The network of the least flops, over which a recipe's growth is reckoned."""
    return min(entries, key=lambda one: one.flops)


def changed(what: str, before: object, now: object) -> str:
    """What differs between two trainings, with both values: of a recipe its first key that does."""
    if isinstance(before, Recipe) and isinstance(now, Recipe):
        key = next(
            f.name for f in fields(before) if getattr(before, f.name) != getattr(now, f.name)
        )
        return f"recipe.{key} was {getattr(before, key)!r}, is {getattr(now, key)!r}"
    return f"{what} was {before!r}, is {now!r}"


def joined_lines(lines: tuple[Line, ...], entries: Mapping[str, Entry]) -> tuple[Line, ...]:
    """Lines of one name as one, their members from the least flops up."""
    found: dict[str, Line] = {}
    for line in lines:
        before = found.get(line.name, line).members
        members = sorted({*before, *line.members}, key=lambda name: (entries[name].flops, name))
        found[line.name] = replace(line, members=tuple(members))
    return tuple(found.values())


def training_of(
    title: str,
    lines: Mapping[tuple[str, Kind], tuple[Entry, ...]],
    data: str,
    examples: int | None,
    held_out: int,
    images: Images,
    recipe: Recipe,
    seeds: int,
    remarks: tuple[str, ...] = (),
    custom: CustomTraining | None = None,
) -> Training:
    """The training of those lines. A network that several make keeps the name that it got first."""
    first: dict[str, Entry] = {}
    for one in chain.from_iterable(lines.values()):
        first.setdefault(one.key, one)
    entries = {one.name: one for one in first.values()}
    if len(entries) < len(first):
        names = [one.name for one in first.values()]
        twice = next(name for name in names if names.count(name) > 1)
        raise ParameterError("targets", f"must have names of their own, got {twice} twice")
    named = tuple(
        Line(name=name, kind=kind, members=tuple(first[one.key].name for one in members))
        for (name, kind), members in lines.items()
        if members
    )
    return Training(
        title=title,
        data=data,
        examples=examples,
        held_out=held_out,
        images=images,
        recipe=recipe,
        seeds=seeds,
        entries=tuple(replace(one, seeds=seeds) for one in first.values()),
        lines=joined_lines(named, entries),
        remarks=remarks,
        custom=custom,
    )


def write_training(folder: Path, training: Training) -> None:
    """Write training.json, and a YAML for each network that `scalesearch.build` reads."""
    for one in training.entries:
        if one.model is not None:
            write_text(folder / MEMBERS / f"{one.name}.yaml", dump_model(one.arch))
    write_document(folder / FILE, training)


def find_training(folder: Path) -> Training | None:
    """The training in a directory, with its networks as far as they are tables; None where there
    is none."""
    found = optional_document(folder / FILE, Training)
    if found is None:
        return None
    return replace(found, entries=tuple(with_model(folder, one) for one in found.entries))


def with_model(folder: Path, one: Entry) -> Entry:
    """An entry with its network. A user's function is not read back: that would run its code."""
    path = folder / MEMBERS / f"{one.name}.yaml"
    model = read_model(path) if path.exists() else None
    return replace(one, model=model) if isinstance(model, Arch) else one
