"""What others published on ImageNet, against the costs that our counter gives the same networks."""

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import altair as alt

from scalesearch.networks.accuracies import model_rows
from scalesearch.report.figures.figure import (
    COSTS,
    Datum,
    Entry,
    Figure,
    colours,
    data,
    hiding,
    log_cost,
    present,
    shapes,
    tips,
)
from scalesearch.units import short

FAMILIES = {
    "efficientnet": "EfficientNet",
    "efficientnet_v2": "EfficientNetV2",
    "resnet": "ResNet, ResNeXt, Wide ResNet",
    "mobilenet_v1": "MobileNet V1, V2",
    "mobilenet_v2": "MobileNet V1, V2",
    "vgg": "VGG",
    "googlenet": "Inception V1, V3",
    "inception": "Inception V1, V3",
    "alexnet": "AlexNet",
}
ENTRIES = (
    Entry("EfficientNet", "chosen", "circle"),
    Entry("EfficientNetV2", "brown", "diamond"),
    Entry("ResNet, ResNeXt, Wide ResNet", "tied", "square"),
    Entry("MobileNet V1, V2", "green", "triangle-up"),
    Entry("VGG", "purple", "triangle-down"),
    Entry("Inception V1, V3", "teal", "cross"),
    Entry("AlexNet", "pink", "triangle-left"),
)
NAMED = {
    "alexnet": "AlexNet",
    "efficientnet_b0": "B0",
    "efficientnet_b3": "B3",
    "efficientnet_b7": "B7",
    "efficientnet_v2_l": "V2-L",
    "googlenet": "GoogLeNet",
    "mobilenet_v1": "MobileNet V1",
    "mobilenet_v2": "MobileNet V2",
    "resnet18": "ResNet-18",
    "resnet50": "ResNet-50",
    "resnet152": "ResNet-152",
    "vgg16": "VGG-16",
}
BELOW = ("resnet", "vgg", "mobilenet_v1")  # labels there keep clear of those above
LINED = ("efficientnet_b", "resnet1", "resnet3", "resnet5")


@cache
def published_rows() -> tuple[dict[str, Any], ...]:
    """Models of the zoo with a published top-1 of networks trained on ImageNet alone."""
    rows = []
    for row in model_rows():
        found = next((top for top in row["published"] if not top["extra_data"]), None)
        if found is None or row["family"] not in FAMILIES:
            continue
        rows.append(
            {
                "model": row["model"],
                "family": row["family"],
                "group": FAMILIES[row["family"]],
                "line": row["family"] if row["model"].startswith(LINED) else row["model"],
                "label": NAMED.get(row["model"], ""),
                "below": row["family"] in BELOW,
                "top1": found["top1"],
                **{cost: row[cost] for cost in COSTS},
                "tip": {
                    "model": row["model"],
                    "top-1": f"{found['top1']:.1f} % at {found['resolution']} px",
                    "flops": short(row["flops"]),
                    "params": short(row["params"]),
                    "activations": short(row["activations"]),
                    "source": found["source"],
                },
            }
        )
    return tuple(rows)


def published_figures() -> list[Figure]:
    """Published top-1 on ImageNet against flops, parameters and activations."""
    return [published(cost, published_rows()) for cost in COSTS]


def published(cost: str, rows: Sequence[Datum]) -> Figure:
    """Published top-1 on ImageNet of those rows against one cost, on a log axis."""
    entries = present(ENTRIES, rows)
    x = log_cost(rows, cost)
    low, high = (f(row["top1"] for row in rows) for f in (min, max))
    domain = [2 * math.floor(low / 2 - 1), 2 * math.ceil(high / 2 + 0.5)]
    y = alt.Y(
        "top1:Q",
        title="published ImageNet top-1 (%)",
        scale=alt.Scale(domain=domain, nice=False),
        axis=alt.Axis(tickCount=8),
    )
    base = alt.Chart(data(rows))
    shade = colours(entries)
    chart = hiding(
        base.mark_line(strokeWidth=1.2, opacity=0.6).encode(x, y, shade, alt.Detail("line:N")),
        base.mark_point(filled=True, size=70, opacity=1).encode(
            x,
            y,
            shade,
            shapes(entries),
            tooltip=tips(("model", "top-1", "flops", "params", "activations", "source")),
        ),
        *(
            base.transform_filter(f"datum.label !== '' && datum.below === {below}")
            .mark_text(fontSize=11, dy=dy)
            .encode(x, y, alt.Text("label:N"), shade)
            for below, dy in (("false", -11), ("true", 13))
        ),
        height=380,
    ).properties(usermeta={"crowded": True})
    return Figure(
        f"published_{cost}",
        f"Published, ImageNet: top-1 against {cost}",
        f"Scatter plot of published ImageNet top-1 accuracy against {COSTS[cost]} on a log axis, "
        f"{len(rows)} models of {len(entries)} families; EfficientNet is on the upper edge.",
        "Published, ImageNet: accuracies as others reported them, trained by recipes that differ; "
        "nothing here was measured by this study but the costs.",
        chart,
        entries,
    )
