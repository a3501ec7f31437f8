"""Labels of the model's grid on the grid of the image, whole or in parts; see `draw_labels`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any  # probabilities come as float or quantised

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.belief import belief_of, foreground_of
from napari_unet.core.grow import grow
from napari_unet.core.resample import Resampled

__all__ = ["Cut", "Grids", "draw_labels"]

Slices = tuple[slice, slice]


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """Which probability each object is drawn out to; see `outline_of_upper`."""

    lower: float
    upper: float | None
    is_upper: NDArray[np.bool_]  # by number

    def foreground(self, probability: NDArray[Any], labels: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Return which pixels are above the threshold of the object that they belong to."""
        above = foreground_of(probability, self.lower)
        if self.upper is not None:
            above &= ~self.is_upper[labels] | foreground_of(probability, self.upper)
        return above


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

    @property
    def reach(self) -> float:
        """How far objects may grow, in pixels of the image: one pixel of the model's grid."""
        return max(1.0, self.image[0] / self.model[0])

    def around(self, part: Slices) -> Slices:
        """Return a part of the image with all from which objects may grow into it."""
        by = math.ceil(self.reach) + 1
        y, x = (
            slice(max(0, one.start - by), min(size, one.stop + by))
            for one, size in zip(part, self.image, strict=True)
        )
        return y, x

    def seen(self, part: Slices) -> Slices:
        """Return which part of the model's grid is needed to draw a part of the image."""
        y, x = (
            slice(*axis.span(one.start, one.stop))
            for axis, one in zip(self.axes, self.around(part), strict=True)
        )
        return y, x


def draw_labels(
    labels: NDArray[np.int32], probability: NDArray[Any], cut: Cut, grids: Grids, part: Slices
) -> NDArray[np.int32]:
    """Bring labels to a part of the image; their outlines follow the probability between pixels.

    Parameters
    ----------
    labels : ndarray of int32
        What ``grids.seen(part)`` holds of the model's grid.
    probability : ndarray of float or uint8
        Of the foreground, the same pixels.
    cut : Cut
        How objects were made.
    grids : Grids
        Of the whole plane.
    part : tuple of slice
        Rows and columns of the image.
    """
    seen = grids.seen(part)
    near = np.ix_(
        *(
            axis.nearest(one.start, one.stop) - first.start
            for axis, one, first in zip(grids.axes, part, seen, strict=True)
        )
    )
    coarse = cut.foreground(probability, labels)[near]
    grown = grow(labels)[near]
    belief = belief_of(probability)[None]
    for number, axis in enumerate(grids.axes):
        one = part[number]
        belief = axis.linear(belief, number + 1, one.start, one.stop, seen[number].start)
    fine = cut.foreground(belief[0], grown)
    # What is labelled though it is not foreground is a hole or a gap that was filled.
    return np.where(fine, grown, np.where(coarse, 0, labels[near]))
