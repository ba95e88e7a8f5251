"""Budgets: what a network may cost, in flops, parameters, activations or milliseconds. No torch.

A term is an amount and a measure: `2x` and `800M` flops, `30Mparams`, `2xparams`, `20Macts`,
`5ms`, `2xms`, `5ms@8` for a batch of 8. Commas stand between several. The first is the target,
which every candidate meets within the space's tolerance; the others are caps, at most.
"""

import re
from dataclasses import dataclass

from scalesearch.units import NAMES, Measure

MEASURES: dict[str, Measure] = {
    "": "flops",
    "flops": "flops",
    "params": "params",
    "acts": "activations",
    "ms": "ms",
}
NUMBER = r"(\d+(?:\.\d+)?|\.\d+)"
TERM = re.compile(NUMBER + r"(x|[KMGT]?)(flops|params|acts|ms|)(?:@(\d{1,6}))?")
# what people write who mean one of those
NEARLY = re.compile(
    NUMBER + r"([xkmgt]?)(flops?|m?macs?|m?adds?|param(?:eter)?s?|act(?:ivation)?s?|ms|)(@\d+)?"
)
LARGEST = 1e15
RULE = (
    "a budget must be a ratio above zero such as 2x or 0.5x, or multiply-adds such as 800M or "
    "1.6G, or 30Mparams, 2xparams, 20Macts, 5ms, 5ms@8 (a batch of 8); the first of several with "
    "commas between is the target, the others are caps"
)


@dataclass(frozen=True, slots=True)
class Term:
    """One measure and what it may come to: a ratio to the baseline's, or an `amount`.

    An amount is one of the space's own model; `batch` is how many images a latency is of.
    """

    text: str
    measure: Measure
    ratio: float | None = None
    amount: float = 0.0
    batch: int = 1

    def relative_to(self, own: float) -> float:
        """The ratio of this term to `own`, what the space's own model costs by its measure."""
        return self.ratio if self.ratio is not None else self.amount / own


@dataclass(frozen=True, slots=True)
class Budget:
    """A target, which is met within a tolerance, and caps, which are not exceeded."""

    text: str
    target: Term
    caps: tuple[Term, ...] = ()

    @property
    def terms(self) -> tuple[Term, ...]:
        """The target, then the caps."""
        return (self.target, *self.caps)

    @property
    def batch(self) -> int | None:
        """The batch that a latency of this budget is of; None where it has none."""
        return next((term.batch for term in self.terms if term.measure == "ms"), None)

    @property
    def said(self) -> str:
        """The budget in words: 2x, at most 30Mparams."""
        return ", at most ".join(term.text for term in self.terms)

    @property
    def label(self) -> str:
        """The text as it may stand in a file's name."""
        return re.sub(r"[^A-Za-z0-9.]", "-", self.text)


def parse_budget(text: str) -> Budget:
    """The budget that `2x`, `800M`, `30Mparams`, `5ms` or `2x,30Mparams` says.

    `2X` and `2 x` are 2x. Raises ValueError for any other, and where a measure is said twice.
    """
    terms = [parse_term(part, text) for part in text.split(",")]
    for i, term in enumerate(terms):
        if term.measure in [other.measure for other in terms[:i]]:
            raise ValueError(
                f"a budget must say each measure once, got {NAMES[term.measure]} twice in {text!r}"
            )
    return Budget(",".join(term.text for term in terms), terms[0], tuple(terms[1:]))


def parse_term(part: str, whole: str) -> Term:
    """One term of the budget `whole`, spaces and a large X aside.

    Raises ValueError with the rule, the value met and what was probably meant.
    """
    part = re.sub(r"(?<=[\d.])[X×]", "x", "".join(part.split()))
    match = TERM.fullmatch(part)
    if not match or not 0 < float(match[1]) < LARGEST:
        raise ValueError(f"{RULE}; got {whole!r}{term_meant(part)}")
    amount, prefix, word, batch = float(match[1]), match[2], match[3], match[4]
    measure = MEASURES[word]
    counted = prefix in ("K", "M", "G", "T")
    # a bare number has no measure, thousands of milliseconds are none, only a latency has a batch
    if not (prefix or word) or (counted and word == "ms") or (batch is not None and word != "ms"):
        raise ValueError(f"{RULE}; got {whole!r}{term_meant(part)}")
    if batch is not None and int(batch) == 0:
        raise ValueError(f"a latency's batch must be at least 1, got {whole!r}")
    images = int(batch or 1)
    if prefix == "x":
        return Term(part, measure, ratio=amount, batch=images)
    size = 1000 ** ("KMGT".index(prefix) + 1) if prefix else 1
    return Term(part, measure, amount=amount * size, batch=images)


def term_meant(part: str) -> str:
    """The term that was probably meant, as an error says it at its end; '' where none is near."""
    match = NEARLY.fullmatch(part.lower())
    if not match:
        return ""
    number, prefix, word, batch = match[1], match[2], match[3], match[4] or ""
    if word.startswith("flop"):  # of which many papers count two for a multiply-add
        once, half = (f"{value:g}{prefix.upper()}" for value in (float(number), float(number) / 2))
        return (
            f"; by {part!r} did you mean {once!r} multiply-adds, or {half!r}, two flops for each?"
        )
    measure = next((known for known in ("params", "acts", "ms") if word[:2] == known[:2]), "")
    own = prefix if prefix == "x" else prefix.upper()
    likely = f"{number}{own or ('' if measure else 'x')}{measure}{batch}"
    if likely == part or not TERM.fullmatch(likely):
        return ""
    return f"; by {part!r} did you mean {likely!r}?"
