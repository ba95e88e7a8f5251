"""A network with what it costs, as the documents of a study tell of it."""

from dataclasses import asdict, dataclass, field
from typing import Annotated

from pydantic import Field

from scalesearch.files import Keys
from scalesearch.networks.cost import Cost
from scalesearch.networks.latency import Repeats
from scalesearch.networks.models import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a network costs for one image at its resolution, in pixels.

    Milliseconds, with their interval, are there where it was timed. The network itself, `model`,
    is in memory alone: a file has what it costs.
    """

    resolution: int
    flops: int
    params: int
    activations: int
    fvcore_total: int
    ms: float | None = None
    ms_low: float | None = None
    ms_high: float | None = None
    model: Annotated[Model | None, Field(exclude=True)] = field(
        default=None, compare=False, repr=False
    )

    @property
    def cost(self) -> Cost:
        """What it costs by count."""
        return Cost(self.flops, self.params, self.activations, self.fvcore_total)

    @property
    def arch(self) -> Model:
        """The network itself. Raises ValueError where its costs were read from a file."""
        if self.model is None:
            raise ValueError("a network that was read from a document has costs alone: make it new")
        return self.model


def measured(model: Model, cost: Cost, latency: Repeats | None = None) -> Keys:
    """The fields of a Measured: a network, its cost, its latency where it was timed."""
    low, high = latency.interval if latency else (None, None)
    ms = latency.median if latency else None
    times = {"ms": ms, "ms_low": low, "ms_high": high}
    return {"model": model, "resolution": model.resolution, **asdict(cost), **times}
