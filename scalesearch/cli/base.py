"""What the commands share: the application, options that several take, errors of one line."""

import gc
import json
import logging
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, TextIO

import typer

from scalesearch.cli import complete
from scalesearch.terminal import printable, say

app = typer.Typer(
    name="scalesearch",
    help="Find how to spend compute on a convolutional network: depth, width or resolution.",
    epilog="Start with: scalesearch run --budget 2x",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

SpaceName = Annotated[
    str,
    typer.Argument(help="A shipped space, or a YAML file.", autocompletion=complete.spaces),
]
ModelName = Annotated[
    str,
    typer.Argument(
        help="A model of the zoo, a model's YAML file, or python:module:function.",
        autocompletion=complete.models,
    ),
]
Resolution = Annotated[int | None, typer.Option(help="Pixels. [the model's own]")]
OutputStride = Annotated[
    int | None,
    typer.Option(
        help="Pixels of the images to one of the last map: the earliest strides become 1. "
        "[the model's own]",
    ),
]
Budget = Annotated[
    str | None,
    typer.Option(
        help="2x, 0.5x, or multiply-adds: 800M, 1.6G; or 30Mparams, 2xparams, 20Macts, 5ms, "
        "5ms@8 (a batch of 8). Of several with commas between the first is the target, met within "
        "the tolerance; the others are caps. [the space's own]"
    ),
]
Cost = Annotated[
    str | None,
    typer.Option(
        help="What tells the ms of a budget, for another device: python:module:function, or a "
        "table, FILE.csv or FILE.json. [timed here]"
    ),
]
ProxyName = Annotated[
    str,
    typer.Option(
        "--proxy",
        help="Which of the space's proxies to train.",
        autocompletion=complete.proxies,
    ),
]
Data = Annotated[
    str | None,
    typer.Option(
        help="fashion-mnist, cifar10, cifar100, shapes, imagefolder:DIR, tar:DIR, hf:NAME, "
        "npz:FILE. [the proxy's]",
        autocompletion=complete.one_of(
            "fashion-mnist", "cifar10", "cifar100", "shapes", "imagefolder:", "tar:", "hf:", "npz:"
        ),
    ),
]
Cache = Annotated[
    Path | None, typer.Option(help="Where images are kept packed. [the user's cache]")
]
Results = Annotated[Path, typer.Option(help="Where studies are kept.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Lines instead of a screen, and what Ray logs.")
]
StudyFolder = Annotated[
    Path, typer.Argument(help="A study's directory.", autocompletion=complete.studies)
]
Trust = Annotated[
    bool,
    typer.Option("--trust", help="Run the code that a study which was not made here names."),
]
Runner = Annotated[
    str,
    typer.Option(
        help="ray, or inline: this process, no Ray.",
        autocompletion=complete.one_of("ray", "inline"),
    ),
]
Workers = Annotated[int | None, typer.Option(help="Trials at once. [cores]")]
GpusPerTrial = Annotated[
    float,
    typer.Option(help="Share of a GPU for a trial, or how many GPUs train it together."),
]
Stall = Annotated[
    str,
    typer.Option(
        help="How long a worker may report no epoch before its trial is handed on: 90s, 10m, 2h; "
        "at least ten epochs."
    ),
]
Address = Annotated[str | None, typer.Option(help="A Ray cluster: auto, HOST:PORT.")]

Accelerator = Annotated[
    str | None, typer.Option(help="Ray's accelerator_type that trials are pinned to.")
]
Log = Annotated[
    str | None,
    typer.Option(
        help="tensorboard, mlflow, wandb, with commas between.",
        autocompletion=complete.one_of("tensorboard", "mlflow", "wandb"),
    ),
]
MirrorUrl = Annotated[
    str | None, typer.Option(help="A URL to keep the study at too: s3://bucket/studies.")
]


def main() -> None:
    """Run the command line: exit code 0, or 2 after a one-line error, 130 when interrupted."""
    # Python looks for cycles at every 700 objects, which is a tenth of a plan's time
    gc.set_threshold(100_000, 20, 50)
    try:
        with messages_on_stderr(), sigterm_as_interrupt():
            app()
    except (ValueError, OSError) as error:
        fail(" ".join(said(error).split()))


@contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """SIGTERM ends a command as Ctrl-C does: what it holds is given back."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def said(error: Exception) -> str:
    """An error as the command line says it: a parameter by its flag."""
    from scalesearch.errors import ParameterError

    if isinstance(error, ParameterError):
        return f"--{error.parameter.replace('_', '-')} {error.rule}"
    return str(error)


class Stderr(logging.StreamHandler[TextIO]):
    """A handler that writes to what stderr is when there is something to say.

    The screen of a run takes stderr's place while it is drawn, so that lines stand above it.
    """

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


@contextmanager
def messages_on_stderr() -> Iterator[None]:
    """What the package logs stands on stderr, the messages alone, and nowhere else."""
    logger, handler = logging.getLogger("scalesearch"), Stderr()
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.level, logger.propagate = before


def fail(message: str) -> None:
    """Print a one-line error and exit with code 2."""
    say(f"error: {message}", error=True)
    raise SystemExit(2)


def print_json(document: Any) -> None:
    """Print a document, or plain data, as JSON on stdout."""
    from scalesearch.files import plain

    print(json.dumps(plain(document), indent=2))


def trusting(path: Path | str | None, trust: bool) -> None:
    """Where the user says so, let the study that a file or a folder is of run its code."""
    if trust and path is not None:
        from scalesearch import api

        api.trust(path)


def seconds_of(text: str) -> float:
    """The seconds of a time as it is typed. Raises ValueError where it is none."""
    found = re.fullmatch(r"(\d{1,6}(?:\.\d{1,3})?)([smh])", text)
    if found is None or float(found[1]) <= 0:
        raise ValueError(f"--stall must be a time such as 90s, 10m or 2h, got {text!r}")
    return float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]]
