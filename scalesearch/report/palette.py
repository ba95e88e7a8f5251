"""The colours of reports: fixed in figure files, variables of the page's theme inside HTML."""

# contrast on paper: text at least 4.5 to 1, marks at least 3 to 1, in both themes (tests hold it)
LIGHT = {
    "paper": "#ffffff",
    "ink": "#1b2430",
    "muted": "#566270",
    "line": "#d8dee6",
    "chosen": "#c2410c",
    "tied": "#2563ab",
    "other": "#768495",
    "green": "#1f7a4d",
    "purple": "#7c3aed",
    "teal": "#0b7285",
    "brown": "#8a5a1b",
    "pink": "#be185d",
}
DARK = {
    "paper": "#14181e",
    "ink": "#e7ebf0",
    "muted": "#a7b1bd",
    "line": "#363e49",
    "chosen": "#ff8f50",
    "tied": "#74b4f3",
    "other": "#8b98a8",
    "green": "#5cc48e",
    "purple": "#b794ff",
    "teal": "#4fc3d6",
    "brown": "#d3a45f",
    "pink": "#ff7fb3",
}


def themed(text: str) -> str:
    """A figure's text (SVG, or a specification as JSON) with the page's variables for colours."""
    for name, colour in LIGHT.items():
        text = text.replace(colour, f"var(--{name})")
    return text


def variables(colours: dict[str, str]) -> str:
    """The colours as CSS variables."""
    return " ".join(f"--{name}: {colour};" for name, colour in colours.items())
