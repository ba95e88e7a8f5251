"""Content into text: one self-contained HTML page, and Markdown."""

import base64
import hashlib
import importlib.resources
import json
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import vl_convert
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from scalesearch.files import cache_root, read_checked, write_checked
from scalesearch.report import words
from scalesearch.report.palette import DARK, LIGHT, variables
from scalesearch.report.transfer import expected_loss
from scalesearch.units import duration, short

if TYPE_CHECKING:  # it imports altair
    from scalesearch.report.figures import Drawn


def environment(finalize: Callable[[Any], str] | None = None) -> Environment:
    """Jinja2 with the templates of this package; HTML is escaped.

    `finalize` makes the text of every value that a template shows.
    """
    made = Environment(
        loader=PackageLoader("scalesearch.report"),
        autoescape=select_autoescape(["html.j2"]),
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "short": short,
        "percent": words.percent,
        "duration": duration,
        "signed": words.signed,
    }
    made.globals |= {
        "in_a_sentence": words.in_a_sentence,
        "provenance": words.provenance,
        "command": words.command,
        "more_seeds": words.more_seeds,
        "stands": words.stands,
        "on_the_model": words.on_the_model,
        "compared_by": words.compared_by,
        "what_loss_is": words.what_loss_is,
        "expected_loss": expected_loss,
        "times_text": words.times_text,
        "step_text": words.step_text,
        "score_text": words.score_text,
        "costs_drawn": words.costs_drawn,
        "latency_text": words.latency_text,
        "timed_text": words.timed_text,
    }
    return made


def render_md(template: str, **content: Any) -> str:
    """A template as Markdown; no value in it can start HTML, or end a table's cell."""
    return environment(words.md_text).get_template(template).render(**content)


def render_html(template: str, figures: Mapping[str, "Drawn"], **content: Any) -> str:
    """A template as one HTML page with its figures, styles and scripts inside.

    The page's policy lets its own scripts run, by their hashes, and nothing be fetched.
    """
    scripts = (library(), asset("page.js"))
    hashes = " ".join(f"'sha256-{digest(script)}'" for script in scripts)
    return (
        environment()
        .get_template(template)
        .render(
            figures=figures,
            still={name: Markup(drawn.svg) for name, drawn in figures.items()},
            specs={
                name: embedded({"spec": drawn.spec, "legend": drawn.legend})
                for name, drawn in figures.items()
            },
            css=Markup(asset("page.css")),
            light=Markup(variables(LIGHT)),
            dark=Markup(variables(DARK)),
            scripts=[Markup(script) for script in scripts],
            policy=f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
            f"script-src {hashes}",
            **content,
        )
    )


def embedded(content: Any) -> Markup:
    """JSON fit to stand inside a script element: nothing in it can end the element."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


def digest(script: str) -> str:
    """The SHA-256 of a script as a content security policy writes it."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def asset(name: str) -> str:
    """The text of a file beside the templates."""
    return (importlib.resources.files("scalesearch.report") / "templates" / name).read_text("utf-8")


@cache
def library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, bundled once by each version of vl-convert."""
    path = cache_root() / f"vega-{version('vl-convert-python')}.json"
    known: str | None = read_checked(path)
    if known is not None:
        return known
    bundled: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    script = bundled.replace("</script", "<\\/script")
    write_checked(path, script)
    return script
