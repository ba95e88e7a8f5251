"""The gate *faithful*: can the proxy tell, and does half of its training say the same?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scalesearch.plans.document import Plan
from scalesearch.plans.look import NARROW
from scalesearch.selection.gates import Gate, Outcome
from scalesearch.selection.losses import Curves, loss_matrix, losses_after
from scalesearch.selection.posterior import CONFIDENCE
from scalesearch.selection.ranking import Ranking
from scalesearch.selection.sampler import additive
from scalesearch.spaces.space import Recipe

NAME = "faithful"


@dataclass(frozen=True, slots=True)
class Halfway:
    """Who leads after half of the training, from the same trials as at its end."""

    leader: str
    epoch: int
    epochs: int


def faithful(plan: Plan, recipe: Recipe | None, halfway: Halfway | None, ranking: Ranking) -> Gate:
    """Whether the proxy passes the look inside, and the leader is the same or tied at two lengths
    of training. Tied are those of the confidence set at the end.

    Half of a training can be read where its rate stays constant: a cosine ends for the last epoch
    alone. Of a user's own training, which has no `recipe`, that is not known.
    """
    looked, sound = look_of(plan)
    if sound is None or not sound:
        return Gate(NAME, "not shown" if sound is None else "failed", looked)
    if halfway is None:
        return Gate(NAME, "not shown", f"{looked}; no two candidates have half of a training")
    tied = halfway.leader in ranking.confidence_set
    text = f"{looked}; {two_lengths(plan, halfway, ranking, tied)}"
    if recipe is None:
        how = "training is the user's own, and whether it can be read half-way is not known"
        return Gate(NAME, "not shown", f"{text}; {how}")
    if recipe.schedule != "constant":
        how = "a cosine is read at its end alone: `schedule: constant` with an `average` shows it"
        return Gate(NAME, "not shown", f"{text}; {how}")
    outcome: Outcome = "passed" if tied else "failed"
    return Gate(NAME, outcome, text)


def look_of(plan: Plan) -> tuple[str, bool | None]:
    """What the look inside found, and whether that is sound; None for a plan that did not look."""
    networks = (plan.baseline, *plan.candidates)
    looks = [network.inside for network in networks if network.inside]
    stands = [candidate.stand for candidate in plan.candidates if candidate.stand]
    if len(looks) < len(networks) or len(stands) < len(plan.candidates):
        return "the plan did not look inside its networks", None
    narrow = sum(look.narrow_blocks > 0 for look in looks)
    most = max(network.resolution for network in networks)
    beyond = plan.images is not None and most > plan.images
    furthest = max(abs(stand.difference) for stand in stands)
    said = [
        f"{narrow} of {len(looks)} networks have blocks on maps under {NARROW} px",
        f"the largest asks for {most} px"
        + ("" if plan.images is None else f" and the images have {plan.images}"),
        f"gamma on the model is within {furthest:.1%} of the proxy's",
    ]
    return "; ".join(said), not narrow and not beyond


def two_lengths(plan: Plan, halfway: Halfway, ranking: Ranking, tied: bool) -> str:
    """Who leads at both lengths, in words."""
    after = f"after epoch {halfway.epoch} of {halfway.epochs}"
    if halfway.leader == ranking.leader:
        return f"{plan.names[ranking.leader]} leads {after} and at the end"
    how = "among" if tied else "not among"
    return (
        f"{plan.names[halfway.leader]} leads {after}, {plan.names[ranking.leader]} at the end: the "
        f"first is {how} the {CONFIDENCE:.0%} set there"
    )


def halfway_of(curves: Curves, keys: Sequence[str], epochs: int) -> Halfway | None:
    """The leader after half of the epochs, with seeds' effects taken off; None where too few
    trials tell."""
    half = losses_after(curves, epochs // 2) if epochs > 1 else {}
    trained = [key for key in keys if any(network == key for network, _ in half)]
    seeds = sorted({seed for network, seed in half if network in trained})
    try:
        levels = additive(loss_matrix(half, trained, seeds)).rows
    except ValueError:
        return None
    return Halfway(trained[int(np.argmin(levels))], epochs // 2, epochs)
