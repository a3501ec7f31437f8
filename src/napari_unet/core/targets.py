"""Instance labels to training classes and back: gaps between touching objects open and close.

A network that knows only background and cell cannot tell where one cell ends and the next
begins, so one of two touching pixels becomes background (Ronneberger 2015, section 3). It is
always the one before the border in reading order, to the left or above::

    labels    2 2 2 1 1          classes    1 1 0 1 1
              2 2 2 1 1                     1 1 0 1 1
              2 2 1 1 1                     1 0 1 1 1

Side by side is looked at before above and below, those before corners, and a pixel that a gap
has already parted from its neighbour stays: the gap is one pixel wide. An object that would
vanish or fall apart this way is spared, and its neighbours give way instead.

The rule looks at a pixel's neighbours and at nothing else, not at the size of the objects: a
crop has the same gaps as the whole image, and a network can learn on which side they lie. And
the inverse knows to whom a gap belongs: to the object on its left or above.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from napari_unet.core.errors import InputError
from napari_unet.core.label_index import IntArray, index_labels, whole_numbers

__all__ = ["classes_to_labels", "fill_gaps", "fill_gaps_and_nooks", "labels_to_classes"]

BAND = (
    2**18
)  # pixels that are looked through at a time: they stay in the processor's cache (chosen)

BoolArray = npt.NDArray[np.bool_]


def labels_to_classes(labels: IntArray, *, n_dims: int | None = None) -> npt.NDArray[np.uint8]:
    """Give every pixel its class, with a gap opened between touching objects.

    Parameters
    ----------
    labels
        Integer labels, 0 is background. Objects may touch by a side or a corner.
    n_dims
        How many trailing axes are space: 2 treats a stack plane by plane. By default all.

    Returns
    -------
    numpy.ndarray
        uint8 of the same shape: 0 background and opened gaps, 1 cell.
    """
    labels = _checked(labels)
    if n_dims is not None and n_dims < labels.ndim:
        planes = labels.reshape(-1, *labels.shape[labels.ndim - n_dims :])
        classes = [labels_to_classes(plane) for plane in planes]
        return np.array(classes, np.uint8).reshape(labels.shape)
    index, names = index_labels(labels)
    spared = np.zeros(len(names), bool)
    kept = _opened(index, spared)
    broken = _broken(index, kept, len(names))
    if broken.any():
        kept = _opened(index, broken)
    return kept.view(np.uint8)


def classes_to_labels(classes: npt.ArrayLike) -> npt.NDArray[np.int32]:
    """Number the connected cells (corners connect) and fill the gaps that were opened.

    Parameters
    ----------
    classes
        A map as from `labels_to_classes`: 0 background, above 0 cell.

    Returns
    -------
    numpy.ndarray
        int32 labels of the same shape, numbered from 1.
    """
    labels = _components(np.asarray(classes) > 0)
    return fill_gaps(labels)


def fill_gaps(labels: IntArray, *, reach: int = 1, in_place: bool = False) -> IntArray:
    """Fill the background between two different objects, and no other background.

    A pixel ``d1`` steps from one object and ``d2`` from another is filled where
    ``d1 + d2 <= 2 * reach``, that is in gaps at most ``2 * reach - 1`` pixels wide. It goes to
    the nearer object; at equal distance to the one on the left or above, which is where
    `labels_to_classes` took it from.

    Parameters
    ----------
    labels
        Integer labels, 0 is background.
    reach
        Half the width of the gaps, 1 for those that `labels_to_classes` opens.
    in_place
        Write into the labels; large new arrays cost more time than the gaps.

    Returns
    -------
    numpy.ndarray
        An array of the same shape and dtype; a new one unless `in_place`.
    """
    return _filled(labels, reach, in_place)[0]


def fill_gaps_and_nooks(labels: IntArray, *, in_place: bool = False) -> IntArray:
    """Fill gaps of one pixel as `fill_gaps` does, and what they leave of background beside them.

    Along an oblique border every second pixel is no gap by its neighbours, and stays as a hole or
    a notch. Two times, background beside what was filled that has objects on three or four of its
    four sides is filled too, and goes to the one on most of them.

    Parameters
    ----------
    labels : ndarray of int, shape (Y, X)
    in_place : bool
        See `fill_gaps`.
    """
    filled, new = _filled(labels, 1, in_place)
    sides = ((0, 1), (1, 0), (0, -1), (-1, 0))
    for _ in range(2):
        y, x = np.unravel_index(new, filled.shape)
        beside = np.concatenate([np.stack([y + dy, x + dx]) for dy, dx in sides], axis=1)
        is_in = ((beside >= 0) & (beside < np.array(filled.shape)[:, None])).all(axis=0)
        near = np.unique(np.ravel_multi_index(tuple(beside[:, is_in]), filled.shape))
        near = near[filled.ravel()[near] == 0]
        places = np.stack(np.unravel_index(near, filled.shape))
        around = np.stack([_labels_at(filled, places, side) for side in sides])
        votes = np.where(around > 0, (around == around[:, None]).sum(axis=1), 0)
        is_nook = (around > 0).sum(axis=0) >= 3
        owner = np.take_along_axis(around, votes.argmax(axis=0)[None], axis=0)[0]
        new = near[is_nook]
        filled.ravel()[new] = owner[is_nook]
    return filled


def _filled(labels: IntArray, reach: int, in_place: bool) -> tuple[IntArray, npt.NDArray[np.intp]]:
    """Return labels with gaps filled, and where, as places in the flat array."""
    labels = _checked(labels)
    if reach < 1:
        return labels.copy(), np.zeros(0, np.intp)
    filled = labels if in_place and labels.flags.c_contiguous else labels.copy(order="C")
    ahead = _offsets(labels.ndim)
    beside = [tuple(-step for step in offset) for offset in ahead] + ahead
    every = gap = np.concatenate(list(_gap_pixels(filled, reach)))
    for _ in range(reach):
        places = np.stack(np.unravel_index(gap, labels.shape))
        owner = np.zeros(len(gap), labels.dtype)
        for offset in beside:
            owner = np.where(owner == 0, _labels_at(filled, places, offset), owner)
        filled.ravel()[gap] = owner
        gap = gap[owner == 0]
    return filled, every


def _gap_pixels(labels: IntArray, reach: int) -> Iterator[npt.NDArray[np.intp]]:
    """Where gaps are, as places in the flat array; band by band, which takes less memory."""
    a_row = math.prod(labels.shape[1:])
    step = max(1, BAND // max(1, a_row))
    if reach == 1 and labels.size:
        yield from _narrow_gaps(labels, step)
        return
    for top in range(0, len(labels) or 1, step):
        first = max(0, top - 2 * reach)
        band = _gaps(labels[first : top + step + 2 * reach], reach)[top - first :][:step]
        yield np.flatnonzero(band) + top * a_row


def _narrow_gaps(labels: IntArray, step: int) -> Iterator[npt.NDArray[np.intp]]:
    """Where gaps of one pixel are; only background beside an object is looked at closely."""
    rows, *others = labels.shape
    room = np.zeros((min(step, rows) + 2, *(size + 2 for size in others)), labels.dtype)
    strides = [math.prod(room.shape[axis + 1 :]) for axis in range(room.ndim)]
    around = np.array(list(itertools.product((-1, 0, 1), repeat=room.ndim))) @ strides
    inner = tuple(slice(1, 1 + size) for size in others)
    # One less, so that background is the highest number of all.
    less = np.dtype(labels.dtype.str.replace("i", "u"))
    for top in range(0, rows, step):
        first, last = max(0, top - 1), min(rows, top + step + 1)
        begin = first - top + 1
        some = room[: min(step, rows - top) + 2]
        some[(slice(begin, begin + last - first), *inner)] = labels[first:last]
        some[begin + last - first :] = 0
        is_object = some != 0
        near = is_object
        for stride in strides:
            grown, flat = near.copy(), near.ravel()
            grown.ravel()[stride:] |= flat[:-stride]
            grown.ravel()[:-stride] |= flat[stride:]
            near = grown
        near &= ~is_object
        for axis in range(near.ndim):
            np.moveaxis(near, axis, 0)[[0, -1]] = False
        at, values = np.flatnonzero(near), some.ravel()
        low, high = np.full(len(at), np.iinfo(less).max, less), np.zeros(len(at), labels.dtype)
        for offset in around[around != 0].tolist():
            beside = values.take(at + offset, mode="clip")
            np.maximum(high, beside, out=high)
            np.minimum(low, beside.view(less) - less.type(1), out=low)
        places = np.unravel_index(at[low < high.view(less) - less.type(1)], some.shape)
        where = (places[0] + (top - 1), *(place - 1 for place in places[1:]))
        yield np.ravel_multi_index(where, labels.shape)


def _labels_at(labels: IntArray, places: npt.NDArray[np.intp], offset: tuple[int, ...]) -> IntArray:
    """Labels beside places, shape (axes, N); 0 where that is outside."""
    at = places + np.array(offset)[:, None]
    inside = ((at >= 0) & (at < np.array(labels.shape)[:, None])).all(axis=0)
    found = np.zeros(len(inside), labels.dtype)
    found[inside] = labels[tuple(at[:, inside])]
    return found


def _checked(labels: npt.ArrayLike) -> IntArray:
    array = whole_numbers(labels)
    if array.size and array.dtype.kind == "i" and array.min() < 0:
        raise InputError(f"Labels must not be negative, but {array.min()} occurs.")
    return array


def _offsets(n_dims: int) -> list[tuple[int, ...]]:
    """One of each two opposite neighbours, in the order in which they are looked at.

    In 2D right (0, 1), below (1, 0), below right (1, 1), below left (1, -1).
    """
    half = [o for o in itertools.product((-1, 0, 1), repeat=n_dims) if o > (0,) * n_dims]
    return sorted(half, key=lambda o: (min(o) < 0, np.abs(o).sum(), [-step for step in o[::-1]]))


def _pairs(n_dims: int) -> Iterator[tuple[tuple[slice, ...], tuple[slice, ...]]]:
    """For each offset the pixels that have this neighbour, and those neighbours."""
    for offset in _offsets(n_dims):
        yield (
            tuple(slice(max(-step, 0), -step if step > 0 else None) for step in offset),
            tuple(slice(max(step, 0), step if step < 0 else None) for step in offset),
        )


def _opened(index: IntArray, spared: BoolArray) -> BoolArray:
    """Where a cell stays when gaps are opened; a spared object gives way to no other."""
    kept: BoolArray = index > 0
    is_spared = spared[index] if spared.any() else None
    for here, there in _pairs(index.ndim):
        contact = (index[here] != index[there]) & kept[here] & kept[there]
        if is_spared is None:
            kept[here] &= ~contact
            continue
        yields_there = contact & is_spared[here] & ~is_spared[there]
        kept[there] &= ~yields_there
        kept[here] &= yields_there | ~contact
    return kept


def _broken(index: IntArray, kept: BoolArray, n: int) -> BoolArray:
    """Which objects the gaps have swallowed or cut into pieces."""
    pieces = _components(kept)
    owner = np.zeros(int(pieces.max(initial=0)) + 1, np.int64)
    owner[pieces[kept]] = index[kept]
    broken: BoolArray = np.bincount(owner[1:], minlength=n) != 1
    broken &= np.bincount(index.ravel(), minlength=n) > 0
    broken[0] = False
    return broken


def _components(foreground: BoolArray) -> npt.NDArray[np.int32]:
    labels = np.zeros(foreground.shape, np.int32)
    if foreground.size:
        ndimage.label(foreground, np.ones((3,) * foreground.ndim, bool), output=labels)
    return labels


def _gaps(labels: IntArray, reach: int) -> BoolArray:
    """Background with two different objects near enough (see `fill_gaps`)."""
    background: BoolArray = labels == 0
    highs = [labels]
    lows = [np.where(background, np.iinfo(labels.dtype).max, labels)]
    for _ in range(2 * reach - 1):
        highs.append(_grown(highs[-1], np.maximum))
        lows.append(_grown(lows[-1], np.minimum))
    gap = np.zeros(labels.shape, bool)
    for near in range(1, reach + 1):
        far = 2 * reach - near
        gap |= (highs[near] > 0) & (lows[far] < highs[far])
    gap &= background
    return gap


def _grown(image: IntArray, pick: np.ufunc) -> IntArray:
    """The largest or smallest value in each pixel's 3x3(x3) neighbourhood."""
    for axis in range(image.ndim):
        grown = image.copy()
        target, source = np.moveaxis(grown, axis, 0), np.moveaxis(image, axis, 0)
        pick(target[:-1], source[1:], out=target[:-1])
        pick(target[1:], source[:-1], out=target[1:])
        image = grown
    return image
