"""Named data sets as uint8 tensors, decoded once, with a fixed validation split."""

from scalesearch.data.images import DataInfo, DataSet, Images, Survey, resized
from scalesearch.data.sources import PACK, absolute, describe, is_packed, load, pack, survey

__all__ = [
    "PACK",
    "DataInfo",
    "DataSet",
    "Images",
    "Survey",
    "absolute",
    "describe",
    "is_packed",
    "load",
    "pack",
    "resized",
    "survey",
]
