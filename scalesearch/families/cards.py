"""The card of a trained network's weights: what they are of, and what they are worth."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scalesearch.families.trained import Entry, Training
from scalesearch.files import optional_document, write_document
from scalesearch.networks.cost import CONVENTION
from scalesearch.spaces.space import Recipe
from scalesearch.studies.artifacts import weights_path
from scalesearch.trials.curve import Point
from scalesearch.trials.trial import decoded


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A network's weights: the images and the recipe, the accuracy on those held out.

    Pixels in [0, 1] less `mean` and over `std`, channel by channel, are what it was trained on.
    """

    name: str
    seed: int
    key: str
    resolution: int
    channels: int
    classes: tuple[str, ...]
    flops: int
    params: int
    flops_convention: str = CONVENTION
    data: str
    examples: int
    held_out: int
    examples_wanted: int | None
    held_out_wanted: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    recipe: Recipe
    loss: float
    accuracy: float
    seconds: float
    made_with: Mapping[str, str]


def card(
    training: Training,
    source: str,
    entry: Entry,
    seed: int,
    end: Point,
    made_with: Mapping[str, str],
) -> Card:
    """The card of a network that was trained to `end` on the images at `source`."""
    data = decoded(source, training.examples, training.held_out)
    assert end.accuracy is not None  # our own training tells it
    return Card(
        name=entry.name,
        seed=seed,
        key=entry.key,
        resolution=entry.resolution,
        channels=data.train.pixels.shape[1],
        classes=data.classes,
        flops=entry.flops,
        params=entry.params,
        data=training.data,
        examples=len(data.train),
        held_out=len(data.val),
        examples_wanted=training.examples,
        held_out_wanted=training.held_out,
        mean=data.mean,
        std=data.std,
        recipe=training.recipe,
        loss=end.loss,
        accuracy=end.accuracy,
        seconds=end.seconds,
        made_with=made_with,
    )


def card_path(folder: Path, name: str, seed: int) -> Path:
    """Where the card of a network's weights is: beside them."""
    return weights_path(folder, name, seed).with_suffix(".json")


def write_card(folder: Path, card: Card) -> None:
    """Write a card beside its weights."""
    write_document(card_path(folder, card.name, card.seed), card)


def find_card(weights: Path) -> Card | None:
    """The card beside a file of weights; None where there is none."""
    return optional_document(weights.with_suffix(".json"), Card)
