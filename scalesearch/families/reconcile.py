"""EfficientNet's published tables (arXiv:1905.11946v5) beside the formula and our own count.

Multiply-adds throughout. A row's formula is the baseline's count times depth * width^2 *
resolution^2, the paper's approximation; its recount is of the network that its coefficients and
the official rounding make.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scalesearch.networks import zoo
from scalesearch.networks.arch import Arch
from scalesearch.networks.count import count
from scalesearch.networks.scaling import Scale, scale_arch
from scalesearch.networks.zoo.efficientnet import COEFFICIENT_TABLE, COEFFICIENTS


@dataclass(frozen=True, slots=True)
class PrintedRow:
    """A row as printed: top-1 in percent, multiply-adds and parameters with their unit."""

    table: int
    baseline: str
    row: str
    scale: Scale | None  # None where the paper does not state the coefficients
    flops: str
    top1: float
    params: str = ""
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Recount:
    """A published row, the formula's figure and ours; None where there is nothing to count.

    `phi` is what each coefficient of the scale would be the power of; `difference` is ours
    relative to the published figure; `agrees` says whether ours rounds to what is printed.
    """

    printed: PrintedRow
    resolution: int | None
    formula: float | None
    flops: int | None
    params: int | None
    difference: float | None
    agrees: bool | None
    phi: Scale | None


SWAPPED = "the d=4 and w=2 figures look swapped in the paper: ours of the one is printed beside"
UNSTATED = "the paper does not state the coefficients"
NOT_EXACT = "more than exact {} costs; the label is rounded or the count is of another network"
TABLE_2_PRINTED = {
    # flops, params, top-1 (AutoAugment), remark
    "efficientnet_b0": ("0.39B", "5.3M", 77.1, "the baseline: phi = 0"),
    "efficientnet_b1": ("0.70B", "7.8M", 79.1, "width is not scaled; depth and px are phi = 0.5"),
    "efficientnet_b2": ("1.0B", "9.2M", 80.1, "this is phi = 1, and costs 2.57x B0, not 2x"),
    "efficientnet_b3": ("1.8B", "12M", 81.6, "about phi = 2"),
    "efficientnet_b4": ("4.2B", "19M", 82.9, "rounded by hand; printed below its cost at 380 px"),
    "efficientnet_b5": ("9.9B", "30M", 83.6, "rounded by hand; printed below its cost at 456 px"),
    "efficientnet_b6": ("19B", "43M", 84.0, "rounded by hand"),
    "efficientnet_b7": (
        "37B",
        "66M",
        84.3,
        "width is phi = 7.3, depth phi = 6.2; 37.7 is printed as 37",
    ),
}


def _table_2() -> tuple[PrintedRow, ...]:
    """Table 2, with the coefficients that only the TPU code states (efficientnet_builder.py)."""
    rows = []
    for name, (flops, params, top1, remark) in TABLE_2_PRINTED.items():
        depth, width, px, _ = COEFFICIENT_TABLE[name]
        scale = Scale(depth, width, px / zoo.find("efficientnet_b0").resolution)
        rows.append(PrintedRow(2, "efficientnet_b0", name, scale, flops, top1, params, remark))
    return tuple(rows)


TABLE_2 = _table_2()
TABLE_3 = (
    PrintedRow(3, "mobilenet_v1", "baseline", Scale(), "0.6B", 70.6),
    PrintedRow(3, "mobilenet_v1", "width w=2", Scale(width=2), "2.2B", 74.2),
    PrintedRow(
        *(3, "mobilenet_v1", "resolution r=2", Scale(resolution=2), "2.2B", 72.7),
        remark="2.27 is printed as 2.2",
    ),
    PrintedRow(
        *(3, "mobilenet_v1", "compound d=1.4 w=1.2 r=1.3", Scale(1.4, 1.2, 1.3), "2.3B", 75.6),
        remark="depends on how the 13 blocks are grouped when depth is scaled",
    ),
    PrintedRow(3, "mobilenet_v2", "baseline", Scale(), "0.3B", 72.0),
    PrintedRow(3, "mobilenet_v2", "depth d=4", Scale(depth=4), "1.2B", 76.8),
    PrintedRow(3, "mobilenet_v2", "width w=2", Scale(width=2), "1.1B", 76.4),
    PrintedRow(3, "mobilenet_v2", "resolution r=2", Scale(resolution=2), "1.2B", 74.8),
    PrintedRow(3, "mobilenet_v2", "compound", None, "1.3B", 77.4, remark=UNSTATED),
    PrintedRow(3, "resnet50", "baseline", Scale(), "4.1B", 76.0),
    PrintedRow(
        *(3, "resnet50", "depth d=4", Scale(depth=4), "16.2B", 78.1), remark=f"{SWAPPED} w=2"
    ),
    PrintedRow(
        *(3, "resnet50", "width w=2", Scale(width=2), "14.7B", 77.7), remark=f"{SWAPPED} d=4"
    ),
    PrintedRow(3, "resnet50", "resolution r=2", Scale(resolution=2), "16.4B", 77.5),
    PrintedRow(3, "resnet50", "compound", None, "16.7B", 78.8, remark=UNSTATED),
)
TABLE_7 = (
    PrintedRow(7, "efficientnet_b0", "baseline", Scale(), "0.4B", 77.3),
    PrintedRow(
        *(7, "efficientnet_b0", "depth d=4", Scale(depth=4), "1.8B", 79.0),
        remark=NOT_EXACT.format("d=4"),
    ),
    PrintedRow(
        *(7, "efficientnet_b0", "width w=2", Scale(width=2), "1.8B", 78.9),
        remark=NOT_EXACT.format("w=2"),
    ),
    PrintedRow(
        *(7, "efficientnet_b0", "resolution r=2", Scale(resolution=2), "1.9B", 79.1),
        remark=NOT_EXACT.format("r=2") + "; r=2.2 costs 1.92 G",
    ),
    PrintedRow(
        7, "efficientnet_b0", "compound d=1.4 w=1.2 r=1.3", Scale(1.4, 1.2, 1.3), "1.8B", 81.1
    ),
)


def reconcile() -> tuple[Recount, ...]:
    """Every row of Tables 2, 3 and 7, recounted."""
    return tuple(recount(row) for row in (*TABLE_2, *TABLE_3, *TABLE_7))


def recount(row: PrintedRow) -> Recount:
    """The row beside the formula's figure and our count of the network it describes."""
    if row.scale is None:
        return Recount(row, None, None, None, None, None, None, None)
    baseline = zoo.find(row.baseline)
    arch: Arch = scale_arch(baseline, row.scale)
    measured = count(arch)
    scale = row.scale
    return Recount(
        printed=row,
        resolution=arch.resolution,
        formula=count(baseline).flops * scale.depth * scale.width**2 * scale.resolution**2,
        flops=measured.flops,
        params=measured.params,
        difference=measured.flops / amount(row.flops) - 1,
        agrees=rounds_to(measured.flops, row.flops),
        phi=implied_phi(scale) if row.table == 2 else None,
    )


def implied_phi(scale: Scale) -> Scale:
    """The phi that each of B0's multipliers implies: its logarithm to alpha, beta or gamma."""
    return Scale(
        math.log(scale.depth, COEFFICIENTS.alpha),
        math.log(scale.width, COEFFICIENTS.beta),
        math.log(scale.resolution, COEFFICIENTS.gamma),
    )


def amount(printed: str) -> float:
    """The number that `0.39B` or `5.3M` stands for."""
    return float(printed[:-1]) * {"M": 1e6, "B": 1e9}[printed[-1]]


def rounds_to(value: int, printed: str) -> bool:
    """Whether `value` is `printed` to as many decimals as that has."""
    decimals = len(printed[:-1].partition(".")[2])
    return f"{value / amount(f'1{printed[-1]}'):.{decimals}f}" == printed[:-1]


def plain_rows(rows: Sequence[Recount]) -> list[dict[str, Any]]:
    """The rows as plain values, for JSON: flops are multiply-adds, None where unknown."""
    return [
        {
            "table": row.printed.table,
            "baseline": row.printed.baseline,
            "row": row.printed.row,
            **_triple("", row.printed.scale),
            "pixels": row.resolution,
            "published_flops": amount(row.printed.flops),
            "formula_flops": row.formula,
            "flops": row.flops,
            "difference": row.difference,
            "agrees": row.agrees,
            "published_params": amount(row.printed.params) if row.printed.params else None,
            "params": row.params,
            "published_top1": row.printed.top1,
            **_triple("phi_", row.phi),
            "remark": row.printed.remark,
        }
        for row in rows
    ]


def _triple(prefix: str, scale: Scale | None) -> dict[str, float | None]:
    return {
        f"{prefix}{axis}": None if scale is None else getattr(scale, axis)
        for axis in ("depth", "width", "resolution")
    }


COLUMNS = (
    *("table", "baseline", "row", "px", "published", "formula", "recount", "difference", "params"),
    *("phi d, w, r", "top-1", "remark"),
)


def text_table(rows: Sequence[Recount]) -> str:
    """The rows as aligned text, flops in G multiply-adds, top-1 as published."""
    lines = [COLUMNS, *(_cells(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _cells(row: Recount) -> tuple[str, ...]:
    phi = row.phi
    return (
        str(row.printed.table),
        row.printed.baseline,
        row.printed.row,
        "-" if row.resolution is None else str(row.resolution),
        row.printed.flops,
        "-" if row.formula is None else f"{row.formula / 1e9:.3f}",
        "-" if row.flops is None else f"{row.flops / 1e9:.3f}",
        "-" if row.difference is None else f"{row.difference:+.1%}",
        "-" if row.params is None else f"{row.params:,}",
        "-" if phi is None else f"{phi.depth:.2f} {phi.width:.2f} {phi.resolution:.2f}",
        f"{row.printed.top1:.1f}",
        row.printed.remark,
    )
