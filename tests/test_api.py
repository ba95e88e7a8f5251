"""The package as a library: the functions of `import scalesearch`, on a space of seconds."""

import inspect
import pkgutil
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
import torch
import typer

import scalesearch as ss
from scalesearch.cli import app
from scalesearch.networks import zoo
from scalesearch.networks.zoo.efficientnet import COEFFICIENTS


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture(scope="module")
def study(undisturbed: Path, tmp_path_factory: pytest.TempPathFactory) -> ss.SavedStudy:
    """What `ss.run` gave, in a copy to write reports into."""
    folder = tmp_path_factory.mktemp("api") / "results" / undisturbed.name
    return ss.study(shutil.copytree(undisturbed, folder))


def test_importing_it_imports_next_to_nothing() -> None:
    heavy = ("torch", "numpy", "pandas", "optuna", "ray", "pydantic", "typer", "yaml")
    found = python(
        "import sys, scalesearch as ss; before = set(sys.modules)\n"
        f"print([name for name in {heavy} if name in before], 'cost' in dir(ss))"
    )
    assert found.stdout == "[] True\n", found.stderr


def test_no_room_has_the_name_of_a_function() -> None:
    rooms = {module.name for module in pkgutil.iter_modules(ss.__path__)}
    assert not rooms & set(ss.__all__)


def test_it_has_what_it_says_and_nothing_else() -> None:
    assert not [name for name in ss.__all__ if isinstance(getattr(ss, name), ModuleType)]
    assert all((getattr(ss, name).__doc__ or "")[-2:] for name in ss.__all__)
    with pytest.raises(AttributeError, match="no attribute 'paln'"):
        _ = ss.paln  # type: ignore[attr-defined]


def test_a_plan_is_a_table_of_networks_that_cost_the_budget(tiny: Path) -> None:
    plan = ss.plan(tiny, budget="1.5x")
    assert (plan.grid_points, plan.budget) == (12, "1.5x") and plan.candidates
    table = ss.table(plan)
    assert table["flops"].tolist() == [candidate.cost.flops for candidate in plan.candidates]
    assert (abs(table["ratio"] / 1.5 - 1) <= 0.2).all()
    assert ss.plan(tiny, data="fashion-mnist").baseline.arch.channels == 1
    with pytest.raises(ValueError, match="did you mean 'efficientnet'"):
        ss.plan("efficientnett")


def test_a_plan_without_data_says_that_its_classes_and_pixels_are_the_model_s_own(
    tiny: Path,
) -> None:
    nameless = tiny.with_name("nameless.yaml")
    nameless.write_text(tiny.read_text().replace("    data: shapes\n", ""))
    own, given = ss.plan(nameless, "1.5x"), ss.plan(nameless, "1.5x", data="shapes")
    assert own.remarks[-1].startswith("no data are named")
    assert "no data" not in " ".join(given.remarks + ss.plan(tiny, "1.5x").remarks)
    assert own.baseline.arch.classes == 1000 != given.baseline.arch.classes


def test_a_run_gives_its_study(study: ss.SavedStudy) -> None:
    trials, curves = study.trials(), study.curves()
    assert set(trials["state"]) == {"COMPLETE"}
    whole = trials[(trials["state"] == "COMPLETE") & (trials["split"] == "val")]
    last = curves[curves["epoch"] == 2].set_index(["candidate", "seed"])["loss"]
    assert len(whole) and all(
        last[row.candidate, row.seed] == pytest.approx(row.loss) for row in whole.itertuples()
    )
    keys = {candidate.key for candidate in study.plan.candidates}
    assert {row.key for row in study.selection.standings} <= keys
    before = study.selection
    assert study.select() == before == study.selection
    assert study.space.budget == "2x" and study.space.proxies["quick"].recipe.epochs == 2
    page = study.report()
    assert page == study.folder / "report.html" and page.stat().st_size > 1000
    assert study.report("csv") == study.folder / "report.csv"
    with pytest.raises(ValueError, match="format must be html, md, pdf or csv"):
        study.report("docx")


def test_a_candidate_has_one_loss_wherever_it_is_shown(study: ss.SavedStudy) -> None:
    selection, status, plan = study.select(), study.status(), study.plan
    assert status.driver is None and status.run is not None
    expected = {row.key: (row.loss, row.p_best) for row in selection.standings}
    expected[plan.baseline.key] = (selection.baseline_loss, None)
    for rows in (status.networks, status.run.rows):  # the latter is what the live screen saw last
        assert {row.key: (row.loss, row.p_best) for row in rows if row.key in expected} == expected
    table = pd.read_csv(study.report("csv"), index_col="key")
    report = (study.folder / "report.md").read_text()
    page = report.split("\n## Candidates\n")[1].split("\n## ")[0].splitlines()
    for key, (loss, share) in expected.items():
        assert table.loc[key, "loss"] == pytest.approx(loss, rel=1e-12)
        (line,) = [line for line in page if line.startswith(f"| {table.loc[key, 'name']} ")]
        assert f"| {loss:.4f} |" in line
        if share is not None:
            assert table.loc[key, "p_best"] == pytest.approx(share, rel=1e-12)
            assert f"| {100 * share:.0f} % |" in line
    assert "trials.csv has each trial's own" in " ".join(page)


def test_tables_say_what_network_a_row_is_of(study: ss.SavedStudy) -> None:
    plan = study.plan
    networks = {row.key: row for row in (plan.baseline, *plan.candidates)}
    written = [pd.read_csv(study.folder / name) for name in ("trials.csv", "curves.csv")]
    for table in (study.trials(), study.curves(), *written):
        assert len(table) and {*table["candidate"]} <= networks.keys()
        for row in table.itertuples():
            network = networks[row.candidate]
            found = row.alpha, row.beta, row.gamma, row.flops
            assert found == (network.alpha, network.beta, network.gamma, network.flops)


def test_the_same_call_again_trains_nothing(study: ss.SavedStudy) -> None:
    before = study.trials()
    space = ss.space(study.folder / "space.yaml")
    name, results = study.folder.name, study.folder.parent
    again = ss.run(space, name=name, results=results, runner="inline", quiet=True)
    assert again == ss.study(study.folder) == study
    assert again.trials().equals(before)
    with pytest.raises(ValueError, match="belongs to another study"):
        ss.run(space, name=name, results=results, epochs=3, runner="inline", quiet=True)


def test_a_directory_without_a_study_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must have a study\.journal, got none in"):
        ss.study(tmp_path)


def test_a_family_by_coefficients_and_by_formula() -> None:
    c = (COEFFICIENTS.alpha, COEFFICIENTS.beta, COEFFICIENTS.gamma)
    family = ss.scale("mobilenet_v1", coefficients=c, budget=["300M", "1.2G"], match=())
    for member, target in zip(family.members, (300e6, 1.2e9), strict=True):
        assert member.cost.flops == pytest.approx(target, rel=0.01)
        assert ss.cost(member) == member.cost
        params = sum(p.numel() for p in ss.build(member).parameters())
        assert params == member.cost.params
    formula = ss.scale(coefficients=c, mode="formula", phi=[1], match=["resnet18"])
    assert [round(m.ratio, 2) for m in formula.members] == [2.57]
    table = ss.table(formula).set_index("name")
    assert table.loc["resnet18_as_efficientnet_b0_phi1", "family"] == "resnet18"
    assert len(table) == 2


def test_a_family_by_what_a_study_found(study: ss.SavedStudy, tmp_path: Path) -> None:
    if not study.selection.recommended:
        with pytest.raises(ValueError, match="recommends no coefficients"):
            ss.scale("mobilenet_v2", study=study)
        return
    family = ss.scale("mobilenet_v2", study=study, phi=[1], match=[], out=tmp_path / "family")
    assert family.members[0].ratio == pytest.approx(2, rel=0.01)
    path = tmp_path / "family" / "family" / f"{family.members[0].name}.yaml"
    assert ss.cost(path) == family.members[0].cost


@pytest.mark.parametrize("given", ["lenet5", Path("model.yaml")])
def test_a_network_is_built_and_costed_by_name_or_file(
    given: str | Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scalesearch.networks.files import dump_model, find_model

    monkeypatch.chdir(tmp_path)
    Path("model.yaml").write_text(dump_model(find_model("lenet5")))
    network = ss.build(given)
    assert network(torch.zeros(2, 1, 32, 32)).shape == (2, 10)
    assert ss.cost(given).flops < ss.cost(given, resolution=36).flops


def test_weights_of_torchvision_are_for_networks_of_ours() -> None:
    with pytest.raises(ValueError, match="must be a network of `build`, got Linear"):
        ss.load_torchvision(torch.nn.Linear(1, 1), {})


def test_help_is_quick() -> None:
    """No heavy import: the time itself depends on what else the machine does."""
    heavy: Sequence[str] = ("torch", "numpy", "pandas", "optuna", "ray", "pydantic", "matplotlib")
    found = python(
        "import sys; from scalesearch.cli import app\n"
        "try: app(['--help'])\n"
        "except SystemExit: pass\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    assert found.stdout.endswith("\n[]\n"), found.stderr


@pytest.mark.parametrize("phi", [1, 1e6, float("inf"), float("nan")])
def test_a_verification_at_no_budget_is_refused(phi: float) -> None:
    folder = Path(__file__).parents[1] / "results/reference/efficientnet-fashion-mnist-2x"
    with pytest.raises(ValueError, match="phi must be above 1, where the study is, and at most 20"):
        ss.study(folder).verify(phi)


@pytest.mark.parametrize(
    ("call", "rule"),
    [
        (lambda study: study.verify(top=1), "top must be at least 2, got 1"),
        (lambda study: study.verify(seeds=1), "seeds must be from 2 to 1,000, got 1"),
        (lambda study: study.verify(workers=0), "workers must be at least 1, got 0"),
        (lambda study: ss.run(study.space, seeds=2000), "seeds must be from 2 to 1,000, got 2,000"),
        (lambda study: ss.run(study.space, max_hours=-1), "max_hours must be at least 0, got -1"),
        (lambda study: ss.plan(study.space, latency=0), "latency must be at least 1, got 0"),
        (lambda study: ss.train(study, phi=-1), "phi must be from 0 to 20, got -1"),
        (lambda study: ss.cost(zoo.find("lenet5"), 0), "resolution must be at least 1, got 0"),
        (lambda study: ss.train(study, phi=1.5), "phi must be a whole number, got 1.5"),
        (lambda study: ss.run(study.space, seeds=2.5), "seeds must be a whole number, got 2.5"),
    ],
)
def test_a_number_out_of_range_is_refused_by_its_name(
    call: Callable[[ss.SavedStudy], object], rule: str
) -> None:
    folder = Path(__file__).parents[1] / "results/reference/efficientnet-fashion-mnist-2x"
    with pytest.raises(ValueError, match=f"^{rule}$"):
        call(ss.study(folder))


# what a command alone has: how it prints, whom it trusts, what it only foretells
PRINTED = {"as_json", "verbose", "trust", "dry_run"}


@pytest.mark.parametrize(
    "name", ["plan", "to_measure", "run", "train", "evaluate", "scale", "verify", "select"]
)
def test_a_function_takes_what_its_command_takes(name: str) -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    command = commands[name.replace("_", "-")]
    function = getattr(ss, name, None) or getattr(ss.SavedStudy, name)
    taken = {*inspect.signature(function).parameters, "study"}
    assert {option.name for option in command.params} - PRINTED <= taken
