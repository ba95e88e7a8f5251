"""Networks: an arch made into an `nn.Module`."""

from scalesearch.nets.network import Network, build_network, zero_residuals

__all__ = ["Network", "build_network", "zero_residuals"]
