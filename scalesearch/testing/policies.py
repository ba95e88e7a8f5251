"""The contract of a policy: a pure function that asks for what is not known, and ends."""

import numpy as np

from scalesearch.selection.losses import Curves
from scalesearch.selection.terms import Ask, Decision, Policy, Terms

KEYS = tuple(f"n{i}" for i in range(8))
Losses = dict[tuple[str, int], list[float]]


def check_policy(policy: Policy) -> None:
    """Raise AssertionError where a policy breaks its contract, on losses that are made up.

    It must be pure, ask only for epochs within its terms that are not known yet, end with a reason,
    stop candidates for good and never the baseline, not ask for a trial that failed, and come to
    the same end however a search was interrupted, and however much of what it calls sure was
    trained before it was asked for.
    """
    for candidates in (1, 2, 3, 8):
        for epochs in (1, 2, 3, 4):
            play(policy, Terms(KEYS[:candidates], "1x", 2, epochs))
    terms = Terms(KEYS, "1x", seeds=6, epochs=4)
    for gap in (0.0, 0.02):  # ties, and a clear winner
        check_interruption(policy, terms, gap)
    check_failures(policy, terms)


def made_up(ask: Ask, gap: float = 0.02, noise: float = 0.005) -> list[float]:
    """A learning curve that falls: n0's is the lowest, each next one's higher by `gap`."""
    rng = np.random.default_rng([ask.seed, *ask.key.encode()])
    level = 0.3 + gap * (len(KEYS) if ask.key == "1x" else int(ask.key[1:]))
    whole = [level + 0.5 * 2.0**-epoch + rng.normal(0, noise) for epoch in range(1, 5)]
    return whole[: ask.epochs]


def play(policy: Policy, terms: Terms, gap: float = 0.02) -> tuple[Decision, Losses]:
    """The last decision, every asked trial trained as far as asked, and all losses by then."""
    curves: Losses = {}
    decision = decide(policy, curves, terms)
    while decision.asks:
        curves |= {(ask.key, ask.seed): made_up(ask, gap) for ask in decision.asks}
        later = decide(policy, curves, terms)
        assert decision.stops.keys() <= later.stops.keys(), "a candidate is stopped for good"
        decision = later
    return decision, curves


def decide(policy: Policy, curves: Losses, terms: Terms) -> Decision:
    """A policy's decision, held to what holds for any one decision."""
    before = {who: list(curve) for who, curve in curves.items()}
    decision = policy(curves, terms)
    assert curves == before, "a policy must leave the losses that it is given as they are"
    assert policy(before, terms) == decision, "a policy must decide from the losses alone"
    assert decision.asks or decision.ended, "a policy that asks for nothing must say why"
    assert decision.stops.keys() <= set(terms.candidates), "only candidates can be stopped"
    asked = [(ask.key, ask.seed) for ask in decision.asks]
    asked += [(ask.key, ask.seed) for ask in decision.sure]
    assert len(asked) == len(set(asked)), f"a trial must be asked for once, got {asked}"
    for ask in (*decision.asks, *decision.sure):
        check_ask(ask, curves, terms)
    return decision


def check_ask(ask: Ask, curves: Curves, terms: Terms) -> None:
    """Raise AssertionError where a policy asks for what cannot or need not be trained."""
    assert ask.key in (terms.baseline, *terms.candidates), f"no such network: {ask}"
    assert 0 <= ask.seed < terms.seeds, f"a seed must be below {terms.seeds}, got {ask}"
    known = len(curves.get((ask.key, ask.seed), ()))
    assert known < ask.epochs <= terms.epochs, f"after {known} of {terms.epochs} epochs, got {ask}"
    assert (ask.key, ask.seed) not in terms.failed, f"it failed, and is asked for again: {ask}"


def check_interruption(policy: Policy, terms: Terms, gap: float) -> None:
    """Raise AssertionError where an end depends on how much of what was asked is done at once, or
    on how much of what is sure is done before it is asked for."""
    whole = play(policy, terms, gap)
    for ahead, which in ((False, "an interrupted search"), (True, "one with sure trials ahead")):
        rng = np.random.default_rng(0)
        curves: Losses = {}
        while (decision := decide(policy, curves, terms)).asks:
            for of in (decision.asks, decision.sure if ahead else ()):
                for i in rng.permutation(len(of))[: rng.integers(1, 4)]:
                    curves[of[i].key, of[i].seed] = made_up(of[i], gap)
        assert (decision, curves) == whole, f"{which} must end as if it had not been"


def check_failures(policy: Policy, terms: Terms) -> None:
    """Raise AssertionError where trials that failed keep a search from its end, or what is sure is
    not asked for where they fail."""
    some = {("n0", seed) for seed in range(terms.seeds)} | {("n1", 0)}
    every = {(key, seed) for key in terms.candidates for seed in range(terms.seeds)}
    first = {(key, 0) for key in terms.candidates}
    for failed in (some, every, first):
        fewer = Terms(terms.candidates, "1x", terms.seeds, terms.epochs, frozenset(failed))
        check_interruption(policy, fewer, gap=0.02)
