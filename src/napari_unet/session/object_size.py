"""How wide the objects of an image are: measured by a model, or typed by the user."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any  # labels come in any integer dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import InputError
from napari_unet.core.size import median_diameter

__all__ = ["ObjectSize", "SizeKey", "checked_diameter", "size_text"]

SizeKey = tuple[str, tuple[int, ...]]
"""Whose objects: those that a model (before teaching) finds in some channels."""

LEAST, MOST = 1.0, 10_000.0  # px, as `model_scale`

# Checked cells say something from this number on, and overrule a measurement only if they cover
# the area of as many measured objects, or are many: three crumbs among nuclei do not (chosen).
ENOUGH = 3
MANY = 12

# On images of a kind that it does not know, the model also measures wrongly: where it is off by
# more than this factor, the cells that a person has checked say how wide objects are (chosen).
BELIEVED = 1.5


class ObjectSize:
    """The diameter of the objects in one image, in pixels.

    What the user has typed holds for every model; what was measured, and what the checked cells
    say against it, for the model and the channels it was measured with.
    """

    def __init__(self) -> None:
        self._typed: float | None = None
        self._measured: dict[SizeKey, float] = {}
        self._checked: dict[SizeKey, float] = {}

    @property
    def is_typed(self) -> bool:
        """Whether the user has said it."""
        return self._typed is not None

    def diameter(self, key: SizeKey) -> float | None:
        """Return the diameter, None if it is to be measured."""
        if self._typed is not None:
            return self._typed
        return self._checked.get(key, self._measured.get(key))

    @property
    def typed(self) -> float | None:
        """What the user has said."""
        return self._typed

    def measured_at(self, key: SizeKey) -> float | None:
        """Return what was measured, None if nothing."""
        return self._measured.get(key)

    def source(self, key: SizeKey) -> str:
        """Return where the diameter comes from: "typed", "checked", "measured" or nothing."""
        if self._typed is not None:
            return "typed"
        if key in self._checked:
            return "checked"
        return "measured" if key in self._measured else ""

    def measured(self, key: SizeKey, diameter: float) -> None:
        """Take note of a measurement; what was typed or checked goes on to count."""
        self._measured[key] = float(diameter)

    def measure_again(self, key: SizeKey) -> None:
        """Forget what was measured: another network looks now. The rest goes on to count."""
        self._measured.pop(key, None)

    def from_checked(self, key: SizeKey) -> float | None:
        """Return what the checked cells said, None if nothing."""
        return self._checked.get(key)

    def set_checked(self, key: SizeKey, diameter: float | None) -> None:
        """Take what the checked cells say instead of what was measured; None takes it back."""
        if diameter is None:
            self._checked.pop(key, None)
        else:
            self._checked[key] = float(diameter)

    def type(self, diameter: float | None) -> None:
        """Take what the user says; None forgets all, so that it is measured anew.

        Raises
        ------
        InputError
            If no object can be so small or so large.
        """
        if diameter is None:
            self._measured.clear()
            self._checked.clear()
        elif not LEAST <= diameter <= MOST:
            raise InputError(f"The diameter is {diameter:g} px; type one from 1 to 10,000 px.")
        self._typed = diameter


def size_text(diameter: float, pixel_size: tuple[float, str] | None = None) -> str:
    """Return a diameter in pixels for people, with the physical one: "22 px (11 µm)"."""
    text = f"{_short(diameter)} px"
    if pixel_size is None:
        return text
    size, unit = pixel_size
    return f"{text} ({_short(diameter * size)} {unit})"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2g}"


def checked_diameter(
    planes: Sequence[tuple[NDArray[Any], NDArray[np.bool_]]], known: float | None = None
) -> float | None:
    """Return the usual diameter of the checked objects, where it is to count.

    Parameters
    ----------
    planes : sequence of (labels, checked)
        Both of shape (Y, X). An object counts if at least half of it is checked.
    known : float, optional
        The diameter that is known so far, in pixels.

    Returns
    -------
    float or None
        In pixels; None if the objects are too few to tell, or what is known is near enough.
    """
    kept = [_checked_only(labels, checked) for labels, checked in planes]
    count = sum(len(np.unique(labels[labels != 0])) for labels in kept)
    diameter = median_diameter(kept) if count >= ENOUGH else None
    if diameter is None or known is None:
        return diameter
    if max(diameter / known, known / diameter) < BELIEVED:
        return None
    area = sum(np.count_nonzero(labels) for labels in kept)
    outweighs = area >= ENOUGH * math.pi / 4 * known**2
    return diameter if outweighs or count >= MANY else None


def _checked_only(labels: NDArray[Any], checked: NDArray[np.bool_]) -> NDArray[Any]:
    numbers, index = np.unique(labels, return_inverse=True)
    index = index.reshape(labels.shape)
    area = np.bincount(index.ravel(), minlength=len(numbers))
    inside = np.bincount(index[checked], minlength=len(numbers))
    counts = (2 * inside >= area) & (numbers != 0)
    return np.where(counts[index], labels, 0)
