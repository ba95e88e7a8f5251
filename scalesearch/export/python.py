"""One readable Python file that defines a network with torch alone."""

import ast
import keyword
import math
import re
import textwrap
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from scalesearch.export import plain
from scalesearch.export.rows import WIDTH, Call, block_call, written
from scalesearch.networks.arch import Arch
from scalesearch.networks.blocks.layout import map_sides, placed_blocks

ACTIVATIONS = {"relu": "nn.ReLU", "relu6": "nn.ReLU6", "silu": "nn.SiLU", "tanh": "ScaledTanh"}
IMPORTS = {
    "math": "import math",
    "Callable": "from collections.abc import Callable",
    "torch": "import torch",
    "Tensor": "from torch import Tensor, nn",
    "F": "from torch.nn import functional as F",
}
CLASS = '''class {name}(nn.Module):
    """Images (N, {channels}, {px}, {px}), normalised, to logits (N, classes)."""

    def __init__(self, classes: int = {classes}) -> None:
        super().__init__()
{layers}

    def forward(self, images: Tensor) -> Tensor:
        x = self.head(self.stages(self.stem(images)))
        x = self.hidden(self.flatten(self.pool(x)))
        logits: Tensor = self.classifier(self.dropout(x))
        return logits'''


def python_source(arch: Arch, heading: Iterable[str]) -> str:
    """The file: a docstring of the paragraphs `heading`, the blocks that `arch` has, its class.

    Raises ValueError for an infinite number, which Python's own literals cannot say.
    """
    for value in (arch.norm_eps, arch.norm_momentum, arch.dropout, arch.stochastic_depth):
        if not math.isfinite(value):
            raise ValueError(f"{arch.name}: the numbers of a table must be finite, got {value}")
    network = class_source(arch)
    blocks = needed(network)
    constants = {
        "ACTIVATION": ACTIVATIONS[arch.activation],
        "NORM_EPS": repr(arch.norm_eps),
        "NORM_MOMENTUM": repr(arch.norm_momentum),
    }
    values = [f"{name} = {value}" for name, value in constants.items() if blocks.pop(name, None)]
    if arch.activation == "tanh" and "ACTIVATION" in "".join(values):
        before = needed("ScaledTanh")
        blocks = {name: code for name, code in blocks.items() if name not in before}
        values = [*before.values(), "", "", *values]
    parts = ["\n".join(values), *blocks.values(), network]
    body = "\n\n\n".join(part for part in parts if part)
    return f"{docstring(heading)}\n\n{imports(body)}\n\n{body}\n"


def docstring(paragraphs: Iterable[str]) -> str:
    """A module's docstring; nothing that it is given can end it early."""
    safe = [text.replace("\\", "/").replace('"', "'") for text in paragraphs]
    filled = [
        text if text.startswith("    ") else textwrap.fill(text, WIDTH, break_on_hyphens=False)
        for text in safe
    ]
    return '"""{}\n"""'.format("\n\n".join(filled))


def imports(body: str) -> str:
    """The imports that the body needs, the standard library's first."""
    used = names_in(ast.parse(body))
    standard = [IMPORTS[name] for name in ("math", "Callable") if name in used]
    others = [IMPORTS[name] for name in ("torch", "Tensor", "F") if name in used]
    blank = "\n" if body.startswith("class ") else ""
    return "\n\n".join("\n".join(group) for group in (standard, others) if group) + blank


def needed(source: str) -> dict[str, str]:
    """The definitions of `plain` that the source needs, in the order that they stand there."""
    text = Path(str(plain.__file__)).read_text(encoding="utf-8")
    there: dict[str, ast.stmt] = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            there[node.name] = node
        elif isinstance(node, ast.Assign):
            there[ast.unparse(node.targets[0])] = node
        elif isinstance(node, ast.AnnAssign):
            there[ast.unparse(node.target)] = node
    wanted: set[str] = set()
    found = names_in(ast.parse(source)) & there.keys()
    while found:
        wanted |= found
        found = {n for name in found for n in names_in(there[name])} & there.keys() - wanted
    lines = text.splitlines()
    return {
        name: "\n".join(lines[first_line(lines, node.lineno) : node.end_lineno])
        for name, node in there.items()
        if name in wanted
    }


def first_line(lines: list[str], number: int) -> int:
    """The index of the first line of a definition, with the comment right before it."""
    first = number - 1
    while first and lines[first - 1].startswith("#"):
        first -= 1
    return first


def names_in(tree: ast.AST) -> set[str]:
    """Every plain name that code uses."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def class_name(name: str) -> str:
    """A model's name as a class's: efficientnet_b0 is EfficientnetB0."""
    words = re.findall(r"[A-Za-z0-9]+", name)
    found = "".join(word[0].upper() + word[1:] for word in words)
    if not found or found[0].isdigit() or keyword.iskeyword(found) or hasattr(plain, found):
        found = f"Network{found}"
    return found


def class_source(arch: Arch) -> str:
    """The class that `arch` is: a line a block."""
    *_, last = placed_blocks(arch)
    width = last.stage.width * arch.pool**2
    hidden: list[str | Call] = []
    for layer in arch.hidden:
        hidden += [
            Call("nn.Dropout", (repr(layer.dropout),)),
            Call("nn.Linear", (str(width), str(layer.width))),
            Call("ACTIVATION", ()),
        ]
        width = layer.width
    classifier = "RadialBasis" if arch.classifier == "rbf" else "nn.Linear"
    layers = [
        *(f"self.{part} = {sequence(blocks(arch, part))}" for part, _ in arch.parts),
        f"self.pool = nn.AdaptiveAvgPool2d({arch.pool})",
        "self.flatten = nn.Flatten()",
        f"self.hidden = {sequence([written(call, 12, ',') for call in hidden])}",
        f"self.dropout = nn.Dropout({arch.dropout!r})",
        f"self.classifier = {classifier}({width}, classes)",
        *([] if arch.init == "torch" else [f"init_{arch.init}(self)"]),
    ]
    return CLASS.format(
        name=class_name(arch.name),
        channels=arch.channels,
        px=arch.resolution,
        classes=arch.classes,
        layers="\n".join(f"        {layer}" for layer in layers),
    )


def blocks(arch: Arch, part: str) -> list[str]:
    """The lines of a part's blocks; a comment before each stage of the table."""
    lines = []
    places = zip(placed_blocks(arch), map_sides(arch), strict=True)
    chosen = [(place, side) for place, side in places if place.part == part]
    for row, found in groupby(chosen, key=lambda pair: pair[0].row):
        of_row = list(found)
        place, side = of_row[-1]
        if part == "stages":
            lines.append(f"            # stage {row}: {place.stage.width} channels, {side} px")
        lines += [written(block_call(place), 12, ",") for place, _ in of_row]
    return lines


def sequence(lines: list[str]) -> str:
    """Layers one after the other, a line each, inside a constructor."""
    return "nn.Sequential(\n{}\n        )".format("\n".join(lines)) if lines else "nn.Sequential()"
