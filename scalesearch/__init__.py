"""Find how to spend compute on a convolutional network: depth, width or resolution.

    import scalesearch as ss

    ss.plan("efficientnet", budget="2x")
    study = ss.run("efficientnet", budget="2x")
    study.trials()

Importing this costs nothing: what the functions need is imported when the first is used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scalesearch.api import (
        SavedStudy,
        build,
        cost,
        evaluate,
        load_torchvision,
        plan,
        replay,
        run,
        scale,
        space,
        study,
        table,
        train,
        trust,
    )

__all__ = [
    "SavedStudy",
    "build",
    "cost",
    "evaluate",
    "load_torchvision",
    "plan",
    "replay",
    "run",
    "scale",
    "space",
    "study",
    "table",
    "to_measure",
    "train",
    "trust",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from scalesearch import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
