"""How much memory a command and the processes below it take, while it runs."""

import os
import resource
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

EVERY = 0.5  # seconds


@dataclass(slots=True)
class Watched:
    """A command that has ended: its exit code, seconds, and the most that its processes took, MB.

    `busy` are the seconds of CPU that it and what it waited for took: others may have been busy.

    `resident` is of the command's own process, files that it maps included; `private` of the one
    process that had most that is no file's; `proportional` of all of them together, of what they
    share a part each; by what processes are called, `each` has their most.
    """

    code: int = 0
    seconds: float = 0.0
    busy: float = 0.0
    resident: float = 0.0
    private: float = 0.0
    proportional: float = 0.0
    each: dict[str, float] = field(default_factory=dict)


def watch(command: Sequence[str], only: Sequence[str] = (), limit: float | None = None) -> Watched:
    """Run a command to its end, or for `limit` seconds.

    Of the processes below it only those whose names have one of `only` in them are counted.
    """
    found, started, before = Watched(), time.monotonic(), busy_below()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, start_new_session=True)
    while process.poll() is None:
        look(process.pid, only, found)
        with suppress(subprocess.TimeoutExpired):
            process.wait(EVERY)
        if limit is not None and time.monotonic() - started > limit:
            stop(process)
    found.code, found.seconds = process.returncode, time.monotonic() - started
    found.busy = busy_below() - before
    return found


def busy_below() -> float:
    """Seconds of CPU that processes which this one has waited for took."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def stop(process: "subprocess.Popen[bytes]") -> None:
    """End a command now, not when the trials that run have ended: a second signal asks for that."""
    for _ in range(2):
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
            return
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def look(root: int, only: Sequence[str], found: Watched) -> None:
    """Take what a process and those below it have now into account."""
    together = 0.0
    for number in [root, *below(root)]:
        name, sizes = name_of(number), memory(number)
        if number != root and not any(part in name for part in only):
            continue
        found.private = max(found.private, sizes.get("Private_Dirty", 0.0))
        found.each[name] = max(found.each.get(name, 0.0), sizes.get("Private_Dirty", 0.0))
        together += sizes.get("Pss", 0.0)
        if number == root:
            found.resident = max(found.resident, sizes.get("Rss", 0.0))
    found.proportional = max(found.proportional, together)


def name_of(number: int) -> str:
    """What a process is called."""
    try:
        return Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")[0].decode(errors="replace")
    except OSError:
        return ""


def memory(number: int) -> dict[str, float]:
    """A process's memory by kind, MB."""
    try:
        lines = Path(f"/proc/{number}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return {}
    return {name: int(size.split()[0]) / 1e3 for name, size in (x.split(":", 1) for x in lines)}


def below(root: int) -> list[int]:
    """The processes that a process has started, and theirs."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        parents.setdefault(parent, []).append(int(path.parent.name))
    found, looked = [], [root]
    while looked:
        more = parents.get(looked.pop(), [])
        found += more
        looked += more
    return [number for number in found if number != os.getpid()]
