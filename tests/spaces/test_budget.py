"""Budgets: the grammar, what a target and caps mean, and what is refused."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalesearch.families.members import by_budget, by_ratio, matched
from scalesearch.families.solve import nearest_params, solve_phi
from scalesearch.networks import zoo
from scalesearch.networks.cost import cost
from scalesearch.networks.count import count
from scalesearch.networks.models import scale_model
from scalesearch.networks.scaling import Coefficients
from scalesearch.plans.document import Plan
from scalesearch.plans.grid import solve_resolution
from scalesearch.plans.limits import Limit, figure
from scalesearch.plans.plan import make_plan
from scalesearch.selection.gates import costs_of
from scalesearch.spaces.budget import parse_budget
from scalesearch.spaces.space import Grid, Proxy, Space
from scalesearch.units import Measure
from tests.conftest import Command

PAPER = Coefficients(1.2, 1.1, 1.15)
SMALL = zoo.find("mobilenet_v1_w0.25")
GRID = Grid(alpha=(1.0, 1.5), beta=(1.0, 1.15, 1.3, 1.5), gamma=(1.0, 1.25, 1.5))
SPACE = Space(
    name="s",
    model="mobilenet_v1_w0.25",
    grid=GRID,
    tolerance=0.1,
    proxies={"quick": Proxy(width=0.5, divisor=2, resolution=32)},
)


@pytest.mark.parametrize(
    ("text", "measure", "ratio", "amount", "batch"),
    [
        ("2x", "flops", 2, 0, 1),
        (".5x", "flops", 0.5, 0, 1),
        ("800M", "flops", None, 800e6, 1),
        ("1.6Gflops", "flops", None, 1.6e9, 1),
        ("2xflops", "flops", 2, 0, 1),
        ("30Mparams", "params", None, 30e6, 1),
        ("30000params", "params", None, 30e3, 1),
        ("1.5xparams", "params", 1.5, 0, 1),
        ("20Macts", "activations", None, 20e6, 1),
        ("2xacts", "activations", 2, 0, 1),
        ("5ms", "ms", None, 5, 1),
        ("0.5ms@32", "ms", None, 0.5, 32),
        ("2xms@8", "ms", 2, 0, 8),
    ],
)
def test_a_term_is_an_amount_and_a_measure(
    text: str, measure: Measure, ratio: float | None, amount: float, batch: int
) -> None:
    term = parse_budget(text).target
    assert (term.measure, term.ratio, term.amount, term.batch) == (measure, ratio, amount, batch)
    assert parse_budget(text).caps == ()


def test_the_first_term_is_the_target_and_the_others_are_caps() -> None:
    budget = parse_budget("2x, 30Mparams,5ms@4")
    assert budget.text == "2x,30Mparams,5ms@4"
    assert budget.target.text == "2x"
    assert [cap.measure for cap in budget.caps] == ["params", "ms"]
    assert (budget.batch, budget.label) == (4, "2x-30Mparams-5ms-4")
    assert budget.said == "2x, at most 30Mparams, at most 5ms@4"


@pytest.mark.parametrize(
    "text",
    [
        *("5Mms", "5", "5acts@2", "2x@2", "5s", "ms", "params", "2xxparams", "5kms", "-5ms"),
        *("2x,", ",2x", "2x,,5ms", "0ms", "0xparams", "5ms@", "5ms@-1", "inf", "1e3ms"),
        *("9" * 400 + "x", "5ms@1.5"),
    ],
)
def test_what_is_no_budget_states_the_rule_and_the_value(text: str) -> None:
    with pytest.raises(ValueError, match="a budget must be a ratio above zero") as caught:
        parse_budget(text)
    assert repr(text) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "same"), [("2X", "2x"), (" 2 x, 30M params", "2x,30Mparams"), ("1.5×acts", "1.5xacts")]
)
def test_what_can_mean_one_thing_alone_is_taken(text: str, same: str) -> None:
    assert parse_budget(text) == parse_budget(same)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("2", "by '2' did you mean '2x'?"),
        ("800m", "by '800m' did you mean '800M'?"),
        ("2x,30Mparameters", "by '30Mparameters' did you mean '30Mparams'?"),
        ("5MS@4", "by '5MS@4' did you mean '5ms@4'?"),
        ("600MMACs", "by '600MMACs' did you mean '600M'?"),
        ("600MFLOPs", "did you mean '600M' multiply-adds, or '300M', two flops for each?"),
    ],
)
def test_what_was_probably_meant_is_asked(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(hint)):
        parse_budget(text)


def test_a_measure_is_said_once_and_a_batch_is_some_images() -> None:
    with pytest.raises(ValueError, match="each measure once, got flops twice in '2x,800M'"):
        parse_budget("2x,800M")
    with pytest.raises(ValueError, match="batch must be at least 1, got '5ms@0'"):
        parse_budget("5ms@0")


@given(ratio=st.floats(0.1, 100), share=st.floats(0.2, 5))
def test_a_target_has_two_sides_and_a_cap_one(ratio: float, share: float) -> None:
    term = parse_budget("2x").target
    target, cap = Limit(term, ratio, 0.05), Limit(term, ratio, None)
    assert target.allows(ratio * share) == (abs(ratio * share / ratio - 1) <= 0.05)
    assert cap.allows(ratio * share) == (share <= 1 + 1e-12)


def test_an_interval_is_within_only_as_a_whole() -> None:
    target = Limit(parse_budget("2xms").target, 2.0, 0.05)
    cap = Limit(parse_budget("2xms").target, 2.0, None)
    for interval, inside, unclear in [
        ((1.95, 2.05), True, False),
        ((1.85, 2.05), False, True),
        ((1.5, 2.5), False, True),
        ((2.2, 2.3), False, False),
    ]:
        assert (target.allows_all(interval), target.unclear(interval)) == (inside, unclear)
    assert cap.allows_all((1.0, 2.0)) and not cap.unclear((1.0, 2.0))
    assert cap.unclear((1.9, 2.1)) and not cap.allows_all((1.9, 2.1))
    assert not cap.unclear((2.1, 2.2)) and not cap.allows_all((2.1, 2.2))


@pytest.fixture(scope="module")
def plans() -> dict[str, Plan]:
    budgets = ("2x", "1.5xparams", "1.7xacts", "1.5xparams,1.65x")
    return {text: make_plan(SPACE, "quick", text, 1, 10) for text in budgets}


@pytest.mark.parametrize(
    ("text", "ratio", "measure"),
    [("2x", 2, "flops"), ("1.5xparams", 1.5, "params"), ("1.7xacts", 1.7, "activations")],
)
def test_candidates_meet_the_target_by_its_own_measure(
    plans: dict[str, Plan], text: str, ratio: float, measure: Measure
) -> None:
    plan = plans[text]
    assert plan.target == pytest.approx(ratio * figure(plan.baseline.cost, measure))
    assert plan.candidates and plan.feasible >= 2
    for candidate in plan.candidates:
        assert candidate.ratio == figure(candidate.cost, measure) / figure(
            plan.baseline.cost, measure
        )
        assert abs(candidate.ratio / ratio - 1) <= 0.1
        assert candidate.flops_ratio == candidate.cost.flops / plan.baseline.cost.flops
        assert candidate.cost == cost(candidate.arch)


def test_a_cap_takes_away_what_is_above_it_and_nothing_else(plans: dict[str, Plan]) -> None:
    without, capped = plans["1.5xparams"], plans["1.5xparams,1.65x"]
    left = {c.key for c in without.candidates if c.flops_ratio <= 1.65}
    assert {c.key for c in capped.candidates} == left
    assert 0 < len(left) < len(without.candidates)


def test_the_gate_of_fairness_speaks_of_the_budgets_measure(plans: dict[str, Plan]) -> None:
    text, passed = costs_of(plans["2x"])
    assert passed and text.startswith("flops within ") and "x to " not in text
    text, passed = costs_of(plans["1.5xparams,1.65x"])
    assert passed and text.startswith("parameters within ")
    assert "flops at most 1." in text and "(cap 1.65x)" in text
    assert "flops from 1." in text


def test_an_amount_is_one_of_the_spaces_own_model() -> None:
    # which has 470,072 parameters and 41,030,272 flops: what it may come to, the proxy may too
    plan = make_plan(SPACE, "quick", f"{1.5 * 470_072:.0f}params,67.7M", 1, 10)
    assert [plan.ratio, plan.caps[0].ratio] == pytest.approx([1.5, 67.7e6 / 41_030_272])
    assert plan.target == pytest.approx(1.5 * plan.baseline.cost.params)
    assert plan.baseline.cost.params < 470_072


def test_a_budget_that_no_network_keeps_says_what_is_nearest() -> None:
    message = r"of 6 none is; the nearest, by alpha 1, beta 1\.3, gamma 1, has 1\.616x the flops"
    with pytest.raises(ValueError, match=message):
        make_plan(SPACE, "quick", "1.5xparams,1.5x", 1, 10)
    with pytest.raises(ValueError, match=r"nearest feasible is 3\.402x the parameters, by alpha"):
        make_plan(SPACE, "quick", "9xparams", 1, 10)


def solved(budget: str) -> Plan:
    grid = Grid(alpha=(1.0, 1.2), beta=(1.0, 1.1), gamma="solve")
    space = Space(name="s", model=SMALL.name, grid=grid, proxies={"full": Proxy()})
    return make_plan(space, "full", budget)


def test_a_resolution_is_solved_for_activations_and_never_for_parameters() -> None:
    plan = solved("2xacts")
    assert len(plan.candidates) >= 3
    for candidate in plan.candidates:
        assert abs(candidate.ratio / 2 - 1) <= 0.05
    with pytest.raises(ValueError, match=r"got 2xparams, and parameters do not depend on .*: list"):
        solved("2xparams")
    with pytest.raises(ValueError, match="got 2xms, and a latency is timed, not counted: list"):
        solved("2xms")
    with pytest.raises(ValueError, match="must be solved for flops or activations, got params"):
        solve_resolution(SMALL, 1e6, "params")
    for candidate in solved("2x,1.25xparams").candidates:
        assert candidate.cost.params <= 1.25 * cost(SMALL).params


# a depth that rounds and a width that a divisor rounds: the step of one row is at most a third
CURVED = [name for name in zoo.MODELS if name != "lenet5"][::3]


@pytest.mark.parametrize("name", CURVED)
def test_parameters_are_met_by_the_nearest_network_on_the_curve(name: str) -> None:
    start = zoo.find(name)
    target = 2 * count(start).params
    phi, arch = nearest_params(start, PAPER, target)
    assert arch == scale_model(start, PAPER.at(phi))
    miss = abs(count(arch).params / target - 1)
    assert miss < 0.35
    for step in (-0.01, 0.01):
        other = scale_model(start, PAPER.at(phi + step))
        assert miss <= abs(count(other).params / target - 1) * 1.3 + 1e-9


@pytest.mark.parametrize("phi", [1, -1])
def test_members_cost_what_was_asked_by_any_counted_measure(phi: int) -> None:
    acts = by_ratio(SMALL, PAPER, 2.0**phi, "m", phi, "activations")
    assert abs(acts.ratio / 2**phi - 1) <= 0.01
    assert acts.ratio == acts.cost.activations / cost(SMALL).activations
    params = by_ratio(SMALL, PAPER, 2.0**phi, "m", phi, "params")
    assert params.ratio == params.cost.params / cost(SMALL).params
    assert abs(params.ratio / 2**phi - 1) <= 0.1
    (other,) = matched(["resnet18"], PAPER, [acts])["resnet18"]
    assert other.measure == "activations"
    assert abs(other.cost.activations / acts.cost.activations - 1) <= 0.01


def test_coefficients_that_leave_parameters_alone_reach_no_budget_of_them() -> None:
    with pytest.raises(ValueError, match=r"alpha \* beta\^2 must not be 1 for a budget in param"):
        solve_phi(SMALL, Coefficients(1, 1, 1.2), 1e7, "params")
    half = count(zoo.find("resnet18")).params / 2
    with pytest.raises(ValueError, match=r"within 1% of .* parameters, and no network along"):
        by_budget(zoo.find("resnet18"), PAPER, half, "m", tolerance=0.01, measure="params")


def test_scale_and_plan_by_the_command_line(scalesearch: Command, tiny: Path) -> None:
    found = scalesearch(
        *("scale", "mobilenet_v1", "--coefficients", "1.2,1.1,1.15", "--match", "", "--json"),
        *("--budget", "10Mparams,2xacts,800M"),
    )
    members = json.loads(found.stdout)["members"]
    assert [m["measure"] for m in members] == ["params", "activations", "flops"]
    assert [m["name"].rpartition("_")[2] for m in members] == ["10Mparams", "2xacts", "800M"]
    assert abs(members[0]["params"] / 10e6 - 1) < 0.1
    assert abs(members[2]["flops"] / 800e6 - 1) < 0.01
    plan = ("plan", tiny)
    document = json.loads(scalesearch(*plan, "--budget", "2x,2xparams", "--json").stdout)
    assert document["budget_text"] == "2x, at most 2xparams"
    assert document["caps"] == [{"text": "2xparams", "measure": "params", "ratio": 2.0}]
    for row in document["candidates"]:
        assert row["params_ratio"] <= 2 and abs(row["flops_ratio"] / 2 - 1) <= 0.2
        assert row["ratio"] == row["flops_ratio"] and row["ms"] is None
    shown = scalesearch(*plan, "--budget", "1.5xparams")
    assert "x params" in shown.stdout and "acts" in shown.stdout
    assert max(map(len, shown.stdout.splitlines()[1:])) <= 100


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("plan", "--budget", "5Mms"), "a budget must be"),
        (("plan", "--budget", "2x,2xflops"), "each measure once"),
        (("plan", "--budget", "5ms@4", "--latency", "8"), "must be of one batch, got 8"),
        (
            ("scale", "efficientnet", "--coefficients", "1,1,1.15", "--budget", "2xparams"),
            "must not be 1 for a budget in parameters",
        ),
        (
            *(("scale", "--mode", "formula", "--coefficients", "1.2,1.1,1.15", "--budget", "5ms"),),
            "--mode formula takes budgets in flops alone, got 5ms",
        ),
    ],
)
def test_refused_by_the_command_line(
    scalesearch: Command, arguments: tuple[str, ...], message: str
) -> None:
    ran = scalesearch(*arguments)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert message in ran.stderr and len(ran.stderr.splitlines()) == 1


def test_a_study_under_a_budget_of_parameters_scales_up_by_them(
    scalesearch: Command, tiny: Path, tmp_path: Path
) -> None:
    ran = scalesearch(*("run", tiny, "--budget", "1.5xparams,1.9x", "--runner", "inline", "--json"))
    assert ran.returncode == 0, ran.stderr
    document = json.loads(ran.stdout)
    folder = tmp_path / "results" / "tiny-shapes-1.5xparams-1.9x"
    plan = json.loads((folder / "plan.json").read_text())
    assert plan["measure"] == "params" and plan["target_flops"] is None
    fair = next(gate for gate in document["gates"] if gate["name"] == "fair")
    assert fair["text"].startswith("parameters within")
    assert "parameters" in (folder / "report.md").read_text()
