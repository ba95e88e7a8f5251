"""ImageNet top-1 as others published it: never ours, and not trained alike from row to row."""

from dataclasses import asdict, dataclass
from typing import Any

from scalesearch.networks import zoo
from scalesearch.networks.count import all_counted, auxiliary_params

TORCHVISION = "torchvision 0.29.2, weights IMAGENET1K_V1"
EFFICIENTNET = "Tan & Le 2019, arXiv:1905.11946v5, Table 2 (AutoAugment)"
TPU = "tensorflow/tpu models/official/efficientnet/README.md"
V2 = "google/automl efficientnetv2/README.md"
MOBILENET_V1 = "Howard et al. 2017, arXiv:1704.04861, Table 6"
MOBILENET_V2 = "Sandler et al. 2018, arXiv:1801.04381, Table 4"


@dataclass(frozen=True, slots=True)
class Top1:
    """A published accuracy: percent of ImageNet's validation images, at that many pixels."""

    model: str
    resolution: int
    top1: float
    source: str
    extra_data: str = ""  # what it was trained on beside ImageNet's 1.28 M images


def _rows(source: str, **models: tuple[int, float]) -> tuple[Top1, ...]:
    return tuple(Top1(model, px, top1, source) for model, (px, top1) in models.items())


ACCURACIES: tuple[Top1, ...] = (
    *_rows(
        TORCHVISION,
        alexnet=(224, 56.522),
        efficientnet_b0=(224, 77.692),
        efficientnet_b1=(240, 78.642),
        efficientnet_b2=(288, 80.608),
        efficientnet_b3=(300, 82.008),
        efficientnet_b4=(380, 83.384),
        efficientnet_b5=(456, 83.444),
        efficientnet_b6=(528, 84.008),
        efficientnet_b7=(600, 84.122),
        efficientnet_v2_s=(384, 84.228),
        efficientnet_v2_m=(480, 85.112),
        efficientnet_v2_l=(480, 85.808),
        googlenet=(224, 69.778),
        inception_v3=(299, 77.294),
        mobilenet_v2=(224, 71.878),
        resnet18=(224, 69.758),
        resnet34=(224, 73.314),
        resnet50=(224, 76.13),
        resnet101=(224, 77.374),
        resnet152=(224, 78.312),
        resnext50_32x4d=(224, 77.618),
        vgg11=(224, 69.02),
        vgg11_bn=(224, 70.37),
        vgg13=(224, 69.928),
        vgg13_bn=(224, 71.586),
        vgg16=(224, 71.592),
        vgg16_bn=(224, 73.36),
        vgg19=(224, 72.376),
        vgg19_bn=(224, 74.218),
        wide_resnet50_2=(224, 78.468),
        wide_resnet101_2=(224, 78.848),
    ),
    *_rows(
        EFFICIENTNET,
        efficientnet_b0=(224, 77.1),
        efficientnet_b1=(240, 79.1),
        efficientnet_b2=(260, 80.1),
        efficientnet_b3=(300, 81.6),
        efficientnet_b4=(380, 82.9),
        efficientnet_b5=(456, 83.6),
        efficientnet_b6=(528, 84.0),
        efficientnet_b7=(600, 84.3),
    ),
    Top1("efficientnet_b8", 672, 85.5, f"{TPU} (AdvProp, AutoAugment)"),
    Top1("efficientnet_l2", 800, 88.4, f"{TPU} (NoisyStudent)", "300 M unlabelled images"),
    *_rows(
        V2,
        efficientnet_v2_s=(384, 83.9),
        efficientnet_v2_m=(480, 85.2),
        efficientnet_v2_l=(480, 85.7),
        efficientnet_v2_b0=(224, 78.7),
        efficientnet_v2_b1=(240, 79.8),
        efficientnet_v2_b2=(260, 80.5),
        efficientnet_v2_b3=(300, 82.1),
    ),
    Top1("efficientnet_v2_xl", 512, 87.2, V2, "ImageNet-21k"),
    Top1("mobilenet_v1", 224, 70.6, MOBILENET_V1),
    Top1("mobilenet_v1_w0.75", 224, 68.4, MOBILENET_V1),
    Top1("mobilenet_v1_w0.5", 224, 63.7, MOBILENET_V1),
    Top1("mobilenet_v1_w0.25", 224, 50.6, MOBILENET_V1),
    Top1("mobilenet_v2", 224, 72.0, MOBILENET_V2),
    Top1("mobilenet_v2_w1.4", 224, 74.7, MOBILENET_V2),
)

# what a published parameter count has or has not, where that is not plain
PARAMETER_NOTES = {
    "googlenet": "torchvision's 6,624,904 leaves out the two auxiliary heads (training only)",
    "inception_v3": "torchvision's 27,161,264 has the auxiliary head's 3,326,696 (training only); "
    "without it 23,834,568",
    "lenet5": "60,000 are trainable; the output layer's 840 codes are fixed",
    "mobilenet_v2_w1.4": "the paper's 6.9 M disagrees with every implementation's 6,108,776",
    "efficientnet_v2_l": "google/automl's README says 119.5 M; torchvision and timm 118,515,272",
}


def published_accuracies(model: str) -> tuple[Top1, ...]:
    """Every published accuracy of the model, the most comparable source (torchvision's) first."""
    return tuple(row for row in ACCURACIES if row.model == model)


def model_rows() -> list[dict[str, Any]]:
    """Every model of the zoo: cost at its own resolution, and published top-1 with its source."""
    models = {arch.key: arch for room in zoo.FAMILIES.values() for arch in room.MODELS.values()}
    counts = all_counted(dict(models))
    return [
        {
            "model": name,
            "family": family,
            "resolution": arch.resolution,
            "train_resolution": arch.train_resolution or arch.resolution,
            **asdict(counts[arch.key]),
            "auxiliary_params": auxiliary_params(arch),
            "note": PARAMETER_NOTES.get(name, ""),
            "published": [asdict(row) for row in published_accuracies(name)],
        }
        for family, room in zoo.FAMILIES.items()
        for name, arch in room.MODELS.items()
    ]
