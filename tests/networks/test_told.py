"""What networks cost on another device: told by a function, or by a table that is filled in."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

import scalesearch as ss
from scalesearch.errors import ParameterError
from scalesearch.families.members import TOLERANCE, by_ratio
from scalesearch.networks import zoo
from scalesearch.networks.cost import cost
from scalesearch.networks.files import read_model
from scalesearch.networks.models import Model
from scalesearch.networks.scaling import Coefficients
from scalesearch.networks.told import told
from scalesearch.plans.document import read_timings
from tests.conftest import TINY, Command


def small(pixels: int = 32) -> Model:
    return replace(zoo.find("mobilenet_v1_w0.25"), resolution=pixels)


METER = """
def energy(network, images):
    assert images.shape[0] == 4 and not network.training
    return sum(p.numel() for p in network.parameters())


def none(network, images):
    return 0
"""


def test_another_devices_figures_are_told_by_a_function(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "meter.py").write_text(METER)
    cost = "python:meter:energy"
    plan = ss.plan(tiny, "1.5xms@4", cost=cost)
    assert plan.latency is not None and plan.latency.device == cost
    for found in plan.candidates:
        assert found.ratio == found.ms_ratio == found.ms_ratio_low == found.params_ratio
        assert found.ms == found.params and abs(found.ratio / 1.5 - 1) <= 0.2
    with pytest.raises(ValueError, match=r"energy must return a number above 0 .* AssertionError"):
        ss.plan(tiny, "1.5xms", cost=cost)
    with pytest.raises(ValueError, match=r"none must return a number above 0 .* ValueError: 0"):
        ss.plan(tiny, "1.5xms", cost="python:meter:none")
    with pytest.raises(ValueError, match=r"^cost, where it is no FILE\.csv .* got 'meter\.txt'$"):
        ss.plan(tiny, "1.5xms", cost="meter.txt")
    with pytest.raises(ParameterError, match="tells what the ms of a budget are, got 2x"):
        ss.plan(tiny, "2x", cost=cost)


def test_a_study_goes_on_with_what_it_was_told(
    tiny: Path, tmp_path: Path, scalesearch: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "meter.py").write_text(METER)
    run = ("run", tiny, "--budget", "1.5xms@4", "--runner", "inline", "--max-trials", "2")
    assert scalesearch(*run, "--cost", "python:meter:energy").returncode == 0
    (folder,) = (tmp_path / "results").iterdir()
    timings = read_timings(folder / "latency.json")
    assert timings is not None and all(len({*v}) == 1 for v in timings.visits.values())
    (tmp_path / "meter.py").write_text("")  # what it told is kept
    assert scalesearch(*run, "--cost", "python:meter:energy").returncode == 0
    other = scalesearch(*run)
    assert other.returncode == 2 and "python:meter:energy beside None" in other.stderr


def filled(folder: Path, costs: dict[str, float]) -> Path:
    """The table that a plan left in a folder, its costs filled in."""
    path = folder / "networks.csv"
    rows = list(csv.DictReader(path.open()))
    assert {row["cost"] for row in rows} == {""} and rows
    for row in rows:
        row["cost"] = str(costs.get(row["key"], ""))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0]])
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_another_devices_figures_are_told_by_a_table(
    tiny: Path, tmp_path: Path, scalesearch: Command
) -> None:
    """One that is written to be filled in, beside the networks that are to be measured."""
    listed = scalesearch("to-measure", tiny, "--budget", "1.5xms", "--out", "phone")
    assert listed.returncode == 0, listed.stderr
    models = {path.stem: read_model(path) for path in (tmp_path / "phone").glob("*.yaml")}
    assert len(models) == 12
    params = {key: float(cost(model).params) for key, model in models.items()}
    table = filled(tmp_path / "phone", params)

    plan = ss.plan(tiny, "1.5xms", cost=table)
    assert plan.latency is not None and plan.latency.device == str(table)
    assert plan.candidates
    for found in plan.candidates:
        assert found.ratio == found.ms_ratio == found.ms_ratio_low == found.params_ratio
    (tmp_path / "phone.json").write_text(json.dumps(params))
    assert ss.plan(tiny, "1.5xms", cost=tmp_path / "phone.json").candidates == plan.candidates

    # a plan that asks for more keeps what is there, and says what is lacking
    with pytest.raises(ValueError, match=r"each of 1 networks in .* lacks 1: \w{12} at 12 px; "):
        ss.plan(tiny, "9000ms", cost=table)
    rows = ss.to_measure(tiny, "9000ms", out=tmp_path / "phone").set_index("key")
    assert rows["cost"].isna().sum() == 1 and rows["cost"].dropna().to_dict() == params
    with pytest.raises(ValueError, match="must have a term in ms to be measured, got 2x"):
        ss.to_measure(tiny, "2x", out=tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("no.csv", None, "no.csv must be a readable file: No such file"),
        ("a.csv", "key;cost\na;1\n", "must have columns key and cost, got ['key;cost']"),
        ("a.csv", "", "must have columns key and cost, got None"),
        ("a.csv", "key,cost\na,1\na,1\n", "must stand in one row, got 'a' in two"),
        ("a.csv", "key,cost\na,nan\n", "must be a number above 0, got 'nan' for 'a'"),
        ("a.csv", "key,cost\na,-1\n", "must be a number above 0, got '-1' for 'a'"),
        ("a.csv", 'key,cost\na,"1,5"\n', "must be a number above 0, got '1,5' for 'a'"),
        ("a.csv", "\ufeffkey,cost\r\na,\r\n", "lacks 13: "),
        ("a.csv", "key,cost\na\n", "lacks 13: "),
        ("a.csv", b"\xff\xfe", "codec can't decode"),
        ("a.json", "[1]", "a table must be {key: cost}, got [1]"),
        ("a.json", '{"a": 1, "a": 2}', "must stand in one row, got 'a' in two"),
        ("a.json", '{"a": NaN}', "a number must be finite, got NaN"),
        ("a.json", '{"a": true}', "must be a number above 0, got True for 'a'"),
        ("a.json", '{"a": {"b": 1}}', "must be a number above 0, got [('b', 1)] for 'a'"),
        ("a.json", "{", "Expecting property name"),
        ("a.json", "[" * 100_000, "recursion"),
    ],
)
def test_a_table_that_tells_nothing_is_refused(
    name: str, text: str | bytes | None, words: str, tmp_path: Path
) -> None:
    path, networks = tmp_path / name, [small(32 + i) for i in range(13)]
    if text is not None:
        path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ValueError) as error:
        told(str(path), networks, 1)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_members_are_found_by_what_a_function_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "meter.py").write_text(METER.replace("images.shape[0] == 4 and", ""))
    along = Coefficients(1.2, 1.2, 1.1)
    found = by_ratio(small(), along, 2, "two", 1, "ms", source="python:meter:energy")
    assert found.ms == found.params and found.ratio == pytest.approx(2, rel=TOLERANCE["ms"])
    assert found.ratio == found.params / cost(small()).params
    space = tmp_path / "told.yaml"
    space.write_text(f"cost: {tmp_path}/phone.csv\n{TINY}")
    with pytest.raises(ValueError, match=r"told by a function, got a table, .*phone\.csv"):
        ss.scale(space, coefficients=(1.2, 1.2, 1.1), budget="2xms", match=[])
