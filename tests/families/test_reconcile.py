"""The published tables, recounted: figures of an independent count with official rounding."""

import json

import pytest

from scalesearch.families.reconcile import (
    TABLE_2,
    TABLE_3,
    TABLE_7,
    PrintedRow,
    plain_rows,
    reconcile,
    recount,
    rounds_to,
    text_table,
)

FLOPS_3 = {  # G multiply-adds and parameters of each row that states its coefficients
    ("mobilenet_v1", "baseline"): (0.569, 4_231_976),
    ("mobilenet_v1", "width w=2"): (2.216, 14_742_120),
    ("mobilenet_v1", "resolution r=2"): (2.272, 4_231_976),
    ("mobilenet_v1", "compound d=1.4 w=1.2 r=1.3"): (2.470, 8_677_512),
    ("mobilenet_v2", "baseline"): (0.301, 3_504_872),
    ("mobilenet_v2", "depth d=4"): (1.220, 12_051_800),
    ("mobilenet_v2", "width w=2"): (1.137, 11_258_088),
    ("mobilenet_v2", "resolution r=2"): (1.199, 3_504_872),
    ("resnet50", "baseline"): (4.089, 25_557_032),
    ("resnet50", "depth d=4"): (14.571, 89_824_040),
    ("resnet50", "width w=2"): (16.117, 98_004_072),
    ("resnet50", "resolution r=2"): (16.351, 25_557_032),
}
FLOPS_7 = {
    "baseline": (0.386, 5_288_548),
    "depth d=4": (1.575, 20_091_856),
    "width w=2": (1.450, 18_122_720),
    "resolution r=2": (1.538, 5_288_548),
    "compound d=1.4 w=1.2 r=1.3": (1.800, 12_233_232),
}
PHI = {  # from depth, width and px; multiply-adds over B0's
    "efficientnet_b0": (0.00, 0.00, 0.00, 1.000),
    "efficientnet_b1": (0.52, 0.00, 0.49, 1.780),
    "efficientnet_b2": (1.00, 1.00, 1.07, 2.575),
    "efficientnet_b3": (1.85, 1.91, 2.09, 4.736),
    "efficientnet_b4": (3.22, 3.53, 3.78, 11.388),
    "efficientnet_b5": (4.32, 4.93, 5.09, 26.610),
    "efficientnet_b6": (5.24, 6.17, 6.14, 49.422),
    "efficientnet_b7": (6.21, 7.27, 7.05, 97.834),
}


@pytest.mark.parametrize("row", TABLE_2, ids=[row.row for row in TABLE_2])
def test_table_2_and_the_phi_of_each_coefficient(row: PrintedRow) -> None:
    found = recount(row)
    phi = found.phi
    ratio = found.flops / 385_814_752
    assert (
        round(phi.depth, 2),
        round(phi.width, 2),
        round(phi.resolution, 2),
        round(ratio, 3),
    ) == PHI[row.row]


def test_table_3() -> None:
    found = {
        (row.printed.baseline, row.printed.row): (round(row.flops / 1e9, 3), row.params)
        for row in map(recount, TABLE_3)
        if row.flops is not None and row.params is not None
    }
    assert found == FLOPS_3


def test_table_7() -> None:
    found = {
        row.printed.row: (round(row.flops / 1e9, 3), row.params)
        for row in map(recount, TABLE_7)
        if row.flops is not None
    }
    assert found == FLOPS_7


def test_resnet_50s_depth_and_width_agree_once_swapped() -> None:
    rows = {row.row: row for row in TABLE_3 if row.baseline == "resnet50"}
    deep, wide = recount(rows["depth d=4"]), recount(rows["width w=2"])
    assert deep.flops / 14.7e9 == pytest.approx(1, abs=0.01)
    assert wide.flops / 16.2e9 == pytest.approx(1, abs=0.01)
    assert deep.difference < -0.09 and wide.difference > 0.09
    assert "swapped" in deep.printed.remark and "swapped" in wide.printed.remark


def test_table_7s_single_dimensions_do_not_recount_and_compound_does() -> None:
    rows = {row.row: recount(row) for row in TABLE_7}
    for label in ("depth d=4", "width w=2", "resolution r=2"):
        assert rows[label].difference < -0.1
        assert not rows[label].agrees
        assert rows[label].printed.remark
    assert rows["compound d=1.4 w=1.2 r=1.3"].agrees


def test_the_formula_is_depth_times_squares() -> None:
    compound = recount(TABLE_7[-1])
    assert compound.formula == pytest.approx(385_814_752 * 1.4 * 1.2**2 * 1.3**2)


def test_rows_without_coefficients_are_not_counted() -> None:
    unknown = [row for row in reconcile() if row.printed.scale is None]
    assert [row.printed.baseline for row in unknown] == ["mobilenet_v2", "resnet50"]
    assert all(row.flops is None and row.difference is None for row in unknown)


def test_a_figure_agrees_when_it_rounds_to_what_is_printed() -> None:
    assert rounds_to(385_814_752, "0.39B")
    assert rounds_to(14_500_001, "15M") and not rounds_to(14_499_999, "15M")


def test_the_rows_as_json_and_as_text() -> None:
    rows = reconcile()
    plain = json.loads(json.dumps(plain_rows(rows)))
    assert [row["table"] for row in plain] == [2] * 8 + [3] * 14 + [7] * 5
    assert plain[2]["flops"] == 993_561_872
    assert plain[2]["published_flops"] == 1e9 and plain[2]["published_params"] == 9.2e6
    assert plain[2]["phi_width"] == pytest.approx(1)
    text = text_table(rows).splitlines()
    assert len(text) == 1 + len(rows)
    assert "14.571" in next(line for line in text if "depth d=4" in line and "16.2B" in line)
