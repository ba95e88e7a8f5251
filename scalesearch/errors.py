"""What a user reads of a value that will not do: which parameter, the rule, what was meant."""

import difflib
import math
from collections.abc import Iterable
from numbers import Integral
from pathlib import Path


class ParameterError(ValueError):
    """A value that `parameter` must not have, in one line: the parameter, then the rule.

    A caller in Python reads the parameter's name, one at the command line its flag.
    """

    def __init__(self, parameter: str, rule: str) -> None:
        super().__init__(parameter, rule)
        self.parameter = parameter
        self.rule = rule

    def __str__(self) -> str:
        return f"{self.parameter} {self.rule}"


def meant(given: str, known: Iterable[str], likeness: float = 0.6) -> str:
    """What was probably meant, to stand at the end of an error; '' where nothing is near.

    `likeness` is what difflib calls a cutoff: 1 asks for the same letters.
    """
    near = difflib.get_close_matches(given.lower(), known, 1, likeness)
    return f"; did you mean {near[0]!r}?" if near else ""


def file_meant(near: Iterable[Path]) -> str:
    """The first of those that is a file, as an error says it at its end; '' where none is."""
    return next((f"; did you mean {path}?" for path in near if path.is_file()), "")


def check_choice(parameter: str, given: str, known: Iterable[str]) -> None:
    """Raise ParameterError for a value that is none of those known."""
    choices = list(known)
    if given not in choices:
        listed = " or ".join([", ".join(choices[:-1]), choices[-1]])
        raise ParameterError(
            parameter, f"must be {listed}, got {given!r}{meant(given, choices, 0.5)}"
        )


def check_range(
    parameter: str, given: float | None, lowest: int, highest: int | None = None, whole: bool = True
) -> None:
    """Raise ParameterError for a number outside those bounds, NaN among them, or for one that is
    not whole where it must be; None is let go."""
    if given is None:
        return
    if whole and not isinstance(given, Integral):
        raise ParameterError(parameter, f"must be a whole number, got {given!r}")
    if not lowest <= given <= (math.inf if highest is None else highest):
        rule = f"at least {lowest:,}" if highest is None else f"from {lowest:,} to {highest:,}"
        raise ParameterError(parameter, f"must be {rule}, got {given:,}")
