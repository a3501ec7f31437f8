"""Change the outline of one object: fill holes, smooth, grow, shrink; draw a new one.

None of them takes a pixel from another object, and what an object gives up becomes background.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage
from skimage.draw import polygon

from napari_unet.core.boxes import box_around
from napari_unet.core.edits.change import Change, change_to, numbered
from napari_unet.core.errors import InputError
from napari_unet.core.label_index import IntArray

__all__ = ["fill_holes", "grow", "new_object", "shrink", "smooth"]

TOO_THIN = "This cell is too thin to shrink; remove it with Delete if it is none."
TOO_FINE = "This cell is too small or too thin to smooth."
NO_OUTLINE = "Nothing was outlined; press, drag once around the cell, and let go."
NO_ROOM = "There is no free place in the outline; other cells keep their pixels."

# Outlines are smoothed over this part of the object's diameter, in so many pixels (chosen: a
# circle becomes narrower by less than a hundredth).
SMOOTHING = 1 / 16
# By less than the first of these not even a line of one pixel changes.
LEAST_SMOOTHING, MOST_SMOOTHING = 0.8, 4.0

EIGHT = np.ones((3, 3), bool)
Mask = NDArray[np.bool_]


def fill_holes(labels: IntArray, number: int) -> Change | None:
    """Fill the background that an object encloses; objects inside of it stay."""
    return _reshape(labels, number, 0, ndimage.binary_fill_holes)


def smooth(labels: IntArray, number: int) -> Change | None:
    """Round off the outline of an object: a pixel belongs to it if most around it does.

    Raises
    ------
    InputError
        If the object would vanish or fall apart.
    """
    margin = int(4 * MOST_SMOOTHING)  # as far as scipy's Gaussian reaches
    return _reshape(labels, number, margin, _smoothed)


def grow(labels: IntArray, number: int) -> Change | None:
    """Make an object wider by a pixel on each side where there is background."""
    return _reshape(labels, number, 1, ndimage.binary_dilation)


def shrink(labels: IntArray, number: int) -> Change | None:
    """Make an object narrower by a pixel on each side, but not where the image ends.

    Raises
    ------
    InputError
        If nothing of it would be left.
    """
    return _reshape(labels, number, 1, _shrunk)


def new_object(labels: IntArray, path: ArrayLike, number: int) -> Change | None:
    """Make an object of the background inside of a closed line; of several parts the largest.

    Parameters
    ----------
    labels : ndarray of int, shape (Y, X)
    path : array of float, shape (N, 2)
        Rows and columns of its points; it may reach out of the plane.
    number : int
        Of the new object.

    Raises
    ------
    InputError
        If it encloses nothing, or no background.
    """
    corners = np.asarray(path, float).reshape(-1, 2)
    limits = np.array(labels.shape)
    low = np.clip(np.floor(corners.min(axis=0, initial=np.inf)), 0, limits).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0, initial=-np.inf)) + 1, low, limits).astype(int)
    box = slice(low[0], high[0]), slice(low[1], high[1])
    inside = np.zeros((0, 0), bool)
    if len(corners) > 2 and (high > low).all():
        inside = _inside(corners - low, (int(high[0] - low[0]), int(high[1] - low[1])))
    if not inside.any():
        raise InputError(NO_OUTLINE)
    parts, count = ndimage.label(inside & (labels[box] == 0), EIGHT)
    if not count:
        raise InputError(NO_ROOM)
    largest = 1 + np.bincount(parts.ravel())[1:].argmax()
    return change_to(labels, box, numbered(labels[box], parts == largest, number))


def _inside(corners: NDArray[np.float64], shape: tuple[int, int]) -> Mask:
    inside = np.zeros(shape, bool)
    inside[polygon(corners[:, 0], corners[:, 1], shape)] = True  # type: ignore[no-untyped-call]
    return inside


def _reshape(
    labels: IntArray, number: int, margin: int, reshaped: Callable[[Mask], Mask]
) -> Change | None:
    """Give an object another shape, as far as no other object is there."""
    box = box_around(labels, [number], margin)
    if box is None:
        return None
    before = labels[box]
    is_object = before == number
    shape = reshaped(is_object) & (is_object | (before == 0))
    after = before.copy()
    after[is_object] = 0
    after[shape] = number
    return change_to(labels, box, after)


def _shrunk(mask: Mask) -> Mask:
    # Beyond the box there is either more than the margin of no object, or the image's end.
    shape: Mask = ndimage.binary_erosion(mask, border_value=1)
    if not shape.any():
        raise InputError(TOO_THIN)
    return shape


def _smoothed(mask: Mask) -> Mask:
    """Smooth as much as leaves the object in as many parts as it has."""
    parts = ndimage.label(mask, EIGHT)[1]
    diameter = np.sqrt(4 / np.pi * np.count_nonzero(mask) / parts)
    sigma = float(np.clip(SMOOTHING * diameter, 2 * LEAST_SMOOTHING, MOST_SMOOTHING))
    while sigma >= LEAST_SMOOTHING:
        shape: Mask = ndimage.gaussian_filter(mask.astype(np.float32), sigma, mode="nearest") > 0.5
        if ndimage.label(shape, EIGHT)[1] == parts:
            return shape
        sigma /= 2
    raise InputError(TOO_FINE)
