"""Networks: an arch made into an `nn.Module`."""

from scalesearch.networks.blocks.network import (
    Network,
    build_network,
    weighted_loss,
    zero_residuals,
)

__all__ = ["Network", "build_network", "weighted_loss", "zero_residuals"]
