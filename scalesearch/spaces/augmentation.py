"""What is done to training images, and the recipes of it that a space may name."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field
from pydantic.dataclasses import dataclass

STRICT = ConfigDict(extra="forbid", use_attribute_docstrings=True)
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, config=STRICT, kw_only=True)
class Augmentation:
    """What is done to training images beside mirroring, by the seed alone.

    The geometry is in shares of the image, so that every network is shown the same.
    """

    shift: Annotated[float, Field(ge=0, le=0.5)] = 0.0
    """Images are moved by up to that share of their side either way, with grey behind them: 0.125
    is CIFAR's 4 pixels of 32 (He et al. 2015, arXiv:1512.03385, section 4.2)."""
    crop: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Below 1, a part of at least that share of the image, with sides of 3:4 to 4:3, is resized to
    the whole (Szegedy et al. 2014, arXiv:1409.4842, section 6)."""
    erase: Share = 0.0
    """How often a box of 2 to 33 % of the image is made grey (Zhong et al. 2017,
    arXiv:1708.04896)."""
    mixup: Annotated[float, Field(ge=0, le=100)] = 0.0
    """Above 0, pairs of images are blended, by shares of a beta distribution of that parameter
    (Zhang et al. 2017, arXiv:1710.09412)."""
    cutmix: Annotated[float, Field(ge=0, le=100)] = 0.0
    """Above 0, a box of an image is another's, its share of a beta distribution of that parameter
    (Yun et al. 2019, arXiv:1905.04899); beside mixup each has half of the images."""
    randaugment: Annotated[float, Field(ge=0, le=30)] = 0.0
    """Above 0, two changes of colour or shape, drawn of thirteen, of that magnitude (Cubuk et al.
    2019, arXiv:1909.13719; their fourteenth, equalize, is left out)."""

    @property
    def crops(self) -> bool:
        """Whether networks are shown parts of images in place of whole ones."""
        return self.crop < 1


# each with whose recipe it is
NAMED = {
    # mirrored alone
    "plain": Augmentation(),
    # He et al. 2015, arXiv:1512.03385, section 4.2: for 28 to 64 pixels
    "small": Augmentation(shift=0.125),
    # Szegedy et al. 2014, as Goyal et al. 2017, arXiv:1706.02677, section 5.1, train on ImageNet
    "photos": Augmentation(crop=0.08),
}
Name = Literal["plain", "small", "photos"]


def by_name(given: Any) -> Any:
    """The augmentation of a name; what is none as it is. Raises ValueError for an unknown name."""
    if not isinstance(given, str):
        return given
    if given not in NAMED:
        raise ValueError(f"an augmentation must be one of {', '.join(NAMED)}, or keys of its own")
    return NAMED[given]


Augmented = Annotated[Augmentation, BeforeValidator(by_name, Name | Augmentation)]
