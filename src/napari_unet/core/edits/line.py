"""The pixels under a drawn line, and the objects that it passes over."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_unet.core.label_index import IntArray

__all__ = ["line_pixels", "numbers_along"]

Path = ArrayLike
"""Points (N, 2) of a line: row and column, whole numbers in the middle of pixels."""

STEPS = 8  # a pixel: one that a line goes through for an eighth of a pixel is not missed (chosen)


def line_pixels(path: Path, shape: tuple[int, int]) -> NDArray[np.intp]:
    """Return the pixels (M, 2) that a line goes through, in its order, inside of a shape.

    Each shares a side with the next, so that not even diagonal neighbours touch across it::

        . . # .
        . # # .      and not      . . #
        # # . .                   . # .
    """
    points = np.asarray(path, float).reshape(-1, 2)
    pieces = [points[:1]]
    for start, end in itertools.pairwise(points):
        steps = int(np.ceil(STEPS * np.abs(end - start).max()))
        pieces.append(start + (end - start) * (np.arange(1, steps + 1) / max(steps, 1))[:, None])
    pixels = np.floor(np.concatenate(pieces) + 0.5).astype(np.intp)
    corners = np.column_stack([pixels[1:, 0], pixels[:-1, 1]])  # between diagonal steps
    both = np.empty((max(2 * len(pixels) - 1, 0), 2), np.intp)
    both[::2], both[1::2] = pixels, corners
    is_inside = ((both >= 0) & (both < np.array(shape))).all(axis=1)
    return both[is_inside]


def numbers_along(labels: IntArray, path: Path) -> list[int]:
    """Return the objects that a line passes over, each once, in the order of the line.

    Parameters
    ----------
    labels : ndarray of int, shape (Y, X)
        0 is background.
    path : array of float, shape (N, 2)
        Rows and columns.
    """
    rows, columns = line_pixels(path, labels.shape).T
    return [number for number in dict.fromkeys(labels[rows, columns].tolist()) if number > 0]
