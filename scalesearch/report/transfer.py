"""The verification at a larger phi: its networks with their accuracies, and what its law says."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from scalesearch.families.document import Start
from scalesearch.families.members import Member
from scalesearch.selection.law import Shape, features
from scalesearch.selection.verification import (
    LawFound,
    Prediction,
    ScaledNetwork,
    Verification,
    find_verification,
)

NORMAL_95 = 1.959964


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Mean and range of a network's validation accuracy over `n` seeds."""

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class TransferRow:
    """A network scaled further, its accuracy where it was kept, and what the law expects of it."""

    network: ScaledNetwork
    accuracy: Accuracy | None
    group: str
    predicted: Prediction | None


@dataclass(frozen=True, slots=True)
class Transfer:
    """What verify.json says, and its networks as rows, the lowest loss first."""

    document: Verification
    networks: tuple[TransferRow, ...]

    @property
    def law(self) -> LawFound:
        """The law and how it did."""
        return self.document.law


def read_transfer(folder: Path) -> Transfer | None:
    """A study's verification, None where there is none."""
    document = find_verification(folder)
    if document is None:
        return None
    trials = folder / f"phi{document.phi:g}" / "trials.csv"
    found = accuracies(pd.read_csv(trials)) if trials.exists() else {}
    predicted = {prediction.label: prediction for prediction in document.law.predictions}
    rows = (
        TransferRow(
            network=network,
            accuracy=found.get(network.key),
            group="candidate" if network.candidate else "one axis alone",
            predicted=predicted.get(network.label),
        )
        for network in sorted(document.networks, key=lambda network: network.loss)
    )
    return Transfer(document, tuple(rows))


def accuracies(trials: pd.DataFrame) -> dict[str, Accuracy]:
    """Mean and range of each network's validation accuracy."""
    done = trials[(trials["state"] == "COMPLETE") & (trials["split"] == "val")]
    return {
        str(key): Accuracy(
            mean=float(mine["accuracy"].mean()),
            low=float(mine["accuracy"].min()),
            high=float(mine["accuracy"].max()),
            n=len(mine),
        )
        for key, mine in done.groupby("candidate")
    }


@dataclass(frozen=True, slots=True)
class Expected:
    """A loss that a law expects, with its 95 % interval where the law kept what that needs."""

    loss: float
    interval: tuple[float, float] | None


def expected_loss(law: LawFound, member: Member, start: Start) -> Expected:
    """The proxy's loss that a supported law expects of a member's shape."""
    pixels = member.resolution / start.resolution
    row = features([Shape(member.ratio, member.width, pixels)], law.form)[0]
    centre = float(row @ np.array(law.coefficients))
    if law.covariance is None:
        return Expected(float(np.exp(centre)), None)
    wide = NORMAL_95 * float(np.sqrt(row @ np.array(law.covariance) @ row))
    low, high = np.exp([centre - wide, centre + wide])
    return Expected(float(np.exp(centre)), (float(low), float(high)))
