"""The contracts themselves: each tells a part that breaks it, and says how."""

from dataclasses import replace
from types import ModuleType

import pytest
import torch

from scalesearch.data import shapes
from scalesearch.data.images import Images, Parts, Wanted
from scalesearch.data.sources import SOURCES
from scalesearch.networks import zoo
from scalesearch.selection.losses import Curves
from scalesearch.selection.policy import grid
from scalesearch.selection.terms import Ask, Decision, Policy, Terms
from scalesearch.testing import check_family, check_policy, check_source


def forgetful(curves: Curves, terms: Terms) -> Decision:
    return Decision((Ask("n0", 0, 1),))


def silent(curves: Curves, terms: Terms) -> Decision:
    return Decision()


def stubborn(curves: Curves, terms: Terms) -> Decision:
    return grid(curves, replace(terms, failed=frozenset()))


def hasty(curves: Curves, terms: Terms) -> Decision:
    ended = "one trial is enough" if any(key == "n0" for key, _ in curves) else ""
    return Decision(ended=ended) if ended else grid(curves, terms)


def rash(curves: Curves, terms: Terms) -> Decision:
    first = grid(curves, replace(terms, seeds=1))
    never = Ask("n0", terms.seeds - 1, terms.epochs)
    later = first.asks and terms.seeds > 2 and (never.key, never.seed) not in curves
    return replace(first, sure=(never,) if later else ())


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (forgetful, "after 1 of 1 epochs"),
        (silent, "must say why"),
        (stubborn, "it failed, and is asked for again"),
        (hasty, "an interrupted search must end as if it had not been"),
        (rash, "one with sure trials ahead must end as if it had not been"),
    ],
)
def test_a_policy_that_breaks_the_contract(policy: Policy, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        check_policy(policy)


def restless(argument: str, wanted: Wanted) -> Parts:
    parts = shapes.read(argument, wanted)
    return replace(parts, val=parts.val.at(torch.randperm(len(parts.val))))


def misread(argument: str, wanted: Wanted) -> Parts:
    parts = shapes.read(argument, wanted)
    return replace(parts, train=Images(parts.train.pixels, parts.train.labels + 1))


@pytest.mark.parametrize(
    ("read", "words"), [(restless, "same images at every call"), (misread, "labels of the classes")]
)
def test_a_source_that_breaks_the_contract(
    read: object, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SOURCES, "shapes", (shapes.describe, read))
    with pytest.raises(AssertionError, match=words):
        check_source("shapes:40")


def test_a_family_that_breaks_the_contract() -> None:
    family = ModuleType("mine", "Mine, by me.")
    with pytest.raises(AssertionError, match="a paper and its year"):
        check_family(family)
    family.__doc__ = "Mine et al. 2026."
    family.MODELS = {"mine": zoo.find("lenet5")}
    with pytest.raises(AssertionError, match="mine must be its own name, got lenet5"):
        check_family(family)
