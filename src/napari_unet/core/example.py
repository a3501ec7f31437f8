"""One image with its labels and the area in which they are true."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any  # array dtypes are free here

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import InputError

__all__ = ["Example"]


@dataclass(frozen=True, eq=False)
class Example:
    """An image, its labels, and where they are true.

    Attributes
    ----------
    image : ndarray, shape ([Z,] Y, X) or with a channel axis as named by `axes`
        Raw intensities of any real dtype; normalisation is the model's business.
    labels : ndarray of int, shape (Y, X), of a volume (Z, Y, X)
        0 is background, every other value one object, or one class if `semantic`.
    checked : ndarray of bool, of the labels' shape, or None
        True where `labels` are true; None means everywhere. Outside, nothing is known.
    axes : str or None
        "YX", "CYX" or "YXC", of a volume with a Z; None takes "YX" for two dimensions, and for
        three the shortest of the first and the last axis as channels, or of a volume "ZYX".
    diameter : float or None
        Of the objects in the image, in pixels, as `segment` takes it: the model learns from the
        image rescaled to the size that it knows. None leaves it as it is.
    replayed : bool
        From an earlier round: learnt along with the others, so that it is not forgotten, less
        often than they, and not tested on.
    semantic : bool
        The labels are classes: the index in the model's list of them.
    recent : ndarray of bool, of the labels' shape, or None
        Where it was corrected since the last round: that is learnt from more often. None: nowhere.
    sized : bool
        A person has said the diameter: a lesson does not take another.
    """

    image: NDArray[Any]
    labels: NDArray[Any]
    checked: NDArray[np.bool_] | None = None
    axes: str | None = None
    diameter: float | None = None
    replayed: bool = False
    semantic: bool = False
    recent: NDArray[np.bool_] | None = None
    sized: bool = False

    def __post_init__(self) -> None:
        if self.diameter is not None and not 1 <= self.diameter <= 10_000:
            raise InputError(f"The diameter is {self.diameter} px; it must be from 1 to 10,000.")
        if self.labels.ndim not in (2, 3):
            raise InputError(
                f"Labels have shape {self.labels.shape}; they must be one plane or volume."
            )
        if not np.issubdtype(self.labels.dtype, np.integer):
            raise InputError(f"Labels are {self.labels.dtype}; they must be whole numbers.")
        if self.labels.size == 0:
            raise InputError(f"Labels of shape {self.labels.shape} have no pixels; open others.")
        if self.labels.dtype.kind == "i" and self.labels.min() < 0:
            raise InputError(f"Labels must not be negative, but {self.labels.min()} occurs.")
        for name, area in (("checked", self.checked), ("recent", self.recent)):
            if area is not None and area.shape != self.labels.shape:
                raise InputError(
                    f"The {name} area has shape {area.shape}, the labels {self.labels.shape}; "
                    "they must be equal."
                )
        if self.image_cyx.shape[1:] != self.labels.shape:
            raise InputError(
                f"The image has shape {self.image.shape}, the labels {self.labels.shape}; "
                "they must cover the same pixels."
            )

    @property
    def image_cyx(self) -> NDArray[Any]:
        """The image as (C, Y, X), of a volume (C, Z, Y, X), a view where that is possible."""
        return to_cyx(self.image, self.axes, "ZYX"[-self.labels.ndim :])

    @property
    def mask(self) -> NDArray[np.bool_]:
        """The checked area, all True where none was given."""
        if self.checked is None:
            return np.ones(self.labels.shape, bool)
        return np.asarray(self.checked, bool)


def to_cyx(image: NDArray[Any], axes: str | None = None, space: str = "YX") -> NDArray[Any]:
    """Return one image plane as (C, Y, X), or with "ZYX" as `space` one volume as (C, Z, Y, X).

    Raises
    ------
    InputError
        If the axes are not those of one plane or volume, or do not fit the shape.
    """
    if axes is None:
        if image.ndim == len(space):
            axes = space
        elif image.ndim == 3:
            axes = "CYX" if image.shape[0] <= image.shape[-1] else "YXC"
        else:
            raise InputError(f"An image of shape {image.shape} is not one plane; name its axes.")
    axes = axes.upper()
    if sorted(axes.replace("C", "", 1)) != sorted(space) or len(axes) != image.ndim:
        raise InputError(f"Axes {axes!r} do not fit an image of shape {image.shape}.")
    if "C" not in axes:
        image, axes = image[None], "C" + axes
    return image.transpose([axes.index(axis) for axis in f"C{space}"])
