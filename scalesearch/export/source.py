"""The definitions that code needs, copied word for word from where they stand in the package."""

import ast
import importlib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from scalesearch.networks.blocks import fast

PACKAGE = __name__.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Import:
    """`from module import name as alias`; without a name, `import module as alias`."""

    module: str
    name: str = ""
    alias: str = ""

    @property
    def known_as(self) -> str:
        """The name that code uses it by."""
        return self.alias or self.name or self.module


@dataclass(frozen=True, slots=True)
class Sources:
    """Imports, and definitions by name, each after those that it needs."""

    imports: set[Import] = field(default_factory=set)
    definitions: dict[str, str] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)

    @property
    def names(self) -> set[str]:
        """Every name that the file has before its own class."""
        return self.definitions.keys() | {found.known_as for found in self.imports}


@dataclass(frozen=True, slots=True)
class Module:
    """A module's lines, the definitions at its top and its imports, by name."""

    lines: list[str]
    definitions: dict[str, ast.stmt]
    imports: dict[str, Import]


def sources_of(objects: Iterable[object]) -> Sources:
    """What the definitions of some classes and functions of the package come to.

    Raises ValueError for one that does not stand at the top of a module, or two of one name.
    """
    found = Sources()
    for wanted in objects:
        module, name = str(wanted.__module__), str(getattr(wanted, "__qualname__", ""))
        if name not in read_module(module).definitions:
            raise ValueError(f"{name} must be defined at the top of {module} to be written out")
        gather(found, module, name)
    return found


def gather(found: Sources, module: str, name: str) -> None:
    """Add what `name` means in a module, and before it whatever that needs itself."""
    there = read_module(module)
    if name in there.imports:
        add_import(found, there.imports[name])
    elif name in there.definitions and found.origins.get(name) != module:
        if name in found.origins:
            raise ValueError(
                f"a file can have one {name}, got those of {found.origins[name]} and {module}: "
                "rename one"
            )
        found.origins[name] = module
        node = there.definitions[name]
        for used in sorted(names_used(node)):
            gather(found, module, used)
        found.definitions[name] = text_of(there, node)


def add_import(found: Sources, wanted: Import) -> None:
    """Copy what the package itself defines; import the rest, from torch what `fast` stands for."""
    if wanted.module == fast.__name__:
        found.imports.add(Import("torch.nn", wanted.name, wanted.alias))
    elif wanted.module.partition(".")[0] == PACKAGE:
        gather(found, wanted.module, wanted.name)
    else:
        found.imports.add(wanted)


@cache
def read_module(module: str) -> Module:
    """The module of that name, which can be imported, as its file has it."""
    text = Path(str(importlib.import_module(module).__file__)).read_text(encoding="utf-8")
    definitions: dict[str, ast.stmt] = {}
    imports: dict[str, Import] = {}
    for node in ast.parse(text).body:
        match node:
            case ast.ClassDef() | ast.FunctionDef():
                definitions[node.name] = node
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                definitions[name] = node
            case ast.Import() | ast.ImportFrom():
                imports |= {found.known_as: found for found in imports_of(node)}
    return Module(text.splitlines(), definitions, imports)


def imports_of(node: ast.Import | ast.ImportFrom) -> Iterator[Import]:
    """The names that an import statement brings."""
    for alias in node.names:
        if isinstance(node, ast.ImportFrom):
            yield Import(str(node.module), alias.name, alias.asname or "")
        else:
            yield Import(alias.name, "", alias.asname or "")


def names_used(node: ast.AST) -> set[str]:
    """The plain names that code reads and does not bind itself."""
    names = [n for n in ast.walk(node) if isinstance(n, ast.Name)]
    bound = {n.id for n in names if isinstance(n.ctx, ast.Store)}
    bound |= {n.arg for n in ast.walk(node) if isinstance(n, ast.arg)}
    return {n.id for n in names} - bound


def text_of(module: Module, node: ast.stmt) -> str:
    """A definition's lines, with its decorators and the comment right before it."""
    decorators = getattr(node, "decorator_list", [])
    first = min(n.lineno for n in (node, *decorators)) - 1
    while first and module.lines[first - 1].startswith("#"):
        first -= 1
    return "\n".join(module.lines[first : node.end_lineno])


def import_lines(imports: Iterable[Import]) -> str:
    """The statements, the standard library's first, sorted as isort does."""
    standard = {x for x in imports if x.module.partition(".")[0] in sys.stdlib_module_names}
    groups = (standard, set(imports) - standard)
    return "\n\n".join("\n".join(statements(group)) for group in groups if group)


def statements(imports: Iterable[Import]) -> list[str]:
    """One statement a module, but one of its own for each name with an alias."""
    together: dict[str, list[str]] = {}
    for found in sorted(imports, key=order):
        alias = f" as {found.alias}" if found.alias else ""
        if not found.name:
            together[f"import {found.module}{alias}"] = []
        elif alias:
            together[f"from {found.module} import {found.name}{alias}"] = []
        else:
            together.setdefault(f"from {found.module} import ", []).append(found.name)
    return [start + ", ".join(names) for start, names in together.items()]


def order(found: Import) -> tuple[bool, str, bool, str]:
    """`import` before `from`, then by module, classes before functions."""
    return bool(found.name), found.module, found.name[:1].islower(), found.name
