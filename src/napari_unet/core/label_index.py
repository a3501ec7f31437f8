"""Labels as small numbers that can index a table, and the way back to the user's labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_unet.core.errors import InputError

__all__ = ["IntArray", "count_objects", "index_labels", "whole_numbers"]

IntArray = npt.NDArray[Any]  # any integer dtype: labels come as the user's file has them


def whole_numbers(labels: npt.ArrayLike) -> IntArray:
    """Return labels as an integer array; bool becomes 0 and 1, fractions are refused."""
    array = np.asarray(labels)
    if array.dtype == bool:
        return array.view(np.uint8)
    if array.dtype.kind not in "iu":
        raise InputError(f"Labels must be whole numbers, but these are {array.dtype}.")
    return array


def index_labels(labels: IntArray) -> tuple[npt.NDArray[np.int32], IntArray]:
    """Number labels so that they can index a table; background stays 0.

    Labels that are small already keep their numbers, gaps in the numbering included.

    Returns
    -------
    index : numpy.ndarray
        int32, same shape, 0 is background.
    names : numpy.ndarray
        ``names[index]`` are the labels again.
    """
    low, high = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
    if low >= 0 and high <= max(labels.size, 65535):
        return labels.astype(np.int32, copy=False), np.arange(high + 1).astype(labels.dtype)
    names, index = np.unique(labels, return_inverse=True)
    order = np.cumsum(names != 0)
    order[names == 0] = 0
    table = np.zeros(order.max() + 1, labels.dtype)
    table[order] = names
    return order[index.reshape(labels.shape)].astype(np.int32), table


def count_objects(labels: IntArray) -> tuple[IntArray, IntArray]:
    """Return the objects, in rising order, and how many pixels each has.

    `numpy.unique` sorts, which takes ten times as long.
    """
    index, names = index_labels(labels)
    area = np.bincount(index.ravel(), minlength=1)
    area[0] = 0
    return names[: len(area)][area > 0], area[area > 0]
