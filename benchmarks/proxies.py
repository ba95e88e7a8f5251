"""Which cheap proxy orders candidates as a dear one does, and for how many seconds?

    python -m benchmarks.proxies [--only NAME,NAME] [--write]

The reference is the tabular benchmark, results/lattice-fashion-mnist. Every proxy of
benchmarks/proxies.yaml becomes a study of its own, trained by `scalesearch run` with every
candidate and seed, under --studies; the same command again goes on where it was stopped, and trains
nothing that is there. What they brought is kept in results/benchmarks/proxies.csv. Candidates are
compared where both have the same depth and width multipliers. The rank correlation is Spearman's of
mean losses; regret is what the reference loses by the proxy's first over its own first. Intervals
are of 2,000 draws of seeds with replacement, of both studies; the reference stands against itself
by halves of its seeds.
"""

import argparse
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr

import scalesearch as ss
from scalesearch.files import write_csv
from scalesearch.plans.document import read_plan
from scalesearch.spaces.files import load_space
from scalesearch.spaces.space import Proxy, Space

HERE = Path(__file__).parent
SPACE = HERE / "proxies.yaml"
RESULTS = HERE.parent / "results"
RESULT = RESULTS / "benchmarks" / "proxies.md"
REFERENCE = RESULTS / "lattice-fashion-mnist"
DRAWS = 2000
RECORD = RESULTS / "benchmarks" / "proxies.csv"
BASE = "1x"  # what the record calls the baseline; candidates go by alpha and beta
COLUMNS = ["proxy", "network", "flops", "seed", "loss", "accuracy", "seconds"]
Floats = NDArray[np.float64]
Shape = tuple[float, float]  # alpha and beta


@dataclass(frozen=True)
class Losses:
    """Losses (candidates, seeds) of a study at the end of every trial, and what a trial takes."""

    shapes: tuple[Shape, ...]
    losses: Floats
    seconds: float
    flops: int
    accuracy: float

    def of(self, shapes: Sequence[Shape]) -> Floats:
        """The losses of those candidates alone, in that order."""
        return self.losses[[self.shapes.index(shape) for shape in shapes]]


@dataclass(frozen=True)
class Fidelity:
    """How a proxy's order agrees with the reference's: each with its interval of 95 %."""

    common: int
    correlation: tuple[float, float, float]
    regret: tuple[float, float, float]


def read_trials(folder: Path, name: str) -> pd.DataFrame | None:
    """A study's trials as the record keeps them; None where not all have run to the end."""
    plan, trials = read_plan(folder), pd.read_csv(folder / "trials.csv")
    done = trials[(trials["state"] == "COMPLETE") & (trials["split"] == "val")]
    # of the points that realise a candidate the first: the same under every proxy
    shapes = {row.key: min((at.alpha, at.beta) for at in row.points) for row in plan.candidates}
    networks = {plan.baseline.key: BASE} | {key: f"{a:g}/{b:g}" for key, (a, b) in shapes.items()}
    rows = done.assign(proxy=name, network=done["candidate"].map(networks))[COLUMNS]
    wide = rows.pivot_table(index="network", columns="seed", values="loss")
    return None if {*wide.index} != {*networks.values()} or wide.isna().any(axis=None) else rows


def losses_of(rows: pd.DataFrame) -> Losses:
    """The losses of a study's rows."""
    mine, base = rows[rows["network"] != BASE], rows[rows["network"] == BASE]
    wide = mine.pivot_table(index="network", columns="seed", values="loss", sort=False)
    shapes = [name.split("/") for name in wide.index.astype(str)]
    return Losses(
        shapes=tuple((float(alpha), float(beta)) for alpha, beta in shapes),
        losses=wide.to_numpy(),
        seconds=float(mine["seconds"].mean()),
        flops=int(base["flops"].iloc[0]),
        accuracy=float(base["accuracy"].mean()),
    )


def agreement(ours: Floats, reference: Floats) -> tuple[float, float]:
    """Rank correlation and regret of mean losses, both (candidates,)."""
    regret = reference[ours.argmin()] - reference.min()
    return float(spearmanr(ours, reference).statistic), float(regret)


def fidelity(ours: Losses, reference: Losses, rng: np.random.Generator) -> Fidelity | None:
    """The agreement over the candidates that both have; None for fewer than three."""
    common = [shape for shape in ours.shapes if shape in reference.shapes]
    if len(common) < 3:
        return None
    mine, theirs = ours.of(common), reference.of(common)
    found = agreement(mine.mean(axis=1), theirs.mean(axis=1))
    drawn = np.array([agreement(redrawn(mine, rng), redrawn(theirs, rng)) for _ in range(DRAWS)])
    return with_intervals(len(common), found, drawn)


def halves(reference: Losses, rng: np.random.Generator) -> Fidelity | None:
    """The agreement of one half of the reference's seeds with the other, over draws of halves."""
    seeds = reference.losses.shape[1]
    if seeds < 4:
        return None
    drawn = []
    for _ in range(DRAWS):
        order = rng.permutation(seeds)
        one, other = order[: seeds // 2], order[seeds // 2 :]
        losses = reference.losses
        drawn.append(agreement(losses[:, one].mean(axis=1), losses[:, other].mean(axis=1)))
    rows = np.array(drawn)
    mean, regret = rows.mean(axis=0)
    return with_intervals(len(reference.shapes), (float(mean), float(regret)), rows)


def redrawn(losses: Floats, rng: np.random.Generator) -> Floats:
    """Mean losses over as many seeds drawn with replacement."""
    seeds = losses.shape[1]
    means: Floats = losses[:, rng.integers(0, seeds, seeds)].mean(axis=1)
    return means


def with_intervals(common: int, found: tuple[float, float], drawn: Floats) -> Fidelity:
    """Both figures with the central 95 % of their draws."""
    low, high = np.nanquantile(drawn, [0.025, 0.975], axis=0)
    (a, b), (c, d) = (low[0], high[0]), (low[1], high[1])
    return Fidelity(common, (found[0], float(a), float(b)), (found[1], float(c), float(d)))


def row(name: str, proxy: Proxy, of: Losses, found: Fidelity | None) -> str:
    """A proxy's line of the table."""
    told = ["–", "–", "–"]
    if found is not None:
        (r, r_low, r_high), (g, g_low, g_high) = found.correlation, found.regret
        told = [
            str(found.common),
            f"{r:+.2f} ({r_low:+.2f} to {r_high:+.2f})",
            f"{g:.4f} ({g_low:.4f} to {g_high:.4f})",
        ]
    recipe = proxy.recipe
    cells = [
        *(name, f"{proxy.resolution}", f"{proxy.width:g}", f"{proxy.train_examples or 'all'}"),
        *(f"{recipe.epochs}", f"{recipe.learning_rate:g}", f"{of.losses.shape[1]}"),
        *(f"{of.flops / 1e6:.2f}M", f"{of.accuracy:.1%}", f"{of.seconds:.1f}", *told),
    ]
    return f"| {' | '.join(cells)} |"


def table(space: Space, found: dict[str, Losses]) -> list[str]:
    """The reference, then all proxies whose studies are complete, the dearest first."""
    rng = np.random.default_rng(0)
    rows = read_trials(REFERENCE, "the reference")
    if rows is None:
        raise SystemExit(f"{REFERENCE} must have every trial of the tabular benchmark")
    reference = losses_of(rows)
    [theirs] = load_space(REFERENCE / "space.yaml").proxies.values()
    lines = [
        "| proxy | px | width | images | epochs | rate | seeds | 1x | accuracy at 1x "
        "| s a trial | candidates | rank correlation (95 %) | regret (95 %) |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
        row("the reference", theirs, reference, halves(reference, rng)),
    ]
    for name, losses in sorted(found.items(), key=lambda item: -item[1].seconds):
        agreed = fidelity(losses, reference, rng)
        lines.append(row(name, space.proxies[name], losses, agreed))
    return lines


def document(space: Space, lines: Sequence[str]) -> str:
    """The table with what it says, and what it was made with."""
    what = " ".join((__doc__ or "").split("\n\n")[2].split())
    return "\n".join(
        [
            "# Proxies: whose order is the reference's?",
            "",
            what,
            "",
            f"{space.model} at {space.budget}, one thread a trial, {os.cpu_count()} cores, "
            f"{platform.machine()}, torch {torch.__version__}; the reference's seconds are of the "
            "machine that it was trained on.",
            "",
            *lines,
            "",
        ]
    )


def found_in(record: pd.DataFrame, space: Space) -> dict[str, Losses]:
    """The losses of every proxy of the space that is on record."""
    studies = record.groupby("proxy", sort=False)
    return {str(name): losses_of(rows) for name, rows in studies if name in space.proxies}


def main() -> None:
    """Train what is missing, and print the table after each study."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("space", nargs="?", type=Path, default=SPACE)
    parser.add_argument("--studies", type=Path, default=Path("results") / "proxies")
    parser.add_argument("--only", default="", help="these proxies alone, with commas between")
    parser.add_argument("--runner", default="ray", choices=("ray", "inline"))
    parser.add_argument("--workers", type=int)
    parser.add_argument("--read", action="store_true", help="train nothing")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    space = ss.space(options.space)
    wanted = options.only.split(",") if options.only else list(space.proxies)
    record = pd.read_csv(RECORD) if RECORD.exists() else pd.DataFrame(columns=COLUMNS)
    for name in wanted:
        if not options.read:
            ss.run(
                space,
                proxy=name,
                policy="grid",
                name=name,
                results=options.studies,
                runner=options.runner,
                workers=options.workers,
            )
        if (options.studies / name / "trials.csv").exists():
            rows = read_trials(options.studies / name, name)
            others = record[record["proxy"] != name]
            record = record if rows is None else pd.concat([others, rows])
        lines = table(space, found_in(record, space))
        print("\n".join(lines), flush=True)
        if options.write:
            write_csv(RECORD, record.sort_values(["proxy", "network", "seed"]))
            RESULT.write_text(document(space, lines))


if __name__ == "__main__":
    main()
