"""The network of the study in this directory."""

from torch import nn


def plain(depth: float, width: float, resolution: float) -> nn.Module:
    """A stem and `depth` x 3 convolutions of `width` x 8 channels, for grey images."""
    w = round(8 * width)
    layers = [nn.Conv2d(1, w, 3, 2, 1), nn.BatchNorm2d(w), nn.ReLU()]
    for _ in range(round(3 * depth)):
        layers += [nn.Conv2d(w, w, 3, 1, 1), nn.BatchNorm2d(w), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(w, 10))
