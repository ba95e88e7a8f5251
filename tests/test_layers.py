"""The structure: what may import what, and who owns which dependency."""

import ast
import importlib.util
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "scalesearch"
# from the first room to the last; a module imports only from those before its own
ROOMS = [
    "units",
    "files",
    "errors",
    "terminal",
    "scratch",
    "trusted",
    "networks",
    "data",
    "spaces",
    "plans",
    "trials",
    "studies",
    "selection",
    "families",
    "testing",
    "export",
    "report",
    "search",
    "api",
    "cli",
]
OWNERS = {
    "fvcore": "networks/cost.py",
    "safetensors": "networks/weights.py",
    "optuna": "studies",
    "ray": "trials/runners",
    "altair": "report",
    "vl_convert": "report",
    "onnxruntime": "export",
}
# these are read by pages and editors, which need no torch
WITHOUT_TORCH = (
    "units.py",
    "files.py",
    "errors.py",
    "terminal.py",
    "trusted.py",
    "networks/arch.py",
    "networks/scaling.py",
    "networks/stride.py",
    "networks/custom.py",
    "networks/accuracies.py",
    "networks/zoo",
    "spaces",
    "selection",
    "report",
)
FILES = sorted(
    p
    for p in PACKAGE.rglob("*.py")
    if p.parent != PACKAGE or p.stem not in ("__init__", "__main__")
)


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def below(path: Path, place: str) -> bool:
    """Whether a file is `place`, a path in the package, or in it."""
    return path.is_relative_to(PACKAGE / place)


def imported(path: Path) -> set[str]:
    """Dotted names of all that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_every_room_has_its_place() -> None:
    assert {room(path) for path in FILES} == set(ROOMS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_the_rooms_before_it(path: Path) -> None:
    mine = ROOMS.index(room(path))
    for name in imported(path):
        if name.startswith("scalesearch."):
            other = name.split(".")[1]
            assert ROOMS.index(other) <= mine, f"{path.name} imports {name}"
        top = name.split(".")[0]
        if top in OWNERS:
            assert below(path, OWNERS[top]), f"{top} belongs to {OWNERS[top]}"
        if top == "torch":
            assert not any(below(path, place) for place in WITHOUT_TORCH), f"{path} imports torch"


def test_what_benchmarks_import_of_the_package_is_there() -> None:
    """They are no part of the suite, and run seldom; nor are the programs that they start."""
    for path in (PACKAGE.parent / "benchmarks").rglob("*.py"):
        nodes = [*ast.walk(ast.parse(path.read_text()))]
        texts = [node.value for node in nodes if isinstance(node, ast.Constant)]
        programs = [
            str(text).replace("%s", "pass") for text in texts if "\nfrom scalesearch" in str(text)
        ]
        for node in [*nodes, *(node for one in programs for node in ast.walk(ast.parse(one)))]:
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("scalesearch"):
                module = importlib.import_module(str(node.module))
                for alias in node.names:
                    name = f"{node.module}.{alias.name}"
                    there = hasattr(module, alias.name) or importlib.util.find_spec(name)
                    assert there, f"{path.name} imports {name}"


def test_nothing_is_unpickled_or_evaluated() -> None:
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert called not in ("eval", "exec", "yaml.load", "pickle.load", "pickle.loads")
                if called in ("np.load", "numpy.load"):
                    assert "allow_pickle=False" in ast.unparse(node)
                if called == "torch.load":
                    assert "weights_only=True" in ast.unparse(node)


def test_what_is_printed_is_printable() -> None:
    """Names and messages come from files: only these print, and nothing that a terminal obeys."""
    prints = {"terminal.py": {"print", "Text"}, "cli/base.py": {"print"}}  # JSON, in ASCII
    for path in FILES:
        calls = [
            node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)
        ]
        found = {ast.unparse(node.func) for node in calls} & {"print", "Text", "typer.echo"}
        assert found <= prints.get(str(path.relative_to(PACKAGE)), set()), path


def test_no_line_is_longer_than_a_hundred_characters() -> None:
    root = PACKAGE.parent
    pages = [*root.glob("*.md"), *(root / "docs").glob("*.md")]
    for page in pages:
        for line in page.read_text().splitlines():
            assert len(line) <= 100 or line.startswith("|"), f"{page.name}: {line}"


# these write command lines; all else is called from Python as well, which has no flags
WRITE_COMMANDS = ("cli", "report/pdf.py", "report/words.py", "export/run.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_message_of_the_library_names_a_flag(path: Path) -> None:
    if any(below(path, place) for place in WRITE_COMMANDS):
        return
    tree = ast.parse(path.read_text())
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Expr)]
    documents = {id(node.value) for node in nodes}  # docstrings, and a field's under it
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            ours = re.sub(
                r"`[^`]*`", "", node.value
            )  # another program's command may stand in these
            assert id(node) in documents or not re.search(r"(?<![\w-])--[a-z]", ours), (
                f"{path.name}:{node.lineno} speaks of a flag: {node.value!r}"
            )
