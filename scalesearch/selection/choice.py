"""The choice: of the candidates that tie for the best, the one that is cheapest to run."""

from scalesearch.plans.document import Candidate, Plan
from scalesearch.selection.ranking import Ranking

TIE = 0.05  # of the gain over 1x: what a choice may cost over the best of those that tie
TIE_RULE = (
    "fewest activations, then fewest parameters, of those in the confidence set whose expected "
    f"regret is at most {TIE:.0%} of the candidates' gain over 1x"
)


def choose(plan: Plan, ranking: Ranking) -> Candidate:
    """The candidate to scale up by: of those that tie, the one with the fewest activations.

    Activations go with time on a GPU (Dollar et al. 2021); parameters break a tie among those.
    """
    tied = [c for c in plan.candidates if c.key in ties(ranking)]
    return min(tied, key=lambda c: (c.activations, c.params, c.key))


def ties(ranking: Ranking) -> tuple[str, ...]:
    """Keys of the leader and of those that tie with it, best first.

    Those in the confidence set that were trained to the end and cost at most TIE of the gain in
    expected regret; where no gain was shown there is nothing to measure that by, and none ties.
    """
    most = TIE * ranking.gain if ranking.beats_baseline else 0.0
    tied = [s.key for s in ranking.standings if s.in_set and s.seeds and s.regret <= most]
    return (ranking.leader, *(key for key in tied if key != ranking.leader))
