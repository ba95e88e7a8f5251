"""What every export is held to: the logits of the network that it was made of."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BATCHES = (1, 8)
TOLERANCE = 1e-4  # of the largest logit


@dataclass(frozen=True, slots=True)
class Check:
    """What was compared with the network, at BATCHES: the largest difference, the largest logit."""

    against: str
    difference: float
    largest: float


def example_images(channels: int, resolution: int, images: int = max(BATCHES)) -> Tensor:
    """Random images, always the same: (images, channels, px, px), mean 0, standard deviation 1.

    Smooth shapes of all sizes, as in photographs: of plain noise one image is like another to a
    deep network, whose batch norm then enlarges nothing but rounding errors.
    """
    generator = torch.Generator().manual_seed(0)
    total = torch.zeros(images, channels, resolution, resolution)
    side, octaves = 1, 0
    while side <= resolution:
        drawn = torch.randn(images, channels, side, side, generator=generator)
        size = (resolution, resolution)
        total += F.interpolate(drawn, size, mode="bilinear", align_corners=False)
        side, octaves = 2 * side, octaves + 1
    return (total - total.mean()) / total.std()


@torch.no_grad()
def settle(network: nn.Module, images: Tensor) -> None:
    """Give batch norm the statistics of `images`, and leave the network in eval mode.

    With fresh statistics the activations of a deep network vanish or explode in eval mode:
    EfficientNet-B0's logits are 1e-14, and any comparison of them would do.
    """
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    network.eval()
    for norm in norms:
        norm.train().momentum = 1.0
    network(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.eval().momentum = momentum


@torch.no_grad()
def compare(
    against: str, network: nn.Module, exported: Callable[[Tensor], Tensor], images: Tensor
) -> Check:
    """How far what was exported is from `network`, at every batch size.

    Raises ValueError where it is further than TOLERANCE, or either is not finite.
    """
    differences, sizes = [], []
    for n in BATCHES:
        ours = network(images[:n])
        theirs = exported(images[:n])
        if theirs.shape != ours.shape:
            raise ValueError(
                f"{against} must give logits {tuple(ours.shape)}, got {tuple(theirs.shape)}"
            )
        differences.append(float((ours - theirs).abs().max()))
        sizes.append(float(ours.abs().max()))
    check = Check(against, max(differences), max(sizes))
    # not every comparison with a nan is false: this one is
    if not check.difference <= TOLERANCE * check.largest:
        raise ValueError(
            f"{against} must give the network's logits to {TOLERANCE:g} of the largest, got a "
            f"difference of {check.difference:.3g} where the largest is {check.largest:.3g}"
        )
    return check
