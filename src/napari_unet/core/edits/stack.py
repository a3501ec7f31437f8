"""Follow an object through a stack, from slice to slice."""

from __future__ import annotations

from collections.abc import Iterator

from napari_unet.core.boxes import Box, box_around
from napari_unet.core.label_index import IntArray

__all__ = ["places_through"]

Place = tuple[int, ...]


def places_through(labels: IntArray, place: Place, number: int) -> list[Place]:
    """Return the planes that an object goes through, `place` first.

    It goes on in a neighbouring plane where a pixel of the same number lies at the same row and
    column. The same number further off is another object: planes that were segmented one by one
    each begin to count from 1.

    Parameters
    ----------
    labels : ndarray of int, shape (..., Y, X)
        Any number of axes before rows and columns.
    place : tuple of int
        Index of the plane to start at, one for each of those axes.
    number : int
        Of the object.
    """
    found: dict[Place, Box] = {}
    ahead = [place]
    while ahead:
        here = ahead.pop(0)
        box = box_around(labels[here], [number]) if here not in found else None
        if box is None:
            continue
        found[here] = box
        area = labels[here][box] == number
        for there in _neighbours(here, labels.shape):
            if there not in found and (area & (labels[there][box] == number)).any():
                ahead.append(there)
    return list(found)


def _neighbours(place: Place, shape: tuple[int, ...]) -> Iterator[Place]:
    for axis, step in enumerate(place):
        for other in (step - 1, step + 1):
            if 0 <= other < shape[axis]:
                yield (*place[:axis], other, *place[axis + 1 :])
