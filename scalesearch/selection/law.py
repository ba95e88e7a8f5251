"""A law of loss against compute and shape, with intervals; it says when the trials support none.

Declared form: L = b * C^-c(shape), where C is the measured cost over the baseline's and shape the
direction of growth: x, the share of log C that width takes (2 ln width / ln C), and y, that of
resolution (2 ln resolution / ln C); depth takes the rest. c is a constant, linear or quadratic in
(x, y): the richest that beats the simpler by an F test. Two costs cannot tell an asymptote, so
there is none.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scalesearch.selection.effects import Effects, interval

Floats = NDArray[np.float64]
TERMS = {"constant": 1, "linear": 3, "quadratic": 6}  # of c, by form
FORMS = tuple(TERMS)
SIGNIFICANCE = 0.05
PERMUTATIONS = 2000


@dataclass(frozen=True, slots=True)
class Shape:
    """A network's cost over the baseline's, and its multipliers of width and resolution."""

    ratio: float
    width: float
    resolution: float

    @property
    def shares(self) -> tuple[float, float]:
        """The shares of log C that width and resolution take; 0 at the baseline's own cost."""
        if abs(np.log(self.ratio)) < 1e-9:
            return 0.0, 0.0
        log = np.log(self.ratio)
        return float(2 * np.log(self.width) / log), float(2 * np.log(self.resolution) / log)


@dataclass(frozen=True, slots=True)
class Law:
    """A fitted law: its form, coefficients (p,), draws of them (draws, p), tests of each form.

    `tests` holds the P value of each richer form over the one before it.
    """

    form: str
    coefficients: Floats
    draws: Floats
    tests: dict[str, float]

    def predict(self, shape: Shape) -> tuple[float, tuple[float, float]]:
        """The loss that a network of that shape is expected to have, with its interval."""
        row = features([shape], self.form)[0]
        low, high = interval(np.exp(self.draws @ row))
        return float(np.exp(self.coefficients @ row)), (low, high)

    def optimum(self) -> dict[str, tuple[float, tuple[float, float]]] | None:
        """The shares of width and resolution at which loss falls fastest, with intervals.

        None where the law's form has no optimum: it is no hill of c, or not for most draws.
        """
        peak = summit(self.coefficients) if self.form == "quadratic" else None
        peaks = [found for draw in self.draws if (found := summit(draw)) is not None]
        if peak is None or len(peaks) < 0.9 * len(self.draws):
            return None
        drawn = np.array(peaks)
        return {
            axis: (float(peak[i]), interval(drawn[:, i]))
            for i, axis in enumerate(("width", "resolution"))
        }


def features(shapes: Sequence[Shape], form: str) -> Floats:
    """The terms that ln L is linear in, (n, p): 1, then -ln C times those of c."""
    rows = []
    for shape in shapes:
        x, y = shape.shares
        terms = [1.0, x, y, x * x, x * y, y * y][
            : {"constant": 1, "linear": 3, "quadratic": 6}[form]
        ]
        rows.append([1.0, *(-np.log(shape.ratio) * np.array(terms))])
    return np.array(rows)


def fit_law(shapes: Sequence[Shape], effects: Effects) -> Law:
    """The law of `effects`, the losses of networks of those shapes, the baseline among them.

    Raises ValueError for fewer than three networks.
    """
    if len(shapes) < 3:
        raise ValueError(f"a law needs three networks trained to the end, got {len(shapes)}")
    target = np.log(effects.means)
    tests: dict[str, float] = {}
    form = FORMS[0]
    for richer in FORMS[1:]:
        if features(shapes, richer).shape[1] + 1 > len(shapes):
            break
        tests[richer] = f_test(features(shapes, form), features(shapes, richer), target)
        if tests[richer] < SIGNIFICANCE:
            form = richer
    solve = np.linalg.pinv(features(shapes, form))
    fitted = np.asarray(solve @ target, dtype=np.float64)
    # what the form misses is uncertainty of the law too
    missed = target - features(shapes, form) @ fitted
    freedom = max(1, len(shapes) - len(fitted))
    spread = np.sqrt(np.square(missed).sum() / freedom)
    rng = np.random.default_rng(0)
    noise = np.log(np.maximum(effects.draws, 1e-9)) - target
    noise = noise + rng.normal(0, spread, noise.shape)
    draws: Floats = fitted + noise @ solve.T
    return Law(form, fitted, draws, tests)


def f_test(simple: Floats, rich: Floats, target: Floats) -> float:
    """P value of the terms that `rich` has beyond `simple`, by permuting residuals.

    Freedman & Lane 1983, Journal of Business & Economic Statistics 1:292: exact tables of F are
    for normal errors, and these are few.
    """
    base = simple @ np.linalg.pinv(simple) @ target
    left = target - base
    rng = np.random.default_rng(0)

    def ratio(values: Floats) -> float:
        small = np.square(values - rich @ np.linalg.pinv(rich) @ values).sum()
        large = np.square(values - simple @ np.linalg.pinv(simple) @ values).sum()
        return float((large - small) / max(small, 1e-30))

    found = ratio(target)
    reached = sum(ratio(base + rng.permutation(left)) >= found for _ in range(PERMUTATIONS))
    return (reached + 1) / (PERMUTATIONS + 1)


def summit(coefficients: Floats) -> Floats | None:
    """Where c(x, y) is highest, (2,); None where it is no hill."""
    if len(coefficients) != 7:
        return None
    linear = coefficients[2:4]
    bend = np.array(
        [[2 * coefficients[4], coefficients[5]], [coefficients[5], 2 * coefficients[6]]]
    )
    if np.linalg.eigvalsh(bend).max() >= 0:
        return None
    peak: Floats = np.linalg.solve(bend, -linear)
    return peak


def rank_correlation(a: Floats, b: Floats) -> float:
    """Spearman's rank correlation of two (n,) vectors; ties share their ranks."""
    ranks = [np.array([(v < x).sum() + ((v == x).sum() - 1) / 2 for x in v]) for v in (a, b)]
    if min(r.std() for r in ranks) == 0:
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def error(predicted: Sequence[float], measured: Sequence[float]) -> float:
    """Root mean square of the differences."""
    return float(np.sqrt(np.mean(np.square(np.array(predicted) - np.array(measured)))))
