"""Measure objects: size, shape and intensity, in physical units, as columns of a table."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any  # labels and images come in any real dtype

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull
from scipy.spatial.distance import pdist

from napari_unet.core.errors import InputError
from napari_unet.core.label_index import index_labels, whole_numbers
from napari_unet.core.planes import plane_places

__all__ = ["Columns", "measure_planes", "measure_regions", "placed", "stacked"]

Columns = dict[str, NDArray[Any]]
FloatArray = NDArray[np.float64]


def measure_regions(
    labels: NDArray[Any],
    image_cyx: NDArray[Any] | None = None,
    *,
    spacing: Sequence[float] | None = None,
    channels: Sequence[str] = (),
) -> Columns:
    """Measure every object of a plane, or of a volume.

    Parameters
    ----------
    labels : ndarray of int, shape (Y, X) or (Z, Y, X)
        0 is background. Pixels of equal number are one object, also where they are apart.
    image_cyx : ndarray, shape (C, *labels.shape), optional
        Any real dtype.
    spacing : sequence of float, optional
        Size of a pixel along each axis of the labels; None is 1. All lengths, areas and places
        are in its unit.
    channels : sequence of str, optional
        Names of the channels; None counts them from 0.

    Returns
    -------
    dict of ndarray, each of shape (objects,)
        label; centroid_z (of volumes), centroid_y and centroid_x, of the centres of pixels, that
        of the first being 0; area, or volume; touches_border; equivalent_diameter of the disc or
        ball of that size; major_axis and minor_axis of the ellipse or ellipsoid with the same
        second moments; feret_max and, of planes, feret_min, the largest and smallest caliper
        width; solidity, the part of the convex hull that it fills; of planes also perimeter (by
        Crofton's formula in four directions, Legland et al. 2007), circularity
        (4 pi area / perimeter^2), eccentricity of the ellipse and its orientation (the angle of
        the major axis to the x axis in degrees, counterclockwise on the screen, -90 to 90);
        for each channel mean_, std_, min_, max_ and sum_.

    Raises
    ------
    InputError
        If shapes or the spacing do not fit.
    """
    labels = whole_numbers(labels)
    steps = _steps(spacing, labels.ndim)
    _check_image(labels, image_cyx, channels)
    index, names = index_labels(labels)
    where = np.flatnonzero(index)
    order = np.argsort(index.ravel()[where], kind="stable")
    where = where[order]  # pixels object by object
    numbers, starts = np.unique(index.ravel()[where], return_index=True)
    coordinates: list[FloatArray] = [
        np.multiply(axis, step, dtype=np.float64)
        for axis, step in zip(np.unravel_index(where, labels.shape), steps, strict=True)
    ]
    counts = np.diff([*starts, len(where)])
    table: Columns = {"label": names[numbers]}
    table |= _size(coordinates, starts, counts, steps, "zyx"[-labels.ndim :])
    table["touches_border"] = _at_border(index)[numbers]
    table |= _ellipse(coordinates, starts, counts)
    table |= _hulls(index, numbers, counts, steps)
    if labels.ndim == 2:
        perimeter = _perimeters(index, steps)[numbers]
        table["perimeter"] = perimeter
        table["circularity"] = 4 * math.pi * table["area"] / perimeter**2
    for number, plane in enumerate([] if image_cyx is None else image_cyx):
        name = channels[number] if channels else str(number)
        table |= _intensities(plane.ravel()[where], starts, counts, name)
    return table


def measure_planes(
    labels: NDArray[Any],
    axes: str,
    image: NDArray[Any] | None = None,
    image_axes: str = "",
    *,
    spacing: dict[str, float] | None = None,
    channels: Sequence[str] = (),
    volumes: bool = False,
) -> Columns:
    """Measure the objects of each plane of a stack, or of each volume.

    Parameters
    ----------
    labels : ndarray of int
    axes : str
        One letter a dimension of the labels, Y and X among them.
    image : ndarray, optional
        With the axes of the labels, and C if it has channels.
    image_axes : str
        Of the image.
    spacing : dict, optional
        Size of a pixel along axes by their letter; those that are missing are 1.
    channels : sequence of str, optional
        See `measure_regions`.
    volumes : bool
        Z belongs to the objects; otherwise each plane is measured by itself.

    Returns
    -------
    dict of ndarray
        See `measure_regions`; before it the place along each other axis, as in t and z.

    Raises
    ------
    InputError
        If axes or shapes do not fit.
    """
    inner = "ZYX" if volumes and "Z" in axes else "YX"
    outer = "".join(axis for axis in axes if axis not in inner)
    labels = labels.transpose([axes.index(axis) for axis in outer + inner])
    if image is not None:
        image = _like(image, image_axes, outer + inner, labels.shape)
    steps = [(spacing or {}).get(axis, 1.0) for axis in inner]
    tables = []
    for place in plane_places(labels.shape[: len(outer)], outer):
        table = measure_regions(
            labels[place],
            None if image is None else image[_of_every_channel(place)],
            spacing=steps,
            channels=channels,
        )
        tables.append(placed(table, outer, place))
    return stacked(tables)


def placed(table: Columns, axes: str, place: tuple[int, ...]) -> Columns:
    """Return a table with the place along each axis, named in lower case, before its columns."""
    count = len(table["label"])
    where = {axis.lower(): np.full(count, at) for axis, at in zip(axes, place, strict=True)}
    return where | table


def stacked(tables: Sequence[Columns]) -> Columns:
    """Put tables of the same columns one below the other."""
    return {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}


def _of_every_channel(place: tuple[int, ...]) -> tuple[slice | int, ...]:
    return (slice(None), *place)


def _like(image: NDArray[Any], image_axes: str, axes: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return the image with its channels first and then the axes of the labels."""
    if "C" not in image_axes:
        image, image_axes = image[None], f"C{image_axes}"
    if set(image_axes) != {"C", *axes}:
        raise InputError(f"The image has the axes {image_axes} and its labels {axes}.")
    image = image.transpose([image_axes.index(axis) for axis in f"C{axes}"])
    if image.shape[1:] != shape:
        raise InputError(f"The image has the shape {image.shape[1:]} and its labels {shape}.")
    return image


def _steps(spacing: Sequence[float] | None, ndim: int) -> list[float]:
    steps = [1.0] * ndim if spacing is None else [float(step) for step in spacing]
    if ndim not in (2, 3) or len(steps) != ndim:
        raise InputError(f"A spacing of {steps} does not fit labels of {ndim} dimensions.")
    if not all(0 < step < math.inf for step in steps):
        raise InputError(f"The spacing is {steps}; all of it must be above 0.")
    return steps


def _check_image(labels: NDArray[Any], image: NDArray[Any] | None, channels: Sequence[str]) -> None:
    if image is None:
        return
    if image.shape[1:] != labels.shape:
        raise InputError(
            f"The image has the shape {image.shape[1:]} and its labels {labels.shape}."
        )
    if channels and len(channels) != len(image):
        raise InputError(f"{len(channels)} channels are named and the image has {len(image)}.")


def _size(
    coordinates: list[FloatArray],
    starts: NDArray[Any],
    counts: NDArray[Any],
    steps: list[float],
    axes: str,
) -> Columns:
    table: Columns = {
        f"centroid_{axis}": _sums(values, starts) / counts
        for axis, values in zip(axes, coordinates, strict=True)
    }
    size = counts * math.prod(steps)
    if len(axes) == 2:
        return table | {"area": size, "equivalent_diameter": np.sqrt(4 * size / math.pi)}
    return table | {"volume": size, "equivalent_diameter": np.cbrt(6 * size / math.pi)}


def _sums(values: NDArray[Any], starts: NDArray[Any]) -> FloatArray:
    if not len(starts):
        return np.zeros(0)
    sums: FloatArray = np.add.reduceat(values, starts, dtype=np.float64)
    return sums


def _at_border(index: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Whether each object, by its index, reaches the border of the plane or volume."""
    found = np.zeros(int(index.max(initial=0)) + 1, bool)
    for axis in range(index.ndim):
        for end in (0, -1):
            found[index.take(end, axis)] = True
    return found


def _ellipse(coordinates: list[FloatArray], starts: NDArray[Any], counts: NDArray[Any]) -> Columns:
    """Axes of the ellipse or ellipsoid with the second moments of an object's pixels."""
    ndim = len(coordinates)
    if not len(starts):
        names = ["major_axis", "minor_axis"] + ["eccentricity", "orientation"] * (ndim == 2)
        return {name: np.zeros(0) for name in names}
    away = [values - np.repeat(_sums(values, starts) / counts, counts) for values in coordinates]
    covariance = np.empty((len(starts), ndim, ndim))
    for i, j in itertools.combinations_with_replacement(range(ndim), 2):
        covariance[:, i, j] = covariance[:, j, i] = _sums(away[i] * away[j], starts) / counts
    values, vectors = np.linalg.eigh(covariance)
    values = values.clip(0)  # rising; of one pixel all are 0
    # the mean square along an axis is a part of its half length squared: a fourth in a disc, a
    # fifth in a ball
    axis = 2 * np.sqrt((ndim + 2) * values)
    table: Columns = {"major_axis": axis[:, -1], "minor_axis": axis[:, 0]}
    if ndim == 2:
        largest = values[:, 1]
        ratio = np.divide(values[:, 0], largest, out=np.ones_like(largest), where=largest > 0)
        table["eccentricity"] = np.sqrt(1 - ratio)
        turned = np.degrees(np.arctan2(-vectors[:, 0, 1], vectors[:, 1, 1]))
        table["orientation"] = (turned + 90) % 180 - 90
    return table


def _hulls(
    index: NDArray[np.int32], numbers: NDArray[Any], counts: NDArray[Any], steps: list[float]
) -> Columns:
    """Feret diameters and solidity, of the convex hull of the corners of an object's pixels."""
    boxes = ndimage.find_objects(index)
    names = ["feret_max", *["feret_min"] * (index.ndim == 2), "solidity"]
    table: Columns = {name: np.zeros(len(numbers)) for name in names}
    for row, (number, count) in enumerate(zip(numbers.tolist(), counts.tolist(), strict=True)):
        box = boxes[number - 1]
        corners = _outer_corners(index[box] == number) * steps
        hull = ConvexHull(corners)
        outside = corners[hull.vertices]
        table["feret_max"][row] = pdist(outside).max()
        table["solidity"][row] = min(1.0, count * math.prod(steps) / hull.volume)
        if index.ndim == 2:  # the smallest width stands on an edge of the hull
            widths = hull.equations[:, :2] @ outside.T + hull.equations[:, 2:]
            table["feret_min"][row] = -widths.min(axis=1).max()
    return table


def _outer_corners(mask: NDArray[np.bool_]) -> FloatArray:
    """Corners of the first and the last pixel of each line along the last axis."""
    lines = np.argwhere(mask.any(axis=-1))
    rows = mask[tuple(lines.T)]
    first, last = rows.argmax(axis=1), rows.shape[1] - rows[:, ::-1].argmax(axis=1)
    ends = np.concatenate([np.c_[lines, first], np.c_[lines, last]])
    shifts = [(*shift, 0) for shift in itertools.product((0, 1), repeat=mask.ndim - 1)]
    return np.unique(np.concatenate([ends + shift for shift in shifts]), axis=0).astype(float)


def _perimeters(index: NDArray[np.int32], steps: list[float]) -> FloatArray:
    """Crofton: half the integral, over all lines, of how often they cross the outline.

    Lines run along rows, columns and both diagonals; each stands for the directions next to it
    (Legland, Kieu and Devaux 2007, Computation of Minkowski measures, section 4).
    """
    padded = np.pad(index, 1)
    dy, dx = steps
    slant = math.atan2(dy, dx)
    apart = dx * dy / math.hypot(dx, dy)
    pairs = (
        (padded[:, :-1], padded[:, 1:], slant * dy),
        (padded[:-1], padded[1:], (math.pi / 2 - slant) * dx),
        (padded[:-1, :-1], padded[1:, 1:], math.pi / 4 * apart),
        (padded[:-1, 1:], padded[1:, :-1], math.pi / 4 * apart),
    )
    total = np.zeros(int(index.max(initial=0)) + 1)
    for one, other, weight in pairs:
        differ = one != other
        for side in (one, other):
            total += weight / 2 * np.bincount(side[differ], minlength=len(total))
    return total


def _intensities(
    values: NDArray[Any], starts: NDArray[Any], counts: NDArray[Any], name: str
) -> Columns:
    if not len(starts):
        return {f"{kind}_{name}": np.zeros(0) for kind in ("mean", "std", "min", "max", "sum")}
    values = values.astype(np.float64)
    sums = _sums(values, starts)
    means = sums / counts
    away = values - np.repeat(means, counts)
    return {
        f"mean_{name}": means,
        f"std_{name}": np.sqrt(_sums(away**2, starts) / counts),
        f"min_{name}": np.minimum.reduceat(values, starts),
        f"max_{name}": np.maximum.reduceat(values, starts),
        f"sum_{name}": sums,
    }
