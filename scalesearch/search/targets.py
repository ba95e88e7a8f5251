"""What `scalesearch train` is asked to train: a study's lines, folders of members, models."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scalesearch.data import absolute
from scalesearch.errors import ParameterError, check_range
from scalesearch.families.lines import Made, named_lines, study_lines
from scalesearch.families.trained import FRONT, Training, training_of
from scalesearch.networks.models import build_model
from scalesearch.networks.scaling import Coefficients
from scalesearch.networks.weights import read_any_weights, start_from
from scalesearch.plans.grid import MOST_PIXELS
from scalesearch.search.options import MOST_PHI
from scalesearch.selection.selection import find_selection
from scalesearch.spaces.files import named_space, narrow
from scalesearch.spaces.space import MOST_EPOCHS, MOST_SEEDS, Proxy, Space
from scalesearch.studies import JOURNAL
from scalesearch.studies.images import Images, images_of
from scalesearch.studies.setup import (
    Search,
    check_study,
    check_training,
    custom_training,
    data_label,
    plan_again,
    study_folder,
)
from scalesearch.trials.custom import Train, reference_of


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """What is to be trained: a study, folders of members, models; what is None is the study's own.

    Names without a study are trained on the data and by the recipe of a proxy of `space`. `phi` is
    the largest of the lines of a study, `match` None the models that its space names. `start` is a
    file of weights that networks begin from, as far as they fit: ours, or torchvision's state dict;
    `latency` the batch size at which they are timed as well.
    `train` is the function that a study was run with, where no module has it.
    """

    targets: tuple[str, ...]
    space: str = "efficientnet"
    proxy: str = "quick"
    data: str | None = None
    phi: int = 2
    coefficients: Coefficients | None = None
    match: tuple[str, ...] | None = None
    axes: bool = True
    seeds: int = 3
    epochs: int | None = None
    examples: int | None = None
    output_stride: int | None = None
    start: Path | None = None
    latency: int | None = None
    results: Path = Path("results")
    name: str | None = None
    train: Train | None = None

    def __post_init__(self) -> None:
        """Raises ParameterError for a number out of range."""
        check_range("phi", self.phi, 0, MOST_PHI)
        check_range("seeds", self.seeds, 1, MOST_SEEDS)
        check_range("epochs", self.epochs, 1, MOST_EPOCHS)
        check_range("examples", self.examples, 1)
        check_range("output_stride", self.output_stride, 1)
        check_range("latency", self.latency, 1)


def prepare_training(options: TrainOptions) -> tuple[Training, Path]:
    """The training that the options ask for, and its directory. Writes nothing.

    Raises ValueError for a target that is none, or options that do not go together.
    """
    studies = [name for name in options.targets if (Path(name) / JOURNAL).is_file()]
    if len(studies) > 1:
        raise ParameterError("targets", f"must have one study, got {', '.join(studies)}")
    names = [name for name in options.targets if name not in studies]
    if studies:
        check_study(Path(studies[0]))
        search = with_function(plan_again(Path(studies[0])), options.train)
        training = for_study(search, names, options)
        return begun_from(training, options), search.folder / FRONT
    if options.train is not None:
        raise ParameterError("train", f"trains a study's networks, got {', '.join(names)} alone")
    space = named_space(options.space)
    refuse_custom(space)
    data = absolute(options.data) if options.data else None
    space = narrow(space, options.proxy, data=data)
    proxy = adjusted(space.proxies[options.proxy], options)
    images = images_of(proxy, options.proxy)
    label = f"train-{data_label(images.name)}"
    made = named_lines(names, images, options.output_stride)
    training = trained_on(label, [made], proxy, images, options.seeds)
    folder = study_folder(options.results, options.name or label)
    return begun_from(training, options), folder


def begun_from(training: Training, options: TrainOptions) -> Training:
    """The training from the weights to start from, its remarks saying what of each network began
    fresh; and timed, where it is to be.

    Raises ValueError where none of the weights fits a network.
    """
    training, start = replace(training, latency=options.latency), options.start
    if start is None:
        return training
    weights = read_any_weights(start)
    remarks = []
    for one in training.entries:
        found = start_from(build_model(one.arch), weights, f"{start} for {one.name}")
        remarks.append(
            f"{one.name} begins from {start.name}: {len(found.whole)} tensors whole, "
            f"{len(found.grown)} in part, {len(found.fresh)} fresh"
            + (f", among them {found.fresh[-1]}" if found.fresh else "")
        )
    digest = hashlib.sha256(start.read_bytes()).hexdigest()
    return replace(training, start=digest, remarks=(*training.remarks, *remarks))


def refuse_custom(space: Space) -> None:
    """Raise ValueError for a space with a training function of the user's own: models without a
    study are trained as ours trains."""
    if space.train is not None:
        raise ValueError(
            f"space {space.name} is trained by {space.train}, and models without a study are "
            "trained by our own recipe alone: run a study of the space and name that"
        )


def with_function(search: Search, train: Train | None) -> Search:
    """The search, its networks trained by that function, or by the one that its space names.

    Raises ValueError where the study was run with another, or with one that is to be given.
    """
    named = search.space.train
    if train is not None:
        name, call = reference_of(train)
        if name != named:
            raise ParameterError(
                "train",
                f"must be what {search.folder} was run with, {named or 'our training'}, got {name}",
            )
        return replace(search, train=call)
    check_training(search)
    return search


def for_study(search: Search, names: Sequence[str], options: TrainOptions) -> Training:
    """The training of a study's lines, and of other networks on its images by its recipe."""
    if options.data is not None:
        raise ParameterError("data", "must not be given for a study, which has its own")
    plan, images, custom = search.plan, search.images, custom_training(search)
    if custom is not None:
        refuse_others(names, options)
    most = images.side or (plan.baseline.resolution if custom is None else MOST_PIXELS)
    matched = search.space.matched if custom is None else ()
    match = matched if options.match is None else options.match
    made = study_lines(
        plan.baseline.arch,
        plan.ratio,
        options.phi,
        options.coefficients or found_coefficients(search.folder),
        match,
        options.axes,
        most,
    )
    others = named_lines(names, images, options.output_stride)
    title = f"{search.space.name} on {images.name}"
    proxy = adjusted(search.proxy, options)
    found = trained_on(title, [made, others], proxy, images, options.seeds)
    if custom is None:
        return found
    return replace(found, custom=replace(custom, study=str((search.folder / FRONT).resolve())))


def refuse_others(names: Sequence[str], options: TrainOptions) -> None:
    """Raise ParameterError for networks that no user's training was written for."""
    if names:
        raise ParameterError(
            "targets",
            f"must be the study alone where a function of yours trains it, got {', '.join(names)}",
        )
    if options.match:
        raise ParameterError(
            "match",
            f"must be left out where a function of yours trains, got {', '.join(options.match)}",
        )


def found_coefficients(folder: Path) -> Coefficients:
    """The coefficients that a study found. Raises ValueError where it recommends none, or has no
    answer yet."""
    selection = find_selection(folder)
    if selection is None:
        raise ParameterError("coefficients", f"must be given, for {folder} has no answer yet")
    found = selection.coefficients
    if found is None:
        raise ParameterError(
            "coefficients", f"must be given, for {folder} recommends no coefficients"
        )
    return found


def adjusted(proxy: Proxy, options: TrainOptions) -> Proxy:
    """A proxy with the epochs and the training images that the options ask for."""
    epochs = options.epochs or proxy.recipe.epochs
    examples = options.examples or proxy.train_examples
    return replace(proxy, train_examples=examples, recipe=replace(proxy.recipe, epochs=epochs))


def trained_on(
    title: str, made: Sequence[Made], proxy: Proxy, images: Images, seeds: int
) -> Training:
    """The training of those lines by a proxy's recipe. Raises ValueError where there is none."""
    lines = {key: entries for part in made for key, entries in part.lines.items()}
    remarks = tuple(remark for part in made for remark in part.remarks)
    if not any(lines.values()):
        raise ParameterError("targets", f"must have a network to train: {'; '.join(remarks)}")
    return training_of(
        title,
        lines,
        proxy.data or "",
        proxy.train_examples,
        proxy.val_examples,
        images,
        proxy.recipe,
        seeds,
        remarks,
    )
