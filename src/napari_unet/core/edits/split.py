"""Make two objects of one: along a drawn line, or at the waist."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unet.core.boxes import box_around, box_of
from napari_unet.core.edits.change import Change, change_to, numbered
from napari_unet.core.edits.line import Path, line_pixels, numbers_along
from napari_unet.core.errors import InputError
from napari_unet.core.label_index import IntArray
from napari_unet.core.split_touching import split_objects

__all__ = ["split_along", "split_touching"]

NO_CELL = "The line crosses no cell; draw it across the cell to split."
NOT_THROUGH = "The line does not cut through a cell; begin and end it outside of the cell."
NO_WAIST = "This cell has no waist to split it at; draw a line through it with Split."

# What a line cuts off an object is a piece of it from this part of its area and so many pixels
# on (chosen: less is a wobble of the hand, or a neighbour that was grazed).
LEAST_PART = 0.02
LEAST_PIXELS = 3

# The clearest waist is looked for first; see `split_objects` for what these mean (chosen).
EAGERNESS = (0.01, 0.25, 0.5, 0.75, 0.9, 1.0)
LEAST_LOBE = 0.1  # of the object

EIGHT = np.ones((3, 3), bool)
Mask = NDArray[np.bool_]


def split_along(labels: IntArray, path: Path, first_new: int) -> Change | None:
    """Split every object that a drawn line cuts through; no pixel is lost.

    The largest piece keeps the number of the object, the others are numbered from `first_new`
    on. Pixels under the line go to the piece beside them. Pixels that touch at a corner belong
    together.

    Parameters
    ----------
    labels : ndarray of int, shape (Y, X)
    path : array of float, shape (N, 2)
        Rows and columns of the line.
    first_new : int
        A number that is free, as all above it are.

    Raises
    ------
    InputError
        If the line crosses no object, or cuts none in two.
    """
    crossed = numbers_along(labels, path)
    box = box_around(labels, crossed)
    if box is None:
        raise InputError(NO_CELL)
    before = labels[box]
    rows, columns = (line_pixels(path, labels.shape) - [box[0].start, box[1].start]).T
    inside = (rows >= 0) & (rows < before.shape[0]) & (columns >= 0) & (columns < before.shape[1])
    line = np.zeros(before.shape, bool)
    line[rows[inside], columns[inside]] = True
    after, number = before, first_new
    for cell in crossed:
        for piece in _cut_off(before == cell, line):
            after, number = numbered(after, piece, number), number + 1
    if number == first_new:
        raise InputError(NOT_THROUGH)
    return change_to(labels, box, after)


def split_touching(labels: IntArray, number: int, first_new: int) -> Change | None:
    """Split an object at its clearest waist, as two cells that touch have one.

    The largest piece keeps the number, the others are numbered from `first_new` on.

    Raises
    ------
    InputError
        If it has no waist.
    """
    box = box_around(labels, [number], 1)  # so that its end is seen, but where the image has its
    if box is None:
        return None
    before = labels[box]
    mask = before == number
    least = max(LEAST_PIXELS, round(LEAST_LOBE * np.count_nonzero(mask)))
    bodies = ndimage.label(mask, EIGHT)[1]
    for eagerness in EAGERNESS:
        pieces = split_objects(mask, mask.astype(np.float32), eagerness, min_size=least)
        if pieces.max() > bodies:
            break
    else:
        raise InputError(NO_WAIST)
    after = before
    for new, piece in enumerate(_but_the_largest(pieces), first_new):
        after = numbered(after, piece, new)
    return change_to(labels, box, after)


def _cut_off(mask: Mask, line: Mask) -> Iterator[Mask]:
    """Yield the pieces that a line cuts off an object, without the largest of each part."""
    inner = box_of(mask, 0)
    parts = ndimage.label(mask[inner], EIGHT)[0]
    line = line[inner]
    for part in np.unique(parts[line & (parts > 0)]):
        body = parts == part
        pieces = ndimage.label(body & ~line, EIGHT)[0]
        size = np.bincount(pieces.ravel())
        large = size >= max(LEAST_PIXELS, LEAST_PART * np.count_nonzero(body))
        large[0] = False
        if np.count_nonzero(large) < 2:
            continue
        for piece in _but_the_largest(_spread(np.where(large[pieces], pieces, 0), body)):
            whole = np.zeros(mask.shape, bool)
            whole[inner] = piece
            yield whole


def _spread(pieces: NDArray[np.int32], body: Mask) -> NDArray[np.int32]:
    """Let pieces grow, a pixel a time, over all of the body that they can reach."""
    while True:
        free = body & (pieces == 0)
        reached = np.where(free, ndimage.maximum_filter(pieces, size=3), 0)
        if not reached.any():
            return pieces
        pieces = np.where(free, reached, pieces)


def _but_the_largest(pieces: NDArray[np.int32]) -> Iterator[Mask]:
    """Yield all numbered pieces but the largest, in the order of their numbers."""
    size = np.bincount(pieces.ravel())
    size[0] = 0
    for piece in np.flatnonzero(size):
        if piece != size.argmax():
            yield pieces == piece
