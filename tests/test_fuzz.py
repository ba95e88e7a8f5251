"""Whatever comes from a file is refused in one line or read: no traceback, no code run.

`make fuzz` gives each of these FUZZ inputs; the suite some hundreds.
"""

import io
import json
import os
import re
import resource
import string
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scalesearch.cli.parse import coefficients
from scalesearch.data import describe, load
from scalesearch.files import read_checked, read_json, write_checked
from scalesearch.networks.blocks.layout import emptied
from scalesearch.networks.count import count
from scalesearch.networks.files import read_model
from scalesearch.search.screen import status_text
from scalesearch.search.status import study_status
from scalesearch.spaces.budget import parse_budget
from scalesearch.spaces.files import check_space, load_space, space_folder
from scalesearch.spaces.proxy import proxy_baseline
from scalesearch.spaces.space import grid_points
from scalesearch.studies import JOURNAL, STUDY_NAME, Study, read_curves, read_trials

EXAMPLES = int(os.environ.get("FUZZ", "0")) or 200
fuzz = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="FUZZ" not in os.environ,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
TABLE = """
model:
  name: small
  resolution: 20
  stem: [{block: conv, width: 8}]
  stages:
    - {block: mbconv, width: 16, depth: 2, stride: 2, expand: 4, squeeze: 0.25}
    - {block: branches, branches: [[{block: conv, width: 8}], [{block: conv, width: 8}]]}
  hidden: [{width: 32}]
  classes: 10
  auxiliary: [{after: 1, weight: 0.3, pool: 2}]
  rules: {divisor: 2, depth: round}
grid: {alpha: {start: 1.0, stop: 2.0, step: 0.5}, beta: [1.0, 1.5], gamma: [1.0, 1.2]}
proxies:
  quick: {data: shapes, depth: 1.5, width: 0.5, resolution: 16, divisor: 4, output_stride: 1}
"""
SPACES = [TABLE, *(path.read_text() for path in sorted(space_folder().glob("*.yaml")))]
EXTREMES = [1e-300, 1e-9, 1e6, 1e308, -1e308, 10**6, 10**7, 10**12, 10**18, 10**400, 0, -1]
SECONDS = 5  # of this process's own time, that any input may take
MEMORY = 2**20  # KiB that any input may take
SCALARS = st.one_of(
    st.sampled_from(EXTREMES),
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
    started, most = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        call()
    except (ValueError, OSError) as error:
        assert str(error).strip(), "an error says something"
    assert time.process_time() - started < SECONDS
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - most < MEMORY


def nested(levels: int) -> Any:
    """Lists in lists, so deep."""
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


DEEP = st.integers(1, 45).map(nested)  # read_yaml lets no more through


def looked_at(content: Any) -> None:
    """Read a space, and look at its points and at the networks that it starts from."""
    space = check_space({"name": "fuzzed", **content}, "fuzzed.yaml")
    grid_points(space.grid)
    for proxy in space.proxies.values():
        count(proxy_baseline(space, proxy, None, None))


def paths(content: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a nested document."""
    inner = content.items() if isinstance(content, dict) else []
    inner = enumerate(content) if isinstance(content, list) else inner
    return [at, *(place for key, value in inner for place in paths(value, (*at, key)))]


@fuzz
@given(data=st.data(), value=VALUES | DEEP)
def test_a_space_with_any_value_anywhere(data: st.DataObject, value: Any) -> None:
    content = yaml.safe_load(data.draw(st.sampled_from(SPACES)))
    *way, last = data.draw(st.sampled_from([path for path in paths(content) if path]))
    place = content
    for key in way:
        place = place[key]
    place[last] = value
    one_line(lambda: looked_at(content))


BOMB = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in pairwise("abcdefghijkl")
)
MERGED = "a: &a {p: 1, q: 2}\n" + "".join(
    f"{new}: &{new} {{<<: [{', '.join([f'*{old}'] * 9)}]}}\n"
    for old, new in pairwise("abcdefghijkl")
)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (BOMB + "grid: {alpha: *l}", "at most 20000 values"),
        (MERGED + "grid: *l", "at most 20000 values"),
        ("grid: &g {alpha: *g}", "at most 20000 values"),
        ("grid: " + "[" * 60 + "]" * 60, "at most 50 levels"),
        ("grid: " + "[" * 100_000, "at most 50 levels"),
        ("grid: " + "{a: " * 60 + "1" + "}" * 60, "at most 50 levels"),
        ("name: " + "x" * 300_000, "at most 262144 bytes"),
        ("budget: !!timestamp soon", "must be YAML"),
        ("budget: !!int ''", "must be YAML"),
    ],
)
def test_yaml_that_stands_for_more_than_it_says(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "space.yaml"
    path.write_text(text)
    for read in (lambda: load_space(str(path)), lambda: read_model(path)):
        started = time.process_time()
        with pytest.raises(ValueError, match=says):
            read()
        assert time.process_time() - started < SECONDS


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        (("model", "stages", 0, "width"), 10**6, "width must be at most 65536, got 1e"),
        (("model", "resolution"), 10**400, "at most 65536, got more than 1e300"),
        (("model", "stages", 0, "depth"), 10**7, "depth must be at most 1000, got 1e"),
        (("model", "classes"), 10**12, "classes must be at most"),
        (
            ("model", "auxiliary"),
            [{"after": 1, "weight": 1, "pool": 10**9}],
            "pool must be at most",
        ),
        (("model", "hidden"), [{"width": 10**12}], "hidden: width must be at most"),
        (("model", "rules", "divisor"), 10**18, "divisor must be at most 65536, got 1e"),
        (("model", "rules", "divisor"), 0, "divisor must be at least 1, got 0"),
        (("model", "stages", 0, "stride"), 10**9, "stride must be at most 64"),
        (("grid", "beta"), [1.0, 1e308], "beta.1: Input should be less than or equal to 1000"),
        (("grid", "alpha", "step"), 1e-300, "at most 1000 values"),
        (("grid", "alpha", "step"), 1e-9, "at most 1000 values"),
        (("grid", "alpha"), [1.0] * 1001, "at most 1000"),
        (("proxies", "quick", "divisor"), 10**18, "divisor must be at most"),
        (("proxies", "quick", "depth"), 1000.0, "depth must be at most 1000"),
    ],
)
def test_numbers_that_nothing_needs(place: tuple[Any, ...], value: Any, says: str) -> None:
    content = yaml.safe_load(TABLE)
    *way, last = place
    inner = content
    for key in way:
        inner = inner[key]
    inner[last] = value
    with pytest.raises(ValueError, match=says):
        looked_at(content)


@fuzz
@given(data=st.data(), noise=st.binary(max_size=12))
def test_a_space_file_of_damaged_bytes(tmp_path: Path, data: st.DataObject, noise: bytes) -> None:
    text = data.draw(st.sampled_from(SPACES)).encode()
    at = data.draw(st.integers(0, len(text)))
    path = tmp_path / "space.yaml"
    path.write_bytes(text[:at] + noise + text[at + data.draw(st.integers(0, 9)) :])
    one_line(lambda: load_space(str(path)))
    one_line(lambda: read_model(path))


@settings(fuzz, max_examples=max(50, EXAMPLES // 4))
@given(data=st.data(), levels=st.integers(1, 14), times=st.integers(1, 10), merged=st.booleans())
def test_a_space_file_of_aliases(
    tmp_path: Path, data: st.DataObject, levels: int, times: int, merged: bool
) -> None:
    """Aliases of aliases, or merged keys, in place of any of a space's values."""
    lines = ["a0: &a0 {p: 1}" if merged else "a0: &a0 [1]"]
    for level in range(levels):
        of = ", ".join([f"*a{level}"] * times)
        value = f"{{<<: [{of}]}}" if merged else f"[{of}]"
        lines.append(f"a{level + 1}: &a{level + 1} {value}")
    content = yaml.safe_load(data.draw(st.sampled_from(SPACES)))
    *way, last = data.draw(st.sampled_from([path for path in paths(content) if path]))
    place = content
    for key in way:
        place = place[key]
    place[last] = "ALIAS"
    text = yaml.safe_dump(content, default_flow_style=True, width=10**6).strip()[1:-1]
    path = tmp_path / "space.yaml"
    path.write_text(f"{{{', '.join(lines)}, {text}}}".replace("ALIAS", f"*a{levels} "))
    one_line(lambda: load_space(str(path)))
    one_line(lambda: read_model(path))


@fuzz
@given(text=st.text(max_size=20))
def test_budgets_and_numbers(text: str) -> None:
    one_line(lambda: parse_budget(text))
    one_line(lambda: coefficients(text))


@fuzz
@given(content=st.binary(max_size=200))
def test_a_json_file_of_any_bytes(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(content)
    one_line(lambda: read_json(path))


@pytest.mark.parametrize(
    "text", ["[" * 200_000, '{"a":' * 200_000, "[NaN]", '{"a": -Infinity}', "9" * 5000]
)
def test_json_that_is_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "plan.json"
    path.write_text(text)
    with pytest.raises(ValueError, match="must be JSON"):
        read_json(path)


@pytest.mark.timeout(60)
def test_nothing_that_never_ends_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "space.yaml")
    os.mkfifo(tmp_path / "plan.json")
    for read in (load_space, lambda name: read_model(Path(name))):
        with pytest.raises(ValueError, match="regular file, got a pipe"):
            read(str(tmp_path / "space.yaml"))
    with pytest.raises(ValueError, match="regular file, got a pipe"):
        read_json(tmp_path / "plan.json")


@fuzz
@given(content=st.text(max_size=60) | VALUES.map(str), cut=st.integers(0, 200))
def test_a_damaged_cache_is_none(tmp_path: Path, content: str, cut: int) -> None:
    path = tmp_path / "counts.json"
    write_checked(path, {"a": [1, 2, 3, 4]})
    whole = path.read_text()
    assert read_checked(path) == {"a": [1, 2, 3, 4]}
    path.write_text(whole[:cut] + content + whole[cut + 1 :])
    assert read_checked(path) in (None, {"a": [1, 2, 3, 4]})


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
    kind = data.draw(st.sampled_from(["drop", "swap", "bytes", "value", "number"]))
    if kind == "drop":
        del lines[at]
    elif kind == "swap":
        other = data.draw(st.integers(0, len(lines) - 1))
        lines[at], lines[other] = lines[other], lines[at]
    elif kind == "bytes":
        cut = data.draw(st.integers(0, len(lines[at])))
        lines[at] = lines[at][:cut] + data.draw(st.binary(max_size=6)) + lines[at][cut + 2 :]
    elif kind == "number":
        numbers = list(re.finditer(rb"-?\d+\.?\d*", lines[at]))
        found = data.draw(st.sampled_from(numbers))
        words = [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"10" * 50, b"[" * 50_000, b"[[[1]]]"]
        word = data.draw(st.sampled_from(words))
        lines[at] = lines[at][: found.start()] + word + lines[at][found.end() :]
    else:
        entry = json.loads(lines[at])
        key = data.draw(st.sampled_from(sorted(entry)))
        entry[key] = data.draw(st.one_of(st.none(), st.integers(-5, 50), st.text(max_size=5)))
        lines[at] = json.dumps(entry).encode() + b"\n"
    (tmp_path / JOURNAL).write_bytes(b"".join(lines))
    before = sorted(path.name for path in tmp_path.iterdir())
    one_line(lambda: read_trials(tmp_path))
    one_line(lambda: read_curves(tmp_path))
    one_line(lambda: status_text(study_status(tmp_path)))
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


def test_a_network_that_no_memory_holds() -> None:
    with torch.device("meta"):
        layer = torch.nn.Linear(2**24, 2**24)
    with pytest.raises(ValueError, match="must fit into memory, got 281,474,993,487,872 param"):
        emptied(layer)
