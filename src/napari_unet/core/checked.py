"""The checked area: where labels are true because a person touched or accepted them."""

from __future__ import annotations

import math
from typing import Any  # labels come in any integer dtype

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unet.core.boxes import FEW, Box, box_around, box_of, is_any
from napari_unet.core.label_index import count_objects

__all__ = [
    "PATCH",
    "check_objects",
    "checked_patches",
    "grow_checked",
    "grow_inside",
    "rim_of",
    "uncheck_objects",
]

# A person who corrects a cell has seen where it ends (chosen: a gap's width), and of a large cell
# sees more: what the network sees of it is the same, it is shown smaller.
MARGIN = 3
PART_OF_DIAMETER = 1 / 8

# A false object may reach over the borders of true ones by this part of its diameter, in all by at
# most so much of its area (chosen on a ground that was segmented between coins).
VAGUE = 0.05
VAGUE_AREA = 0.45

# Of an object into which a cell was painted, the rest is right if it is up to so many times as
# large as that cell (chosen: two fused cells are cut so; of three or more, or a ground taken for a
# cell, the rest is not one).
REST = 1.5

# What is so many times wider than objects usually are is not one of them.
GIANT = 4.0

# Of classes patches are counted, so many pixels wide, with so many checked at the least (chosen).
PATCH = 32
LEAST = 8


def grow_checked(
    checked: NDArray[Any],
    before: NDArray[Any],
    after: NDArray[Any],
    *,
    margin: int | None = None,
    usual: float | None = None,
) -> Box | None:
    """Grow a checked area in place by what an edit touched.

    Objects that were painted are checked as a whole, and so are what is left of those that the
    edit was about, trimmed by the eraser or cut in two, and the background within `margin`
    pixels. Nothing is said of an object that lost pixels in passing, to a cell painted over it
    and much else or a small cell painted into it, nor of the rest where more than half was
    erased: half of a false object is no true one. Nor is what is left of a giant. The border of
    a large object that was deleted may lie on true ones: there nothing is said either.

    Parameters
    ----------
    checked : ndarray of bool or uint8, shape (Y, X)
        Changed in place: 1 where it grows.
    before, after : ndarray of int, shape (Y, X)
        The labels before and after the edit.
    margin : int, optional
        Width of the rim, in pixels; None takes an eighth of the usual diameter, at least 3.
    usual : float, optional
        The usual diameter of objects, in pixels: what is `GIANT` times as wide is a giant.

    Returns
    -------
    tuple of slice or None
        The box that may have grown; None if the edit changed nothing.
    """
    changed = before != after
    if not changed.any():
        return None
    margin = _margin(margin, usual)
    around = _around(changed, before, after, max(margin, 1))
    return _grow_in(around, checked, before, after, margin, usual)


def grow_inside(
    window: Box,
    checked: NDArray[Any],
    before: NDArray[Any],
    after: NDArray[Any],
    *,
    usual: float | None = None,
) -> Box | None:
    """Do what `grow_checked` does, where all that it is about is known to lie in a window.

    Parameters
    ----------
    window : tuple of slice
        Holds the edit, all of the objects that it touched, before and after, and a rim around
        them.
    checked, before, after, usual
        See `grow_checked`.

    Returns
    -------
    tuple of slice or None
        See `grow_checked`.
    """
    if np.array_equal(before[window], after[window]):
        return None
    return _grow_in(window, checked, before, after, _margin(None, usual), usual)


def _grow_in(
    window: Box,
    checked: NDArray[Any],
    before: NDArray[Any],
    after: NDArray[Any],
    margin: int,
    usual: float | None,
) -> Box:
    rows, columns = _grow(checked[window], before[window], after[window], margin, usual)
    top, left = window[0].start, window[1].start
    return (
        slice(rows.start + top, rows.stop + top),
        slice(columns.start + left, columns.stop + left),
    )


def _around(
    changed: NDArray[np.bool_], before: NDArray[Any], after: NDArray[Any], margin: int
) -> Box:
    """Return the box of an edit, and of all objects it is about: nothing beyond counts."""
    near = box_of(changed, 0)
    inside = changed[near]
    touched = np.union1d(before[near][inside], after[near][inside])
    touched = touched[touched != 0]
    boxes = [box_of(changed, margin)]
    boxes += [box for x in (before, after) if (box := box_around(x, touched, margin)) is not None]
    rows, columns = zip(*boxes, strict=True)
    return (
        slice(min(side.start for side in rows), max(side.stop for side in rows)),
        slice(min(side.start for side in columns), max(side.stop for side in columns)),
    )


def _grow(
    checked: NDArray[Any],
    before: NDArray[Any],
    after: NDArray[Any],
    margin: int,
    usual: float | None,
) -> Box:
    changed = before != after
    painted = changed & (after != 0)
    erased, erased_area = count_objects(before[changed & (after == 0)])
    left = _areas(after, erased)
    under, under_area = count_objects(before[painted])
    rest = _areas(after, under)
    is_cut = (2 * under_area >= np.count_nonzero(painted)) & (rest <= REST * under_area)
    about = np.union1d(erased[erased_area <= left], under[is_cut])
    if usual is not None:
        about = about[_areas(before, about) <= math.pi / 4 * (GIANT * usual) ** 2]
    touched = np.union1d(after[changed], about)
    # Where nothing changed both are equal, so `after` shows what is left of each object, however
    # far from the edit: an object may have several parts, and half of one is not kept.
    area = changed | is_any(after, touched[touched != 0])
    inside = np.zeros_like(area)
    for number, size in zip(erased[left == 0], erased_area[left == 0], strict=True):
        wide = VAGUE * math.sqrt(4 / math.pi * size)
        if number != 0 and wide > margin:
            deleted = before == number
            inside |= deleted & ~_border(deleted, wide)
            area &= ~deleted | (after != 0)
    checked[inside & (after == 0)] = 1
    box = box_of(area | inside, margin)
    _add(checked, area, after, margin)
    return box


def _areas(labels: NDArray[Any], numbers: NDArray[Any]) -> NDArray[np.int64]:
    """Return how many pixels objects have; 0 for those that are not there."""
    if len(numbers) <= FEW:
        return np.array([np.count_nonzero(labels == int(number)) for number in numbers], np.int64)
    found, counts = count_objects(labels)
    area = dict(zip(found.tolist(), counts.tolist(), strict=True))
    return np.array([area.get(number, 0) for number in numbers.tolist()], np.int64)


def _border(area: NDArray[np.bool_], width: float) -> NDArray[np.bool_]:
    """Return what of an area is nearer to its border; of a thin one not all."""
    box = box_of(area, 1)
    depth = ndimage.distance_transform_edt(area[box])
    inside = area[box]
    border = np.zeros_like(area)
    border[box] = inside & (depth < min(width, float(np.quantile(depth[inside], VAGUE_AREA))))
    return border


def check_objects(
    checked: NDArray[Any],
    labels: NDArray[Any],
    numbers: NDArray[Any],
    *,
    margin: int | None = None,
    usual: float | None = None,
) -> Box | None:
    """Add whole objects, which look right as they are, to a checked area in place.

    Parameters
    ----------
    checked, margin, usual
        See `grow_checked`.
    labels : ndarray of int, shape (Y, X)
        Objects; 0 is background.
    numbers : array of int
        Which objects to add.

    Returns
    -------
    tuple of slice or None
        The box that may have grown; None if there is no such object.
    """
    return _set_around(checked, labels, numbers, _margin(margin, usual), 1)


def uncheck_objects(
    checked: NDArray[Any],
    labels: NDArray[Any],
    numbers: NDArray[Any],
    *,
    margin: int | None = None,
    usual: float | None = None,
) -> Box | None:
    """Take objects, and the background around them, out of a checked area in place.

    See `check_objects`, which this undoes.

    Returns
    -------
    tuple of slice or None
        The box that may have shrunk; None if there is no such object.
    """
    return _set_around(checked, labels, numbers, _margin(margin, usual), 0)


def _set_around(
    checked: NDArray[Any], labels: NDArray[Any], numbers: NDArray[Any], margin: int, value: int
) -> Box | None:
    numbers = np.asarray(numbers)
    numbers = numbers[numbers != 0]
    box = box_around(labels, numbers, margin)
    if box is not None:
        checked[box][_rim(is_any(labels[box], numbers), labels[box], margin)] = value
    return box


def _margin(margin: int | None, usual: float | None) -> int:
    if margin is not None:
        return margin
    return max(MARGIN, round(PART_OF_DIAMETER * (usual or 0.0)))


def _add(checked: NDArray[Any], area: NDArray[np.bool_], labels: NDArray[Any], margin: int) -> Box:
    """Check an area and the background around it; of other objects nothing is said."""
    box = box_of(area, margin)
    if area.any():
        checked[box][_rim(area[box], labels[box], margin)] = 1
    return box


def _rim(area: NDArray[np.bool_], labels: NDArray[Any], margin: int) -> NDArray[np.bool_]:
    """Return an area and the background around it."""
    rim: NDArray[np.bool_] = _near(area, margin) & (area | (labels == 0))
    return rim


def _near(area: NDArray[np.bool_], margin: int) -> NDArray[np.bool_]:
    """Return what lies within some pixels of an area; of few pixels each shift is tried."""
    near: NDArray[np.bool_]
    if margin > MARGIN:
        near = ndimage.distance_transform_edt(~area) <= margin
        return near
    height, width = area.shape
    wide = np.pad(area, margin)
    near = area.copy()
    for row in range(-margin, margin + 1):
        reach = math.isqrt(margin**2 - row**2)
        for column in range(-reach, reach + 1):
            top, left = margin + row, margin + column
            near |= wide[top : top + height, left : left + width]
    return near


def checked_patches(checked: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return row and column, counted in patches, of each patch with enough that is checked."""
    height, width = (-(-size // PATCH) for size in checked.shape)
    padded = np.zeros((height * PATCH, width * PATCH), bool)
    padded[: checked.shape[0], : checked.shape[1]] = checked
    pixels = padded.reshape(height, PATCH, width, PATCH).sum(axis=(1, 3))
    return np.argwhere(pixels >= LEAST)


def rim_of(usual: float | None) -> int:
    """Return how wide a rim is checked around an object, in pixels; see `grow_checked`."""
    return _margin(None, usual)
