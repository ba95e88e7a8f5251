"""The processes that pack: one for each core, fed with chunks, ended with the packing."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from queue import SimpleQueue

from scalesearch.data.packer import Chunk, Packed, pack_chunk


def cores() -> int:
    """How many processors this process may use, as far as the system and Python can tell."""
    if hasattr(os, "process_cpu_count"):  # from Python 3.13 on
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):  # not on macOS, nor on Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextmanager
def packers(count: int) -> Iterator[Callable[[Chunk], Packed]]:
    """A function that packs a chunk in one of `count` processes, which wait between its calls.

    With 0 it packs in this process. It may be called by as many threads as there are processes;
    it raises ValueError where a process has died.
    """
    processes = [packer() for _ in range(count)]
    idle: SimpleQueue[subprocess.Popen[str]] = SimpleQueue()
    for process in processes:
        idle.put(process)

    def pack(chunk: Chunk) -> Packed:
        process = idle.get()
        try:
            return asked(process, chunk)
        finally:
            idle.put(process)

    try:
        yield pack if count else pack_chunk
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def packer() -> "subprocess.Popen[str]":
    """A process that packs. An interrupt of this one does not reach it: it ends with its input."""
    return subprocess.Popen(
        [sys.executable, "-c", "from scalesearch.data.packer import main; main()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )


def asked(process: "subprocess.Popen[str]", chunk: Chunk) -> Packed:
    """What a process makes of a chunk. Raises ValueError where it has died."""
    assert process.stdin and process.stdout
    try:
        process.stdin.write(json.dumps(asdict(chunk)) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
    except OSError:
        line = ""
    if not line:
        raise ValueError("a process of packing must live, and one has died: is there memory left?")
    return packed_of(json.loads(line))


def packed_of(found: Mapping[str, object]) -> Packed:
    """What became of a chunk, from JSON."""
    unreadable = found["unreadable"]
    assert isinstance(unreadable, dict)
    return Packed(
        crc=int(str(found["crc"])),
        unreadable={int(place): str(why) for place, why in unreadable.items()},
        error=str(found["error"]),
    )
