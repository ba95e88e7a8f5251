"""Write what torchvision and timm compute, for the test suite to compare with.

From the repository's root, with benchmarks/peers/requirements.txt installed:

    python -m benchmarks.peers.torchvision_golden [MODEL ...]

writes tests/golden/torchvision/MODEL.json (logits and state-dict names and shapes),
tests/golden/torchvision_init.json (mean and standard deviation of every weight as torchvision
draws it) and tests/golden/timm.json (parameters).
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

import timm
import torch
import torchvision
from torch import nn

from benchmarks.peers.closed_form import state, values

GOLDEN = Path("tests/golden")
CLASSES = 10
RESOLUTIONS = {"inception_v3": 96, "alexnet": 96}  # 64 for the others
MODELS = [
    "alexnet",
    *(f"efficientnet_b{i}" for i in range(8)),
    *(f"efficientnet_v2_{size}" for size in "sml"),
    *("googlenet", "inception_v3", "mobilenet_v2", "mobilenet_v2_w1.4"),
    *(f"resnet{depth}" for depth in (18, 34, 50, 101, 152)),
    *("resnext50_32x4d", "wide_resnet50_2", "wide_resnet101_2"),
    *(f"vgg{depth}{norm}" for depth in (11, 13, 16, 19) for norm in ("", "_bn")),
]
# one of each initialisation
INITIALISED = [
    *("alexnet", "efficientnet_b0", "efficientnet_v2_s", "googlenet", "inception_v3"),
    *("mobilenet_v2", "resnet18", "resnet50", "vgg11", "vgg11_bn"),
]
AUXILIARY = {  # attribute and the shape of the map it is given
    "googlenet": {"aux1": (512, 14, 14), "aux2": (528, 14, 14)},
    "inception_v3": {"AuxLogits": (768, 17, 17)},
}
TIMM = {
    "efficientnet_b8": "tf_efficientnet_b8",
    "efficientnet_l2": "tf_efficientnet_l2",
    **{f"efficientnet_v2_{size}": f"tf_efficientnetv2_{size}" for size in ("xl", "b0", "b1")},
    **{f"efficientnet_v2_{size}": f"tf_efficientnetv2_{size}" for size in ("b2", "b3")},
    "mobilenet_v1": "mobilenetv1_100",
}


def build(name: str, **options: Any) -> nn.Module:
    """torchvision's model, without weights; auxiliary heads where it has them.

    NAME_w1.4 is NAME with that width multiplier.
    """
    if name in AUXILIARY:
        options |= {"aux_logits": True, "init_weights": True}
    name, _, width = name.partition("_w")
    if width:
        options["width_mult"] = float(width)
    return getattr(torchvision.models, name)(weights=None, **options)


def layers(model: nn.Module) -> list[str]:
    """The state dict, a line a module: its name, W(eight), B(ias too) or N(orm), weight's shape."""
    entries: dict[str, dict[str, torch.Size]] = {}
    for name, tensor in model.state_dict().items():
        module, _, parameter = name.rpartition(".")
        entries.setdefault(module, {})[parameter] = tensor.shape
    kinds = {1: "W", 2: "B", 5: "N"}
    return [
        f"{module} {kinds[len(parts)]} {','.join(map(str, parts['weight']))}"
        for module, parts in entries.items()
    ]


def balanced_gain(model: nn.Module, images: torch.Tensor) -> float:
    """The gain, of two decimals, that brings the logits' standard deviation nearest to 1."""
    shapes = {name: tuple(t.shape) for name, t in model.state_dict().items()}
    low, high = 0.1, 4.0
    for _ in range(12):
        middle = (low * high) ** 0.5
        model.load_state_dict(state(shapes, middle))
        too_small = bool(model(images).std() < 1)  # too large may be NaN
        low, high = (middle, high) if too_small else (low, middle)
    return round(low, 2)


def forward(name: str) -> dict[str, Any]:
    """Logits of two closed-form images, under closed-form weights."""
    with torch.device("meta"):
        model = build(name, num_classes=CLASSES)
    model = model.to_empty(device="cpu").eval()
    px = RESOLUTIONS.get(name, 64)
    images = values("images", (2, 3, px, px))
    gain = balanced_gain(model, images)
    shapes = {key: tuple(t.shape) for key, t in model.state_dict().items()}
    model.load_state_dict(state(shapes, gain))
    logits = model(images)
    heads = AUXILIARY.get(name, {})
    extra = [getattr(model, head)(values(head, (2, *shape))) for head, shape in heads.items()]
    next(model.parameters()).zero_()
    if not (model(images) - logits).abs().max() > 0.05:
        raise SystemExit(f"{name}: the logits must depend on the first layer")
    return {
        "model": name,
        "resolution": px,
        "gain": gain,
        "logits": [[round(x, 6) for x in row] for row in logits.tolist()],
        "auxiliary": [[[round(x, 6) for x in row] for row in head.tolist()] for head in extra],
        "layers": layers(model),
    }


def initial(name: str) -> dict[str, list[float]]:
    """Mean and standard deviation of each parameter but batch norm's, as torchvision draws it."""
    torch.manual_seed(0)
    model = build(name)
    norms = {n for n, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)}
    return {
        key: [float(f"{p.mean().item():.5g}"), float(f"{p.std().item():.5g}")]
        for key, p in model.named_parameters()
        if key.rpartition(".")[0] not in norms
    }


def write(path: Path, content: object) -> None:
    """JSON with one line for each innermost list of numbers."""
    text = json.dumps(content, indent=1)
    text = re.sub(r"\[\s+([-\d.e,\s]+?)\s+\]", lambda m: "[" + " ".join(m[1].split()) + "]", text)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


@torch.no_grad()
def main() -> None:
    """Write all golden files."""
    for name in sys.argv[1:] or MODELS:
        write(GOLDEN / "torchvision" / f"{name}.json", forward(name))
        print(name, flush=True)
    write(GOLDEN / "torchvision_init.json", {name: initial(name) for name in INITIALISED})
    with torch.device("meta"):
        models = {name: timm.create_model(peer) for name, peer in TIMM.items()}
    params = {name: sum(p.numel() for p in m.parameters()) for name, m in models.items()}
    write(GOLDEN / "timm.json", params)


if __name__ == "__main__":
    main()
