"""The mean of what a network says of versions of an image, and how far these differ."""

from __future__ import annotations

from typing import Any  # probabilities come as float or quantised

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.symmetries import Symmetry

__all__ = ["RunningMean"]


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
