"""Strategies: coefficients by name, each a direction in depth, width and resolution.

All take flops to grow as depth * width^2 * resolution^2, which rounding and small networks only
roughly do; what a scale costs is measured afterwards, as everywhere.
"""

import math

from scalesearch.errors import ParameterError
from scalesearch.networks.scaling import Coefficients
from scalesearch.networks.zoo.efficientnet import COEFFICIENTS


def powers(depth: float, width: float, resolution: float) -> Coefficients:
    """Coefficients that make a ratio of flops s into s^depth, s^width, s^resolution.

    Raises ValueError unless depth + 2 width + 2 resolution is 1.
    """
    if abs(depth + 2 * width + 2 * resolution - 1) > 1e-9:
        raise ValueError(
            "exponents must add up to 1 as depth + 2 width + 2 resolution, "
            f"got {depth}, {width}, {resolution}"
        )
    return Coefficients(2**depth, 2**width, 2**resolution)


def fast(alpha: float = 0.8) -> Coefficients:
    """Fast compound scaling: width takes the share `alpha` of the flops, depth and resolution half
    of the rest each (Dollar, Singh & Girshick 2021, arXiv:2103.06877, section 5).

    At 0.8, depth s^0.1, width s^0.4 and resolution s^0.05, so that activations grow as s^0.6.
    """
    rest = (1 - alpha) / 2
    return powers(rest, alpha / 2, rest / 2)


STRATEGIES: dict[str, Coefficients] = {
    "depth": powers(1, 0, 0),
    "width": powers(0, 0.5, 0),
    "resolution": powers(0, 0, 0.5),
    "fast": fast(),
    "efficientnet": COEFFICIENTS,
}


def find(name: str, coefficients: Coefficients | None = None) -> Coefficients:
    """The coefficients of the strategy of that name; those given are `compound`'s.

    Raises ValueError for a name that does not exist, coefficients missing or not asked for, or
    some whose nominal cost does not grow.
    """
    if name != "compound" and name not in STRATEGIES:
        known = ", ".join(sorted([*STRATEGIES, "compound"]))
        raise ValueError(f"a strategy must be one of {known}; got {name!r}")
    if (name == "compound") != (coefficients is not None):
        raise ValueError(
            "the strategy compound needs coefficients, given or found"
            if coefficients is None
            else f"the strategy {name} has exponents of its own: give no coefficients"
        )
    if coefficients is not None and coefficients.nominal <= 1:
        raise ValueError(
            "compound needs coefficients with alpha * beta^2 * gamma^2 above 1, "
            f"got {coefficients.nominal:.4g}"
        )
    return STRATEGIES[name] if coefficients is None else coefficients


def nominal_phi(coefficients: Coefficients, ratio: float) -> float:
    """The phi at which the coefficients' nominal cost is `ratio`, which must be above 0.

    Raises ParameterError for coefficients whose nominal cost is 1 at every phi.
    """
    if not (math.isfinite(ratio) and ratio > 0):
        raise ValueError(f"a ratio of flops must be above 0, got {ratio}")
    if abs(coefficients.nominal - 1) < 1e-9:
        raise ParameterError(
            "coefficients", "must change the cost: alpha * beta^2 * gamma^2 other than 1, got 1"
        )
    return math.log(ratio) / math.log(coefficients.nominal)
