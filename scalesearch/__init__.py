"""Find how to spend compute on a convolutional network: depth, width or resolution.

    import scalesearch as ss

    ss.plan("efficientnet", budget="2x")
    study = ss.run("efficientnet", budget="2x")
    study.trials()

Importing this costs nothing: what the functions need is imported when the first is used.
"""

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scalesearch.api import (
        SavedStudy,
        build,
        cost,
        load_torchvision,
        plan,
        replay,
        run,
        scale,
        space,
        study,
        table,
    )

__all__ = [
    "SavedStudy",
    "build",
    "cost",
    "load_torchvision",
    "plan",
    "replay",
    "run",
    "scale",
    "space",
    "study",
    "table",
]


class _Package(ModuleType):
    """A package whose functions keep their names where a module in it is called the same.

    Whoever first imports scalesearch.plan has Python set `scalesearch.plan` to that module;
    `from scalesearch.plan import ...` does not need it.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in __all__ and isinstance(value, ModuleType)):
            super().__setattr__(name, value)

    def __getattr__(self, name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}")
        from scalesearch import api

        return getattr(api, name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *__all__})


sys.modules[__name__].__class__ = _Package
