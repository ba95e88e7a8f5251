"""Every command that the program prints can be typed: in help, in a report, at a run's end."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer

from scalesearch.cli import app
from scalesearch.report.content import read_content
from scalesearch.report.words import command
from tests.conftest import Command

COMMANDS: dict[str, click.Command] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def examples() -> Iterator[str]:
    """Every example under a command's help."""
    for name in sorted(COMMANDS):
        _, _, told = (COMMANDS[name].epilog or "").partition(": ")
        yield from filter(None, told.split("; "))
    yield (app.info.epilog or "").removeprefix("Start with: ")


@pytest.mark.parametrize("example", list(examples()))
def test_an_example_of_the_help_is_a_command_with_options_that_it_takes(example: str) -> None:
    program, name, *arguments = shlex.split(example)
    assert program == "scalesearch"
    COMMANDS[name].make_context(name, arguments)  # raises for an option or a value that is none


def test_most_commands_have_an_example() -> None:
    without = {name for name in COMMANDS if not COMMANDS[name].epilog}
    assert without <= {"models", "spaces", "select", "status"}


def test_the_command_of_a_report_makes_the_study_again(
    finished: Path, scalesearch: Command, tmp_path: Path
) -> None:
    (tmp_path / "space.yaml").write_text((finished / "space.yaml").read_text())
    program, *arguments = shlex.split(command(read_content(finished)))
    again = scalesearch(*arguments)
    assert program == "scalesearch" and again.returncode == 0, again.stderr
    (headline,) = re.findall("^.*P\\(best\\).*$|^No recommendation.*$", again.stdout, re.M)[:1]
    assert headline == read_content(finished).selection.headline  # type: ignore[union-attr]
