"""The zoo: every family is one file with a literal table and a dict `MODELS`. No torch here."""

import importlib
import pkgutil
import re
from collections.abc import Mapping
from types import ModuleType

from scalesearch.errors import meant
from scalesearch.networks.arch import Arch
from scalesearch.networks.scaling import Scale, scale_arch

# importing every file of this folder is what makes a new family one file and nothing else
FAMILIES = {
    module.name: importlib.import_module(f"{__name__}.{module.name}")
    for module in pkgutil.iter_modules(__path__)
}


def models_of(families: Mapping[str, ModuleType]) -> dict[str, Arch]:
    """Every arch of those families by its name. Raises ValueError where two have one name."""
    found: dict[str, Arch] = {}
    owners: dict[str, str] = {}
    for family, module in families.items():
        for name, arch in module.MODELS.items():
            if name in found:
                raise ValueError(
                    f"a model's name must be its own in the zoo, got {name!r} in both "
                    f"{owners[name]}.py and {family}.py: rename one"
                )
            found[name], owners[name] = arch, family
    return found


MODELS = models_of(FAMILIES)


def find(name: str) -> Arch:
    """The arch of that name; `NAME_w0.5` is NAME with a width multiplier of 0.5.

    Raises ValueError, naming the nearest model, when there is none.
    """
    if name in MODELS:
        return MODELS[name]
    widened = re.fullmatch(r"(\w+)_w(\d+(?:\.\d+)?)", name)
    if widened and widened[1] in MODELS and float(widened[2]) > 0:
        return scale_arch(MODELS[widened[1]], Scale(width=float(widened[2])), name)
    raise ValueError(
        f"a model must be one of `scalesearch models`, got {name!r}{meant(name, MODELS)}"
    )
