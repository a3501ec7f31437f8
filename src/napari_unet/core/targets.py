"""Instance labels to training classes and back: gaps between touching objects open and close.

A network that knows only background and cell cannot tell where one cell ends and the next
begins. So the pixels of the *larger* object that touch a smaller one become background
(Ronneberger 2015, section 3, sets such pixels to background too)::

    labels    2 2 2 1 1          classes    1 1 0 1 1
              2 2 2 1 1                     1 1 0 1 1

The inverse knows where such a pixel came from: a background pixel with two different objects
beside it belongs to the larger of them. Nothing else is filled.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_unet.core.errors import InputError

__all__ = ["classes_to_labels", "fill_gaps", "labels_to_classes"]

IntArray = npt.NDArray[Any]  # any integer dtype: labels come as the user's file has them


def labels_to_classes(labels: IntArray, *, n_dims: int | None = None) -> npt.NDArray[np.uint8]:
    """Give every pixel its class, with a gap opened between touching objects.

    Parameters
    ----------
    labels
        Integer labels of 2 or 3 axes, 0 is background.
    n_dims
        How many trailing axes are space: 2 treats a stack plane by plane. By default all.

    Returns
    -------
    numpy.ndarray
        uint8 of the same shape: 0 background and opened gaps, 1 cell.
    """
    labels = _checked(labels)
    if n_dims is not None and n_dims < labels.ndim:
        return np.stack([labels_to_classes(plane, n_dims=n_dims) for plane in labels])
    compact, sizes = _compact(labels)
    ranks = _ranks(sizes)
    ranked = ranks[compact]
    kept = _opened(ranked)
    for _ in range(4):  # an object eaten whole counts as smallest: its neighbour gives way
        lost = _lost(ranked, kept, len(sizes))
        if not lost.any():
            break
        ranked = _first(lost)[ranked]
        kept = _opened(ranked)
    return kept.astype(np.uint8)


def classes_to_labels(classes: IntArray) -> npt.NDArray[np.int32]:
    """Number the connected cells (corners connect) and fill the gaps that were opened.

    Parameters
    ----------
    classes
        A map of 2 or 3 axes as from `labels_to_classes`: 0 background, above 0 cell.

    Returns
    -------
    numpy.ndarray
        int32 labels of the same shape, numbered from 1.
    """
    foreground = np.asarray(classes) > 0
    labels, _ = ndimage.label(foreground, structure=np.ones((3,) * foreground.ndim))
    return fill_gaps(labels.astype(np.int32, copy=False)).astype(np.int32, copy=False)


def fill_gaps(labels: IntArray, *, reach: int = 1) -> IntArray:
    """Fill the background between two different objects, and no other background.

    A pixel ``d1`` steps from one object and ``d2`` from another is filled where
    ``d1 + d2 <= 2 * reach``, that is in gaps at most ``2 * reach - 1`` pixels wide. It goes to
    the nearer object; at equal distance to the larger, which is where `labels_to_classes`
    took it from.

    Parameters
    ----------
    labels
        Integer labels of 2 or 3 axes, 0 is background.
    reach
        Half the width of the gaps, 1 for those that `labels_to_classes` opens.

    Returns
    -------
    numpy.ndarray
        A new array of the same shape and dtype.
    """
    labels = _checked(labels)
    compact, sizes = _compact(labels)
    if len(sizes) < 3:
        return labels.copy()
    ranks = _ranks(sizes)
    ranked = ranks[compact]
    filled = _filled(ranked, reach)
    where = (filled != ranked).nonzero()
    result = labels.copy()
    if len(where[0]):
        result[where] = _originals(labels, ranked, len(sizes))[filled[where]]
    return result


def _checked(labels: IntArray) -> IntArray:
    labels = np.asarray(labels)
    if labels.dtype == bool:
        labels = labels.astype(np.uint8)
    if labels.dtype.kind not in "iu":
        raise InputError(f"Labels must be whole numbers, but these are {labels.dtype}.")
    return labels


def _compact(labels: IntArray) -> tuple[IntArray, IntArray]:
    """Labels usable as an index, and the size of each; 0 stays background."""
    if labels.size == 0:
        return labels.astype(np.int32), np.zeros(1, np.int64)
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high > max(labels.size, 65535):
        values, inverse = np.unique(labels, return_inverse=True)
        order = np.cumsum(values != 0)
        order[values == 0] = 0
        labels = order[inverse.reshape(labels.shape)]
    index = labels.astype(np.int32, copy=False)
    return index, np.bincount(index.ravel())


def _ranks(sizes: IntArray) -> IntArray:
    """For each label its place from smallest to largest, from 1; background is 0."""
    ranks = np.zeros(len(sizes), np.int32)
    order = np.argsort(sizes[1:], kind="stable") + 1
    ranks[order] = np.arange(1, len(sizes), dtype=np.int32)
    return ranks


def _opened(ranked: IntArray) -> npt.NDArray[np.bool_]:
    """Where a cell stays: no smaller object beside it."""
    far = np.int32(np.iinfo(np.int32).max)
    smallest = _grown(np.where(ranked == 0, far, ranked), np.minimum)
    kept: npt.NDArray[np.bool_] = (ranked > 0) & (smallest >= ranked)
    return kept


def _lost(ranked: IntArray, kept: npt.NDArray[np.bool_], n: int) -> npt.NDArray[np.bool_]:
    """Which objects have pixels before and none after."""
    before = np.bincount(ranked.ravel(), minlength=n)
    after = np.bincount(ranked[kept], minlength=n)
    lost = (before > 0) & (after == 0)
    lost[0] = False
    return lost


def _first(lost: npt.NDArray[np.bool_]) -> IntArray:
    """New ranks with the lost objects first and the order otherwise kept."""
    order = np.argsort(~lost[1:], kind="stable") + 1
    ranks = np.zeros(len(lost), np.int32)
    ranks[order] = np.arange(1, len(lost), dtype=np.int32)
    return ranks


def _filled(ranked: IntArray, reach: int) -> IntArray:
    """Ranks with the gaps filled, one step from the objects at a time."""
    far = np.int32(np.iinfo(np.int32).max)
    highest, lowest = ranked, np.where(ranked == 0, far, ranked)
    highs, lows = [highest], [lowest]
    for _ in range(2 * reach - 1):
        highs.append(_grown(highs[-1], np.maximum))
        lows.append(_grown(lows[-1], np.minimum))
    gap = np.zeros(ranked.shape, bool)
    for near in range(1, reach + 1):
        wide = 2 * reach - near
        gap |= (highs[near] > 0) & (lows[wide] < highs[wide])
    gap &= ranked == 0
    filled = ranked
    for _ in range(reach):
        filled = np.where(gap & (filled == 0), _grown(filled, np.maximum), filled)
    return filled


def _originals(labels: IntArray, ranked: IntArray, n: int) -> IntArray:
    """The user's label of each rank."""
    names = np.zeros(n, labels.dtype)
    names[ranked.ravel()] = labels.ravel()
    return names


def _grown(image: IntArray, pick: np.ufunc) -> IntArray:
    """The largest or smallest value in each pixel's 3x3(x3) neighbourhood."""
    for axis in range(image.ndim):
        grown = image.copy()
        ahead = np.moveaxis(grown, axis, 0)
        source = np.moveaxis(image, axis, 0)
        pick(ahead[:-1], source[1:], out=ahead[:-1])
        pick(ahead[1:], source[:-1], out=ahead[1:])
        image = grown
    return image
