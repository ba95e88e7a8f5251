"""The verification: what training at a larger phi said, as verify.json keeps it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from scalesearch.files import optional_document, write_document
from scalesearch.units import Measure

FILE = "verify.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaledNetwork:
    """One network at the larger cost, its loss as fitted over seeds, with its interval.

    `candidate` is the key of the candidate that it comes from; None for growth along one axis.
    """

    label: str
    candidate: str | None
    key: str
    resolution: int
    flops: int
    params: int
    activations: int
    fvcore_total: int
    ratio: float
    ms: float | None = None
    ms_low: float | None = None
    ms_high: float | None = None
    loss: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class RankTransfer:
    """Rank correlation of the candidates' losses at phi = 1 and at the larger cost."""

    candidates: int
    distinct: int
    rank_correlation: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class AxisAlone:
    """The loss of growth along one axis minus that of the leader at phi = 1, scaled alike."""

    axis: str
    difference: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the law expects of a network, with its interval."""

    label: str
    predicted: float
    interval: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class LawFound:
    """A law as it was fitted, and its errors beside those of simpler predictions.

    `tests` are P values of the richer forms; `covariance` is of the coefficients, where it was
    kept; `optimum` is by axis, where there is one. Errors are root mean squares.
    """

    form: str
    supported: bool
    tests: Mapping[str, float]
    coefficients: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...] | None = None
    optimum: Mapping[str, tuple[float, tuple[float, float]]] | None
    phi: float
    predictions: tuple[Prediction, ...]
    inside: str
    error: float
    error_best_so_far: float
    error_log_linear: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What the best candidates, and growth along one axis, came to at ratio^phi."""

    phi: float
    ratio: float
    seeds: int
    networks: tuple[ScaledNetwork, ...]
    transfer: RankTransfer
    axes: tuple[AxisAlone, ...]
    measure: Measure = "flops"
    law: LawFound


def write_verification(folder: Path, found: Verification) -> None:
    """Write verify.json."""
    write_document(folder / FILE, found)


def find_verification(folder: Path) -> Verification | None:
    """The verification of a study, None where it has none."""
    return optional_document(folder / FILE, Verification)
