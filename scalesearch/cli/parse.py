"""What is typed as text made into the values that the library takes."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scalesearch.networks.scaling import Coefficients
    from scalesearch.spaces.budget import Term


def words(text: str) -> tuple[str, ...]:
    """Words with commas between; none where nothing is typed."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def numbers(option: str, text: str) -> tuple[float, ...]:
    """Numbers between -100 and 100 with commas between. Raises ValueError naming the option."""
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"--{option} must be numbers with commas between, got {text!r}") from None
    if not all(abs(number) < 100 for number in found):
        raise ValueError(f"--{option} must be numbers between -100 and 100, got {text!r}")
    return found


def coefficients(text: str) -> "Coefficients":
    """alpha,beta,gamma. Raises ValueError where they are not three numbers above zero."""
    from scalesearch.networks.scaling import Coefficients

    found = numbers("coefficients", text)
    if len(found) != 3 or min(found) <= 0:
        raise ValueError(f"--coefficients must be three numbers above zero, got {text!r}")
    return Coefficients(*found)


def targets(text: str) -> "tuple[Term, ...]":
    """A budget for each member, with commas between."""
    from scalesearch.spaces.budget import parse_budget

    return tuple(parse_budget(part).target for part in text.split(","))
