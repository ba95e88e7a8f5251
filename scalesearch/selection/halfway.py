"""What half-trained trials foretell of final losses, by the trials that went on to the end."""

from collections.abc import Mapping, Sequence

import numpy as np

from scalesearch.selection.losses import Curves, loss_matrix, losses_after
from scalesearch.selection.sampler import Floats, Hints, additive

DEPTH_FROM = 7  # networks at the end from which on the relation may depend on depth
FEWEST = 4  # networks at the end: fewer do not tell a line's own error


def foretold(
    curves: Curves, keys: Sequence[str], depths: Mapping[str, float], epochs: int
) -> Hints:
    """Means and variances (k,) of the final losses of candidates without a whole trial.

    They are read off a line through the networks that were trained to the end: their mean loss
    there against that after the epoch that the candidate has reached, and against depth where
    there are enough. The variance is that of a new network's own mean about the line, and of the
    candidate's trials. NaN where there is nothing to go by.
    """
    means, variances = np.full(len(keys), np.nan), np.full(len(keys), np.nan)
    ends = losses_after(curves, epochs)
    whole = sorted({key for key, _ in ends})
    for i, key in enumerate(keys):
        mine = {seed: curve for (k, seed), curve in curves.items() if k == key and curve}
        if key in whole or not mine or len(whole) < FEWEST:
            continue
        epoch = max(map(len, mine.values()))
        half = losses_after(curves, epoch)
        seeds = sorted({seed for _, seed in half})
        table = loss_matrix(half, [*whole, key], seeds)
        means[i], variances[i] = on_the_line(
            table,
            [float(np.mean([x for (k, _), x in ends.items() if k == w])) for w in whole],
            [depths.get(w, 0.0) for w in (*whole, key)],
        )
    return means, variances


def on_the_line(
    half: Floats, ends: Sequence[float], depths: Sequence[float]
) -> tuple[float, float]:
    """The final loss of the last network of `half` (n + 1, seeds), and its variance.

    `ends` (n,) are the final losses of the others. A common shift of a seed is taken off first.
    """
    fit = additive(half)
    level = fit.rows
    columns = [np.ones(len(level)), level - level.mean()]
    if len(ends) >= DEPTH_FROM and np.ptp(depths) > 0:
        columns.append(np.array(depths) - np.mean(depths))
    design, new = np.array(columns).T[:-1], np.array(columns).T[-1]
    solved = np.linalg.pinv(design)
    line = solved @ np.array(ends)
    freedom = len(ends) - len(line)
    left = float(np.square(np.array(ends) - design @ line).sum()) / freedom
    # a t distribution's variance, where freedom allows one
    wider = freedom / (freedom - 2) if freedom > 2 else 3.0
    leverage = float(np.square(new @ solved).sum())
    trials = int((~np.isnan(half[-1])).sum())
    own = line[1] ** 2 * fit.spread**2 / trials
    return float(new @ line), float(left * wider * (1 + leverage) + own)
