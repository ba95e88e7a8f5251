"""What more trials would bring, and what may lie beyond the grid."""

from collections.abc import Mapping, Sequence

import numpy as np

from scalesearch.selection.posterior import credible, p_best
from scalesearch.selection.sampler import Bools, Draws, Floats

ROUNDS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)


def trials_wanted(draws: Draws, bound: float) -> int | None:
    """About how many more trials bring the expected regret below `bound`; 0 where it is.

    They go evenly to the candidates that may be best; None where the last of ROUNDS each is not
    enough. The posterior after them is simulated from draws of what is true (preposterior
    analysis: Raiffa & Schlaifer 1961), a candidate's mean moving as a normal one's does.
    """
    inside = credible(p_best(draws.effects))
    if expected_regret(draws, inside, 0) <= bound:
        return 0
    for more in ROUNDS:
        if expected_regret(draws, inside, more) <= bound:
            return more * int(inside.sum())
    return None


def expected_regret(draws: Draws, inside: Bools, more: int) -> float:
    """The regret expected after `more` trials of each candidate in `inside`."""
    means, spread = draws.effects.mean(axis=0), draws.effects.var(axis=0)
    noise = np.square(draws.noise).mean(axis=0) / max(more, 1)
    kept = np.where(inside & (more > 0), spread / (spread + noise), 0.0)
    error = np.random.default_rng(15).standard_normal(draws.effects.shape) * np.sqrt(noise)
    seen = means + kept * (draws.effects - means + error)
    picked = seen.argmin(axis=1)
    regret = draws.effects[np.arange(len(picked)), picked] - draws.effects.min(axis=1)
    return float(regret.mean())


def at_border(
    shares: Floats, values: Sequence[float], allowed: Sequence[float]
) -> Mapping[float, float]:
    """P(best) of the candidates whose coefficient is the lowest and the highest that is allowed.

    Empty where the grid has one value alone.
    """
    found = {}
    for border in sorted({min(allowed), max(allowed)}) if len(set(allowed)) > 1 else ():
        found[border] = float(shares[np.array(values) == border].sum())
    return found
