"""One readable Python file that defines a network with torch alone.

It has the layers that the network is built of, one call a block, and the definitions of their
classes, copied from this package.
"""

import keyword
import math
import re
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import groupby

from scalesearch.export.calls import WIDTH, Name, flat, is_torch, style_code, uses, written
from scalesearch.export.source import Import, Sources, import_lines, sources_of
from scalesearch.networks.arch import Arch
from scalesearch.networks.blocks.init import INITS
from scalesearch.networks.blocks.layers import Style, style_of
from scalesearch.networks.blocks.layout import map_sides, placed_blocks
from scalesearch.networks.blocks.network import last_layers

IMPORTS = {Import("torch", "Tensor"), Import("torch", "nn")}
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
    """The file: a docstring of the paragraphs `heading`, the definitions needed, the class.

    Raises ValueError for an infinite number, which Python's own literals cannot say.
    """
    for value in (arch.norm_eps, arch.norm_momentum, arch.dropout, arch.stochastic_depth):
        if not math.isfinite(value):
            raise ValueError(f"{arch.name}: the numbers of a table must be finite, got {value}")
    needed = sources(arch)
    parts = [*needed.definitions.values(), class_source(arch)]
    # two blank lines before a definition, one before a constant
    gap = "\n\n" if parts[0].startswith(("class ", "def ", "@")) else "\n"
    body = "\n\n\n".join(parts)
    return f"{docstring(heading)}\n\n{import_lines(needed.imports)}\n{gap}{body}\n"


def docstring(paragraphs: Iterable[str]) -> str:
    """A module's docstring; nothing that it is given can end it early."""
    safe = [text.replace("\\", "/").replace('"', "'") for text in paragraphs]
    filled = [
        text if text.startswith("    ") else textwrap.fill(text, WIDTH, break_on_hyphens=False)
        for text in safe
    ]
    return '"""{}\n"""'.format("\n\n".join(filled))


def sources(arch: Arch) -> Sources:
    """The imports and definitions that the class of an arch needs."""
    style = style_of(arch)
    layers = [*(place.layer(style) for place in placed_blocks(arch)), *last_layers(arch).values()]
    used = [x for layer in layers for x in uses(layer)]
    wanted: list[object] = [Style, style.activation] if style in used else []
    wanted += [x for x in used if callable(x)]
    wanted += [INITS[arch.init]] if arch.init != "torch" else []
    found = sources_of(dict.fromkeys(x for x in wanted if not is_torch(x)))
    return replace(found, imports=found.imports | IMPORTS)


def class_name(arch: Arch) -> str:
    """An arch's name as a class's: efficientnet_b0 is EfficientnetB0."""
    words = re.findall(r"[A-Za-z0-9]+", arch.name)
    found = "".join(word[0].upper() + word[1:] for word in words)
    if not found or found[0].isdigit() or keyword.iskeyword(found) or found in sources(arch).names:
        found = f"Network{found}"
    return found


def class_source(arch: Arch) -> str:
    """The class that an arch is: a line a block."""
    lines = [*part_lines(arch), *last_lines(arch)]
    style = style_of(arch)
    if any("style" in line for line in lines):
        lines.insert(0, f"style = {style_code(style)}")
    if arch.init != "torch":
        lines.append(f"{INITS[arch.init].__name__}(self)")
    return CLASS.format(
        name=class_name(arch),
        channels=arch.channels,
        px=arch.resolution,
        classes=arch.classes,
        layers="\n".join(f"        {line}" for line in lines),
    )


def part_lines(arch: Arch) -> Iterator[str]:
    """The statements that make stem, stages and head."""
    for part, _ in arch.parts:
        yield f"self.{part} = {sequence(block_lines(arch, part))}"


def last_lines(arch: Arch) -> Iterator[str]:
    """The statements that make what follows the head; the number of classes is an argument."""
    for name, layer in last_layers(arch).items():
        if name == "classifier":
            width, _ = layer.arguments
            layer = replace(layer, arguments=(width, Name("classes")))
        made = flat(layer)
        if name == "hidden":
            made = sequence([written(x, 12, ",") for x in layer.arguments])
        yield f"self.{name} = {made}"


def block_lines(arch: Arch, part: str) -> list[str]:
    """The lines of a part's blocks; a comment before each stage of the table."""
    style, lines = style_of(arch), []
    places = zip(placed_blocks(arch), map_sides(arch), strict=True)
    chosen = [(place, side) for place, side in places if place.part == part]
    for row, found in groupby(chosen, key=lambda pair: pair[0].row):
        of_row = list(found)
        place, side = of_row[-1]
        if part == "stages":
            lines.append(f"            # stage {row}: {place.stage.width} channels, {side} px")
        lines += [written(place.layer(style), 12, ",") for place, _ in of_row]
    return lines


def sequence(lines: list[str]) -> str:
    """Layers one after the other, a line each, inside a constructor."""
    return "nn.Sequential(\n{}\n        )".format("\n".join(lines)) if lines else "nn.Sequential()"
