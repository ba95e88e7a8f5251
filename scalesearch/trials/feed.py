"""Batches of images that are streamed: the next are gathered while a step takes its time."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from scalesearch.data import Images, resized

AHEAD = 2  # batches that are gathered before they are asked for


@dataclass(frozen=True, slots=True)
class Coming:
    """A batch that was gathered; on a GPU, what to wait for before it is there."""

    images: Images
    arrived: torch.cuda.Event | None = None


def fed(images: Images, batches: Sequence[Tensor]) -> Iterator[tuple[Tensor, Tensor | Images]]:
    """Each batch of indices, and what a step takes: the same, or the images that are streamed."""
    if not images.shown:
        yield from zip(batches, batches, strict=True)
    else:
        yield from zip(batches, streamed(images, batches), strict=True)


def in_order(images: Images, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Pixels and labels of all images, so many at once."""
    if not images.shown:
        yield from zip(images.pixels.split(size), images.labels.split(size), strict=True)
    else:
        for batch in streamed(images, torch.arange(len(images)).split(size)):
            yield batch.pixels, batch.labels


def streamed(images: Images, batches: Iterable[Tensor]) -> Iterator[Images]:
    """The images at each batch of indices, in that order, at the side shown, where labels lie.

    They are gathered by a thread of its own. For a GPU they are copied from pinned memory, by a
    stream of their own, and resized there.
    """
    device = images.labels.device
    labels = images.labels.cpu()
    here = Images(images.pixels, labels, images.shown)
    stream = torch.cuda.Stream(device) if device.type == "cuda" else None
    waiting: deque[Future[Coming]] = deque()
    with ThreadPoolExecutor(1) as thread:
        try:
            for batch in batches:
                waiting.append(thread.submit(gathered, here, batch.cpu(), stream))
                if len(waiting) > AHEAD:
                    yield arrived(waiting.popleft().result())
            while waiting:
                yield arrived(waiting.popleft().result())
        finally:
            thread.shutdown(cancel_futures=True)


def gathered(images: Images, batch: Tensor, stream: torch.cuda.Stream | None) -> Coming:
    """One batch; for a stream of a GPU, on its way there."""
    found = Images(images.pixels.index_select(0, batch), images.labels[batch])
    if stream is None:
        return Coming(as_shown(found, images.shown))
    with torch.cuda.stream(stream):
        there = Images(
            found.pixels.pin_memory().to(stream.device, non_blocking=True),
            found.labels.pin_memory().to(stream.device, non_blocking=True),
        )
        there = as_shown(there, images.shown)
        event = torch.cuda.Event()
        event.record(stream)
    return Coming(there, event)


def as_shown(images: Images, sides: Sequence[int]) -> Images:
    """The images resized to those sides, one after the other, as those in memory are."""
    return reduce(resized, sides, images)


def arrived(coming: Coming) -> Images:
    """The batch itself, for work on the current stream."""
    images = coming.images
    if coming.arrived is not None:
        current = torch.cuda.current_stream(images.pixels.device)
        current.wait_event(coming.arrived)
        images.pixels.record_stream(current)
        images.labels.record_stream(current)
    return images
