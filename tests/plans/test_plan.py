"""The plan: its counts, budgets on either side of 1x, and what makes none feasible."""

import importlib
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalesearch.families.of_study import own_stand
from scalesearch.networks import zoo
from scalesearch.networks.cost import Cost, cost, cost_cache
from scalesearch.networks.count import FEW, all_counted, auxiliary_params, count, measured_costs
from scalesearch.networks.models import Model, build_model, scale_model
from scalesearch.plans.grid import solve_resolution
from scalesearch.plans.plan import make_plan
from scalesearch.spaces.budget import parse_budget
from scalesearch.spaces.files import load_space, narrow, space_names
from scalesearch.spaces.proxy import baseline
from scalesearch.spaces.space import Grid, Proxy, Space

MODULE = importlib.import_module("scalesearch.networks.count")


def test_the_paper_grid_has_539_points_196_networks_and_12_on_budget() -> None:
    plan = make_plan(load_space("efficientnet"), "full", "2x")
    assert (plan.grid_points, plan.distinct, len(plan.candidates)) == (539, 196, 12)
    for candidate in plan.candidates:
        assert candidate.cost == cost(candidate.arch)
        assert candidate.ratio == candidate.cost.flops / 385_814_752
        assert abs(candidate.ratio / 2 - 1) <= 0.05
        assert candidate.coefficients in candidate.points
    assert sum(len(candidate.points) for candidate in plan.candidates) == 30
    assert len({candidate.key for candidate in plan.candidates}) == 12


@pytest.mark.parametrize(
    ("budget", "ratio"),
    [("1.5x", 1.5), ("800M", 800e6 / 568_740_352), ("1.6G", 1.6e9 / 568_740_352)],
)
def test_budgets_above_one(budget: str, ratio: float) -> None:
    plan = make_plan(load_space("mobilenet_v1"), "full", budget)
    assert plan.ratio == pytest.approx(ratio)
    assert plan.candidates
    for candidate in plan.candidates:
        assert abs(candidate.ratio / ratio - 1) <= 0.05


def test_a_budget_below_one_shrinks() -> None:
    plan = make_plan(load_space("mobilenet_v1"), "full", "0.5x")
    assert plan.candidates
    for candidate in plan.candidates:
        assert abs(candidate.ratio / 0.5 - 1) <= 0.05
        for point in candidate.points:
            assert max(point.alpha, point.beta, point.gamma) <= 1


def test_gamma_is_solved_from_the_budget() -> None:
    grid = Grid(alpha=(1.0, 1.2), beta=(1.0, 1.1), gamma="solve")
    space = Space(name="s", model="efficientnet_b0", grid=grid, proxies={"full": Proxy()})
    plan = make_plan(space, "full", "2x")
    assert plan.grid_points == 4
    for candidate in plan.candidates:
        assert abs(candidate.ratio / 2 - 1) <= 0.05
        (point,) = candidate.points
        assert point.gamma * 224 == pytest.approx(candidate.arch.resolution)


@settings(max_examples=20, deadline=None)
@given(target=st.floats(2e6, 5e8))
def test_the_solved_resolution_is_the_nearest_of_all(target: float) -> None:
    arch = zoo.find("mobilenet_v1_w0.25")
    solved = solve_resolution(arch, target)
    miss = abs(count(solved).flops - target)
    for pixels in (solved.resolution - 1, solved.resolution + 1):
        if pixels >= 1:
            assert miss <= abs(count(replace(arch, resolution=pixels)).flops - target)


@pytest.mark.parametrize("text", ["0x", "-3", "2y", "", "x", "1e3x", "0M", "nanx", "2 x x"])
def test_a_bad_budget_states_the_rule_and_the_value(text: str) -> None:
    with pytest.raises(ValueError, match="a budget must be a ratio above zero") as caught:
        parse_budget(text)
    assert repr(text) in str(caught.value)


def test_a_budget_that_no_candidate_meets_names_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"nearest feasible is 5\.259x, by alpha 1\.35, beta 1\.3"):
        make_plan(load_space("efficientnet"), "full", "9x")


def test_a_budget_of_the_baseline_itself_is_refused() -> None:
    with pytest.raises(ValueError, match="must differ from the baseline"):
        make_plan(load_space("efficientnet"), "full", "1.02x")


def test_a_coefficient_that_shrinks_is_refused_under_a_budget_that_grows() -> None:
    grid = Grid(alpha=(0.9, 1.2), beta=(1.0,), gamma=(1.0,))
    space = Space(name="s", model="efficientnet_b0", grid=grid, proxies={"full": Proxy()})
    with pytest.raises(ValueError, match=r"alpha must be at least 1 .* got 0.9"):
        make_plan(space, "full", "2x")
    with pytest.raises(ValueError, match="needs a grid under `shrink`"):
        make_plan(space, "full", "0.5x")


PROXIES = [
    (name, proxy) for name in space_names() for proxy in load_space(name).proxies if proxy != "full"
]


@pytest.fixture
def counted_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Costs by count, which test_zoo holds to what fvcore measures in seconds a plan."""
    monkeypatch.setattr(MODULE, "cost", count)


@pytest.mark.usefixtures("counted_alone")
@pytest.mark.parametrize(("name", "proxy"), PROXIES)
def test_every_shipped_proxy_is_faithful_to_its_model(name: str, proxy: str) -> None:
    space = narrow(load_space(name), proxy)
    plan = make_plan(space, proxy, None, channels=1, classes=10, images=28)
    assert plan.baseline.inside
    assert min(plan.baseline.inside.sides) >= 4
    # LeNet-5 has neither depth nor width to scale: one network is all there is
    assert [remark.split(";")[-1] for remark in plan.remarks] == (
        [" widen the grid, or take finer steps in it"] if name == "lenet" else []
    )
    assert (1 if name == "lenet" else 5) <= len(plan.candidates) <= 16
    own = baseline(space)
    for candidate in plan.candidates:
        assert candidate.resolution <= 28, "the images' own pixels"
        assert abs(candidate.ratio / 2 - 1) <= space.tolerance
        stand = candidate.stand
        assert stand
        gamma = candidate.resolution / plan.baseline.resolution
        assert abs(candidate.gamma / gamma - 1) <= 0.05
        # phi = 1 of the family is the network that the candidate stands for, by its coefficients
        first = own_stand(own, plan, candidate.coefficients, "first")
        assert first
        assert (first.arch.key, first.flops, first.ratio) == (stand.key, stand.flops, stand.ratio)
        assert abs(first.ratio / 2 - 1) <= space.tolerance
        assert first.arch == replace(
            scale_model(own, candidate.coefficients.at(1)), name=first.arch.name
        )


@pytest.mark.usefixtures("counted_alone")
@pytest.mark.parametrize(
    "name", ["resnet", "mobilenet_v1", "mobilenet_v2", "vgg", "googlenet", "efficientnet_v2"]
)
def test_the_model_itself_has_candidates_at_twice_its_cost(name: str) -> None:
    plan = make_plan(load_space(name), "full", "2x")
    assert plan.candidates
    for candidate in plan.candidates:
        assert candidate.cost.flops == pytest.approx(2 * plan.baseline.cost.flops, rel=0.05)
    smallest = min(plan.candidates, key=lambda c: c.cost.params)
    network = build_model(smallest.arch)
    assert sum(p.numel() for p in network.parameters()) == (
        smallest.cost.params + auxiliary_params(smallest.arch)
    )


def test_of_many_networks_some_are_measured_and_all_if_one_differs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start = replace(zoo.find("alexnet"), classes=10)
    archs = [replace(start, resolution=64 + i) for i in range(FEW + 5)]
    measured: list[str] = []

    def noted(model: Model) -> Cost:
        measured.append(model.key)
        return cost(model)

    monkeypatch.setattr(MODULE, "cost", noted)
    found = measured_costs(archs)
    assert 1 < len(measured) <= FEW
    assert found == [cost(arch) for arch in archs]
    monkeypatch.setattr(MODULE, "count", lambda model: replace(count(model), flops=1))
    assert measured_costs(archs) == found


def test_counts_are_kept_and_a_damaged_file_of_them_does_no_harm(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    archs = {name: zoo.find(name) for name in ("resnet18", "mobilenet_v2")}
    models = {arch.key: arch for arch in archs.values()}
    fresh = all_counted(models)
    assert fresh == {key: count(arch) for key, arch in models.items()}
    monkeypatch.setattr(MODULE, "count", None)
    assert all_counted(models) == fresh, "from the file"
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    kept = cost_cache() / "counts.json"
    wrong = re.sub(r"\d{6,}", "12345678", kept.read_text())
    assert wrong != kept.read_text()
    key = next(iter(models))
    infinite, deep = f'{{"{key}": [1, 1, 1, Infinity]}}', f'{{"{key}": {"[" * 100_000}'
    for damage in ("", "[1]", '{"a": "b"}', "{", wrong, infinite, deep):
        kept.write_text(damage)
        assert all_counted(models) == fresh
    arch = archs["resnet18"]
    measured, one = cost(arch), cost_cache() / f"{arch.key}.json"
    one.write_text(one.read_text().replace(str(measured.flops), "88"))
    assert cost(arch) == measured
