"""Whatever comes from a file is refused in one line or read: no traceback, no code run.

`make fuzz` gives each of these FUZZ inputs; the suite some hundreds.
"""

import io
import json
import os
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scalesearch.data import describe, load
from scalesearch.families.scale import parse_coefficients
from scalesearch.files import read_json
from scalesearch.networks.files import read_model
from scalesearch.spaces.budget import parse_budget
from scalesearch.spaces.files import check_space, load_space, space_folder
from scalesearch.studies import JOURNAL, STUDY_NAME, Study, read_trials

EXAMPLES = int(os.environ.get("FUZZ", "0")) or 200
fuzz = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="FUZZ" not in os.environ,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
SPACES = [path.read_text() for path in sorted(space_folder().glob("*.yaml"))]
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**40), 2**40),
    st.floats(allow_nan=True, allow_infinity=True),
    st.text(max_size=12),
    st.sampled_from(
        ["2x", "solve", "python:os:getcwd", "!!python/object:os.system", "../x", "<b>"]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(string.ascii_lowercase + "_", max_size=10), inner, max_size=4)
    ),
    max_leaves=8,
)


def one_line(call: Callable[[], Any]) -> None:
    """Run it; a ValueError or OSError must say what is wrong in one line, all else is a fault."""
    try:
        call()
    except (ValueError, OSError) as error:
        assert str(error).strip(), "an error says something"


def paths(content: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a nested document."""
    inner = content.items() if isinstance(content, dict) else []
    inner = enumerate(content) if isinstance(content, list) else inner
    return [at, *(place for key, value in inner for place in paths(value, (*at, key)))]


@fuzz
@given(data=st.data(), value=VALUES)
def test_a_space_with_any_value_anywhere(data: st.DataObject, value: Any) -> None:
    content = yaml.safe_load(data.draw(st.sampled_from(SPACES)))
    *way, last = data.draw(st.sampled_from([path for path in paths(content) if path]))
    place = content
    for key in way:
        place = place[key]
    place[last] = value
    one_line(lambda: check_space({"name": "fuzzed", **content}, "fuzzed.yaml"))


@fuzz
@given(data=st.data(), noise=st.binary(max_size=12))
def test_a_space_file_of_damaged_bytes(tmp_path: Path, data: st.DataObject, noise: bytes) -> None:
    text = data.draw(st.sampled_from(SPACES)).encode()
    at = data.draw(st.integers(0, len(text)))
    path = tmp_path / "space.yaml"
    path.write_bytes(text[:at] + noise + text[at + data.draw(st.integers(0, 9)) :])
    one_line(lambda: load_space(str(path)))
    one_line(lambda: read_model(path))


@fuzz
@given(text=st.text(max_size=20))
def test_budgets_and_numbers(text: str) -> None:
    one_line(lambda: parse_budget(text))
    one_line(lambda: parse_coefficients(text))


@fuzz
@given(content=st.binary(max_size=200))
def test_a_json_file_of_any_bytes(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(content)
    one_line(lambda: read_json(path))


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    from tests.studies.test_study import metrics, opened

    folder = tmp_path_factory.mktemp("study")
    study = opened(folder)
    first = study.ask()
    assert first is not None
    study.report(first, metrics(1))
    study.complete(first, [metrics(1), metrics(2)], {"device": "here"})
    return (folder / JOURNAL).read_bytes()


@settings(fuzz, max_examples=max(50, EXAMPLES // 10))
@given(data=st.data())
def test_a_damaged_journal(tmp_path: Path, journal: bytes, data: st.DataObject) -> None:
    lines = journal.splitlines(keepends=True)
    at = data.draw(st.integers(0, len(lines) - 1))
    kind = data.draw(st.sampled_from(["drop", "swap", "bytes", "value"]))
    if kind == "drop":
        del lines[at]
    elif kind == "swap":
        other = data.draw(st.integers(0, len(lines) - 1))
        lines[at], lines[other] = lines[other], lines[at]
    elif kind == "bytes":
        cut = data.draw(st.integers(0, len(lines[at])))
        lines[at] = lines[at][:cut] + data.draw(st.binary(max_size=6)) + lines[at][cut + 2 :]
    else:
        entry = json.loads(lines[at])
        key = data.draw(st.sampled_from(sorted(entry)))
        entry[key] = data.draw(st.one_of(st.none(), st.integers(-5, 50), st.text(max_size=5)))
        lines[at] = json.dumps(entry).encode() + b"\n"
    (tmp_path / JOURNAL).write_bytes(b"".join(lines))
    before = sorted(path.name for path in tmp_path.iterdir())
    one_line(lambda: read_trials(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == before, "reading writes nothing"
    one_line(lambda: Study(tmp_path, ["a"]))
    assert STUDY_NAME


@settings(fuzz, max_examples=max(50, EXAMPLES // 4))
@given(data=st.data(), noise=st.binary(max_size=8))
def test_a_damaged_npz(tmp_path: Path, data: st.DataObject, noise: bytes) -> None:
    file = io.BytesIO()
    shape = data.draw(st.sampled_from([(6, 4, 4), (6, 4, 4, 3), (6, 3, 4, 4), (6,), (6, 4, 5)]))
    labels = np.arange(6) % data.draw(st.integers(1, 3))
    np.savez(file, x_train=np.zeros(shape, np.uint8), y_train=labels)
    whole = file.getvalue()
    at = data.draw(st.integers(0, len(whole)))
    path = tmp_path / "x.npz"
    path.write_bytes(whole[:at] + noise + whole[at + len(noise) :])
    one_line(lambda: describe(f"npz:{path}"))
    one_line(lambda: load(f"npz:{path}"))
