"""Draws of every candidate's final loss given the trials so far, by Gibbs sampling.

    y[c, s] = effect[c] + seed[s] + noise,   noise ~ N(0, sigma^2 v[c])
    effect[c] ~ N(mu, tau^2),  seed[s] ~ N(0, psi^2),  v[c] ~ InvGamma(nu / 2, nu / 2)

The spread tau of the candidates is estimated, so that effects are shrunk towards one another as far
as the trials say they are alike (Gelman & Hill 2007, chapter 12). Every candidate's noise has a
variance of its own, drawn towards the common one (Smyth 2004, Stat. Appl. Genet. Mol. Biol. 3:3):
a candidate that is noisier than others is not thrown out for it, and few trials have heavy tails.
The 1x baseline shares seeds and noise, and its effect has a flat prior.

tau, psi and nu are drawn from grids with the effects, seeds and variances that depend on them
integrated out, so that chains move freely where tau is near zero (van Dyk & Park 2008, JASA
103:790). Random numbers are fixed: the same losses give the same draws to the bit.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Hints = tuple[Floats, Floats]

CHAINS = 256
WARM_UP = 4  # sweeps that are dropped; chains begin near the answer
SWEEPS = 10  # sweeps whose draws are kept
TAILS = np.array([3.0, 6.0, 12.0, 48.0])  # degrees of freedom nu of the candidates' variances
GRID = 9  # values of tau, and of psi
LEAST = 0.06  # the smallest of them, in standard deviations of a trial's noise: next to none


@dataclass(frozen=True, slots=True)
class Draws:
    """Draws of final losses: candidates' (draws, k), also `unshrunk`, and the baseline's (draws,).

    `unshrunk` has a flat prior on effects, and NaN where a candidate has no trial; so has the
    baseline. `noise` (draws, k) is the standard deviation of one trial's noise.
    """

    effects: Floats
    unshrunk: Floats
    baseline: Floats
    noise: Floats


@dataclass(frozen=True, slots=True)
class Additive:
    """Effects of rows (n,) and columns (s,), the noise's standard deviation, its freedom."""

    rows: Floats
    columns: Floats
    spread: float
    freedom: int


@dataclass(frozen=True, slots=True)
class _Trials:
    """Standardised losses (n, s), 0 where there is none, their sums; the grids of tau and psi.

    The n networks are k candidates and the baseline; `hint_precision` (n,) is that of `hints`.
    """

    losses: Floats
    there: Floats
    counts: Floats
    sums: Floats
    squares: Floats
    taus: Floats
    psis: Floats
    hints: Floats
    hint_precision: Floats


@dataclass(frozen=True, slots=True)
class _State:
    """All chains: effects and variances (chains, n), seeds (chains, s), sigma^2 (chains, 1)."""

    effects: Floats
    seeds: Floats
    variances: Floats
    sigma2: Floats


def sample(
    losses: Floats,
    baseline: Floats,
    hints: Hints | None = None,
    chains: int = CHAINS,
    sweeps: int = SWEEPS,
) -> Draws:
    """Draws given `losses` (k, s) and the baseline's (s,), NaN where there is no trial.

    `hints` are means and variances (k,) of final losses as half-trained trials foretell them, NaN
    for none. Raises ValueError where the trials do not tell noise from effects: fewer than two
    seeds that two networks share.
    """
    both = np.vstack([losses, baseline])
    both = both[:, ~np.isnan(both).all(axis=0)]  # a seed that nobody trained tells nothing
    centre = float(np.nanmean(both))
    fit = additive(both - centre)
    trials = _prepared(both - centre, fit, _standardised(hints, len(losses), centre, fit.spread))
    scale = fit.spread
    rng = np.random.default_rng(0)
    state = _start(fit, rng, chains)
    kept: list[tuple[Floats, Floats, Floats]] = []
    for sweep in range(WARM_UP + sweeps):
        state, unshrunk = _sweep(state, trials, rng)
        if sweep >= WARM_UP:
            kept.append((state.effects, unshrunk, np.sqrt(state.sigma2 * state.variances)))
    effects, flat, noise = (np.concatenate(part) * scale for part in zip(*kept, strict=True))
    return Draws(
        effects[:, :-1] + centre, flat[:, :-1] + centre, flat[:, -1] + centre, noise[:, :-1]
    )


def additive(losses: Floats) -> Additive:
    """Least squares of an effect of each row and of each column, by turns; NaN is left out.

    Raises ValueError where that leaves nothing to tell noise by.
    """
    there = ~np.isnan(losses)
    filled, weights = np.where(there, losses, 0.0), there.astype(np.float64)
    in_row, in_column = np.maximum(there.sum(axis=1), 1), np.maximum(there.sum(axis=0), 1)
    rows, columns = np.zeros(losses.shape[0]), np.zeros(losses.shape[1])
    for _ in range(500):
        before = columns
        rows = (filled.sum(axis=1) - weights @ columns) / in_row
        columns = (filled.sum(axis=0) - rows @ weights) / in_column
        if np.abs(columns - before).max() <= 1e-12 * np.abs(columns).max():
            break
    left = (filled - rows[:, None] - columns) * weights
    networks = int(there.any(axis=1).sum())
    freedom = int(there.sum()) - networks - int(there.any(axis=0).sum()) + pieces(there)
    if freedom < 1:
        raise ValueError(
            "a selection needs two seeds that two networks finished, got "
            f"{int(there.sum())} trials of {networks} networks: train more seeds"
        )
    spread = float(np.sqrt(np.square(left).sum() / freedom))
    return Additive(rows, columns, max(spread, 1e-9), freedom)  # equal losses have no noise


def pieces(there: Bools) -> int:
    """Into how many sets the trials fall that share neither a network nor a seed."""
    left, found = there.copy(), 0
    while left.any():
        size, rows = 0, np.arange(len(left)) == np.argmax(left.any(axis=1))
        while rows.sum() > size:
            size = int(rows.sum())
            rows = left[:, left[rows].any(axis=0)].any(axis=1)
        left[rows] = False
        found += 1
    return found


def _standardised(hints: Hints | None, k: int, centre: float, scale: float) -> Hints:
    """Hints' means and precisions (k + 1,) in standard units; precision 0 where there is none."""
    means, precisions = np.zeros(k + 1), np.zeros(k + 1)
    if hints is not None:
        known = ~np.isnan(hints[0])
        means[:k][known] = (hints[0][known] - centre) / scale
        precisions[:k][known] = scale**2 / hints[1][known]
    return means, precisions


def _prepared(losses: Floats, fit: Additive, hints: Hints) -> _Trials:
    """The sums over seeds that sweeps need, and grids that reach as far as the losses do."""
    there = (~np.isnan(losses)).astype(np.float64)
    filled = np.where(there > 0, losses, 0.0) / fit.spread
    seen = fit.rows[:-1][there[:-1].any(axis=1)]
    furthest = 3 * float(np.std(seen)) / fit.spread if len(seen) else 0.0
    of_seeds = 3 * float(np.std(fit.columns)) / fit.spread
    return _Trials(
        losses=filled,
        there=there,
        counts=there.sum(axis=1),
        sums=filled.sum(axis=1),
        squares=np.square(filled).sum(axis=1),
        taus=np.geomspace(LEAST, max(6.0, furthest), GRID),
        psis=np.geomspace(LEAST, max(6.0, of_seeds), GRID),
        hints=hints[0],
        hint_precision=hints[1],
    )


def _start(fit: Additive, rng: np.random.Generator, chains: int) -> _State:
    """Chains at the least-squares answer, but for sigma^2, which differs between them."""
    rows, columns = fit.rows / fit.spread, fit.columns / fit.spread
    sigma2 = fit.freedom / (2 * rng.standard_gamma(fit.freedom / 2, (chains, 1)))
    return _State(
        np.tile(rows, (chains, 1)),
        np.tile(columns, (chains, 1)),
        np.ones((chains, len(rows))),
        sigma2,
    )


def _sweep(state: _State, trials: _Trials, rng: np.random.Generator) -> tuple[_State, Floats]:
    """The next state of every chain, and effects (chains, n) as they are under a flat prior."""
    effects, unshrunk = _draw_effects(state, trials, rng)
    seeds = _draw_seeds(effects, state, trials, rng)
    squares = _squares(effects, seeds, trials)
    variances = _draw_variances(squares / state.sigma2, trials.counts, rng)
    half = (squares / variances).sum(axis=1, keepdims=True) / 2
    sigma2 = half / rng.standard_gamma(trials.counts.sum() / 2, half.shape)
    return _State(effects, seeds, variances, np.maximum(sigma2, 1e-12)), unshrunk


def _draw_effects(
    state: _State, trials: _Trials, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Effects (chains, n): shrunk, those of the baseline not; and all of them unshrunk."""
    precision = trials.counts / (state.sigma2 * state.variances)
    weighted = (
        precision * (trials.sums - state.seeds @ trials.there.T) / np.maximum(trials.counts, 1)
    )
    precision = precision + trials.hint_precision
    weighted = weighted + trials.hint_precision * trials.hints
    with np.errstate(divide="ignore", invalid="ignore"):
        means, errors = weighted / precision, 1 / precision
    normal = rng.standard_normal(means.shape)
    unshrunk = means + np.sqrt(errors) * normal  # NaN where there is neither trial nor hint
    seen = precision[0, :-1] > 0
    tau2 = _draw_tau(means[:, :-1][:, seen], errors[:, :-1][:, seen], trials.taus, rng) ** 2
    weights = 1 / (tau2 + errors[:, :-1][:, seen])
    total = weights.sum(axis=1, keepdims=True)
    mu = (weights * means[:, :-1][:, seen]).sum(axis=1, keepdims=True) / total
    mu = mu + rng.standard_normal(mu.shape) / np.sqrt(total)
    effects = unshrunk.copy()
    inner = 1 / (precision[:, :-1] + 1 / tau2)
    effects[:, :-1] = inner * (weighted[:, :-1] + mu / tau2) + np.sqrt(inner) * normal[:, :-1]
    return np.nan_to_num(effects), unshrunk


def _draw_tau(means: Floats, errors: Floats, taus: Floats, rng: np.random.Generator) -> Floats:
    """The candidates' spread (chains, 1), given means (chains, k) and their squared errors.

    Its prior has a trial's noise as its scale and vanishes at zero, so that few trials do not make
    candidates alike (Chung et al. 2013, Psychometrika 78:685), with the tail of a half-Cauchy
    (Gelman 2006, Bayesian Analysis 1:515). mu is integrated out.
    """
    weights = 1 / (np.square(taus)[:, None] + errors[:, None, :])  # chains, grid, k
    total = weights.sum(axis=2)
    centre = np.einsum("dtk,dk->dt", weights, means) / total
    squares = np.einsum("dtk,dk->dt", weights, np.square(means)) - total * np.square(centre)
    fit = 0.5 * (np.log(weights).sum(axis=2) - np.log(total) - squares)
    # over the logarithm of tau, which the grid is even in
    return _pick(fit + 2 * np.log(taus) - 1.5 * np.log1p(np.square(taus)), taus, rng)


def _pick(logs: Floats, values: Floats, rng: np.random.Generator) -> Floats:
    """One of `values` (m,) for each chain, (chains, 1), with probabilities of those logarithms."""
    shares = np.exp(logs - logs.max(axis=1, keepdims=True)).cumsum(axis=1)
    at = (shares < rng.random((len(logs), 1)) * shares[:, -1:]).sum(axis=1)
    picked: Floats = values[at][:, None]
    return picked


def _draw_seeds(
    effects: Floats, state: _State, trials: _Trials, rng: np.random.Generator
) -> Floats:
    """Effects of seeds (chains, s); their spread psi has a half-Cauchy prior too."""
    weights = 1 / (state.sigma2 * state.variances)
    precision = weights @ trials.there
    means = (weights @ trials.losses - (weights * effects) @ trials.there) / precision
    errors = np.square(trials.psis)[:, None] + 1 / precision[:, None, :]
    fit = -0.5 * (np.log(errors) + np.square(means)[:, None, :] / errors).sum(axis=2)
    psi = _pick(fit + np.log(trials.psis / (1 + np.square(trials.psis))), trials.psis, rng)
    inner = 1 / (precision + 1 / np.square(psi))
    drawn: Floats = inner * precision * means + np.sqrt(inner) * rng.standard_normal(means.shape)
    return drawn


def _squares(effects: Floats, seeds: Floats, trials: _Trials) -> Floats:
    """The sum of squared noise of each network's trials, (chains, n)."""
    of_seeds = seeds @ trials.there.T
    squares = trials.squares + np.square(seeds) @ trials.there.T - 2 * seeds @ trials.losses.T
    squares = squares + trials.counts * np.square(effects)
    squares = squares - 2 * effects * (trials.sums - of_seeds)
    return np.maximum(squares, 0.0)


def _draw_variances(squares: Floats, counts: Floats, rng: np.random.Generator) -> Floats:
    """Each network's share of the noise's variance, (chains, n), given squares over sigma^2."""
    half = (TAILS[:, None] + counts) / 2  # grid, n
    logs = gammaln(half) - gammaln(TAILS / 2)[:, None] + (TAILS / 2 * np.log(TAILS))[:, None]
    fit = logs.sum(axis=1) - np.einsum(
        "tn,dtn->dt", half, np.log(TAILS[:, None] + squares[:, None, :])
    )
    nu = _pick(fit, TAILS, rng)
    return (nu + squares) / (2 * rng.standard_gamma((nu + counts) / 2))
