"""Replay: policies against the tabular benchmark that is kept in results/."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import scalesearch
from benchmarks.contenders import asynchronous, at_random, halving, one_grid
from scalesearch.plans.document import read_plan
from scalesearch.selection.adaptive import SHARE, adaptive
from scalesearch.selection.losses import Curves
from scalesearch.selection.policy import grid
from scalesearch.selection.replay import Table, read_table, replay
from scalesearch.selection.terms import Decision, Terms
from scalesearch.studies import read_trials

FOLDER = Path(__file__).parents[2] / "results" / "lattice-fashion-mnist"


@pytest.fixture(scope="module")
def table() -> Table:
    return read_table(FOLDER)


def test_the_table_is_whole(table: Table) -> None:
    assert table.losses.shape == (11, 8, 4) and np.isfinite(table.losses).all()
    plan, trials = read_plan(FOLDER), read_trials(FOLDER)
    assert table.keys[-1] == plan.baseline.key
    trial = trials[(trials["candidate"] == table.keys[3]) & (trials["seed"] == 5)]
    assert table.losses[3, 5, -1] == trial.loc[trial["split"] == "val", "loss"].item()


def test_the_full_grid_is_right_by_definition(table: Table) -> None:
    found = replay(grid, table, 20)
    assert (found.spent, found.regret, found.right) == (1.0, 0.0, 1.0)
    assert replay(one_grid(3), table, 20).spent == pytest.approx(3 / 8)


def test_the_default_policy_is_cheap_and_as_good_as_the_full_grid(table: Table) -> None:
    found = replay(adaptive, table, 25)
    assert found.spent <= SHARE
    assert found.right > 0.9 and found.regret < 0.0005


def test_with_seeds_drawn_again_the_full_grid_errs_too(table: Table) -> None:
    best, _, third, *_ = sorted(table.losses[:-1, :, -1].mean(axis=1))
    assert third - best < 0.001
    found = replay(grid, table, 200, replacement=True)
    assert 0.3 < found.right < 1 and 0 < found.regret < 0.001


@pytest.mark.parametrize("policy", [halving(0.3), asynchronous(0.3), at_random(0.3)])
def test_the_others_spend_no_more_than_it_may(table: Table, policy: object) -> None:
    found = scalesearch.replay(policy, table, 20)
    assert 0.2 < found.spent <= 0.3
    assert found.regret >= 0


def test_a_policy_of_ones_own_can_be_replayed(table: Table) -> None:
    def first_only(curves: Curves, terms: Terms) -> Decision:
        return grid(curves, Terms(terms.candidates[:1], terms.baseline, 1, terms.epochs))

    found = scalesearch.replay(first_only, FOLDER, 10, "first")
    assert found.policy == "first" and found.spent == pytest.approx(1 / 80)


def test_a_table_with_a_gap_is_refused(tmp_path: Path) -> None:
    rows = pd.read_csv(FOLDER / "curves.csv")
    rows.drop(index=17).to_csv(tmp_path / "curves.csv", index=False)
    shutil.copy(FOLDER / "plan.json", tmp_path)
    with pytest.raises(ValueError, match="gaps"):
        read_table(tmp_path)
