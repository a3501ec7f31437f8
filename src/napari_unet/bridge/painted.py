"""Where napari says that something was painted."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any  # napari's history of a stroke, whose form depends on its version

import numpy as np

from napari_unet.core.boxes import Box
from napari_unet.core.edit import joined_box
from napari_unet.session.image import Image, Place

__all__ = ["Painted", "painted_in"]

Painted = dict[Place, Box]
"""Of each plane that was painted in the box around it."""

MOST_PLANES = 200  # more are looked through as a whole


def painted_in(image: Image, atoms: Sequence[Any]) -> Painted | None:
    """Return where a stroke has painted; None if that cannot be told.

    Parameters
    ----------
    image : Image
        What the labels are of.
    atoms : sequence
        The value of napari's event `paint`: of each the first part says where, as slices or as
        arrays of indices for each axis of the layer.
    """
    painted: Painted = {}
    for atom in atoms:
        sides = _sides(image, atom)
        if sides is None:
            return None
        *stack, rows, columns = sides
        if int(np.prod([side.stop - side.start for side in stack])) > MOST_PLANES:
            return None
        for place in itertools.product(*(range(side.start, side.stop) for side in stack)):
            before = [painted[place]] if place in painted else []
            painted[place] = joined_box([(rows, columns), *before])
    return painted


def _sides(image: Image, atom: Any) -> list[slice] | None:
    """The box of one part of a stroke, in the axes of the labels."""
    where = atom[0] if isinstance(atom, tuple) and atom else ()
    axes = image.axes.removesuffix("C") if image.axes.endswith("XC") else image.axes
    if not isinstance(where, tuple) or len(where) != len(axes) or not axes.endswith("YX"):
        return None
    by_axis = [_side(one) for one in where]
    in_labels = [side for side, axis in zip(by_axis, axes, strict=True) if axis != "C"]
    sides = [side for side in in_labels if side is not None]
    is_inside = all(side.start >= 0 for side in sides) and len(sides) == len(image.shape)
    return sides if is_inside else None


def _side(one: Any) -> slice | None:
    if isinstance(one, slice):
        is_known = one.start is not None and one.stop is not None and one.step in (None, 1)
        return slice(int(one.start), int(one.stop)) if is_known else None
    indices = np.asarray(one)
    if indices.dtype.kind not in "iu" or not indices.size:
        return None
    return slice(int(indices.min()), int(indices.max()) + 1)
