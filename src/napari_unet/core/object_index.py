"""Where the objects of a plane are: an edit then looks at a few of them, not at the whole plane."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any  # labels may be any integer dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.boxes import Box
from napari_unet.core.checked import grow_checked, grow_inside, rim_of
from napari_unet.core.edit import joined_box
from napari_unet.core.label_index import count_objects
from napari_unet.core.runs import runs_in_rows

__all__ = ["LARGE_PART", "ObjectIndex", "grow_near"]

LARGE_PART = 0.25  # of a plane: then looking at all of it is as fast (chosen)

TOP, BOTTOM, LEFT, RIGHT, AREA, CHECKED = range(6)  # columns of the table


class ObjectIndex:
    """The box, the area and the checked area of each object; kept up to date edit by edit.

    Parameters
    ----------
    labels : ndarray of int, shape (Y, X)
        0 is background.
    checked : ndarray of bool or uint8, shape (Y, X)
    """

    def __init__(self, labels: NDArray[Any], checked: NDArray[Any]) -> None:
        runs = runs_in_rows(labels)
        starts, ends, numbers = runs.starts, runs.ends, runs.values
        names, which = np.unique(numbers, return_inverse=True)
        table = np.zeros((len(names), 6), np.int64)
        width = labels.shape[1]
        table[:, [TOP, LEFT]] = labels.shape
        for column, values, gather in (
            (TOP, starts // width, np.minimum),
            (LEFT, starts % width, np.minimum),
            (BOTTOM, starts // width + 1, np.maximum),
            (RIGHT, (ends - 1) % width + 1, np.maximum),
        ):
            gather.at(table[:, column], which, values)
        table[:, AREA] = np.bincount(which, ends - starts, len(names))
        self._row = {int(name): row for row, name in enumerate(names)}
        self._table = table
        known, counts = _count(labels[checked != 0])
        for name, count in zip(known, counts, strict=True):
            table[self._row[name], CHECKED] = count

    @property
    def highest(self) -> int:
        """The highest number that an object has, or had since this was made; 0 if there is none."""
        return max(self._row, default=0)

    @property
    def checked_objects(self) -> int:
        """How many objects have at least half of their area checked, as `count_checked` says."""
        area, checked = self._table[:, AREA], self._table[:, CHECKED]
        return int(np.count_nonzero((checked > 0) & (2 * checked >= area)))

    def boxes(self, numbers: Iterable[int]) -> list[Box]:
        """Return a box around each object with one of these numbers; it may be too large."""
        rows = [self._row[number] for number in numbers if number in self._row]
        return [
            (slice(int(top), int(bottom)), slice(int(left), int(right)))
            for top, bottom, left, right in self._table[rows, : RIGHT + 1]
        ]

    def update(
        self,
        box: Box,
        before: NDArray[Any],
        after: NDArray[Any],
        checked_before: NDArray[Any],
        checked_after: NDArray[Any],
    ) -> None:
        """Take note of an edit in a box: what was in it, and what is now, all of its shape."""
        for sign, labels, checked in ((-1, before, checked_before), (1, after, checked_after)):
            for column, pixels in ((AREA, labels.ravel()), (CHECKED, labels[checked != 0])):
                for name, count in zip(*_count(pixels), strict=True):
                    row = self._row_of(name)
                    self._table[row, column] += sign * count
        rows = [self._row[name] for name in _count(after[before != after])[0]]
        self._table[rows, TOP] = np.minimum(self._table[rows, TOP], box[0].start)
        self._table[rows, LEFT] = np.minimum(self._table[rows, LEFT], box[1].start)
        self._table[rows, BOTTOM] = np.maximum(self._table[rows, BOTTOM], box[0].stop)
        self._table[rows, RIGHT] = np.maximum(self._table[rows, RIGHT], box[1].stop)

    def _row_of(self, name: int) -> int:
        if name not in self._row:
            far = np.iinfo(np.int64).max
            self._row[name] = len(self._table)
            self._table = np.vstack([self._table, [[far, 0, far, 0, 0, 0]]])
        return self._row[name]


def _count(pixels: NDArray[Any]) -> tuple[list[int], list[int]]:
    names, counts = count_objects(pixels)
    return names.tolist(), counts.tolist()


def grow_near(
    checked: NDArray[Any],
    before: NDArray[Any],
    after: NDArray[Any],
    changed: Box,
    index: ObjectIndex,
    *,
    usual: float | None = None,
) -> Box | None:
    """Do what `grow_checked` does, looking only around the objects that an edit touched.

    Parameters
    ----------
    checked, before, after, usual
        See `grow_checked`.
    changed : tuple of slice
        Nothing differs outside of this box.
    index : ObjectIndex
        Of what was before.

    Returns
    -------
    tuple of slice or None
        See `grow_checked`.
    """
    old, new = before[changed], after[changed]
    if old.size > LARGE_PART * before.size:
        return grow_checked(checked, before, after, usual=usual)
    differs = old != new
    numbers = {*_count(old[differs])[0], *_count(new[differs])[0]}
    rows, columns = joined_box([changed, *index.boxes(numbers)])
    room = rim_of(usual) + 2  # what is further away has no part in it
    top, left = max(0, rows.start - room), max(0, columns.start - room)
    window = slice(top, rows.stop + room), slice(left, columns.stop + room)
    return grow_inside(window, checked, before, after, usual=usual)
