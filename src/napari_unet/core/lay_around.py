"""What is checked stays when an image is segmented anew: objects are laid around it."""

from __future__ import annotations

from typing import Any  # labels come in any integer dtype

import numpy as np
from numpy.typing import NDArray

__all__ = ["count_checked", "keep_checked", "keep_checked_through"]


def count_checked(labels: NDArray[Any], checked: NDArray[Any]) -> int:
    """Return how many objects have at least half of their area checked.

    Parameters
    ----------
    labels : ndarray of int, shape (Y, X)
    checked : ndarray of bool or uint8, shape (Y, X)
    """
    return len(_checked_numbers(labels, checked))


def _checked_numbers(labels: NDArray[Any], checked: NDArray[Any]) -> NDArray[Any]:
    inside = labels[checked != 0]
    numbers, inside_area = np.unique(inside[inside != 0], return_counts=True)
    if not len(numbers):
        return numbers
    of_those = labels[np.isin(labels, numbers)]
    area = np.unique(of_those, return_counts=True)[1]
    return numbers[2 * inside_area >= area]


def keep_checked(
    current: NDArray[Any], predicted: NDArray[Any], checked: NDArray[Any], *, above: int = 0
) -> NDArray[np.int32]:
    """Lay predicted objects around what is checked, which stays as it is.

    Checked objects keep their pixels and numbers; checked background stays empty; all other
    objects are replaced by the predicted ones. A predicted object of which more than half lies
    in what stays is left out.

    Parameters
    ----------
    current : ndarray of int, shape (Y, X)
        Labels with the corrections.
    predicted : ndarray of int, shape (Y, X)
        Labels of a new segmentation, numbered from 1.
    checked : ndarray of bool or uint8, shape (Y, X)
        The checked area.
    above : int
        Predicted objects get numbers above this and above those that stay.

    Returns
    -------
    ndarray of int32, shape (Y, X)
    """
    kept = _checked_numbers(current, checked)
    stays = np.isin(current, kept) if len(kept) else np.zeros(current.shape, bool)
    protected = stays | ((checked != 0) & (current == 0))
    number = np.arange(int(predicted.max(initial=0)) + 1)
    area = np.bincount(predicted.ravel(), minlength=len(number))
    covered = np.bincount(predicted[protected], minlength=len(number))
    is_new = (2 * covered <= area) & (area > 0) & (number > 0)
    first = max(above, int(kept.max(initial=0)))
    renumber = np.where(is_new, np.cumsum(is_new) + first, 0).astype(np.int32)
    merged: NDArray[np.int32] = renumber[predicted]
    merged[protected] = 0
    merged[stays] = current[stays]
    return merged


def keep_checked_through(
    current: NDArray[Any], predicted: NDArray[Any], checked: NDArray[Any], *, above: int = 0
) -> NDArray[np.int32]:
    """Lay predicted objects of a volume around what is checked in its planes.

    Each plane is treated as by `keep_checked`, with the same numbers in all. Who corrects an object
    in one plane has seen it there alone: a predicted object that is left out there for one that is
    checked goes on in the other planes under the number of that one.

    Parameters
    ----------
    current, predicted : ndarray of int, shape (Z, Y, X)
    checked : ndarray of bool or uint8, shape (Z, Y, X)
    above : int
        See `keep_checked`.

    Returns
    -------
    ndarray of int32, shape (Z, Y, X)
    """
    first = max(above, int(current.max(initial=0)))
    number = np.arange(int(predicted.max(initial=0)) + 1, dtype=np.int32)
    becomes = np.where(number > 0, number + np.int32(first), 0).astype(np.int32)
    most = np.zeros(len(number), np.int64)  # voxels that a checked one covers of it in a plane
    out = np.zeros(current.shape, np.int32)
    left_out = []
    for z, (plane, found, known) in enumerate(zip(current, predicted, checked, strict=True)):
        kept = _checked_numbers(plane, known)
        stays = np.isin(plane, kept) if len(kept) else np.zeros(plane.shape, bool)
        protected = stays | ((known != 0) & (plane == 0))
        area = np.bincount(found.ravel(), minlength=len(number))
        covered = np.bincount(found[protected], minlength=len(number))
        is_out = 2 * covered > area
        for one in np.flatnonzero(is_out[1:]) + 1:
            owners, voxels = np.unique(plane[stays & (found == one)], return_counts=True)
            if len(owners) and voxels.max() > most[one]:
                most[one], becomes[one] = voxels.max(), owners[voxels.argmax()]
        left_out.append(is_out)
        out[z] = np.where(protected, np.where(stays, plane, 0), -1)
    for plane, found, is_out in zip(out, predicted, left_out, strict=True):
        free = plane < 0
        plane[free] = np.where(is_out, 0, becomes)[found[free]]
    return out
