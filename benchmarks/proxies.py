"""Which cheap proxy orders candidates as a dear one does, and for how many seconds?

    python -m benchmarks.proxies [--only NAME,NAME] [--write]
    python -m benchmarks.proxies --time --write

The reference is the tabular benchmark, results/lattice-fashion-mnist. Every proxy of
benchmarks/proxies.yaml becomes a study of its own, trained by `scalesearch run` with every
candidate and seed, under --studies; the same command again goes on where it was stopped, and trains
nothing that is there. What they brought is kept in results/benchmarks/proxies.csv. Candidates are
compared where both have the same depth and width multipliers. The rank correlation is Spearman's of
mean losses; regret is what the reference loses by the proxy's first over its own first. Intervals
are of 2,000 draws of seeds with replacement, of both studies; the reference stands against itself
by halves of its seeds. CPU seconds are of one trial of the 1x baseline, the median of three that
--time trains of every proxy in turn, in one process, kept in results/benchmarks/proxies_time.csv.
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
from scipy.stats import rankdata

import scalesearch as ss
from benchmarks.recipe import trained
from scalesearch.files import write_csv
from scalesearch.plans.document import read_plan
from scalesearch.spaces.files import load_space
from scalesearch.spaces.proxy import proxy_baseline
from scalesearch.spaces.space import Proxy, Space

HERE = Path(__file__).parent
SPACE = HERE / "proxies.yaml"
RESULTS = HERE.parent / "results"
RESULT = RESULTS / "benchmarks" / "proxies.md"
REFERENCE = RESULTS / "lattice-fashion-mnist"
DRAWS = 2000
RECORD = RESULTS / "benchmarks" / "proxies.csv"
TIMES, TURNS = RESULTS / "benchmarks" / "proxies_time.csv", 3
BASE = "1x"  # what the record calls the baseline; candidates go by alpha and beta
COLUMNS = ["proxy", "network", "flops", "seed", "loss", "accuracy"]
Floats = NDArray[np.float64]
Shape = tuple[float, float]  # alpha and beta


@dataclass(frozen=True)
class Losses:
    """Losses (candidates, seeds) of a study at the end of every trial, and its baseline's end."""

    shapes: tuple[Shape, ...]
    losses: Floats
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
        flops=int(base["flops"].iloc[0]),
        accuracy=float(base["accuracy"].mean()),
    )


def agreement(ours: Floats, reference: Floats) -> Floats:
    """Rank correlation and regret of mean losses, both (draws, candidates): (draws, 2)."""
    centre = (ours.shape[1] + 1) / 2
    mine, theirs = rankdata(ours, axis=1) - centre, rankdata(reference, axis=1) - centre
    scale = np.sqrt(np.square(mine).sum(axis=1) * np.square(theirs).sum(axis=1))
    first = ours.argmin(axis=1)
    regret = reference[np.arange(len(first)), first] - reference.min(axis=1)
    return np.stack([(mine * theirs).sum(axis=1) / scale, regret], axis=1)


def fidelity(ours: Losses, reference: Losses) -> Fidelity | None:
    """The agreement over the candidates that both have; None for fewer than three."""
    common = [shape for shape in ours.shapes if shape in reference.shapes]
    if len(common) < 3:
        return None
    mine, theirs, rng = ours.of(common), reference.of(common), np.random.default_rng(0)
    [found] = agreement(mine.mean(axis=1)[None], theirs.mean(axis=1)[None])
    return with_intervals(len(common), found, agreement(redrawn(mine, rng), redrawn(theirs, rng)))


def halves(reference: Losses) -> Fidelity | None:
    """The agreement of one half of the reference's seeds with the other, over draws of halves."""
    seeds = reference.losses.shape[1]
    if seeds < 4:
        return None
    rng = np.random.default_rng(0)
    orders = rng.permuted(np.tile(np.arange(seeds), (DRAWS, 1)), axis=1)
    one, other = orders[:, : seeds // 2], orders[:, seeds // 2 :]
    drawn = agreement(*(reference.losses[:, half].mean(axis=2).T for half in (one, other)))
    return with_intervals(len(reference.shapes), drawn.mean(axis=0), drawn)


def redrawn(losses: Floats, rng: np.random.Generator) -> Floats:
    """Mean losses (draws, candidates) over as many seeds drawn with replacement."""
    seeds = losses.shape[1]
    means: Floats = losses[:, rng.integers(0, seeds, (DRAWS, seeds))].mean(axis=2).T
    return means


def with_intervals(common: int, found: Floats, drawn: Floats) -> Fidelity:
    """Both figures with the central 95 % of their draws."""
    low, high = np.nanquantile(drawn, [0.025, 0.975], axis=0)
    (a, b), (c, d) = (low[0], high[0]), (low[1], high[1])
    correlation, regret = map(float, found)
    return Fidelity(common, (correlation, float(a), float(b)), (regret, float(c), float(d)))


def row(name: str, proxy: Proxy, of: Losses, seconds: float, found: Fidelity | None) -> str:
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
        *(f"{of.flops / 1e6:.2f}M", f"{of.accuracy:.1%}"),
        *("–" if np.isnan(seconds) else f"{seconds:.1f}", *told),
    ]
    return f"| {' | '.join(cells)} |"


def table(space: Space, found: dict[str, Losses]) -> list[str]:
    """The reference, then all proxies whose studies are complete, the dearest first."""
    times = pd.read_csv(TIMES).groupby("proxy")["seconds"].median() if TIMES.exists() else {}
    rows = read_trials(REFERENCE, "the reference")
    if rows is None:
        raise SystemExit(f"{REFERENCE} must have every trial of the tabular benchmark")
    reference = losses_of(rows)
    [theirs] = load_space(REFERENCE / "space.yaml").proxies.values()
    lines = [
        "| proxy | px | width | images | epochs | rate | seeds | 1x | accuracy at 1x "
        "| CPU s | candidates | rank correlation (95 %) | regret (95 %) |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
        row("the reference", theirs, reference, float("nan"), halves(reference)),
    ]
    seconds = {name: float(times.get(name, np.nan)) for name in found}
    for name in sorted(found, key=lambda name: -np.nan_to_num(seconds[name])):
        agreed = fidelity(found[name], reference)
        lines.append(row(name, space.proxies[name], found[name], seconds[name], agreed))
    return lines


def timed(space: Space) -> pd.DataFrame:
    """CPU seconds of a trial of every proxy's baseline, each in turn, TURNS times."""
    rows = []
    for turn in range(TURNS):
        for name, proxy in space.proxies.items():
            *_, seconds = trained(proxy_baseline(space, proxy, 1, 10), proxy, proxy.recipe, turn)
            rows.append((name, turn, seconds))
            print(*rows[-1], flush=True)
    return pd.DataFrame(rows, columns=["proxy", "turn", "seconds"])


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
            f"{platform.machine()}, torch {torch.__version__}.",
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
    """Train what is missing, and print the table after each study; or time a trial of each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("space", nargs="?", type=Path, default=SPACE)
    parser.add_argument("--studies", type=Path, default=Path("results") / "proxies")
    parser.add_argument("--only", default="", help="these proxies alone, with commas between")
    parser.add_argument("--runner", default="ray", choices=("ray", "inline"))
    parser.add_argument("--workers", type=int)
    parser.add_argument("--read", action="store_true", help="train nothing")
    parser.add_argument("--time", action="store_true", help="time a trial of each, and train none")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    space = ss.space(options.space)
    record = pd.read_csv(RECORD)[COLUMNS] if RECORD.exists() else pd.DataFrame(columns=COLUMNS)
    if options.time:
        seconds = timed(space)
        if options.write:
            write_csv(TIMES, seconds)
        return show(record, space, options.write)
    for name in options.only.split(",") if options.only else space.proxies:
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
        show(record, space, options.write)


def show(record: pd.DataFrame, space: Space, write: bool) -> None:
    """Print the table of what is on record, and write both."""
    lines = table(space, found_in(record, space))
    print("\n".join(lines), flush=True)
    if write:
        write_csv(RECORD, record.sort_values(["proxy", "network", "seed"]))
        RESULT.write_text(document(space, lines))


if __name__ == "__main__":
    main()
