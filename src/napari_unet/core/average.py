"""Averages over an image as it is, mirrored and turned, and how far these differ.

A network that was taught all directions alike still says something else of an image that lies
upside down. The mean is a little better, and where the versions differ the network is unsure
(Ronneberger et al. 2015, section 4, average seven rotations and do not say by which angles).
Here it is by quarter turns and mirroring, which need no interpolation: of the eight symmetries of
a square, the four without a turn by 90 degrees, or all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any  # images come in any real dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import InputError

__all__ = ["AVERAGES", "RunningMean", "Symmetry", "symmetries"]

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Symmetry:
    """One way to look at an image: first transposed or not, then gone through in steps of 1 or -1.

    Attributes
    ----------
    y_step, x_step : int
        1 or -1, through rows and columns of what is seen.
    is_transposed : bool
        Whether the image's rows are seen as columns.
    """

    y_step: int = 1
    x_step: int = 1
    is_transposed: bool = False

    def view(self, image_cyx: NDArray[Any]) -> NDArray[Any]:
        """Return the image as it is seen, (C, Y, X) or (C, X, Y), without a copy."""
        seen = image_cyx.transpose(0, 2, 1) if self.is_transposed else image_cyx
        return seen[:, :: self.y_step, :: self.x_step]

    def seen_at(self, point: Point, shape_yx: tuple[int, int]) -> Point:
        """Return the row and column at which a point of an image is seen."""
        y, x = point[::-1] if self.is_transposed else point
        rows, columns = shape_yx[::-1] if self.is_transposed else shape_yx
        return (
            y if self.y_step > 0 else rows - 1 - y,
            x if self.x_step > 0 else columns - 1 - x,
        )

    def corner(
        self, corner: tuple[int, int], size: tuple[int, int], shape_yx: tuple[int, int]
    ) -> tuple[int, int]:
        """Return where in the image, of shape (Y, X), a box begins that is seen at a corner."""
        rows, columns = shape_yx[::-1] if self.is_transposed else shape_yx
        y = corner[0] if self.y_step > 0 else rows - corner[0] - size[0]
        x = corner[1] if self.x_step > 0 else columns - corner[1] - size[1]
        return (x, y) if self.is_transposed else (y, x)


FLIPS = tuple(Symmetry(y, x) for x in (1, -1) for y in (1, -1))
AVERAGES = {
    "none": FLIPS[:1],
    "flips": FLIPS,
    "rotations": (*FLIPS, *(Symmetry(one.y_step, one.x_step, True) for one in FLIPS)),
}
"""The versions that are averaged, by name; the first is the image as it is."""


def symmetries(average: str) -> tuple[Symmetry, ...]:
    """Return the versions that a name stands for.

    Raises
    ------
    InputError
        If there is no such name.
    """
    if average not in AVERAGES:
        raise InputError(f"There is no average {average!r}; choose one of {', '.join(AVERAGES)}.")
    return AVERAGES[average]


class RunningMean:
    """Mean and deviation of class probabilities over the versions so far.

    By Welford's recurrence (Welford 1962): no difference of large sums, so float32 is enough.

    Parameters
    ----------
    classes : int
    shape_yx : tuple of int
        Of the image.

    Attributes
    ----------
    mean : ndarray of float32, shape (C, Y, X)
    """

    def __init__(self, classes: int, shape_yx: tuple[int, int]) -> None:
        self.mean = np.zeros((classes, *shape_yx), np.float32)
        self._squares = np.zeros((classes, *shape_yx), np.float32)  # sums about the mean

    def add(
        self, number: int, symmetry: Symmetry, y: int, x: int, probability: NDArray[Any]
    ) -> None:
        """Take in a tile of version `number`, from 1, that is seen at row y and column x."""
        height, width = probability.shape[1:]
        place = np.s_[:, y : y + height, x : x + width]
        mean = symmetry.view(self.mean)[place]  # a view: what is added lands where it belongs
        before = probability - mean
        mean += before / np.float32(number)
        squares = symmetry.view(self._squares)[place]
        squares += before * (probability - mean)

    def deviation(self, number: int, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Return the standard deviation over `number` versions in a box, (h, w).

        It is that of the class whose probability differs most. With two classes that is
        either of them.
        """
        most = self._squares[:, rows, columns].max(axis=0)
        spread: NDArray[np.float32] = np.sqrt(np.maximum(most, 0) / np.float32(number))
        return spread
