"""What `scalesearch export` does: a model made into files, checked before they are put there."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import torch

from scalesearch.errors import ParameterError, check_choice
from scalesearch.export.card import Origin, citation, made_from, model_card, summary
from scalesearch.export.check import Check, example_images, settle
from scalesearch.export.formats import FORMATS, SEED, make_job
from scalesearch.families.cards import Card, find_card
from scalesearch.networks.arch import Arch
from scalesearch.networks.blocks import Network
from scalesearch.networks.cost import CONVENTION, Cost, cost
from scalesearch.networks.custom import CustomModel
from scalesearch.networks.files import find_model, label, model_file, weights_beside
from scalesearch.networks.models import Model, build_model
from scalesearch.networks.torchvision import torchvision_names
from scalesearch.networks.weights import load_weights, read_weights
from scalesearch.scratch import all_or_none, finish, scratch

NAMES = ("scalesearch", "torchvision")
UNKNOWN = "what they were trained on, if they were, is not known here."


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """What to export, as which formats (onnx, pt2, safetensors, python), and where to.

    `resolution` is in pixels; `names` is whose names a safetensors file has: scalesearch or
    torchvision.
    """

    model: str
    formats: tuple[str, ...]
    out: Path | None = None
    weights: Path | None = None
    resolution: int | None = None
    names: str = "scalesearch"
    overwrite: bool = False

    @property
    def command(self) -> str:
        """The command that exports it again."""
        words = ["scalesearch export", self.model, "--format", ",".join(self.formats)]
        words += ["--weights", str(self.weights)] if self.weights else []
        words += ["--resolution", str(self.resolution)] if self.resolution else []
        words += ["--names", self.names] if self.names != NAMES[0] else []
        return " ".join(" ".join(words).replace("`", "'").split())


@dataclass(frozen=True, slots=True)
class Exported(Cost):
    """What was written of a model, what it costs, and how each format's file was checked."""

    model: str
    files: tuple[str, ...]
    resolution: int
    flops_convention: str
    weights: str
    checked: Mapping[str, Check]


def export(options: ExportOptions) -> Exported:
    """Write the model in the formats asked for, with a card each; what was written.

    Files are moved to where they belong after each of them has given the network's logits: all or
    none is written. Raises ValueError for options that contradict one another, and where there is
    a file already and `overwrite` is off.
    """
    check_options(options)
    model = find_model(options.model, options.resolution)
    if isinstance(model, CustomModel) and not model.logits:
        raise ParameterError(
            "model", f"must give logits to be checked by, which {model.function} is not to give"
        )
    if isinstance(model, Arch):
        model = replace(model, auxiliary=())  # which are there in training only
    elif "python" in options.formats:
        raise ParameterError(
            "format", f"python needs a stage table, and {options.model} is Python code already"
        )
    targets = {format: target_file(options, format, model) for format in options.formats}
    folder = next(iter(targets.values())).parent
    finish(folder)
    for format, target in targets.items():
        refuse_taken(target, format, options.overwrite)
    measured = cost(model)
    network, weights = built(model, options)
    heading = (
        summary(model, measured),
        f"Flops are {CONVENTION}; activations are the elements that those write.",
        *([f"Architecture: {citation(model)}"] if citation(model) else []),
        "Made by scalesearch; it needs torch alone.",
    )
    notes = {"name": label(model.name), "flops_convention": CONVENTION, "weights": weights}
    notes |= {key: str(n) for key, n in asdict(measured).items()}
    notes |= {"resolution": str(model.resolution), "classes": str(model.classes)}
    found = model_file(options.model)
    source = options.weights or (weights_beside(found) if found else None)
    if source and (known := find_card(source)):
        wanted = [known.data, known.examples_wanted, known.held_out_wanted]
        notes |= {"trained_on": json.dumps(wanted)}
    job = make_job(model, network, options.names, notes, heading)
    origin = Origin(weights, made_from(found) if found else "", options.command)
    checks, placed = {}, []
    with scratch() as made:
        files = []
        for format, target in targets.items():
            written, check = FORMATS[format][2](job, made / target.name)
            card = made / f"{target.name}.md"
            kind = format if options.names == NAMES[0] else options.names
            card.write_text(model_card(model, measured, check, kind, target, origin), "utf-8")
            files += [*written, card]
            checks[format] = check
        placed = place(files, folder, options.overwrite)
    return Exported(
        model=model.name,
        files=tuple(str(path) for path in placed),
        resolution=model.resolution,
        **asdict(measured),
        flops_convention=CONVENTION,
        weights=weights,
        checked=checks,
    )


def check_options(options: ExportOptions) -> None:
    """Raise ValueError for options that are none, contradict one another, or lack a package."""
    for format in options.formats or ("",):
        check_choice("format", format, FORMATS)
    check_choice("names", options.names, NAMES)
    if options.names != NAMES[0] and options.formats != ("safetensors",):
        raise ParameterError(
            "names",
            f"{options.names} is for the format safetensors alone, "
            f"got {', '.join(options.formats)} with it",
        )
    if options.formats == ("python",) and options.weights:
        raise ParameterError(
            "weights", "have no place in the format python, which is code: export safetensors too"
        )
    for format in options.formats:
        if missing := [name for name in FORMATS[format][1] if not there(name)]:
            raise ParameterError(
                "format",
                f"{format} needs {', '.join(missing)}: pip install 'scalesearch[export]'",
            )


def there(package: str) -> bool:
    """Whether a package can be imported, without importing it."""
    try:
        return find_spec(package) is not None
    except ValueError:  # a module that has been put in its place
        return False


def target_file(options: ExportOptions, format: str, model: Model) -> Path:
    """The file to be written: `out`, or one of the model's name in that folder.

    Raises ValueError where it cannot be.
    """
    suffix = FORMATS[format][0]
    stem = label(model.name).replace("-", "_").replace(".", "_")  # a name that Python can import
    out = options.out or Path()
    is_file = out.suffix in {row[0] for row in FORMATS.values()} and not out.is_dir()
    if is_file and (out.suffix != suffix or len(options.formats) > 1):
        raise ParameterError(
            "out", f"must be a folder, or a {suffix} file for the format {format} alone; got {out}"
        )
    target = out if is_file else out / f"{stem}{suffix}"
    if not existing(target.parent).is_dir():
        raise ParameterError(
            "out", f"must lie in a folder, and {existing(target.parent)} is a file"
        )
    return target


def refuse_taken(target: Path, format: str, overwrite: bool) -> None:
    """Raise ValueError where a file is there, or one that comes with it, and is to stay."""
    beside = [target.with_suffix(".yaml")] if format == "safetensors" else []
    for path in (target, *beside, target.with_name(f"{target.name}.md")):
        if path.exists() and not overwrite:
            raise taken(path)


def taken(path: Path) -> ParameterError:
    """The error of a file that is there and may not be overwritten."""
    return ParameterError("out", f"must be another, or overwrite set: {path} is there already")


def existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    while not folder.exists():
        folder = folder.parent
    return folder


def built(model: Model, options: ExportOptions) -> tuple[torch.nn.Module, str]:
    """The network in eval mode with the weights asked for, and what these are in one sentence."""
    path = model_file(options.model)
    source = options.weights or (weights_beside(path) if path else None)
    weights = read_weights(source) if source else None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        network = build_model(model).eval()
        if options.names == "torchvision":
            if not isinstance(network, Network):
                raise ValueError(f"torchvision has no names for {options.model}, a function")
            torchvision_names(network)
        if weights is None:
            images = 32 if model.resolution <= 128 else 8  # small maps have few pixels to count
            settle(network, example_images(model.channels, model.resolution, images))
    if weights is None or source is None:
        return network, (
            f"Random: nothing was trained. Drawn after torch.manual_seed({SEED}); batch norm's "
            "statistics are those of images of noise."
        )
    load_weights(network, weights, str(source))
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    card = find_card(source)
    return network, (
        f"{'Trained' if card else 'Given'}, from {label(source.name)} (sha256 {digest}); "
        f"{trained_text(card) if card else UNKNOWN}"
    )


def trained_text(card: Card) -> str:
    """What weights were trained on, and what they are worth, in one sentence."""
    mean, std = (", ".join(f"{x:.4f}" for x in values) for values in (card.mean, card.std))
    return (
        f"on {card.examples:,} images of {label(card.data)}, {card.recipe.epochs} epochs: accuracy "
        f"{card.accuracy:.2%} on {card.held_out:,} images held out. Pixels less the mean {mean}, "
        f"over the standard deviation {std}."
    )


def place(files: list[Path], folder: Path, overwrite: bool) -> list[Path]:
    """Move finished files into a folder, all of them or none; where they are now."""
    for path in files:
        if (folder / path.name).exists() and not overwrite:
            raise taken(folder / path.name)
    with all_or_none(folder) as new:
        for path in files:
            shutil.move(path, new / path.name)
    return [folder / path.name for path in files]
