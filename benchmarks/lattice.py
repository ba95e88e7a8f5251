"""Make the tabular benchmark's files out of the studies that were trained for it.

    scalesearch run benchmarks/lattice.yaml --name lattice
    scalesearch verify results/lattice --phi 2 --top 9
    python -m benchmarks.lattice results/lattice

writes results/lattice-fashion-mnist: curves.csv, networks.csv, made_with.json, and the study's
space, selection, verification and report.
"""

import argparse
import json
import shutil
from pathlib import Path

import pandas as pd

from scalesearch.files import write_csv, write_json, write_text

OUT = Path(__file__).parents[1] / "results" / "lattice-fashion-mnist"
COST = ["flops", "params", "activations", "resolution"]


def main() -> None:
    """Write the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path)
    study = parser.parse_args().study
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
        rows = pd.read_csv(folder / "curves.csv").rename(columns={"candidate": "key"})
        mine = table.loc[table["phi"].isin(phis), ["phi", "key"]].drop_duplicates()
        curves.append(mine.merge(rows, on="key"))
    merged = pd.concat(curves).sort_values(["phi", "key", "seed", "epoch"])
    for column in ("loss", "train_loss"):
        merged[column] = merged[column].round(6)
    merged["seconds"] = merged["seconds"].round(2)
    write_csv(OUT / "curves.csv", merged)
    write_csv(OUT / "networks.csv", table)
    write_text(OUT / "verify.json", (study / "verify.json").read_text())
    for name in ("space.yaml", "selection.json", "report.md"):
        shutil.copy(study / name, OUT / name)
    shutil.copytree(study / "figures", OUT / "figures", dirs_exist_ok=True)
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


if __name__ == "__main__":
    main()
