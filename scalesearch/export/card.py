"""The model card: what an exported file is, in Markdown."""

import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from scalesearch.export.check import BATCHES, TOLERANCE, Check
from scalesearch.export.python import class_name
from scalesearch.families.document import find_family
from scalesearch.networks import zoo
from scalesearch.networks.arch import Arch
from scalesearch.networks.cost import CONVENTION, Cost
from scalesearch.networks.files import label
from scalesearch.networks.models import Model
from scalesearch.units import NAMES, short

COMPOUND = "Tan & Le 2019, EfficientNet, arXiv:1905.11946"
IMAGENET = "mean 0.485, 0.456, 0.406, standard deviation 0.229, 0.224, 0.225"
USE = {
    "onnx": """import onnxruntime

session = onnxruntime.InferenceSession("{file}")
(logits,) = session.run(None, {{"images": images}})  # numpy, float32 {shape}""",
    "pt2": """import torch

network = torch.export.load("{file}").module()
logits = network(images)  # float32 {shape}""",
    "safetensors": """import scalesearch

network = scalesearch.build("{stem}.yaml").eval()  # with the weights of {file} beside it
logits = network(images)  # float32 {shape}""",
    "torchvision": """import safetensors.torch

network.load_state_dict(safetensors.torch.load_file("{file}"))  # torchvision's own network""",
    "python": """from {stem} import {name}

network = {name}()  # fresh weights, drawn as scalesearch draws them
logits = network(images)  # float32 {shape}""",
}


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an export comes from: its weights, how the model was scaled, the command, in words."""

    weights: str
    made: str
    command: str


def citation(model: Model) -> str:
    """What to cite for an architecture: the paper of the zoo's family that it was scaled from."""
    if not isinstance(model, Arch):
        return ""
    blocks = [row.block for row in model.stages]
    for room in zoo.FAMILIES.values():
        for name, arch in room.MODELS.items():
            # its own name is not enough: whoever writes a YAML file chooses it
            if model.name.startswith(name) and [row.block for row in arch.stages] == blocks:
                return " ".join(str(room.__doc__).partition("\n\n")[0].split())
    return ""


def summary(model: Model, measured: Cost) -> str:
    """A network's cost in one sentence."""
    return (
        f"{label(model.name)}: {short(measured.flops)} flops, {short(measured.params)} parameters, "
        f"{short(measured.activations)} activations for one image of {model.resolution} px."
    )


def made_from(path: Path) -> str:
    """How the family member in that file was scaled, by the family.json beside its folder."""
    family = find_family(path.parent.parent) if path.parent.name == "family" else None
    if family is None:
        return ""
    for start, members in {family.baseline.name: family.members, **family.matched}.items():
        for member in members:
            if member.name == path.stem:
                scale = f"depth {member.depth:.4g}, width {member.width:.4g}"
                return (
                    f"Scaled from {label(start)} by {scale} to {member.resolution} px, "
                    f"{member.ratio:.4g} times its {NAMES[member.measure]}."
                )
    return ""


def versions(kind: str) -> str:
    """The versions of what the export was made and checked with."""
    packages = ["torch", *(("onnx", "onnxscript", "onnxruntime") if kind == "onnx" else ())]
    packages += ["safetensors"] if kind in ("safetensors", "torchvision") else []
    found = [f"scalesearch {version('scalesearch')}", f"Python {platform.python_version()}"]
    return ", ".join([*found, *(f"{name} {version(name)}" for name in packages)])


def model_card(
    model: Model,
    measured: Cost,
    check: Check,
    kind: str,
    file: Path,
    origin: Origin,
) -> str:
    """The card of one exported file; `kind` is its format, or torchvision for its names."""
    shape = f"(N, {model.channels}, {model.resolution}, {model.resolution})"
    name = class_name(model) if isinstance(model, Arch) else ""
    use = USE[kind].format(file=file.name, stem=file.stem, name=name, shape=shape)
    cited = citation(model)
    lines = [
        f"# {label(model.name)}",
        "",
        f"`{file.name}`: {model.classes} classes, images of {model.resolution} px, "
        f"{model.channels} channels.",
        "",
        "| cost | for one image |",
        "|---|---|",
        f"| flops | {measured.flops:,} ({short(measured.flops)}) |",
        f"| parameters | {measured.params:,} ({short(measured.params)}) |",
        f"| activations | {measured.activations:,} ({short(measured.activations)}) |",
        "",
        f"Flops are {CONVENTION}, in eval mode; activations are the elements that those write.",
        "",
        "## Use",
        "",
        "```python",
        use,
        "```",
        "",
        f"Input: float32 {shape}, any N, pixels in [0, 1] less the mean and over the standard "
        "deviation of each channel of the images that it is trained on. The file does not "
        f"normalise. (ImageNet's are {IMAGENET}.) Output: logits (N, {model.classes}).",
        "",
        "## Weights",
        "",
        origin.weights,
        "",
        "## Checked",
        "",
        f"Against {check.against}, at batches of {' and '.join(map(str, BATCHES))}: the largest "
        f"difference of a logit is {check.difference:.2g}, the largest logit {check.largest:.3g} "
        f"(tolerance: {TOLERANCE:g} of it).",
        "",
        "## How it was made",
        "",
        *([origin.made, ""] if origin.made else []),
        f"`{origin.command}`",
        "",
        versions(kind),
        *(["", f"Cite {cited}"] if cited else []),
        *(["Compound scaling: " + COMPOUND] if origin.made else []),
    ]
    return "\n".join(lines) + "\n"
