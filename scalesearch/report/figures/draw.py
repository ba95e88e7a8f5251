"""Figures as files in a fixed style, and as what the page needs to draw them itself."""

import io
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import vl_convert
from PIL import Image

from scalesearch.files import write_bytes, write_text
from scalesearch.report.figures.figure import Figure
from scalesearch.report.palette import LIGHT, themed

PIXELS = 2.0  # of a PNG, for each unit of the SVG


@dataclass(frozen=True, slots=True)
class Drawn:
    """A figure as the page holds it: a still picture, and the specification it becomes."""

    figure: Figure
    svg: str
    spec: dict[str, Any]

    @property
    def legend(self) -> list[dict[str, str]]:
        """The entries of its legend, with the page's colours."""
        return [
            {"label": e.label, "colour": themed(LIGHT[e.colour]), "shape": e.shape}
            for e in self.figure.legend
        ]


def draw(figures: Iterable[Figure], folder: Path) -> dict[str, Drawn]:
    """Every figure by name; SVG and PNG files of them are written to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {}
    for figure in figures:
        spec = figure.spec
        svg = vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])
        write_text(folder / f"{figure.name}.svg", svg)
        write_bytes(folder / f"{figure.name}.png", small(vl_convert.svg_to_png(svg, scale=PIXELS)))
        still = themed(own_names(svg, figure.name))
        drawn[figure.name] = Drawn(figure, still, on_the_page(spec, bool(figure.legend)))
    return drawn


def own_names(svg: str, figure: str) -> str:
    """The SVG with its ids (of gradients) made its own.

    On a page an id means its first bearer: where that is a still picture which is not shown, a live
    figure with the same id is drawn without its gradient.
    """
    return re.sub(r"""(\bid="|\burl\(#)""", rf"\1still-{figure}-", svg)


def small(png: bytes) -> bytes:
    """A picture of flat colours as a PNG with a palette: a quarter of the size."""
    out = io.BytesIO()
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    picture.quantize(256, dither=Image.Dither.NONE).save(out, "PNG")
    return out.getvalue()


def on_the_page(spec: dict[str, Any], legend_outside: bool) -> dict[str, Any]:
    """A specification for the page: as wide as its place, and in the page's colours."""
    wide: dict[str, Any] = json.loads(themed(json.dumps(spec)))
    config = {**wide["config"], "background": None}
    for layer in wide["layer"] if legend_outside else ():
        for channel in {"color", "shape"} & layer["encoding"].keys():
            layer["encoding"][channel]["legend"] = None
    autosize = {"type": "fit-x", "contains": "padding"}
    return {**wide, "width": "container", "autosize": autosize, "config": config}
