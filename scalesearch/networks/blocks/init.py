"""Initialisation, by the reference that each arch names in `init`."""

import math
from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.init import kaiming_normal_, normal_, trunc_normal_, uniform_, zeros_

from scalesearch.networks.blocks.lenet import Subsample


def _weights(
    network: nn.Module,
    conv: Callable[[Tensor], object] | None = None,
    dense: Callable[[Tensor], object] | None = None,
    zero_bias: bool = True,
) -> None:
    """Draw the weights of every convolution and fully connected layer that a rule is given for."""
    for module in network.modules():
        rule = conv if isinstance(module, nn.Conv2d) else dense
        if isinstance(module, nn.Conv2d | nn.Linear) and rule is not None:
            rule(module.weight)
            if zero_bias and module.bias is not None:
                zeros_(module.bias)


def he(weight: Tensor) -> None:
    """Normal, variance 2 / fan_out (He et al. 2015)."""
    kaiming_normal_(weight, mode="fan_out")


def normal(std: float) -> Callable[[Tensor], object]:
    """Normal with a standard deviation, cut off at 2 as torchvision's Inception is."""
    return lambda weight: trunc_normal_(weight, std=std, a=-2, b=2)


def efficientnet(network: nn.Module) -> None:
    """He; dense layers uniform within 1 / sqrt(outputs), as the TPU code and torchvision do."""
    _weights(network, he, lambda w: uniform_(w, -1 / math.sqrt(len(w)), 1 / math.sqrt(len(w))))


def resnet(network: nn.Module) -> None:
    """He; dense layers as torch makes them."""
    _weights(network, he)


def vgg(network: nn.Module) -> None:
    """He; dense layers normal with standard deviation 0.01: torchvision's VGG and MobileNetV2."""
    _weights(network, he, lambda w: normal_(w, std=0.01))


def googlenet(network: nn.Module) -> None:
    """Normal with standard deviation 0.01; biases as torch makes them."""
    _weights(network, normal(0.01), normal(0.01), zero_bias=False)


def inception(network: nn.Module) -> None:
    """Normal, standard deviation 0.1; auxiliary classifiers 0.001.

    torchvision means 0.01 for the convolution before that one too, but says so to its wrapper,
    which the loop over convolutions passes by: as drawn, it is 0.1.
    """
    _weights(network, normal(0.1), normal(0.1), zero_bias=False)
    for name, module in network.named_modules():
        if isinstance(module, nn.Linear) and name.startswith("auxiliary."):
            normal(0.001)(module.weight)


def lenet(network: nn.Module) -> None:
    """Uniform within 2.4 / fan_in, biases too (LeCun et al. 1998, appendix A)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear | Subsample):
            fan_in = module.kernel**2 if isinstance(module, Subsample) else module.weight[0].numel()
            for parameter in module.parameters(recurse=False):
                uniform_(parameter, -2.4 / fan_in, 2.4 / fan_in)


def torch_default(network: nn.Module) -> None:
    """What torch's own layers draw."""


INITS: dict[str, Callable[[nn.Module], None]] = {
    "efficientnet": efficientnet,
    "resnet": resnet,
    "vgg": vgg,
    "googlenet": googlenet,
    "inception": inception,
    "lenet": lenet,
    "torch": torch_default,
}
