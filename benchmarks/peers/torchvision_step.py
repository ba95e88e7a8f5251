"""Training steps of torchvision's own proxies: the other side of benchmarks/peers_cpu.py.

    python -m benchmarks.peers.torchvision_step NAME WIDTH PIXELS STRIDE BATCH STEPS FILE

with benchmarks/peers/requirements.txt installed; STRIDE is the network's, in all. Writes the
weights it starts from and the batch to FILE, and prints the losses and the seconds of each step
as JSON.
"""

import json
import sys
from typing import Any

import torch
from torch import nn
from torchvision.models import efficientnet, mobilenetv2, resnet

from benchmarks.peers.plain_loop import curve, train

WIDTHS = (16, 24, 40, 80, 112, 192, 320)
ROWS = (  # expand, kernel, stride, depth: Tan & Le 2019, Table 1
    *((1, 3, 1, 1), (6, 3, 2, 2), (6, 5, 2, 2), (6, 3, 2, 3)),
    *((6, 5, 1, 3), (6, 5, 2, 4), (6, 3, 1, 1)),
)


class NarrowResNet(resnet.ResNet):
    """torchvision's ResNet with every width multiplied, which it has no option for."""

    width = 1.0

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "inplanes" and "conv1" not in self._modules:
            value = round(value * self.width)
        super().__setattr__(name, value)

    def _make_layer(self, block: Any, planes: int, *rest: Any, **options: Any) -> nn.Sequential:
        return super()._make_layer(block, round(planes * self.width), *rest, **options)


def build(name: str, width: float) -> nn.Module:
    """torchvision's model for ten classes with its widths multiplied, to the nearest channel."""
    if name == "efficientnet_b0":
        efficientnet._MBConvConfig.adjust_channels = staticmethod(
            lambda channels, multiplier, min_value=None: round(channels * multiplier)
        )
        channels = [round(w * width) for w in (32, *WIDTHS)]
        rows = [
            efficientnet.MBConvConfig(expand, kernel, stride, into, out, depth)
            for (expand, kernel, stride, depth), into, out in zip(
                ROWS, channels, channels[1:], strict=False
            )
        ]
        return efficientnet.EfficientNet(
            rows, 0.0, stochastic_depth_prob=0.0, num_classes=10, last_channel=round(1280 * width)
        )
    if name == "mobilenet_v2":
        return mobilenetv2.MobileNetV2(10, width_mult=width, round_nearest=1, dropout=0.0)
    NarrowResNet.width = width
    network = NarrowResNet(resnet.BasicBlock, [2, 2, 2, 2])
    network.fc = nn.Linear(round(512 * width), 10)
    return network


def ease(network: nn.Module, excess: int) -> None:
    """Take away the earliest strides of 2 until `excess` is divided out of their product."""
    eased = False
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.MaxPool2d) and module.stride in (2, (2, 2)):
            if module.kernel_size not in (1, (1, 1)):  # a shortcut goes with its block
                eased = excess > 1
                excess //= 2 if eased else 1
            if eased:
                module.stride = 1 if isinstance(module, nn.MaxPool2d) else (1, 1)


def main() -> None:
    """Train and print."""
    name, width, pixels, stride, batch, steps, path = sys.argv[1:]
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = build(name, float(width)).train()
    ease(network, 32 // int(stride))
    images = torch.randn(int(batch), 3, int(pixels), int(pixels))
    labels = torch.randint(10, (int(batch),))
    torch.save({"state": network.state_dict(), "images": images, "labels": labels}, path)
    losses = curve(network, images, labels)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    _, seconds = train(network, images, labels, optimizer, int(steps))
    print(json.dumps({"losses": losses, "seconds": seconds, "torch": torch.__version__}))


if __name__ == "__main__":
    main()
