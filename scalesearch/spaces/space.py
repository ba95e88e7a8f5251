"""Spaces: what a file in `search_spaces/` declares, checked and with its defaults filled in."""

import math
from dataclasses import field
from typing import Annotated, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass

from scalesearch.networks.arch import Arch
from scalesearch.networks.custom import PREFIX, check_cost, check_reference
from scalesearch.spaces.augmentation import Augmentation, Augmented, Share
from scalesearch.spaces.metric import LOSS, Metric

# what stands under a key says what it means: in the schema, in editors, in the reference
STRICT = ConfigDict(extra="forbid", use_attribute_docstrings=True)
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Multiplier = Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Pixels = Annotated[int, Field(ge=1, le=2**16)]
MOST_VALUES, MOST_POINTS = 1000, 100_000  # of an axis, of a grid
FEWEST_SEEDS, MOST_SEEDS, MOST_EPOCHS = 2, 1000, 1_000_000
PolicyName = Literal["adaptive", "grid", "asha"]
Fraction = Annotated[float, Field(ge=0, lt=1)]


@dataclass(frozen=True, config=STRICT, kw_only=True)
class Steps:
    """Evenly spaced values from `start` to `stop`, both included."""

    start: Multiplier
    """The first value."""
    stop: Multiplier
    """The last value."""
    step: Positive
    """From one value to the next."""

    def __post_init__(self) -> None:
        if (self.stop - self.start) / self.step >= MOST_VALUES:
            raise ValueError(
                f"an axis must have at most {MOST_VALUES} values, got more from {self.start:g} to "
                f"{self.stop:g} by steps of {self.step:g}"
            )

    def values(self) -> tuple[float, ...]:
        """The values, rounded to ten digits so that 1.1 is 1.1."""
        steps = math.floor((self.stop - self.start) / self.step + 1e-9)
        return tuple(round(self.start + i * self.step, 10) for i in range(steps + 1))


Axis = Steps | Annotated[tuple[Multiplier, ...], Field(min_length=1)]


def axis_values(axis: Axis) -> tuple[float, ...]:
    """The values of an axis, listed or by steps."""
    return axis.values() if isinstance(axis, Steps) else axis


@dataclass(frozen=True, config=STRICT, kw_only=True)
class Grid:
    """The coefficients that are tried; `gamma: solve` lets the budget fix the resolution."""

    alpha: Axis
    """Depth: a list of values, or steps."""
    beta: Axis
    """Width: a list of values, or steps."""
    gamma: Axis | Literal["solve"]
    """Resolution: a list of values, or steps; `solve` takes what the budget leaves."""

    def __post_init__(self) -> None:
        axes = [axis for axis in (self.alpha, self.beta, self.gamma) if not isinstance(axis, str)]
        counts = [len(axis_values(axis)) for axis in axes]
        if max(counts) > MOST_VALUES:
            raise ValueError(f"an axis must have at most {MOST_VALUES} values, got {max(counts)}")
        if (points := math.prod(counts)) > MOST_POINTS:
            raise ValueError(f"a grid must have at most {MOST_POINTS} points, got {points}")


@dataclass(frozen=True, config=STRICT, kw_only=True)
class Growth:
    """What larger networks are given more of: so much for each doubling of measured flops.

    Over the flops of the baseline; in `scalesearch train`, of the cheapest network there. Larger
    networks want more (Tan & Le 2019, arXiv:1905.11946, section 5.2; ResNet-RS: Bello et al. 2021,
    arXiv:2103.07579, section 4.2).
    """

    dropout: Share = 0.0
    """Added to dropout, below 0.9 in all; stage tables only. EfficientNet's, 0.2 at B0 and 0.5 at
    B7, are 0.045."""
    stochastic_depth: Share = 0.0
    """Added to how often the last block is skipped, below 0.9 in all; stage tables only."""
    randaugment: Annotated[float, Field(ge=0, le=30)] = 0.0
    """Added to the magnitude of RandAugment. EfficientNetV2's, at most 15 at S and 25 at L,
    are 3.9 (Tan & Le 2021, arXiv:2104.00298, table 6)."""
    depth_rate: Share = 0.0
    """The learning rate is divided by depth over the baseline's, to this power: 0 as it is, 0.5 by
    the root (Yang et al. 2023, arXiv:2310.02244)."""


@dataclass(frozen=True, config=STRICT, kw_only=True)
class Recipe:
    """How every network of a study is trained: AdamW, linear warm-up, then the schedule."""

    epochs: Annotated[int, Field(ge=1, le=MOST_EPOCHS)] = 4
    """Passes over the training images."""
    batch_size: Annotated[int, Field(ge=2)] = 64
    """Images a step."""
    learning_rate: Positive = 0.01
    """The highest, at the end of the warm-up."""
    warmup: Fraction = 0.1
    """The share of all steps in which the learning rate rises."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """After the warm-up: half a cosine to zero, or the highest rate to the end."""
    average: Fraction = 0.0
    """Above 0, what is validated and kept are weights averaged over the steps, a step's with that
    share of those before it. At a constant rate they can be read after any epoch, which a cosine
    ends for its last alone."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    """AdamW's, on weights alone."""
    label_smoothing: Fraction = 0.0
    """The share of the target that goes to all classes alike."""
    flip: bool | Literal["alternate"] = True
    """Whether training images are mirrored at random; `alternate` mirrors each in every other epoch
    (Jordan 2024, arXiv:2404.00498)."""
    augment: Augmented = Augmentation()
    """What else is done to training images, by name or by keys: plain, small (28 to 64 px), photos
    (ImageNet's)."""
    growth: Growth = Growth()
    """What larger networks are given more of: dropout, skipped blocks, RandAugment."""
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
    """The images: fashion-mnist, cifar10, cifar100, shapes, imagefolder:DIR, tar:DIR, hf:NAME or
    npz:FILE."""
    train_examples: Count | None = None
    """How many training images are used; all unless given."""
    val_examples: Count = 5000
    """How many are held out, where the data bring no validation images of their own."""
    depth: Multiplier = 1.0
    """Multiplier of the baseline's depth."""
    width: Multiplier = 1.0
    """Multiplier of the baseline's width."""
    resolution: Pixels | None = None
    """The baseline's image size, pixels."""
    divisor: Count | None = None
    """Widths are rounded to a multiple of it; stage tables only."""
    stem_stride: Count | None = None
    """The stride of the first row; stage tables with a stem only."""
    strides: Annotated[tuple[Count, ...], Field(max_length=100)] | None = None
    """In place of the model's own, of the rows that stride, first to last: of EfficientNet-B0's
    2, 2, 2, 2, 2 the proxy may keep 2, 1, 1, 2, 1; stage tables only."""
    output_stride: Count | None = None
    """Pixels of the images to one of the last map: the network's earliest strides become 1 until
    their product is this. Small images keep maps on which depth can show; stage tables only."""
    dropout: Fraction | None = None
    """Before the classifier; stage tables only."""
    stochastic_depth: Fraction | None = None
    """How often blocks are skipped in training, from 0 at the first up; stage tables only."""
    seeds: Annotated[int, Field(ge=FEWEST_SEEDS, le=MOST_SEEDS)] = 2
    """Seeds a candidate; under the adaptive policy at most."""
    sweep_seeds: Annotated[int, Field(ge=0, le=MOST_SEEDS)] = 3
    """Seeds of the sweep of the learning rate, for the gate *fair*: two candidates at half and
    twice the rate after the search, with `seeds` at most; 0 leaves it out."""
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
    resolution: Pixels | None = None
    """Pixels at 1x; the model's own unless given, and 224 for a function."""
    example: str | None = None
    """What a function's network is called with, where that is not one square image:
    python:package.module:function, which makes of the pixels a tensor, a tuple of arguments or a
    dict of them, of one image."""
    operators: dict[str, str] = field(default_factory=dict)
    """What operators cost that fvcore does not know, where the model is a function: by name, `free`
    or python:module:function, which makes multiply-adds of the shapes of inputs and outputs."""
    cost: str | None = None
    """What the `ms` of a budget are in place of times here, on another device, in milliseconds or
    any other unit: python:module:function, which is called with a network and a batch of images and
    returns what that costs; or a table, FILE.csv or FILE.json, of networks by their keys."""
    train: str | None = None
    """Your own training in place of ours: python:package.module:function. Of the recipe it is
    given `epochs`, and what else it likes to read there."""
    metric: Metric | None = None
    """What `train` tells after each epoch."""
    epoch_limit: Positive = 3600.0
    """Seconds that an epoch of `train` may take; a trial with one that takes longer fails."""
    memory_limit: Positive | None = None
    """GiB of memory that a trial of `train` may take in its process; one that takes more fails.
    Half of the machine's unless given."""
    grid: Grid
    """Coefficients tried for budgets above 1x."""
    shrink: Grid | None = None
    """Coefficients tried for budgets below 1x."""
    budget: str = "2x"
    """2x, 0.5x, or multiply-adds of the model itself: 800M, 1.6G."""
    tolerance: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """How far a candidate's measured flops may be off the budget, as a share of it, on the proxy
    and on the model itself, and its gamma off that of the model."""
    matched: tuple[str, ...] = ()
    """Models of the zoo that are scaled to the same flops beside the family."""
    policy: PolicyName = "adaptive"
    """Which trials are trained: where they tell most, the whole grid, or Optuna's halving."""
    proxies: dict[str, Proxy]
    """By name; quick is trained unless another is asked for."""

    def __post_init__(self) -> None:
        if self.example is not None and not str(self.model).startswith(PREFIX):
            raise ValueError("example needs a function as the model, got a stage table's")
        if self.operators and not str(self.model).startswith(PREFIX):
            raise ValueError("operators need a function as the model, got a stage table's")
        if self.example is not None and self.train is None:
            raise ValueError("example needs a train of your own: ours gives the network images")
        if self.cost is not None:
            check_cost(self.cost)
        if self.train is None:
            return
        check_reference("train", self.train)
        if self.metric is None:
            raise ValueError("train needs a metric: {name: mAP, goal: max}, got none")

    @property
    def compares(self) -> Metric:
        """What the networks of a study are compared by."""
        return self.metric if self.train and self.metric else LOSS

    @property
    def functions(self) -> tuple[str, ...]:
        """The functions that it names, python:package.module:function.

        They are code, which runs where the space is used.
        """
        named = (self.model, self.example, self.cost, self.train, *self.operators.values())
        return tuple(name for name in named if isinstance(name, str) and name.startswith(PREFIX))


def grid_points(grid: Grid) -> list[tuple[float, float, float | None]]:
    """Every (alpha, beta, gamma) of the grid; gamma is None where the budget is to solve it."""

    gammas: tuple[float | None, ...] = (
        (None,) if isinstance(grid.gamma, str) else axis_values(grid.gamma)
    )
    alphas, betas = axis_values(grid.alpha), axis_values(grid.beta)
    return [(a, b, g) for a in alphas for b in betas for g in gammas]
