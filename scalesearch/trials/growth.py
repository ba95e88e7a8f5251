"""Regularisation that grows with the network, as its recipe declares it."""

from dataclasses import replace

from scalesearch.networks.arch import Arch
from scalesearch.networks.cost import cost
from scalesearch.networks.models import Model
from scalesearch.spaces.growth import added
from scalesearch.spaces.space import Growth, Recipe

MOST_DROPPED = 0.9
MOST_MAGNITUDE = 30.0


def ratios(model: Model, baseline: Model, recipe: Recipe) -> tuple[float, float]:
    """A network's flops and depth over the baseline's; 1 and 1 where nothing grows by them."""
    if recipe.growth == Growth():
        return 1.0, 1.0
    return cost(model).flops / cost(baseline).flops, depth_of(model) / depth_of(baseline)


def depth_of(model: Model) -> float:
    """How deep a network is: in blocks, or by the multiplier of a user's function."""
    return sum(model.depths) if isinstance(model, Arch) else model.depth


def grown(model: Model, recipe: Recipe, by: tuple[float, float]) -> tuple[Model, Recipe]:
    """A network and its recipe with what grows by its flops and depth over the baseline's."""
    if recipe.growth == Growth():
        return model, recipe
    more = added(recipe, *by)
    if isinstance(model, Arch):
        model = replace(
            model,
            dropout=within(model.dropout + more.dropout, MOST_DROPPED),
            stochastic_depth=within(model.stochastic_depth + more.stochastic_depth, MOST_DROPPED),
        )
    magnitude = within(recipe.augment.randaugment + more.randaugment, MOST_MAGNITUDE)
    augment = replace(recipe.augment, randaugment=magnitude)
    return model, replace(recipe, augment=augment, learning_rate=more.learning_rate)


def within(value: float, most: float) -> float:
    """The value, from 0 to `most`."""
    return min(max(value, 0.0), most)
