"""What files of annotations say: objects as labels, what is checked, classes, identifiers.

Formats that hold outlines meet here: each turns its file into `Region` values and back, and
`draw` and `regions_of` are the way from them to labels and back.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any  # labels come in any integer dtype

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unet.core.errors import InputError
from napari_unet.core.label_index import index_labels, whole_numbers
from napari_unet.core.outlines import Box, Polygon, fill, trace

__all__ = [
    "Annotations",
    "Region",
    "Track",
    "check_canvas",
    "draw",
    "is_ignored",
    "needed_shape",
    "regions_of",
]

# Pixels of all planes of labels that a file may ask for (chosen: 4 GB of int32).
MAX_PIXELS = 2**30

LARGEST_NUMBER = 2**31 - 1

# What the Fiji U-Net plugin (Falk 2019) and QuPath call a region that says nothing.
IGNORED = re.compile(r"ignore\*?(-\d+)*", re.IGNORECASE)


@dataclass(frozen=True)
class Track:
    """One object over time: its number, first and last frame, and whose daughter it is (or 0)."""

    number: int
    begin: int
    end: int
    parent: int = 0


@dataclass(frozen=True, eq=False)
class Annotations:
    """What a file of annotations says of an image.

    Attributes
    ----------
    labels : ndarray of int, shape (..., Y, X)
        0 is background, every other value one object.
    axes : str
        One letter a dimension of the labels.
    checked : ndarray of bool, the shape of `labels`, or None
        Where the labels are true. None: the file has no such notion.
    classes : dict
        Name of the class of each object that has one.
    ids : dict
        Name that the file gives an object, where it has a name of its own.
    tracks : tuple of Track
        Where the first axis is time and the file tells who is whose daughter.
    notes : tuple of str
        Sentences on what was in the file and could not be taken along.
    """

    labels: NDArray[Any]
    axes: str = "YX"
    checked: NDArray[np.bool_] | None = None
    classes: dict[int, str] = field(default_factory=dict)
    ids: dict[int, str] = field(default_factory=dict)
    tracks: tuple[Track, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Region:
    """One object in one plane, or a region that is not checked.

    Attributes
    ----------
    polygons : list of Polygon
        In pixels, see `core.outlines`.
    name : str
        Its class; see `is_ignored`.
    number : int or None
        Of the object; None leaves it to `draw`.
    planes : tuple of int or None
        Places in the stack, counted through all axes before Y and X; None is every plane.
    id : str
        What the file calls it.
    mask : callable or None
        Returns a box and the pixels in it, for formats that hold those instead of polygons. It is
        called when the region is drawn: a small file can have a thousand as large as the image.
    """

    polygons: list[Polygon]
    name: str = ""
    number: int | None = None
    planes: tuple[int, ...] | None = None
    id: str = ""
    mask: Callable[[], tuple[Box, NDArray[np.bool_]]] | None = None


def is_ignored(name: str) -> bool:
    """Whether a class of that name means: nothing is said of this region."""
    return IGNORED.fullmatch(name.strip()) is not None


def needed_shape(shape: tuple[int, ...] | None, name: str) -> tuple[int, ...]:
    """Return the shape, or refuse a file of outlines whose image is not known."""
    if shape is None:
        raise InputError(
            f"{name} does not say how large its image is; give the image as well (--image)."
        )
    check_canvas(shape, name)
    return shape


def check_canvas(shape: tuple[int, ...], name: str) -> None:
    """Refuse labels of a shape that no memory should be taken for.

    Raises
    ------
    InputError
        If there are fewer than two axes, an axis is empty, or there are over 2**30 pixels.
    """
    if len(shape) < 2 or min(shape) < 1 or math.prod(shape) > MAX_PIXELS:
        raise InputError(
            f"{name} asks for labels of the shape {shape}; there must be 1 to {MAX_PIXELS:,} "
            "pixels."
        )


def draw(
    regions: Iterable[Region],
    shape: tuple[int, ...],
    axes: str | None = None,
    notes: tuple[str, ...] = (),
) -> Annotations:
    """Paint regions one over the other, the last on top, as ImageJ does.

    Parameters
    ----------
    regions : iterable of Region
        Those without a number each become an object; numbers that are taken stay with the
        first class that has them.
    shape : tuple of int
        Of the labels.
    axes : str, optional
        Of the labels; None takes the last of TZYX.

    Raises
    ------
    InputError
        If a region lies in a plane that is not there.
    """
    labels = np.zeros(shape, np.int32)
    planes = labels.reshape(-1, *shape[-2:])
    checked = np.ones(planes.shape, bool)
    classes: dict[int, str] = {}
    ids: dict[int, str] = {}
    regions = list(regions)
    for region, number in zip(regions, _numbers(regions), strict=True):
        for place, inside in _raster(region, shape[-2:]):
            for plane in _planes(region, len(planes)):
                checked[plane][place][inside] = number > 0
                if number:
                    planes[plane][place][inside] = number
        if number and region.name:
            classes[number] = region.name
        if number and region.id:
            ids[number] = region.id
    unsure = any(is_ignored(region.name) for region in regions)
    axes = axes or "TZYX"[-len(shape) :]
    return Annotations(
        labels, axes, checked.reshape(shape) if unsure else None, classes, ids, notes=notes
    )


def regions_of(annotations: Annotations) -> Iterator[Region]:
    """Go through the objects of each plane, and last what is not checked there."""
    labels = whole_numbers(annotations.labels)
    planes = labels.reshape(-1, *labels.shape[-2:])
    checked = annotations.checked
    for place, plane in enumerate(planes):
        index, names = index_labels(plane)
        for number, box in enumerate(ndimage.find_objects(index), start=1):
            if box is None:
                continue
            polygons = _moved(trace(index[box] == number), box)
            name = int(names[number])
            yield Region(
                polygons,
                annotations.classes.get(name, ""),
                name,
                (place,),
                annotations.ids.get(name, ""),
            )
        if checked is not None:
            unknown = ~checked.reshape(planes.shape)[place]
            if unknown.any():
                yield Region(trace(unknown), "ignore", 0, (place,))


def _moved(polygons: list[Polygon], box: Box) -> list[Polygon]:
    offset = np.array([box[1].start, box[0].start], float)
    return [[ring + offset for ring in polygon] for polygon in polygons]


def _numbers(regions: list[Region]) -> Iterator[int]:
    """Give each object its number: its own where it is free, else the next; 0 if ignored."""
    own = {region.number for region in regions if region.number and not is_ignored(region.name)}
    free = iter(number for number in range(1, LARGEST_NUMBER) if number not in own)
    owner: dict[int, str] = {}
    given: dict[tuple[int, str], int] = {}
    for region in regions:
        if is_ignored(region.name):
            yield 0
        elif not region.number or not 0 < region.number <= LARGEST_NUMBER:
            yield next(free)
        elif owner.setdefault(region.number, region.name) == region.name:
            yield region.number
        else:
            key = region.number, region.name
            if key not in given:
                given[key] = next(free)
            yield given[key]


def _raster(region: Region, shape_yx: tuple[int, ...]) -> Iterator[tuple[Box, NDArray[np.bool_]]]:
    height, width = shape_yx
    if region.mask is not None:
        yield region.mask()
    for polygon in region.polygons:
        yield fill(polygon, (height, width))


def _planes(region: Region, count: int) -> Iterable[int]:
    if region.planes is None:
        return range(count)
    outside = [plane for plane in region.planes if not 0 <= plane < count]
    if outside:
        raise InputError(
            f"An object lies in plane {outside[0] + 1}, and the image has {count}; "
            "give the image that belongs to it."
        )
    return region.planes
