"""How much of a loss is the choice of the validation examples? Of the committed studies that tell.

    python -m benchmarks.choice [--write]

A loss of an example is a network's, plus the example's, plus what that network makes of that
example in all its seeds alike (w, a variance), plus what is left in a single trial (v). The choice
of n examples moves a network's loss by the root of w / n; a trial's noise is the standard deviation
of its loss from seed to seed. A training that tells one number a trial cannot know the first.
"""

import argparse
import re
import textwrap
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from scalesearch.files import write_text
from scalesearch.selection.sampler import Floats

RESULTS = Path(__file__).parents[1] / "results"
PAGE = RESULTS / "benchmarks" / "choice.md"
NAME = re.compile(r"(?P<network>\w+)-(?P<seed>\d+)-val\.npy")


@dataclass(frozen=True, slots=True)
class Choice:
    """What the choice of `examples` does to the losses of `networks`, beside a trial's noise."""

    networks: int
    trials: int
    examples: int
    moved: float
    noise: float


def main() -> None:
    """Print the page, and write it where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true")
    text = page()
    print(text)
    if parser.parse_args().write:
        write_text(PAGE, text)


def page() -> str:
    """The table of all committed studies whose trials left their examples' losses."""
    rows = [
        f"| {name} | {of.networks} | {of.trials} | {of.examples:,} | {of.noise:.4f} | "
        f"{of.moved:.4f} | {of.moved / of.noise:.2f} |"
        for name, of in studies()
    ]
    what = " ".join((__doc__ or "").split("\n\n")[2].split())
    return "\n".join(
        [
            "# What the choice of validation examples does",
            "",
            "`python -m benchmarks.choice --write`, from results/reference.",
            "",
            textwrap.fill(what, 100),
            "",
            "| study | networks | trials | examples | noise of a trial | moved by the choice | "
            "of the noise |",
            "|---|---|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def studies() -> Iterator[tuple[str, Choice]]:
    """The committed studies by name, and what the choice does there."""
    for folder in sorted((RESULTS / "reference").rglob("losses")):
        name = folder.parent.relative_to(RESULTS / "reference")
        yield str(name), choice([*networks(folder).values()])


def networks(folder: Path) -> dict[str, Floats]:
    """Losses (seeds, examples) of each network that has two seeds or more."""
    found: dict[str, list[Floats]] = defaultdict(list)
    for path in sorted(folder.glob("*-val.npy")):
        if name := NAME.fullmatch(path.name):
            found[name["network"]].append(np.load(path, allow_pickle=False).astype(np.float64))
    return {network: np.stack(of) for network, of in found.items() if len(of) > 1}


def choice(losses: list[Floats]) -> Choice:
    """The choice's part of the losses (seeds, examples) of each network; none below zero."""
    means = np.stack([of.mean(axis=0) for of in losses])
    count = means.shape[1]
    alike = np.square(centred(means)).sum() / ((len(losses) - 1) * (count - 1))
    single = np.mean(
        [np.square(centred(of)).sum() / ((len(of) - 1) * (count - 1)) for of in losses]
    )
    between = alike - single * np.mean([1 / len(of) for of in losses])
    noise = np.mean([of.mean(axis=1).var(ddof=1) for of in losses])
    return Choice(
        networks=len(losses),
        trials=sum(map(len, losses)),
        examples=count,
        moved=float(np.sqrt(max(between, 0.0) / count)),
        noise=float(np.sqrt(noise)),
    )


def centred(table: Floats) -> Floats:
    """A table without the means of its rows and of its columns."""
    rows, columns = table.mean(axis=1, keepdims=True), table.mean(axis=0)
    left: Floats = table - rows - columns + table.mean()
    return left


if __name__ == "__main__":
    main()
