"""What the documents show: every file in a code block is written, every command is run."""

import re
import shlex
from pathlib import Path

import pytest

from tests.conftest import Command

DOCS = sorted((Path(__file__).parents[1] / "docs").rglob("*.md"))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.stem)
def test_every_command_of_a_page_works(page: Path, tmp_path: Path, scalesearch: Command) -> None:
    ran = 0
    for language, content in BLOCK.findall(page.read_text()):
        if language in ("yaml", "python"):
            name = content.splitlines()[0].removeprefix("# ")
            assert re.fullmatch(r"[\w.]+", name), f"a block of {page.name} names no file"
            (tmp_path / name).write_text(content)
        elif language == "sh":
            for line in content.splitlines():
                program, *arguments = shlex.split(line)
                assert program == "scalesearch"
                found = scalesearch(*arguments, timeout=300)
                assert found.returncode == 0, f"{line}\n{found.stderr}"
                ran += 1
    assert ran
