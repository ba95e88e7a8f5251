"""What larger networks are given more of, by their size over the baseline's."""

import math
from dataclasses import dataclass

from scalesearch.spaces.space import Recipe


@dataclass(frozen=True, slots=True)
class Added:
    """What a network is given beside the baseline's, and the learning rate that it has."""

    dropout: float
    stochastic_depth: float
    randaugment: float
    learning_rate: float


def added(recipe: Recipe, flops_ratio: float, depth_ratio: float) -> Added:
    """What the recipe adds for a network of such flops and depth over the baseline's."""
    growth, doublings = recipe.growth, math.log2(flops_ratio)
    return Added(
        dropout=growth.dropout * doublings,
        stochastic_depth=growth.stochastic_depth * doublings,
        randaugment=growth.randaugment * doublings,
        learning_rate=recipe.learning_rate / depth_ratio**growth.depth_rate,
    )
