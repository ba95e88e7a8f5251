"""Networks: an arch made into an `nn.Module`."""

from scalesearch.nets.network import Network, build_network, weighted_loss, zero_residuals

__all__ = ["Network", "build_network", "weighted_loss", "zero_residuals"]
