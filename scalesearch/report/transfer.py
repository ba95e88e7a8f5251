"""The verification at a larger phi: its networks with their accuracies, and what its law says."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from scalesearch.files import read_json
from scalesearch.selection.law import Shape, features

NORMAL_95 = 1.959964


@dataclass(frozen=True, slots=True)
class Transfer:
    """What verify.json says, and its networks as rows: loss, accuracy where it was kept."""

    document: dict[str, Any]
    networks: list[dict[str, Any]]

    @property
    def law(self) -> dict[str, Any]:
        """The law and how it did."""
        law: dict[str, Any] = self.document["law"]
        return law

    @property
    def why_no_law(self) -> str | None:
        """Why nothing may be predicted by it; None where it is supported."""
        if self.law["supported"]:
            return None
        tests = ", ".join(f"{form} P = {p:.2g}" for form, p in self.law["tests"].items())
        return f"the trials support no law of shape{f' ({tests})' if tests else ''}"


def read_transfer(folder: Path) -> Transfer | None:
    """A study's verification, None where there is none."""
    path = folder / "verify.json"
    if not path.exists():
        return None
    document = read_json(path)
    trials = folder / f"phi{document['phi']:g}" / "trials.csv"
    found = accuracies(pd.read_csv(trials)) if trials.exists() else {}
    predicted = {row["label"]: row for row in document["law"]["predictions"]}
    rows = [
        {
            **row,
            **found.get(row["key"], {"accuracy": None}),
            "group": "candidate" if row["candidate"] else "one axis alone",
            "predicted": predicted.get(row["label"]),
        }
        for row in sorted(document["networks"], key=lambda row: row["loss"])
    ]
    return Transfer(document, rows)


def accuracies(trials: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Mean and range of each network's validation accuracy."""
    done = trials[(trials["state"] == "COMPLETE") & (trials["split"] == "val")]
    return {
        str(key): {
            "accuracy": float(mine["accuracy"].mean()),
            "accuracy_low": float(mine["accuracy"].min()),
            "accuracy_high": float(mine["accuracy"].max()),
            "n": len(mine),
        }
        for key, mine in done.groupby("candidate")
    }


def expected_loss(
    law: dict[str, Any], member: dict[str, Any], start: dict[str, Any]
) -> dict[str, Any]:
    """The proxy's loss that a supported law expects of a member's shape.

    With its 95 % interval where the law kept the covariance of its coefficients.
    """
    pixels = member["resolution"] / start["resolution"]
    row = features([Shape(member["ratio"], member["width"], pixels)], law["form"])[0]
    centre = float(row @ np.array(law["coefficients"]))
    if "covariance" not in law:
        return {"loss": float(np.exp(centre)), "interval": None}
    wide = NORMAL_95 * float(np.sqrt(row @ np.array(law["covariance"]) @ row))
    low, high = np.exp([centre - wide, centre + wide])
    return {"loss": float(np.exp(centre)), "interval": (float(low), float(high))}
