"""Initialisation, by the reference that each arch names in `init`. Exported word for word."""

import math
from collections.abc import Callable

from torch import Tensor, nn

from scalesearch.networks.blocks.lenet import Subsample


def draw_weights(
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
                nn.init.zeros_(module.bias)


def he(weight: Tensor) -> None:
    """Normal, variance 2 / fan_out (He et al. 2015)."""
    nn.init.kaiming_normal_(weight, mode="fan_out")


def normal(std: float) -> Callable[[Tensor], object]:
    """Normal with a standard deviation, cut off at 2 as torchvision's Inception is."""
    return lambda weight: nn.init.trunc_normal_(weight, std=std, a=-2, b=2)


def init_efficientnet(network: nn.Module) -> None:
    """He; dense layers uniform within 1 / sqrt(outputs), as the TPU code and torchvision do."""

    def dense(weight: Tensor) -> None:
        nn.init.uniform_(weight, -1 / math.sqrt(len(weight)), 1 / math.sqrt(len(weight)))

    draw_weights(network, he, dense)


def init_resnet(network: nn.Module) -> None:
    """He; dense layers as torch makes them."""
    draw_weights(network, he)


def init_vgg(network: nn.Module) -> None:
    """He; dense layers normal with standard deviation 0.01: torchvision's VGG and MobileNetV2."""
    draw_weights(network, he, lambda w: nn.init.normal_(w, std=0.01))


def init_googlenet(network: nn.Module) -> None:
    """Normal with standard deviation 0.01; biases as torch makes them."""
    draw_weights(network, normal(0.01), normal(0.01), zero_bias=False)


def init_inception(network: nn.Module) -> None:
    """Normal with standard deviation 0.1; biases as torch makes them.

    torchvision means 0.01 for the convolution before the auxiliary classifier, but says so to its
    wrapper, which the loop over convolutions passes by: as drawn, it is 0.1.
    """
    draw_weights(network, normal(0.1), normal(0.1), zero_bias=False)


def init_inception_auxiliary(network: nn.Module) -> None:
    """Dense layers normal with standard deviation 0.001."""
    draw_weights(network, dense=normal(0.001), zero_bias=False)


def init_lenet(network: nn.Module) -> None:
    """Uniform within 2.4 / fan_in, biases too (LeCun et al. 1998, appendix A)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear | Subsample):
            fan_in = module.kernel**2 if isinstance(module, Subsample) else module.weight[0].numel()
            for parameter in module.parameters(recurse=False):
                nn.init.uniform_(parameter, -2.4 / fan_in, 2.4 / fan_in)


def init_torch(network: nn.Module) -> None:
    """What torch's own layers draw."""


INITS: dict[str, Callable[[nn.Module], None]] = {
    "efficientnet": init_efficientnet,
    "resnet": init_resnet,
    "vgg": init_vgg,
    "googlenet": init_googlenet,
    "inception": init_inception,
    "lenet": init_lenet,
    "torch": init_torch,
}
# of auxiliary heads, drawn again after all the rest
AUXILIARY_INITS: dict[str, Callable[[nn.Module], None]] = {"inception": init_inception_auxiliary}
