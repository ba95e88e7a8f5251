"""A law of loss against compute and shape, with intervals; it says when the trials support none.

Declared form: L = b * C^-c(shape), where C is the measured cost over the baseline's and shape the
direction of growth: x, the share of log C that width takes (2 ln width / ln C), and y, that of
resolution (2 ln resolution / ln C); depth takes the rest. c is a constant, linear or quadratic in
(x, y). One test decides whether there is a shape at all, of the constant against the richest form
that the networks allow; only then are the two shapes told apart. So a shape is claimed of no more
than one in twenty studies that have none. Two costs cannot tell an asymptote, so there is none.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scalesearch.selection.posterior import interval

Floats = NDArray[np.float64]
TERMS = {"constant": 1, "linear": 3, "quadratic": 6}  # of c, by form
FORMS = tuple(TERMS)
SIGNIFICANCE = 0.04  # with it, unequal noise included, one null case in twenty at most
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
    """A fitted law: its form, coefficients (p,), draws of them (draws, p), P values of its tests.

    `tests` has that of `shape`, the richest form against the constant, and where that is
    significant and both forms fit, that of `quadratic` against linear.
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
        terms = [1.0, x, y, x * x, x * y, y * y][: TERMS[form]]
        rows.append([1.0, *(-np.log(shape.ratio) * np.array(terms))])
    return np.array(rows)


def fit_law(shapes: Sequence[Shape], means: Floats, draws: Floats) -> Law:
    """The law of losses `means` (n,) of networks of those shapes, with draws (d, n) of them.

    The baseline is the network of ratio 1. Raises ValueError for fewer than three networks.
    """
    if len(shapes) < 3:
        raise ValueError(f"a law needs three networks trained to the end, got {len(shapes)}")
    target = np.log(means)
    form, tests = chosen_form(shapes, target)
    solve = np.linalg.pinv(features(shapes, form))
    fitted = np.asarray(solve @ target, dtype=np.float64)
    # what the form misses is uncertainty of the law too
    missed = target - features(shapes, form) @ fitted
    freedom = max(1, len(shapes) - len(fitted))
    spread = np.sqrt(np.square(missed).sum() / freedom)
    rng = np.random.default_rng(0)
    noise = np.log(np.maximum(draws, 1e-9)) - target
    noise = noise + rng.normal(0, spread, noise.shape)
    drawn: Floats = fitted + noise @ solve.T
    return Law(form, fitted, drawn, tests)


def chosen_form(shapes: Sequence[Shape], target: Floats) -> tuple[str, dict[str, float]]:
    """The form that the tests support, and their P values."""
    allowed = [form for form in FORMS if TERMS[form] + 2 <= len(shapes)]
    if len(allowed) < 2:
        return "constant", {}
    of = {form: features(shapes, form) for form in allowed}
    tests = {"shape": f_test(of["constant"], of[allowed[-1]], target)}
    if tests["shape"] >= SIGNIFICANCE:
        return "constant", tests
    if "quadratic" in allowed:
        tests["quadratic"] = f_test(of["linear"], of["quadratic"], target)
        return "quadratic" if tests["quadratic"] < SIGNIFICANCE else "linear", tests
    return "linear", tests


def f_test(simple: Floats, rich: Floats, target: Floats) -> float:
    """P value of the terms that `rich` has beyond `simple`, by permuting residuals.

    Freedman & Lane 1983, Journal of Business & Economic Statistics 1:292: exact tables of F are
    for normal errors, and these are few. A network that the simple form fits whatever its loss is,
    as it does the baseline, has no residual to permute.
    """
    small, large = (np.linalg.qr(form)[0] for form in (simple, rich))
    left = target - small @ (small.T @ target)
    free = np.flatnonzero(1 - np.square(small).sum(axis=1) > 1e-6)
    rng = np.random.default_rng(0)
    permuted = np.tile(left, (PERMUTATIONS + 1, 1))  # the first is as it was
    permuted[1:, free] = rng.permuted(permuted[1:, free], axis=1)
    missed = [np.square(permuted - permuted @ q @ q.T).sum(axis=1) for q in (small, large)]
    ratios = (missed[0] - missed[1]) / np.maximum(missed[1], 1e-30)
    return float((ratios >= ratios[0] * (1 - 1e-9)).mean())


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
