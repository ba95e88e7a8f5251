"""The verification: what training at a larger phi said, as verify.json keeps it."""

import math
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

    @property
    def why_no_law(self) -> str | None:
        """Why nothing may be predicted by it; None where trials support it and it errs least."""
        if not self.supported:
            tests = ", ".join(f"{form} P = {p:.2g}" for form, p in self.tests.items())
            tested = f" ({tests})" if tests else ""
            return f"the trials support no law of shape{tested}: loss is told by compute alone"
        simpler = {
            "the same candidate's loss at phi = 1": self.error_best_so_far,
            "a log-linear fit of compute alone": self.error_log_linear,
        }
        better = min(simpler, key=lambda name: simpler[name])
        if self.error < simpler[better]:
            return None
        return (
            f"at phi = {self.phi:g} the law errs by {self.error:.4f}, "
            f"{better} by {simpler[better]:.4f}"
        )


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

    def beyond(self, images: int | None) -> str | None:
        """What to say of networks with more pixels than the images' side; None without any."""
        sides = {net.key: net.resolution for net in self.networks}
        asking = [side for side in sides.values() if side > (images or math.inf)]
        if not asking:
            return None
        return (
            f"{len(asking)} of {len(sides)} networks ask for up to {max(asking)} px and "
            f"the images have {images}: enlarged they show no more, but maps are larger"
        )


def write_verification(folder: Path, found: Verification) -> None:
    """Write verify.json."""
    write_document(folder / FILE, found)


def find_verification(folder: Path) -> Verification | None:
    """The verification of a study, None where it has none."""
    return optional_document(folder / FILE, Verification)
