"""Named data sets as uint8 tensors, decoded once, with a fixed validation split."""

from scalesearch.data.images import DataInfo, DataSet, Images, resized
from scalesearch.data.sources import absolute, describe, load

__all__ = ["DataInfo", "DataSet", "Images", "absolute", "describe", "load", "resized"]
