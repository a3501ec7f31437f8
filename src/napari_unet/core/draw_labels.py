"""Labels of the model's grid on the grid of the image, whole or in parts; see `draw_labels`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any  # probabilities come as float or quantised

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.belief import belief_of
from napari_unet.core.resample import Resampled
from napari_unet.core.threads import in_threads

__all__ = ["Cut", "Grids", "draw_labels"]

Slices = tuple[slice, slice]

BAND = 256  # rows that are drawn at a time (chosen; only so many pixels need memory at once)


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """Out to which probability each object is drawn; see `outline_of_upper`."""

    lower: float
    upper: float | None
    is_upper: NDArray[np.bool_]  # by number

    def level(self, labels: NDArray[np.int32]) -> NDArray[np.float32]:
        """Return the probability at the outline of each of some objects."""
        if self.upper is None:
            return np.full(labels.shape, self.lower, np.float32)
        return np.where(self.is_upper[labels], np.float32(self.upper), np.float32(self.lower))


@dataclass(frozen=True, slots=True)
class Grids:
    """Rows and columns of a plane as the model sees it, and of the image."""

    model: tuple[int, int]
    image: tuple[int, int]

    @property
    def axes(self) -> tuple[Resampled, Resampled]:
        """From the model's grid to the image's."""
        y, x = (Resampled(old, new) for old, new in zip(self.model, self.image, strict=True))
        return y, x

    def seen(self, part: Slices) -> Slices:
        """Return which part of the model's grid is needed to draw a part of the image."""
        y, x = (
            slice(*axis.span(one.start, one.stop))
            for axis, one in zip(self.axes, part, strict=True)
        )
        return y, x


def draw_labels(
    labels: NDArray[np.int32], probability: NDArray[Any], cut: Cut, grids: Grids, part: Slices
) -> NDArray[np.int32]:
    """Bring labels to a part of the image; their outlines follow the probability between pixels.

    A pixel of the image lies between four of the model's grid, and belongs to the object that has
    most of it there. It is drawn where the probability, interpolated, is above the object's
    level; a pixel in a gap or a hole that was filled counts as far above as it is below.

    Parameters
    ----------
    labels : ndarray of int32
        What ``grids.seen(part)`` holds of the model's grid.
    probability : ndarray of float or uint8
        Of the foreground, the same pixels.
    cut : Cut
        Where outlines are.
    grids : Grids
        Of the whole plane.
    part : tuple of slice
        Rows and columns of the image.
    """
    seen = grids.seen(part)
    (y, far_y, part_y), (x, far_x, part_x) = (
        axis.between(one.start, one.stop, first.start)
        for axis, one, first in zip(grids.axes, part, seen, strict=True)
    )
    out: NDArray[np.int32] = np.empty((len(y), len(x)), np.int32)
    is_mixed = _is_mixed(labels)

    def draw(rows: slice) -> None:
        own = out[rows]
        own[...] = labels[np.ix_(y[rows], x)]
        row, column = np.nonzero(is_mixed[np.ix_(y[rows], x)])
        if not len(row):
            return
        of_row = row + rows.start
        ways = [
            (at_y[of_row] * labels.shape[1] + at_x[column], weight_y[of_row] * weight_x[column])
            for at_y, weight_y in ((y, 1 - part_y), (far_y, part_y))
            for at_x, weight_x in ((x, 1 - part_x), (far_x, part_x))
        ]
        around = [labels.ravel()[at] for at, _ in ways]
        weights = [weight for _, weight in ways]
        drawn = _with_most(around, weights)
        level = cut.level(drawn)
        above = np.zeros(len(row), np.float32)
        for (at, weight), there in zip(ways, around, strict=True):
            away = np.abs(belief_of(probability.ravel()[at]) - level)
            above += weight * np.where(there > 0, away, -away)
        own[row, column] = np.where(above >= 0, drawn, 0)

    bands = [slice(at, min(at + BAND, len(y))) for at in range(0, len(y), BAND)]

    def draw_some(first: int) -> None:
        for rows in bands[first::2]:
            draw(rows)

    in_threads(draw_some, (0, 1), out.size)
    return out


def _is_mixed(labels: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return where a pixel, the ones right of and below it and between these are not one label."""
    mixed = np.zeros(labels.shape, bool)
    beside = labels[:, :-1] != labels[:, 1:]
    mixed[:-1] = labels[:-1] != labels[1:]
    mixed[:, :-1] |= beside
    mixed[:-1, :-1] |= beside[1:]
    return mixed


def _with_most(
    around: list[NDArray[np.int32]], weights: list[NDArray[np.float32]]
) -> NDArray[np.int32]:
    """Return the object to which most of the weight belongs; background only where all is."""
    best = np.zeros(len(around[0]), np.int32)
    most = np.full(len(best), -1, np.float32)
    for one in around:
        share = sum(
            (weight * (other == one) for other, weight in zip(around, weights, strict=True)),
            np.zeros(len(best), np.float32),
        )
        is_better = (one > 0) & (share > most)
        best[is_better] = one[is_better]
        most[is_better] = share[is_better]
    return best
