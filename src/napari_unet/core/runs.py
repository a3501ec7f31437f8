"""Connected pieces of a plane by the runs of its rows: there are far fewer runs than pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any  # labels may be any integer dtype

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from napari_unet.core.packed import runs_of

__all__ = ["LabelRuns", "Runs", "runs_in_rows", "runs_of_background", "runs_of_foreground"]

Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """Runs of equal pixels, each within one row, in reading order.

    Attributes
    ----------
    shape : tuple of int
        Rows and columns of the plane.
    starts, ends : ndarray of int
        Places in the flat plane; an end is one past the last pixel.
    """

    shape: tuple[int, int]
    starts: Places
    ends: Places

    def pieces(self, *, by_corners: bool) -> tuple[int, NDArray[np.int32]]:
        """Return how many connected pieces there are, and that of each run, from 0.

        Pieces are numbered in the order of their first runs.
        """
        reach, width = int(by_corners), self.shape[1]
        # Below a run from s to e lie those that end after s and start before e, a row further.
        first = np.searchsorted(self.ends, self.starts + (width - reach), side="right")
        last = np.searchsorted(self.starts, self.ends + (width + reach), side="left")
        if by_corners:  # what begins a row has no corner with the end of the row before
            row_end = (self.starts // width + 2) * width
            first = np.maximum(first, np.searchsorted(self.starts, row_end - width))
            last = np.minimum(last, np.searchsorted(self.starts, row_end))
        many = np.maximum(last - first, 0)
        above = np.repeat(np.arange(len(many)), many)
        below = np.arange(len(above)) - np.repeat(np.cumsum(many) - many, many) + first[above]
        links = sparse.csr_array(
            (np.ones(len(below), np.int8), below, np.append(0, np.cumsum(many))),
            (len(many), len(many)),
        )
        count, piece = sparse.csgraph.connected_components(links, directed=False)
        return int(count), piece

    def pixels(self, chosen: NDArray[np.bool_]) -> Places:
        """Return the places of the pixels of some runs."""
        starts, lengths = self.starts[chosen], (self.ends - self.starts)[chosen]
        before = np.cumsum(lengths) - lengths
        places: Places = np.arange(int(lengths.sum())) + np.repeat(starts - before, lengths)
        return places


def runs_of_foreground(plane: NDArray[np.bool_]) -> Runs:
    """Return the runs of what is True."""
    rows, columns = plane.shape
    room = np.zeros((rows, columns + 1), bool)  # parts the rows
    room[:, :columns] = plane
    flat = room.ravel()
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    if flat.size and flat[0]:
        edges = np.append(0, edges)
    edges -= edges // (columns + 1)
    return Runs((rows, columns), edges[::2], edges[1::2])


def runs_of_background(foreground: Runs) -> Runs:
    """Return the runs of what lies between the runs of the foreground."""
    rows, columns = foreground.shape
    borders = np.arange(rows + 1) * columns
    starts = np.sort(np.concatenate([borders[:-1], foreground.ends]), kind="stable")
    ends = np.sort(np.concatenate([foreground.starts, borders[1:]]), kind="stable")
    is_there = starts < ends
    return Runs(foreground.shape, starts[is_there], ends[is_there])


@dataclass(frozen=True, slots=True, eq=False)
class LabelRuns:
    """Runs of one object each within one row, in reading order; see `Runs`."""

    starts: Places
    ends: Places
    values: NDArray[Any]


def runs_in_rows(labels: NDArray[Any]) -> LabelRuns:
    """Return the runs of objects of a plane of labels, where 0 is background."""
    ends, values = runs_of(labels)
    starts = np.append(np.zeros(min(len(ends), 1), np.int64), ends[:-1])
    is_object = values != 0
    starts, ends, values = starts[is_object], ends[is_object], values[is_object]
    width = max(1, labels.shape[1])
    pieces = (ends - 1) // width - starts // width + 1
    if (pieces == 1).all():
        return LabelRuns(starts, ends, values)
    which = np.repeat(np.arange(len(starts)), pieces)
    step = np.arange(len(which)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    row = starts[which] // width + step
    return LabelRuns(
        np.maximum(starts[which], row * width),
        np.minimum(ends[which], (row + 1) * width),
        values[which],
    )
