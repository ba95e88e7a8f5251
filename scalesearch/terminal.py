"""What a terminal is given: text that it shows, and never a command that it obeys."""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a command that shows no table need not wait for it
    from rich.text import Text


def printable(text: str) -> str:
    """The text with every character that a terminal would obey, or not show, written out: \\x1b.

    Lines stay lines. Names and messages come from files, which may be a stranger's.
    """
    if text.replace("\n", "").isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else escaped(c) for c in text)


def escaped(character: str) -> str:
    """A character as Python writes it in a string."""
    return character.encode("unicode_escape").decode()


def rich_text(text: str, style: str = "") -> "Text":
    """The printable text for rich, to which brackets in it are no markup."""
    from rich.text import Text

    return Text(printable(text), style)


def say(text: str, error: bool = False) -> None:
    """Print the printable text on stdout, or on stderr."""
    print(printable(text), file=sys.stderr if error else sys.stdout)
