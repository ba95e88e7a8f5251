"""The loop of a run: plan what is wanted, hand trials out, hear of them, decide again."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from scalesearch.selection.losses import curves_of
from scalesearch.selection.policy import POLICIES, Ask, Decision, Terms, grid
from scalesearch.studies import Study
from scalesearch.studies.setup import Search, networks, trial_of
from scalesearch.trials.key import RATES
from scalesearch.trials.runners import Desk
from scalesearch.trials.trial import Trial


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How trials are run, which never changes what they measure."""

    runner: str = "ray"
    workers: int | None = None
    gpus_per_trial: float = 0.0
    address: str | None = None
    retry_failed: bool = False
    max_trials: int | None = None
    max_hours: float | None = None
    accelerator: str | None = None
    log: tuple[str, ...] = ()
    mirror: str | None = None
    verbose: bool = False


def worker_count(options: RunOptions) -> int:
    """How many trials run at once on this machine."""
    return 1 if options.runner == "inline" else options.workers or len(os.sched_getaffinity(0))


def decide(search: Search, study: Study) -> Decision:
    """What the space's policy makes of all that the study knows; candidates it stops are pruned."""
    terms = Terms(
        candidates=tuple(candidate.key for candidate in search.plan.candidates),
        baseline=search.plan.baseline.key,
        seeds=search.proxy.seeds,
        epochs=search.proxy.recipe.epochs,
        failed=frozenset((key.network, key.seed) for key in study.failed() | study.pruned()),
    )
    curves = curves_of(study.history("val"))
    decision = POLICIES.get(search.space.policy, grid)(curves, terms)
    for key in study.recorded():
        if key.network in decision.stops and key.part == "val":
            study.prune(key, decision.stops[key.network].reason)
    return decision


def plan_asks(search: Search, study: Study, asks: Iterable[Ask]) -> None:
    """Plan the trials that a policy asks for; those short of the last epoch pause."""
    archs = {arch.key: arch for arch in networks(search)}
    last = search.proxy.recipe.epochs
    study.plan(
        replace(
            trial_of(search, archs[ask.key], ask.seed),
            pause=ask.epochs if ask.epochs < last else None,
        )
        for ask in asks
    )


def run_trials(study: Study, more: Callable[[], None], run: Callable[[Desk], None]) -> None:
    """Run what is waiting in the study and what `more` plans whenever nothing is left.

    Whatever stops it, no trial is left running.
    """

    def ask() -> Trial | None:
        if not study.waiting() and not study.running():
            more()
        return study.ask()

    more()
    if not study.waiting():
        return
    try:
        run(Desk(ask, study.report, study.stopped, study.complete, study.fail, study.lost))
    finally:
        study.release()


def plan_test(search: Search, study: Study, chosen: str) -> None:
    """Plan the one look at the test split: the chosen network and the baseline, seed 0."""
    if search.has_test:
        study.plan(
            replace(trial_of(search, arch, 0), split="test")
            for arch in networks(search)
            if arch.key in (search.plan.baseline.key, chosen)
        )


def plan_sweep(search: Search, study: Study, keys: Iterable[str]) -> None:
    """Plan the sweep of the learning rate on those networks, seed 0."""
    archs = {arch.key: arch for arch in networks(search)}
    study.plan(
        replace(trial_of(search, archs[key], 0), rate=rate)
        for key in keys
        for rate in RATES.values()
        if rate != 1
    )
