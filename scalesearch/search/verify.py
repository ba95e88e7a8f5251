"""Does it transfer? The candidates scaled up further, trained, and compared with phi = 1.

The top candidates' coefficients, and growth along one axis alone, are scaled to ratio^phi times
the proxy baseline's measured flops and trained as the study was (Tan & Le 2019, Figure 8).
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scalesearch.families.members import Member, by_ratio
from scalesearch.families.strategies import STRATEGIES
from scalesearch.files import write_csv
from scalesearch.networks.cost import Cost
from scalesearch.networks.latency import refuse_elsewhere, source_of
from scalesearch.networks.scaling import Coefficients
from scalesearch.plans.document import Candidate, Plan
from scalesearch.plans.limits import share
from scalesearch.scratch import finish
from scalesearch.search.driver import drive
from scalesearch.search.events import Decided
from scalesearch.search.interrupt import patient
from scalesearch.selection.answer import ranking_of
from scalesearch.selection.effects import Effects, example_covariance, fit_effects
from scalesearch.selection.law import Law, Shape, error, fit_law, rank_correlation
from scalesearch.selection.losses import end_losses, loss_matrix
from scalesearch.selection.posterior import interval
from scalesearch.selection.verification import (
    AxisAlone,
    LawFound,
    Prediction,
    RankTransfer,
    ScaledNetwork,
    Verification,
    write_verification,
)
from scalesearch.studies import Study, locked, read_curves, read_losses, read_trials
from scalesearch.studies.setup import Search, trial_of
from scalesearch.trials.key import TrialKey
from scalesearch.trials.runners import AskTell

log = logging.getLogger(__name__)
AXES = ("depth", "width", "resolution")
# rounding leaves a small proxy few costs: the nearest of these that some network meets is taken
TOLERANCES = (0.02, 0.05, 0.15)


@dataclass(frozen=True, slots=True)
class Scaled:
    """One network at the larger cost: what it stands for, and the candidate it comes from."""

    label: str
    candidate: str | None
    member: Member


def scaled_networks(search: Search, phi: float, top: int) -> list[Scaled]:
    """The best `top` candidates, and each single axis, at ratio^phi times the baseline's cost.

    By the measure of the budget's target; parameters have no axis of resolution. Raises
    ValueError where the study has no selection yet.
    """
    plan = search.plan
    start, ratio = plan.baseline, plan.ratio**phi
    if plan.latency is not None and plan.measure == "ms":
        refuse_elsewhere(plan.latency.conditions)
    with locked(search.folder):
        finish(search.folder)
        study = Study(search.folder, [start.key, *(c.key for c in plan.candidates)])
        best = [standing.key for standing in ranking_of(search, study).standings][:top]
    chosen = [c for c in plan.candidates if c.key in best]
    found = [Scaled(c.label, c.key, nearest(plan, c.coefficients, ratio, phi)) for c in chosen]
    axes = AXES[:2] if plan.measure == "params" else AXES
    return found + [
        Scaled(f"{axis} only", None, nearest(plan, STRATEGIES[axis], ratio, phi))
        for axis in axes
        if plan.ratio > 1
    ]


def nearest(plan: Plan, coefficients: Coefficients, ratio: float, phi: float) -> Member:
    """The member nearest that ratio, within the first of TOLERANCES that one meets."""
    start, measure, batch = plan.baseline.arch, plan.measure, plan.asked.batch or 1
    source = source_of(plan.latency.conditions) if plan.latency else None

    def found(tolerance: float | None) -> Member:
        return by_ratio(
            start, coefficients, ratio, start.name, phi, measure, batch, tolerance, source
        )

    if measure == "ms":  # timed once
        return found(None)
    for tolerance in TOLERANCES[:-1]:
        with suppress(ValueError):
            return found(tolerance)
    return found(TOLERANCES[-1])


def train_scaled(
    search: Search,
    networks: list[Scaled],
    phi: float,
    seeds: int,
    run: Callable[[AskTell], None],
) -> None:
    """Train them with the first seeds, in a study of their own under the study's directory.

    Raises KeyboardInterrupt as a search does.
    """
    archs = {scaled.member.arch.key: scaled.member.arch for scaled in networks}
    folder = scaled_folder(search, phi)
    folder.mkdir(exist_ok=True)
    with locked(folder):
        study = Study(folder, list(archs))
        study.release()
        wanted = tuple(
            trial_of(search, arch, seed) for seed in range(seeds) for arch in archs.values()
        )
        with patient(log.warning) as interrupted:

            def halt(trials: int) -> str:
                return "it was interrupted" if interrupted() else ""

            drive(study, lambda: Decided("the networks scaled up", wanted), run, halt=halt)
            if interrupted():
                raise KeyboardInterrupt


def effects_of(folder: Path, keys: list[str]) -> Effects:
    """The effects of those networks, in that order, from the losses in a study's directory."""
    losses: dict[str, dict[int, NDArray[np.float32]]] = {key: {} for key in keys}
    for network, seed in sorted(trained(folder)):
        if network in losses:
            losses[network][seed] = read_losses(folder, TrialKey(network, seed, "val"))
    seeds = sorted({seed for of_network in losses.values() for seed in of_network})
    arrays = [np.stack([*losses[key].values()]).astype(np.float64) for key in keys]
    return fit_effects(loss_matrix(end_losses(losses), keys, seeds), example_covariance(arrays))


def trained(folder: Path) -> set[tuple[str, int]]:
    """Networks and seeds whose losses at the end are in a study's directory."""
    parts = [path.stem.rsplit("-", 2) for path in (folder / "losses").glob("*-val.npy")]
    return {(key, int(seed)) for key, seed, _ in parts}


def scaled_folder(search: Search, phi: float) -> Path:
    """Where the networks at that phi are trained."""
    return search.folder / f"phi{phi:g}"


def verification_of(search: Search, networks: list[Scaled], phi: float, seeds: int) -> Verification:
    """What phi = 1 says of that phi, by the trials that both have."""
    keys = list(dict.fromkeys(scaled.member.arch.key for scaled in networks))
    large = effects_of(scaled_folder(search, phi), keys)
    candidates = [c for c in search.plan.candidates if c.key in {s.candidate for s in networks}]
    small = effects_of(search.folder, [search.plan.baseline.key, *(c.key for c in candidates)])
    shapes = [Shape(1, 1, 1), *(shape_of(search, c) for c in candidates)]
    law = fit_law(shapes, small.means, small.draws)
    return Verification(
        phi=phi,
        ratio=search.plan.ratio**phi,
        seeds=seeds,
        networks=tuple(scaled_network(scaled, keys, large) for scaled in networks),
        transfer=transfer(candidates, networks, keys, small, large),
        axes=axes_against_best(networks, keys, small, candidates, large),
        measure=search.plan.measure,
        law=law_found(
            law, candidates, networks, keys, small, large, search.plan.baseline.cost, phi
        ),
    )


def write_verified(search: Search, found: Verification, new: Path) -> None:
    """Write verify.json, and the tables of its trials, into a directory for the study's own."""
    write_verification(new, found)
    folder = scaled_folder(search, found.phi)
    for name, table in (("trials.csv", read_trials(folder)), ("curves.csv", read_curves(folder))):
        write_csv(new / folder.name / name, table)


def shape_of(search: Search, candidate: Candidate) -> Shape:
    """A candidate's shape; a law is one of flops, whatever the budget is of."""
    c = candidate.coefficients
    resolution = candidate.resolution / search.plan.baseline.resolution
    return Shape(candidate.flops_ratio, c.beta, resolution)


def scaled_network(scaled: Scaled, keys: list[str], large: Effects) -> ScaledNetwork:
    """One network at the larger cost, with its loss."""
    member = scaled.member
    i = keys.index(member.arch.key)
    return ScaledNetwork(
        label=scaled.label,
        candidate=scaled.candidate,
        key=member.arch.key,
        resolution=member.resolution,
        **asdict(member.cost),
        ratio=member.ratio,
        ms=member.ms,
        ms_low=member.ms_low,
        ms_high=member.ms_high,
        loss=float(large.means[i]),
        interval=interval(large.draws[:, i]),
    )


def transfer(
    candidates: list[Candidate],
    networks: list[Scaled],
    keys: list[str],
    small: Effects,
    large: Effects,
) -> RankTransfer:
    """Rank correlation of the candidates' losses at phi = 1 and here, with its interval."""
    place = {s.candidate: keys.index(s.member.arch.key) for s in networks if s.candidate}
    order = [place[c.key] for c in candidates]
    draws = [
        rank_correlation(a[1:], b[order])
        for a, b in zip(small.draws[:1000], large.draws[:1000], strict=True)
    ]
    return RankTransfer(
        candidates=len(candidates),
        distinct=len(set(order)),
        rank_correlation=rank_correlation(small.means[1:], large.means[order]),
        interval=interval(np.array(draws)),
    )


def axes_against_best(
    networks: list[Scaled],
    keys: list[str],
    small: Effects,
    candidates: list[Candidate],
    large: Effects,
) -> tuple[AxisAlone, ...]:
    """Each single axis's loss minus that of the leader at phi = 1, scaled alike, with intervals."""
    leader = candidates[int(small.means[1:].argmin())].key
    best = next(keys.index(s.member.arch.key) for s in networks if s.candidate == leader)
    rows = []
    for scaled in networks:
        if scaled.candidate is None:
            i = keys.index(scaled.member.arch.key)
            apart = large.draws[:, i] - large.draws[:, best]
            difference = float(large.means[i] - large.means[best])
            rows.append(AxisAlone(scaled.label, difference, interval(apart)))
    return tuple(rows)


def law_found(
    law: Law,
    candidates: list[Candidate],
    networks: list[Scaled],
    keys: list[str],
    small: Effects,
    large: Effects,
    start_cost: Cost,
    phi: float,
) -> LawFound:
    """The law's form, optimum, and its error here beside those of simpler predictions."""
    rows, measured, predicted, ratios, inside = [], [], [], [], 0
    for scaled in networks:
        if scaled.candidate is None:
            continue
        m = scaled.member
        ratios.append(share(m.cost, start_cost, "flops"))
        shape = Shape(ratios[-1], m.scale.width, m.scale.resolution)
        value, (low, high) = law.predict(shape)
        loss = float(large.means[keys.index(m.arch.key)])
        inside += low <= loss <= high
        rows.append(Prediction(scaled.label, value, (low, high)))
        measured.append(loss)
        predicted.append(value)
    before = {c.key: float(small.means[1 + i]) for i, c in enumerate(candidates)}
    same = [before[s.candidate] for s in networks if s.candidate]
    slope = float(np.log(small.means[0] / small.means[1:].mean()) / np.log(mean_ratio(candidates)))
    line = [float(small.means[0] * ratio**-slope) for ratio in ratios]
    return LawFound(
        form=law.form,
        supported=law.form != "constant",
        tests=law.tests,
        coefficients=tuple(law.coefficients.tolist()),
        covariance=tuple(map(tuple, np.atleast_2d(np.cov(law.draws.T)).tolist())),
        optimum=law.optimum(),
        phi=phi,
        predictions=tuple(rows),
        inside=f"{inside} of {len(rows)}",
        error=error(predicted, measured),
        error_best_so_far=error(same, measured),
        error_log_linear=error(line, measured),
    )


def mean_ratio(candidates: list[Candidate]) -> float:
    """The geometric mean of the candidates' flops over the baseline's."""
    return float(np.exp(np.mean([np.log(c.flops_ratio) for c in candidates])))
