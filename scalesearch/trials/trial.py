"""A trial: one network trained with one seed by one recipe, whoever runs it and wherever."""

import platform
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
import torch
from torch import nn

from scalesearch.data import DataSet, Images, load, resized
from scalesearch.networks.blocks import zero_residuals
from scalesearch.networks.device import placed
from scalesearch.networks.models import Model, build_model
from scalesearch.networks.weights import as_safetensors, start_from, tensors_of
from scalesearch.spaces.space import Recipe
from scalesearch.trials.curve import Point
from scalesearch.trials.custom import CustomTraining, TrainingRun, custom_epochs, trial_folder
from scalesearch.trials.growth import grown
from scalesearch.trials.key import TrialKey, part_at
from scalesearch.trials.memory import keep_freed_memory
from scalesearch.trials.team import ALONE, Team
from scalesearch.trials.train import Metrics, Split, looked, train

RESIDENT_BYTES = 2**27  # of a split at another side than its own, copied for this process
GPU_SHARE = 0.25  # of the memory that is free, which a split may take
Reader = Callable[[str, int | None, int], DataSet]


@dataclass(frozen=True, slots=True)
class Trial:
    """All that a worker needs to train one network: nothing else decides its metrics.

    `begin` are the weights that it begins from, as safetensors, None for fresh ones.
    `keep` is the name under which its weights are kept at its end, "" where they are not; with
    `look` they are left for a look at the test split. That trial begins from them, and where they
    are `trained` to the end it has nothing to do but look.
    `rate` multiplies the recipe's learning rate; by `grown_by`, its flops and its depth over the
    baseline's, it has more of what the recipe lets grow. It pauses after the epoch `pause`, if that
    is given, and goes on from the checkpoint `start`. The runner sets the `device`, cpu or cuda:
    two do not give the same digits, and a card that is visible is not one that the trial was given.
    With `custom` a user's function trains it; `data` may then be "", for none of ours.
    """

    arch: Model
    seed: int
    data: str
    train_examples: int | None
    val_examples: int
    recipe: Recipe
    split: Split = "val"
    rate: float = 1.0
    grown_by: tuple[float, float] = (1.0, 1.0)
    keep: str = ""
    look: bool = False
    begin: bytes | None = field(default=None, repr=False)
    trained: Point | None = None
    pause: int | None = None
    start: bytes | None = field(default=None, repr=False)
    device: str = "cpu"
    custom: CustomTraining | None = None

    @property
    def last(self) -> int:
        """The epoch after which it ends or pauses."""
        return min(self.pause or self.recipe.epochs, self.recipe.epochs)

    @property
    def key(self) -> TrialKey:
        """What tells this trial from the others of its study."""
        part = part_at(self.rate) if self.split == "val" else self.split
        return TrialKey(self.arch.key, self.seed, part)


@lru_cache(maxsize=1)
def decoded(source: str, train_examples: int | None, val_examples: int) -> DataSet:
    """The data set, decoded once a process."""
    return load(source, train_examples=train_examples, val_examples=val_examples)


def run_trial(trial: Trial, read: Reader = decoded, team: Team = ALONE) -> Iterator[Metrics]:
    """Metrics after each epoch. The seed fixes the weights, then the order of the images.

    `read` gives the data set of a source with so many training and validation images; `team` says
    which of how many processes this one is that train the network together. On a CPU the
    process uses one thread: many workers beat many threads, and the sums of the kernels are then
    the same wherever the trial runs.
    """
    device = torch.device(trial.device)
    if device.type == "cpu":
        torch.set_num_threads(1)
        keep_freed_memory()
    arch, recipe = grown(trial.arch, trial.recipe, trial.grown_by)
    data = data_of(trial, recipe, read)
    torch.manual_seed(trial.seed)
    network = build_model(arch)
    if trial.recipe.zero_residuals:
        zero_residuals(network)
    if trial.begin is not None:
        start_from(network, tensors_of(trial.begin), "the weights to begin from")
    placed(network, device)
    if trial.custom is not None:
        yield from run_custom(trial, trial.custom, network, data)
        return
    assert data is not None
    if trial.trained is not None:
        yield looked(network, data, trial.split, trial.trained)
        return
    side = seen_at(trial.arch, recipe)
    recipe = replace(recipe, learning_rate=recipe.learning_rate * trial.rate)
    at = (trial.split, trial.start, trial.pause)
    for metrics in train(network, data, recipe, trial.seed, *at, side, team):
        yield with_weights(trial, network, metrics)


def with_weights(trial: Trial, network: nn.Module, metrics: Metrics) -> Metrics:
    """The metrics of an epoch, after the last with the weights where the trial keeps them."""
    if not (trial.keep or trial.look) or metrics.epoch != trial.recipe.epochs:
        return metrics
    return replace(metrics, weights=as_safetensors(network.state_dict()))


def run_custom(
    trial: Trial, custom: CustomTraining, network: nn.Module, data: DataSet | None
) -> Iterator[Metrics]:
    """Metrics after each epoch of a user's training; every usual source of random numbers begins
    with the seed, so that a process that is used again makes no difference."""
    random.seed(trial.seed)
    np.random.seed(trial.seed)
    with trial_folder(custom.study, trial.key.stem) as folder:
        run = TrainingRun(
            seed=trial.seed,
            epochs=trial.recipe.epochs,
            resolution=trial.arch.resolution,
            device=torch.device(trial.device),
            folder=folder,
            data=data,
            recipe=trial.recipe,
        )
        for metrics in custom_epochs(custom, network, run, trial.start, trial.last):
            yield with_weights(trial, network, metrics)


def seen_at(arch: Model, recipe: Recipe) -> int:
    """Pixels a side that a network sees in training: of cropped images its own smaller side.

    A crop shows things larger, as more pixels do in evaluation (Touvron et al. 2019,
    arXiv:1906.06423). Whole images must be of one side in both.
    """
    return (arch.train_resolution if recipe.augment.crops else 0) or arch.resolution


def data_of(trial: Trial, recipe: Recipe, read: Reader) -> DataSet | None:
    """The data set of a trial, ready to train with; None where it has none of ours."""
    if not trial.data:
        return None
    return prepared(
        read,
        trial.data,
        trial.train_examples,
        trial.val_examples,
        trial.arch.resolution,
        None if recipe.augment.crops else seen_at(trial.arch, recipe),
        trial.device,
        trial.split,
    )


@lru_cache(maxsize=4)
def prepared(
    read: Reader,
    source: str,
    train_examples: int | None,
    val_examples: int,
    side: int,
    train_side: int | None,
    device: str,
    split: Split,
) -> DataSet:
    """The data set at `side` pixels on `device`, its training images at `train_side`.

    They are of their own side where that is None. Splits that are too large for the device are
    streamed. The test split is there only where `split` is "test".
    """
    data = read(source, train_examples, val_examples)

    def place(images: Images, pixels: int = side) -> Images:
        if fits(images, pixels, torch.device(device)):
            return resized(images, pixels).to(device)
        return Images(images.pixels, images.labels.to(device), shown=(pixels,))

    return DataSet(
        name=data.name,
        train=place(data.train, train_side or data.train.side),
        val=place(data.val),
        test=place(data.test) if split == "test" and data.test else None,
        classes=data.classes,
        mean=data.mean,
        std=data.std,
        synthetic=data.synthetic,
        notes=data.notes,
    )


def fits(images: Images, side: int, device: torch.device) -> bool:
    """Whether the images are to live on the device at that side, rather than be streamed.

    On a CPU those of their own side do, for they lie in memory, or in a map, already.
    """
    own = images.pixels.shape[-1]
    size = images.pixels.nbytes // own**2 * side**2
    if device.type == "cuda":
        return size <= GPU_SHARE * torch.cuda.mem_get_info(device)[0]
    return side == own or size <= RESIDENT_BYTES


def versions(device: str = "cpu") -> dict[str, str]:
    """What the numbers depend on: the name of the device, Python and torch."""
    cuda = device == "cuda" and torch.cuda.is_available()
    return {
        "device": torch.cuda.get_device_name() if cuda else f"CPU {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
