"""What `scalesearch train` does: networks trained to their end, by a search's own loop.

Through the same journal, runners and checkpoints: exact after a kill, and added to later.
"""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scalesearch.data import absolute
from scalesearch.errors import ParameterError
from scalesearch.families.cards import card, card_path, write_card
from scalesearch.families.front import find_front, front_of, write_front
from scalesearch.families.lines import Made, named_lines, study_lines
from scalesearch.families.trained import (
    FRONT,
    Training,
    find_training,
    joined,
    training_of,
    trials_of,
    write_training,
)
from scalesearch.files import write_csv
from scalesearch.networks.models import Model, build_model
from scalesearch.networks.scaling import Coefficients
from scalesearch.networks.weights import packed as packed_weights
from scalesearch.networks.weights import read_any_weights, renamed, start_from
from scalesearch.plans.document import FILE as PLAN
from scalesearch.report import write_front_report, write_report
from scalesearch.scratch import finish
from scalesearch.search.clock import Clock
from scalesearch.search.driver import Driven, drive
from scalesearch.search.estimate import seconds_of
from scalesearch.search.events import Decided, Listener, Work
from scalesearch.search.interrupt import patient
from scalesearch.search.lines import failures, trials
from scalesearch.search.options import (
    RunOptions,
    Spending,
    check_options,
    device_here,
    runner_of,
    worker_count,
)
from scalesearch.search.training import epoch_weight
from scalesearch.selection.selection import read_selection
from scalesearch.spaces.files import named_space, narrow
from scalesearch.spaces.space import Proxy, Space
from scalesearch.studies import JOURNAL, Study, locked
from scalesearch.studies.images import Images, images_of, packed
from scalesearch.studies.setup import (
    Search,
    check_study,
    data_label,
    plan_again,
    study_folder,
)
from scalesearch.trials.trial import Trial
from scalesearch.units import counted, duration

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """What is to be trained: a study, folders of members, models; what is None is the study's own.

    Names without a study are trained on the data and by the recipe of a proxy of `space`. `phi` is
    the largest of the lines of a study, `match` None the models that its space names. `start` is a
    file of weights that networks begin from, as far as they fit: ours, or torchvision's state dict.
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
    results: Path = Path("results")
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainEstimate:
    """What a training would take on this machine; `text` says it."""

    folder: str
    networks: int
    trials: int
    epochs: int
    workers: int
    expected_seconds: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """How a training ended: how many trials this run trained, why no more, None at its end."""

    folder: Path
    trained: int
    unfinished: str | None
    remarks: tuple[str, ...]


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
        search = plan_again(Path(studies[0]))
        refuse_own(search.space)
        training = for_study(search, names, options)
        return begun_from(training, options.start), search.folder / FRONT
    space = named_space(options.space)
    refuse_own(space)
    data = absolute(options.data) if options.data else None
    space = narrow(space, options.proxy, data=data)
    proxy = own_recipe(space.proxies[options.proxy], options)
    images = images_of(proxy, options.proxy)
    label = f"train-{data_label(images.name)}"
    made = named_lines(names, images, options.output_stride)
    training = trained_on(label, [made], proxy, images, options.seeds)
    folder = study_folder(options.results, options.name or label)
    return begun_from(training, options.start), folder


def begun_from(training: Training, start: Path | None) -> Training:
    """The training from those weights, its remarks saying what of each network began fresh.

    Raises ValueError where none of them fits a network.
    """
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


def weights_to_begin(training: Training, start: Path | None) -> dict[str, bytes]:
    """The weights that each network begins from, by its name, with our names of tensors.

    Raises ValueError where a training has begun from others.
    """
    if training.start is None or start is None:
        return {}
    weights = read_any_weights(start)
    return {
        one.name: packed_weights(renamed(build_model(one.arch), weights))
        for one in training.entries
        if one.model is not None
    }


def refuse_own(space: Space) -> None:
    """Raise ValueError for a space with a training function of the user's own: members are trained
    as ours trains."""
    if space.train is not None:
        raise ValueError(
            f"space {space.name} is trained by {space.train}, and members are trained by our own "
            "recipe alone: scale it and call your function on them"
        )


def for_study(search: Search, names: Sequence[str], options: TrainOptions) -> Training:
    """The training of a study's lines, and of other networks on its images by its recipe."""
    if options.data is not None:
        raise ParameterError("data", "must not be given for a study, which has its own")
    plan, images = search.plan, search.images
    match = search.space.matched if options.match is None else options.match
    made = study_lines(
        plan.baseline.arch,
        plan.ratio,
        options.phi,
        options.coefficients or found_coefficients(search.folder),
        match,
        options.axes,
        images.side or plan.baseline.resolution,
    )
    others = named_lines(names, images, options.output_stride)
    title = f"{search.space.name} on {images.name}"
    proxy = own_recipe(search.proxy, options)
    return trained_on(title, [made, others], proxy, images, options.seeds)


def found_coefficients(folder: Path) -> Coefficients:
    """The coefficients that a study found. Raises ValueError where it recommends none."""
    found = read_selection(folder).coefficients
    if found is None:
        raise ParameterError(
            "coefficients", f"must be given, for {folder} recommends no coefficients"
        )
    return found


def own_recipe(proxy: Proxy, options: TrainOptions) -> Proxy:
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
        str(proxy.data),
        proxy.train_examples,
        proxy.val_examples,
        images,
        proxy.recipe,
        seeds,
        remarks,
    )


def estimate_training(training: Training, folder: Path, options: RunOptions) -> TrainEstimate:
    """What a training would still take, by timing some steps on this machine."""
    earlier = find_training(folder)
    training = joined(earlier, training) if earlier else training
    wanted = trials_of(training, training.data)
    if (folder / JOURNAL).exists():
        with locked(folder):
            study = Study(folder, keys_of(training))
            wanted = [trial for trial in wanted if study.lacks(trial)]
    work = [Work(trial.key.network, trial.last) for trial in wanted]
    images, recipe = training.images, training.recipe
    sizes = (images.train or 0, images.val or 0)
    seconds = seconds_of(models_of(training), sizes, recipe, work, options) if work else 0.0
    text = (
        f"{counted(len(training.entries), 'network')} in {counted(len(training.lines), 'line')}, "
        f"{counted(training.seeds, 'seed')}, {counted(recipe.epochs, 'epoch')} of "
        f"{images.train:,} images, in {folder}: {counted(len(wanted), 'trial')} to train; about "
        f"{duration(seconds)} with {counted(worker_count(options), 'worker')}"
    )
    return TrainEstimate(
        folder=str(folder),
        networks=len(training.entries),
        trials=len(wanted),
        epochs=recipe.epochs,
        workers=worker_count(options),
        expected_seconds=seconds,
        text=text,
    )


def models_of(training: Training) -> list[Model]:
    """The networks that a training trains."""
    return [one.arch for one in training.entries if one.model is not None]


def keys_of(training: Training) -> list[str]:
    """The keys of all networks that a training has or had."""
    return [one.key for one in training.entries]


def run_training(
    training: Training,
    folder: Path,
    options: RunOptions,
    quiet: bool = False,
    start: Path | None = None,
) -> Trained:
    """Train what a training lacks, in its directory, from the weights in `start` where it has one.

    Raises ValueError where the directory has another training, or another process trains there;
    KeyboardInterrupt as a search does.
    """
    check_options(options)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        finish(folder)
        earlier = find_training(folder)
        training = joined(earlier, training) if earlier else training
        training, source = with_packed(training, earlier, options.cache)
        write_training(folder, training)
        study = Study(folder, keys_of(training))
        study.release()
        if options.retry_failed:
            study.retry_failed()
        try:
            wanted = trials_of(training, source, weights_to_begin(training, start))
            driven = train_members(training, wanted, study, folder, options, quiet)
        finally:
            write_results(training, source, study, folder)
    return Trained(
        folder=folder,
        trained=driven.trials,
        unfinished=driven.halted or None,
        remarks=training.remarks,
    )


def report_of(folder: Path) -> Path | None:
    """The report of a training, written: its study's, where it is one's; None where there is no
    front yet."""
    if find_front(folder) is None:
        return None
    study = folder.parent
    return write_report(study) if is_of_study(folder) else write_front_report(folder)


def is_of_study(folder: Path) -> bool:
    """Whether a training is that of a study, in whose directory it is."""
    return folder.name == FRONT and (folder.parent / PLAN).exists()


def with_packed(
    training: Training, earlier: Training | None, cache: Path | None
) -> tuple[Training, str]:
    """The training with its images packed for its networks, and where its trials read them.

    Raises ValueError where they are others than it has been trained with.
    """
    proxy = Proxy(
        data=training.data, train_examples=training.examples, val_examples=training.held_out
    )
    images, source = packed(training.images, proxy, models_of(training), cache)
    if earlier and earlier.images.contents != images.contents:
        raise ParameterError(
            "name", f"must be another, for files of {images.name} have changed since"
        )
    return replace(training, images=images), source


def write_results(training: Training, source: str, study: Study, folder: Path) -> None:
    """Write the tables of a training's trials, and the card of each network that has ended."""
    write_csv(folder / "trials.csv", study.trials())
    write_csv(folder / "curves.csv", study.curves())
    curves = study.history("val")
    finished = study.finished("val")
    found = front_of(training, {key: curves[key][-1] for key in finished})
    if found is not None:
        write_front(folder, found)
    entries = {one.key: one for one in training.entries}
    for key in finished:
        one = entries[key.network]
        if not card_path(folder, one.name, key.seed).exists():
            end, made_with = curves[key][-1], study.made_with(key)
            write_card(folder, card(training, source, one, key.seed, end, made_with))


def train_members(
    training: Training,
    wanted: Sequence[Trial],
    study: Study,
    folder: Path,
    options: RunOptions,
    quiet: bool,
) -> Driven:
    """Train what the study lacks of a training, telling of each trial that ends."""
    spending = Spending(options.max_trials, options.max_hours)
    weight = epoch_weight(models_of(training), training.recipe.batch_size, device_here(options))
    clock = Clock(weight, options.max_trials)
    run = runner_of(options, folder, models_of(training)[0])

    def decide() -> Decided:
        lacking = tuple(trial for trial in wanted if study.lacks(trial))
        ahead = tuple(
            Work(trial.key.network, trial.last - study.trained(trial.key)) for trial in lacking
        )
        return Decided("the networks to their end", lacking, ahead)

    with patient(log.warning) as interrupted:

        def halt(begun: int) -> str:
            return "it was interrupted" if interrupted() else spending.spent(begun)

        driven = drive(study, decide, run, listeners_of(clock, training, quiet), halt)
        if interrupted():
            raise KeyboardInterrupt
    return driven


def listeners_of(clock: Clock, training: Training, quiet: bool) -> list[Listener]:
    """Who hears what happens; the clock first, for others ask it."""
    if quiet:
        return [clock.hear]
    return [clock.hear, failures(clock, training.names), trials(clock, training.names)]
