"""The choice: of the candidates that tie for the best, the one that is cheapest to run."""

from scalesearch.plans.document import Candidate, Plan
from scalesearch.selection.effects import REGRET
from scalesearch.selection.ranking import Ranking

TIE_RULE = (
    "fewest activations, then fewest parameters, of those in the confidence set whose expected "
    f"regret is within {REGRET:.2%} of the loss of the leader's"
)


def choose(plan: Plan, ranking: Ranking) -> Candidate:
    """The candidate to scale up by: of those that tie, the one with the fewest activations.

    Activations go with time on a GPU (Dollar et al. 2021); parameters break a tie among those.
    """
    tied = [c for c in plan.candidates if c.key in ties(ranking)]
    return min(tied, key=lambda c: (c.activations, c.params, c.key))


def ties(ranking: Ranking) -> tuple[str, ...]:
    """Keys of the leader and of those that tie with it, best first.

    Those in the confidence set at an expected regret above the leader's by less than REGRET of
    its loss.
    """
    leader = ranking.standings[0]
    most = leader.regret + REGRET * leader.loss
    tied = [s.key for s in ranking.standings if s.in_set and s.regret <= most]
    return (leader.key, *(key for key in tied if key != leader.key))
