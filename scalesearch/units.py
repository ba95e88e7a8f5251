"""Numbers in words: counts, times, amounts of a measure."""

from typing import Literal

Measure = Literal["flops", "params", "activations", "ms"]
NAMES: dict[Measure, str] = {  # as a sentence calls them
    "flops": "flops",
    "params": "parameters",
    "activations": "activations",
    "ms": "milliseconds",
}


def short(value: float) -> str:
    """A count with a unit, in three digits: 1.83G."""
    for unit, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("K", 1e3)):
        if value >= 0.9995 * size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.0f}"


def milliseconds(ms: float | None, low: float | None, high: float | None) -> str:
    """A latency and half of its interval: 12.3±0.2; nothing where none was timed."""
    if ms is None or low is None or high is None:
        return ""
    return f"{ms:.3g}±{(high - low) / 2:.2g}"


def counted(n: int, what: str) -> str:
    """So many of a thing: 1 trial, 2 trials."""
    return f"{n} {what}" if n == 1 else f"{n} {what}s"


def gpus(amount: float) -> str:
    """What a trial has of GPUs: 0.25 of a GPU, 2 GPUs."""
    return f"{amount:g} of a GPU" if amount < 1 else counted(round(amount), "GPU")


def duration(seconds: float) -> str:
    """Seconds as a person says them: 42 s, 3 min 20 s, 2 h 5 min."""
    seconds = round(seconds)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"


def amount(value: float, measure: Measure) -> str:
    """An amount of a measure in words: 771M flops, 2.31 ms."""
    return f"{value:.3g} ms" if measure == "ms" else f"{short(value)} {NAMES[measure]}"
