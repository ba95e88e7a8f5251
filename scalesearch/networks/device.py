"""What a GPU wants: channels last, work captured once and replayed, errors told apart.

Work is captured as CUDA graphs, for launching kernels one by one is what small networks wait for.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache

import torch
from torch import Tensor, nn

# some tensors -> one tensor, by the same operations whatever is in them
Compute = Callable[..., Tensor]
# a computation and examples of its inputs -> the computation for inputs of just these shapes
Capture = Callable[[Compute, Sequence[Tensor]], Compute]

WARM_UP = 3
# error codes of the CUDA runtime
MEMORY_ALLOCATION = 2
CANNOT_CAPTURE = range(900, 909)  # cudaErrorStreamCapture... to cudaErrorStreamCaptureWrongThread

log = logging.getLogger(__name__)


def placed(network: nn.Module, device: torch.device) -> nn.Module:
    """`network` moved to `device`; on a GPU with the channels last, in which it multiplies.

    By the strides of every weight, of depthwise and 1 x 1 ones too, by which kernels are chosen.
    """
    network.to(device)
    if device.type == "cuda":
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def channels_last(images: Tensor) -> Tensor:
    """Images laid out with the channels last, by their strides.

    `contiguous` would leave those of one channel as they are, which lie alike either way.
    """
    return images.to(memory_format=torch.channels_last)


def capture_on(device: torch.device) -> Capture | None:
    """How work is captured on that device; None on a CPU, where nothing is."""
    return captured if device.type == "cuda" else None


def captured(compute: Compute, inputs: Sequence[Tensor]) -> Compute:
    """`compute` as a CUDA graph. It is run a few times first, with whatever that changes."""
    fixed = [tensor.clone() for tensor in inputs]
    again = in_place(compute, fixed)

    def replay(*given: Tensor) -> Tensor:
        for to, of in zip(fixed, given, strict=True):
            to.copy_(of)
        return again().clone()  # the next replay writes over it

    return replay


def in_place(compute: Compute, inputs: Sequence[Tensor]) -> Compute:
    """`compute` as a CUDA graph that reads just these tensors and writes over its last result."""
    device = inputs[0].device
    side, graph = side_stream(device), torch.cuda.CUDAGraph()
    side.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(side):  # left again where the capture fails, too
        for _ in range(WARM_UP):
            compute(*inputs)
        with torch.cuda.graph(graph, stream=side):
            result = compute(*inputs)
    torch.cuda.current_stream(device).wait_stream(side)

    def again(*_: Tensor) -> Tensor:
        graph.replay()
        return result

    return again


@cache
def side_stream(device: torch.device) -> torch.cuda.Stream:
    """The stream on which graphs are captured: one a device, for cuBLAS keeps some memory for each
    stream that it has seen.
    """
    return torch.cuda.Stream(device)


def replayed(
    compute: Compute,
    inputs: Sequence[Tensor],
    capture: Capture,
    kept: AbstractContextManager[None] | None = None,
) -> Compute:
    """`compute` captured, or `compute` itself where it cannot be.

    `kept` puts back what running it changes, however the capture ends. Raises what leaves the
    device unusable, or is for want of its memory.
    """
    try:
        with kept or nullcontext():
            return capture(compute, inputs)
    except RuntimeError as error:
        if breaks_device(error) or out_of_memory(error):
            raise
        reason = " ".join(str(error).split())
        log.warning("not captured as a CUDA graph, only slower without: %s", reason)
        return compute


def breaks_device(error: BaseException) -> bool:
    """Whether the process can use its GPU no more: CUDA repeats such an error at every call."""
    return isinstance(error, torch.AcceleratorError) and code_of(error) not in (
        MEMORY_ALLOCATION,
        *CANNOT_CAPTURE,
    )


def out_of_memory(error: BaseException) -> bool:
    """Whether the device had too little memory, in torch's allocator or outside of it."""
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, torch.AcceleratorError) and code_of(error) == MEMORY_ALLOCATION
    )


def code_of(error: BaseException) -> int | None:
    """The CUDA runtime's code of an error; None where torch has not told it."""
    code: int | None = getattr(error, "error_code", None)
    return code
