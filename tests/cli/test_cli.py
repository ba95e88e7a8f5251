"""The command line, run as a user does: answers, and what is typed wrong."""

import gzip
import json
import struct
import subprocess
from pathlib import Path

import pytest
import yaml
from PIL import Image

from scalesearch.units import short
from tests.conftest import TINY, Command


def refused(found: subprocess.CompletedProcess[str], *words: str) -> None:
    """The command ended with code 2 and one line that says these words, and no traceback."""
    assert found.returncode == 2, found.stderr
    assert found.stdout == ""
    assert found.stderr.startswith("error: ") and found.stderr.count("\n") == 1, found.stderr
    for word in words:
        assert word in found.stderr


# the same space, of a model by its name
NAMED = "model: mobilenet_v2\n" + TINY[TINY.index("grid:") :]


def test_cost_prints_the_figures(in_a_process: Command) -> None:
    found = in_a_process("cost", "efficientnet_b3", "--json")
    assert json.loads(found.stdout) == {
        "model": "efficientnet_b3",
        "resolution": 300,
        "flops": 1_827_141_392,
        "params": 12_233_232,
        "activations": 23_831_296,
        "fvcore_total": 1_883_903_568,
    }


def test_plan_prints_the_papers_grid(scalesearch: Command) -> None:
    found = scalesearch("plan", "efficientnet", "--budget", "2x", "--proxy", "full", "--json")
    plan = json.loads(found.stdout)
    assert (plan["grid_points"], plan["distinct"], plan["feasible"]) == (539, 196, 12)
    assert {
        *("key", "alpha", "beta", "gamma", "depths", "widths", "resolution", "flops", "ratio"),
    } <= set(plan["candidates"][0])
    assert len(plan["candidates"]) == 12


def test_scale_published_formula_and_budget(scalesearch: Command) -> None:
    published = json.loads(scalesearch("scale", "efficientnet", "--published", "--json").stdout)
    by_name = {member["name"]: member for member in published["members"]}
    assert by_name["efficientnet_b7"]["flops"] == 37_745_884_192
    assert by_name["efficientnet_b7"]["resolution"] == 600
    arguments = ("--coefficients", "1.2,1.1,1.15", "--phi", "1,3", "--match", "", "--json")
    formula = json.loads(scalesearch("scale", "--mode", "formula", *arguments).stdout)
    assert [round(m["ratio"], 2) for m in formula["members"]] == [2.57, 8.43]
    budget = json.loads(
        scalesearch("scale", *arguments[:4], "--match", "resnet50", "--json").stdout
    )
    assert set(budget) >= {"space", "mode", "baseline", "members", "matched"}
    for member, phi in zip(budget["members"], (1, 3), strict=True):
        assert member["phi"] == phi
        assert abs(member["ratio"] / 2**phi - 1) <= 0.01
    for member, target in zip(budget["matched"]["resnet50"], budget["members"], strict=True):
        assert abs(member["flops"] / target["flops"] - 1) <= 0.01


def test_a_member_is_built_from_its_file(scalesearch: Command, tmp_path: Path) -> None:
    import scalesearch as package

    found = scalesearch(
        *("scale", "mobilenet_v1", "--coefficients", "1.2,1.1,1.15", "--target", "300M,1.2G"),
        *("--match", "", "--out", "family", "--json"),
    )
    members = json.loads(found.stdout)["members"]
    assert [round(m["flops"] / 1e6 / t, 2) for m, t in zip(members, (300, 1200), strict=True)] == [
        pytest.approx(1, abs=0.01)
    ] * 2
    for member in members:
        network = package.build(str(tmp_path / "family" / "family" / f"{member['name']}.yaml"))
        assert sum(p.numel() for p in network.parameters()) == member["params"]


def test_models_lists_every_system_with_its_cost_and_its_published_accuracy(
    scalesearch: Command,
) -> None:
    rows = {row["model"]: row for row in json.loads(scalesearch("models", "--json").stdout)}
    assert len({row["family"] for row in rows.values()}) == 10
    b0 = rows["efficientnet_b0"]
    assert (b0["params"], b0["flops"]) == (5_288_548, 385_814_752)
    assert b0["published"][0]["top1"] == 77.692 and "torchvision" in b0["published"][0]["source"]
    v3 = rows["inception_v3"]
    assert v3["params"] + v3["auxiliary_params"] == 27_161_264 and "auxiliary" in v3["note"]


def test_the_schema_knows_the_shipped_spaces_keys(scalesearch: Command) -> None:
    schema = json.loads(scalesearch("spaces", "--schema").stdout)
    assert schema["additionalProperties"] is False
    for path in (Path(__file__).parents[2] / "search_spaces").glob("*.yaml"):
        content = yaml.safe_load(path.read_text())
        assert set(content) <= set(schema["properties"])
        assert set(schema["required"]) <= set(content)
        for proxy in content["proxies"].values():
            assert set(proxy) <= set(schema["$defs"]["Proxy"]["properties"])


def test_reconcile_prints_three_tables(scalesearch: Command) -> None:
    rows = json.loads(scalesearch("reconcile", "--json").stdout)
    assert {row["table"] for row in rows} == {2, 3, 7}
    b2 = next(row for row in rows if row["row"] == "efficientnet_b2")
    assert b2["flops"] == 993_561_872
    assert "0.39B" in scalesearch("reconcile").stdout


def test_a_named_strategy_meets_a_measured_budget(scalesearch: Command) -> None:
    found = scalesearch(
        *("scale", "resnet", "--strategy", "fast", "--budget", "4x,16x", "--match", "", "--json")
    )
    members = json.loads(found.stdout)["members"]
    assert [m["name"] for m in members] == ["resnet18_fast_4x", "resnet18_fast_16x"]
    for member, ratio in zip(members, (4, 16), strict=True):
        assert member["ratio"] == pytest.approx(ratio, rel=0.01)
        # width takes most of it: s^0.4, where depth takes s^0.1
        assert member["width"] == pytest.approx(ratio**0.4, rel=0.1)
        assert member["depth"] == pytest.approx(ratio**0.1, rel=0.1)
    refused(scalesearch("scale", "resnet", "--strategy", "fats"), "got 'fats'")
    refused(
        scalesearch("scale", "resnet", "--strategy", "fast", "--coefficients", "1.2,1.1,1.1"),
        "give no coefficients",
    )


def test_help_has_examples(scalesearch: Command) -> None:
    assert "scalesearch run --budget 2x" in scalesearch("--help").stdout
    assert "imagefolder:" in scalesearch("run", "--help").stdout


@pytest.mark.parametrize("budget", ["0x", "-3", "2y"])
def test_a_bad_budget(scalesearch: Command, budget: str, tmp_path: Path) -> None:
    refused(scalesearch("run", "--budget", budget), "a budget must be", repr(budget))
    assert list(tmp_path.iterdir()) == []


def test_a_budget_that_none_meets(scalesearch: Command) -> None:
    refused(scalesearch("plan", "--budget", "50x"), "nearest feasible is")


def test_an_unknown_space_model_proxy_and_data(scalesearch: Command, tmp_path: Path) -> None:
    refused(scalesearch("run", "eficientnet"), "did you mean 'efficientnet'")
    refused(scalesearch("cost", "efficientnet_b33"), "did you mean 'efficientnet_b3'")
    refused(scalesearch("run", "--proxy", "quik"), "a proxy must be one of quick")
    refused(scalesearch("run", "--data", "fashon-mnist"), "did you mean 'fashion-mnist'")
    refused(scalesearch("run", "--proxy", "full"), "--data")
    refused(scalesearch("run", "no/such.yaml"), "readable file")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("tolerance:", "tolerence:"), ("tolerence is not a key", "did you mean 'tolerance'")),
        (("epochs: 2", "epoch: 2"), ("epoch is not a key", "did you mean 'epochs'")),
        (("epochs: 2", "epochs: 0"), ("epochs", "greater than or equal to 1", "got 0")),
        (("tolerance: 0.2", "tolerance: [1"), ("must be YAML",)),
        (("model: mobilenet_v2", "model: mobilenet_v9"), ("did you mean 'mobilenet_v2'",)),
        (("alpha: [1.0, 1.5]", "alpha: [0.9, 1.5]"), ("alpha must be at least 1", "got 0.9")),
        (("proxies:", "proxy: {}\nproxies:"), ("proxy is not a key", "did you mean 'proxies'")),
    ],
)
def test_a_bad_space(
    scalesearch: Command, tmp_path: Path, change: tuple[str, str], words: tuple[str, ...]
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(NAMED.replace(*change))
    refused(scalesearch("run", path, "--runner", "inline"), *words)
    assert list(tmp_path.iterdir()) == [path]


def test_a_study_made_before_a_key_had_a_default_goes_on(
    scalesearch: Command, tiny: Path, finished: Path
) -> None:
    kept = finished / "space.yaml"
    text = kept.read_text()
    assert "resize_from: 1.0" in text
    kept.write_text(text.replace("      resize_from: 1.0\n", ""))
    assert "nothing was trained" in scalesearch("run", tiny, "--runner", "inline").stdout


TABLE = """
model: {name: mine, resolution: %d, stem: [{block: conv, width: 8}], stages: [{%s}]}
grid: {alpha: [1.0, 2.0], beta: [1.0, 1.5], gamma: [1.0]}
proxies: {quick: {data: shapes}}
"""


@pytest.mark.parametrize(
    ("pixels", "row", "words"),
    [
        (20, "block: convv, width: 8", ("mine, stages row 1: a block must be one of", "'convv'")),
        (20, "block: conv, width: 8, depth: 0", ("stages row 1: depth must be at least 1, got 0",)),
        (20, "block: conv, width: 9, groups: 4", ("stages row 1: groups must divide", "got 4")),
        (20, "block: conv, width: x", ("model.stages.0.width", "valid integer", "got 'x'")),
        (20, "blok: conv, width: 8", ("model.stages.0.blok is not a key", "mean 'block'")),
        (2, "block: conv, width: 8, stride: 4", ("stages row 1: the input is too small",)),
    ],
)
def test_a_bad_stage_table(
    scalesearch: Command, tmp_path: Path, pixels: int, row: str, words: tuple[str, ...]
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(TABLE % (pixels, row))
    refused(scalesearch("plan", path), *words)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("python:json:missing", ("json must have a function 'missing'",)),
        ("python:json:dumps", ("python:json:dumps called with", "TypeError")),
        ("python:nowhere:net", ("nowhere must be a module that can be imported",)),
        ("python:json", ("must be python:package.module:function, got 'python:json'",)),
    ],
)
def test_a_function_that_is_no_model(
    scalesearch: Command, tmp_path: Path, function: str, words: tuple[str, ...]
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(NAMED.replace("model: mobilenet_v2", f"model: {function}"))
    refused(scalesearch("run", path, "--runner", "inline"), *words)
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_that_leaves_the_results(scalesearch: Command, tiny: Path) -> None:
    refused(scalesearch("run", tiny, "--name", "../up"), "a study's name must be", "'../up'")


def test_a_directory_of_another_study_is_not_mixed_with(
    scalesearch: Command, tiny: Path, tmp_path: Path, finished: Path
) -> None:
    folder = finished.rename(finished.with_name("one"))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    refused(
        scalesearch("run", tiny, "--runner", "inline", "--name", "one", "--epochs", "1"),
        "belongs to another study",
        "recipe.epochs was 2, is 1",
    )
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    (tmp_path / "results" / "mine").mkdir()
    (tmp_path / "results" / "mine" / "thesis.tex").write_text("years of work")
    refused(scalesearch("run", tiny, "--runner", "inline", "--name", "mine"), "holds other files")


def test_data_folders_that_cannot_be_trained_on(scalesearch: Command, tmp_path: Path) -> None:
    def run(folder: Path) -> subprocess.CompletedProcess[str]:
        return scalesearch("run", "--runner", "inline", "--data", f"imagefolder:{folder}")

    empty = tmp_path / "empty"
    empty.mkdir()
    refused(run(empty), "one folder a class, at least 2, got 0")
    refused(run(tmp_path / "none"), "must be a folder of images")
    one = tmp_path / "one"
    (one / "cats").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(one / "cats" / "1.png")
    refused(run(one), "one folder a class, at least 2, got cats")
    (one / "dogs").mkdir()
    refused(run(one), "must have at least 1 image", "dogs")
    assert not (tmp_path / "results").exists()


def test_a_truncated_image_and_a_wrong_magic_number(
    scalesearch: Command, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "photos"
    for name in ("cats", "dogs"):
        (folder / name).mkdir(parents=True)
        for i in (0, 1):
            Image.effect_noise((32, 32), 50).save(folder / name / f"{i}.png")
    whole = (folder / "dogs" / "1.png").read_bytes()
    (folder / "dogs" / "2.png").write_bytes(whole[: len(whole) // 2])
    found = scalesearch("run", tiny, "--runner", "inline", "--data", f"imagefolder:{folder}")
    refused(found, "may be unreadable, got 1 of 5", "2.png")
    cache = tmp_path / "cache" / "scalesearch" / "data" / "fashion-mnist"
    cache.mkdir(parents=True)
    broken = cache / "train-images-idx3-ubyte.gz"
    broken.write_bytes(gzip.compress(struct.pack(">IIII", 2049, 1, 28, 28) + bytes(784)))
    found = scalesearch("run", tiny, "--runner", "inline", "--data", "fashion-mnist")
    refused(found, "magic number must be 2051, got 2049", "train-images")
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("value", "text"),
    [(999, "999"), (999_400, "999K"), (999_900, "1M"), (385_814_752, "386M"), (1.83e9, "1.83G")],
)
def test_counts_in_three_digits(value: float, text: str) -> None:
    assert short(value) == text
