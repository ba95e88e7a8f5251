"""Make the tabular benchmark's files out of the studies that were trained for it.

    scalesearch run benchmarks/lattice.yaml --name lattice
    scalesearch verify results/lattice --phi 2 --top 9
    python -m benchmarks.lattice results/lattice

writes results/lattice-fashion-mnist: curves.csv, networks.csv, made_with.json, and the study's
space, plan, selection, verification and family. Then, and alone where no study is given, it writes
from those files phi2/trials.csv and the report, as `scalesearch report` does. The journals are not
kept, so there is nothing to select from.
"""

import argparse
import json
import shutil
from pathlib import Path

import pandas as pd

from scalesearch.files import write_csv, write_json
from scalesearch.report import write_report

OUT = Path(__file__).parents[1] / "results" / "lattice-fashion-mnist"
KEPT = (
    *("space.yaml", "plan.json", "grid.csv", "trials.csv", "run.json"),
    *("selection.json", "verify.json", "family.json"),
)
CURVE = ["candidate", "seed", "epoch", "loss", "accuracy", "train_loss", "seconds"]
COST = ["flops", "params", "activations", "resolution"]


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path, nargs="?")
    study = parser.parse_args().study
    if study is not None:
        keep(study)
    render()


def keep(study: Path) -> None:
    """Keep what a report and a replay need of the studies."""
    plan = json.loads((study / "plan.json").read_text())
    larger = json.loads((study / "verify.json").read_text())
    axes = ["alpha", "beta", "gamma"]
    networks = [{"phi": 0, "label": "1x", **{k: plan["baseline"][k] for k in ("key", *COST)}}]
    networks += [
        {
            "phi": 1,
            "label": "/".join(f"{row[axis]:g}" for axis in axes),
            **{k: row[k] for k in ("key", *COST, *axes)},
        }
        for row in plan["candidates"]
    ]
    networks += [
        {"phi": larger["phi"], **{k: row[k] for k in ("label", "key", *COST)}}
        for row in larger["networks"]
    ]
    table = pd.DataFrame(networks)
    curves = []
    for folder, phis in ((study, (0, 1)), (study / f"phi{larger['phi']:g}", (larger["phi"],))):
        rows = pd.read_csv(folder / "curves.csv")[CURVE]
        mine = table.loc[table["phi"].isin(phis), ["phi", "key"]].drop_duplicates()
        curves.append(mine.rename(columns={"key": "candidate"}).merge(rows, on="candidate"))
    merged = pd.concat(curves).sort_values(["phi", "candidate", "seed", "epoch"])
    for column in ("loss", "train_loss"):
        merged[column] = merged[column].round(6)
    merged["seconds"] = merged["seconds"].round(2)
    write_csv(OUT / "curves.csv", merged)
    write_csv(OUT / "networks.csv", table)
    for name in KEPT:
        shutil.copy(study / name, OUT / name)
    trials = pd.read_csv(study / "trials.csv")
    made = {
        key: sorted(map(str, trials[key].dropna().unique()))
        for key in ("device", "python", "torch")
    }
    write_json(
        OUT / "made_with.json",
        {
            **made,
            "commands": [
                line.strip() for line in (__doc__ or "").splitlines() if line.startswith("    ")
            ],
        },
    )


def render() -> None:
    """Write the report from the files that were kept, and the larger trials that it reads."""
    curves = pd.read_csv(OUT / "curves.csv")
    last = curves[(curves["phi"] > 1) & (curves["epoch"] == curves["epoch"].max())]
    for phi, rows in last.groupby("phi"):
        ends = rows.drop(columns="phi").rename(columns={"epoch": "epochs"})
        ends = ends.assign(split="val", state="COMPLETE")
        write_csv(OUT / f"phi{phi:g}" / "trials.csv", ends)
    write_report(OUT)


if __name__ == "__main__":
    main()
