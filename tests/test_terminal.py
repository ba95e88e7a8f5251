"""Nothing that comes from a file steers the terminal."""

import json
import logging
import shutil
from pathlib import Path

import pytest
import yaml

from scalesearch.cli.base import messages_on_stderr
from scalesearch.networks import zoo
from scalesearch.networks.files import dump_model
from scalesearch.terminal import printable
from tests.conftest import Command

# a title, the clipboard, a cleared screen, a C1 command, text from right to left, back to the start
STEERING = "\x1b\x07\x9b\u202e\r"
EVIL = "\x1b]0;owned\x07\x1b]52;c;cm0=\x07\x1b[2J\x9b31m\u202etxt\r"
REFERENCE = Path(__file__).parents[1] / "results/reference/efficientnet-first-version-2x"


def inert(text: str) -> bool:
    """Whether a terminal only shows the text, what was to steer it included."""
    return not set(STEERING) & set(text) and "\\x1b]0;owned" in text


def test_only_what_is_shown_stays_as_it_is() -> None:
    assert printable("α 1.2, 95 %: Größe\n[b]次[/b]") == "α 1.2, 95 %: Größe\n[b]次[/b]"
    hidden = "a\x1b[2J\x07\x9b\x7f\t\r\u202e\udc80"
    assert printable(hidden) == "a\\x1b[2J\\x07\\x9b\\x7f\\t\\r\\u202e\\udc80"


def test_status_obeys_no_progress_file(tmp_path: Path, scalesearch: Command) -> None:
    shutil.copy(REFERENCE / "study.journal", tmp_path)
    progress = json.loads((REFERENCE / "progress.json").read_text())
    progress |= {"plan": EVIL, "warnings": [EVIL]}
    progress["rows"][0] |= {"name": EVIL}
    (tmp_path / "progress.json").write_text(json.dumps(progress))
    found = scalesearch("status", tmp_path)
    assert found.returncode == 0 and inert(found.stdout)


def test_cost_and_errors_obey_no_model(tmp_path: Path, scalesearch: Command) -> None:
    content = yaml.safe_load(dump_model(zoo.find("lenet5"))) | {"name": EVIL}
    (tmp_path / "evil.yaml").write_text(yaml.safe_dump(content))
    found = scalesearch("cost", "evil.yaml")
    assert found.returncode == 0 and not set(STEERING) & set(found.stdout), found.stdout
    (tmp_path / "evil.yaml").write_text(yaml.safe_dump(content | {"pool": 0}))
    found = scalesearch("cost", "evil.yaml")
    assert found.returncode == 2 and inert(found.stderr)


def test_what_is_logged_of_a_trial_is_inert(capsys: pytest.CaptureFixture[str]) -> None:
    with messages_on_stderr():
        logging.getLogger("scalesearch.search.lines").warning("FAILED: %s", EVIL)
    assert inert(capsys.readouterr().err)
