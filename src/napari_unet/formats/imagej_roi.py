"""ImageJ's ROI Manager: a .roi file, or a .zip of them; also as the Fiji U-Net plugin names them.

The plugin (Falk et al. 2019) reads from the name of a ROI "class#instance-copy" what it is, both
parts after the class optional; one that is called "ignore" says nothing of its region.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import InputError
from napari_unet.core.files import write_beside
from napari_unet.core.outlines import Box, Polygon, Ring
from napari_unet.formats.annotations import Annotations, Region, draw, needed_shape, regions_of
from napari_unet.formats.safe_zip import MAX_ENTRY_BYTES, read_zip

if TYPE_CHECKING:
    from roifile import ImagejRoi

__all__ = ["read_rois", "write_rois"]

NAME = re.compile(r"(?P<name>.*?)(#(?P<number>\d+))?(-\d+)*", re.DOTALL)

# The format has 16 bits for a coordinate, and roifile takes the uppermost for negative ones.
LARGEST_SIDE = 60_000

# Straight pieces that a curve of a composite shape is drawn with.
CURVE_STEPS = 16


def read_rois(
    path: Path, shape: tuple[int, ...] | None = None, axes: str | None = None
) -> Annotations:
    """Read a .roi file or a .zip of them.

    Areas become objects: polygons, freehand and traced ones, rectangles, ovals, and shapes that
    are composed of several or have holes. ROIs with the same class and instance number are one
    object. One in no particular slice lies in all of them.

    Parameters
    ----------
    path : Path
    shape : tuple of int
        Of the labels; the file does not know it.
    axes : str, optional
        Of the labels, to find slices and frames by; None takes the last of TZYX.

    Raises
    ------
    InputError
        If the file cannot be read, or `shape` is missing.
    """
    shape = needed_shape(shape, path.name)
    axes = axes or "TZYX"[-len(shape) :]
    regions, left_out = [], 0
    for roi in _parsed(path):
        try:
            region = _region(roi, shape, axes)
        except InputError:
            raise
        except Exception as error:  # a damaged file raises whatever roifile stumbles on
            raise InputError(f"{path.name} has a damaged ROI: {error}.") from error
        if region is None:
            left_out += 1
        else:
            regions.append(region)
    notes = (
        (f"{left_out} of {left_out + len(regions)} ROIs are no areas and were left out.",)
        if left_out
        else ()
    )
    return draw(regions, shape, axes, notes)


def write_rois(path: Path, annotations: Annotations) -> None:
    """Write a zip file for ImageJ's ROI Manager; what is not checked becomes "ignore" ROIs.

    An object whose pieces are apart, or that has holes, becomes one composite ROI.

    Raises
    ------
    InputError
        If the image is too large for the format, or the file cannot be written.
    """
    if max(annotations.labels.shape[-2:]) > LARGEST_SIDE:
        raise InputError(
            f"ROIs of ImageJ reach to {LARGEST_SIDE:,} pixels and this image is larger; "
            "write GeoJSON or labels instead."
        )
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for region in regions_of(annotations):
            name = _name_of(region, annotations.labels.ndim > 2)
            roi = _roi(region.polygons, name)
            if annotations.labels.ndim > 2 and region.planes:
                roi.position = region.planes[0] + 1
            entry = zipfile.ZipInfo(re.sub(r"[^\w #.-]", "_", name) + ".roi")
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, roi.tobytes())
    write_beside(path, content.getvalue())


def _roifile() -> Any:  # it is optional, so its types are not at hand
    try:
        import roifile  # optional
    except ImportError as error:
        raise InputError(
            "ROIs of ImageJ need roifile; "
            'install it with: pip install "napari-unet-interactive[formats]".'
        ) from error
    return roifile


def _parsed(path: Path) -> Iterator[ImagejRoi]:
    """Parse every ROI of the file; the name that the ROI Manager shows is that of the entry."""
    parse = _roifile().ImagejRoi.frombytes
    if path.suffix.lower() == ".roi":
        with path.open("rb") as file:
            content = file.read(MAX_ENTRY_BYTES)  # a longer one ends in the middle
        entries: Iterator[tuple[str, bytes]] = iter([(path.name, content)])
    else:
        entries = read_zip(path, ".roi")
    count = 0
    for entry, content in entries:
        count += 1
        try:
            roi = parse(content)
        except Exception as error:  # whatever roifile stumbles on
            raise InputError(f"{path.name} has a damaged ROI, {entry!r}: {error}.") from error
        roi.name = roi.name or Path(entry).stem
        yield roi
    if not count:
        raise InputError(f"There are no ROIs in {path.name}.")


def _region(roi: ImagejRoi, shape: tuple[int, ...], axes: str) -> Region | None:
    """Return the ROI as a region; None if it is a line, points, or text."""
    found = NAME.fullmatch(roi.name)
    name, number = (found["name"], found["number"]) if found else (roi.name, None)
    if name.isdigit():  # ImageJ names a ROI by its place: 0012-0034
        name = ""
    kinds = _roifile().ROI_TYPE
    polygons: list[Polygon] = []
    mask = None
    if roi.subtype in (1, 2, 4):  # text, arrow, picture
        return None
    if roi.multi_coordinates is not None:
        polygons = [_path(roi.multi_coordinates.tolist())]
    elif roi.roitype == kinds.OVAL:
        mask = partial(_oval, _bounds(roi), shape[-2:])
    elif roi.roitype == kinds.RECT:
        left, top, right, bottom = _bounds(roi)
        corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
        polygons = [[np.array(corners)]]
    elif roi.roitype in (kinds.POLYGON, kinds.FREEHAND, kinds.TRACED):
        polygons = [[np.asarray(roi.coordinates(), float)]]
    else:
        return None
    planes = _planes(roi, shape, axes)
    return Region(polygons, name, int(number) if number else None, planes, mask=mask)


def _bounds(roi: ImagejRoi) -> tuple[float, float, float, float]:
    if roi.subpixelrect:
        return roi.xd, roi.yd, roi.xd + roi.widthd, roi.yd + roi.heightd
    return roi.left, roi.top, roi.right, roi.bottom


def _oval(
    bounds: tuple[float, float, float, float], shape: tuple[int, ...]
) -> tuple[Box, NDArray[np.bool_]]:
    """Pixels whose centre lies in the ellipse, as ImageJ's OvalRoi has them."""
    left, top, right, bottom = bounds
    if not (right > left and bottom > top):
        return (slice(0, 0), slice(0, 0)), np.zeros((0, 0), bool)
    rows, columns = (
        slice(int(np.clip(np.floor(low), 0, size)), int(np.clip(np.ceil(high), 0, size)))
        for low, high, size in ((top, bottom, shape[0]), (left, right, shape[1]))
    )
    y = (np.arange(rows.start, rows.stop) + 0.5 - (top + bottom) / 2) / ((bottom - top) / 2)
    x = (np.arange(columns.start, columns.stop) + 0.5 - (left + right) / 2) / ((right - left) / 2)
    return (rows, columns), y[:, None] ** 2 + x**2 <= 1


def _planes(roi: ImagejRoi, shape: tuple[int, ...], axes: str) -> tuple[int, ...] | None:
    """Find the planes of a ROI: those of its slice and frame, or the one it counts in the stack.

    An axis that is neither Z nor T follows the position in the stack.
    """
    counts = shape[:-2]
    stacked = axes.replace("Y", "").replace("X", "")
    if not counts:
        return None
    at = {"Z": roi.z_position, "T": roi.t_position}
    if not any(at.values()):
        return (roi.position - 1,) if roi.position > 0 else None
    if len(counts) == 1:
        place = at.get(stacked) or at["Z"] or at["T"]
        return (place - 1,)
    every = np.arange(int(np.prod(counts))).reshape(counts)
    for axis, letter in enumerate(stacked):
        place = at.get(letter, 0)
        if place > counts[axis]:
            raise InputError(
                f"ROI {roi.name!r} lies at {letter} = {place}, and the image has {counts[axis]}; "
                "give the image that belongs to it."
            )
        if place > 0:
            every = every.take([place - 1], axis)
    return tuple(every.ravel().tolist())


def _path(values: list[float]) -> Polygon:
    """Read the segments of a composite shape: move, line, two kinds of curve, close."""
    rings: list[Ring] = []
    points: list[tuple[float, float]] = []
    at = 0
    while at < len(values):
        kind = int(values[at])
        length = {0: 2, 1: 2, 2: 4, 3: 6, 4: 0}[kind]
        given = values[at + 1 : at + 1 + length]
        if len(given) < length:
            raise InputError("A ROI ends in the middle of its outline; the file is damaged.")
        if kind in (0, 4) and points:
            rings.append(np.array(points))
            points = []
        if kind in (0, 1):
            points.append((given[0], given[1]))
        elif kind in (2, 3):
            points += _curve([points[-1], *zip(given[::2], given[1::2], strict=True)])
        at += 1 + length
    if points:
        rings.append(np.array(points))
    return rings


def _curve(control: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Points along a Bezier curve, by de Casteljau; the first is left out."""
    t = np.arange(1, CURVE_STEPS + 1)[:, None, None] / CURVE_STEPS
    points = np.array(control)[None]
    while points.shape[1] > 1:
        points = (1 - t) * points[:, :-1] + t * points[:, 1:]
    return [(float(x), float(y)) for x, y in points[:, 0]]


def _roi(polygons: list[Polygon], name: str) -> ImagejRoi:
    roifile = _roifile()
    roi: ImagejRoi = roifile.ImagejRoi()
    rings = [ring for polygon in polygons for ring in polygon]
    corners = np.concatenate(rings).astype(np.int64)
    roi.name, roi.options = name, roifile.ROI_OPTIONS.OVERLAY_LABELS
    roi.left, roi.top = (int(value) for value in corners.min(axis=0))
    roi.right, roi.bottom = (int(value) for value in corners.max(axis=0))
    if len(rings) == 1:
        roi.roitype = roifile.ROI_TYPE.TRACED
        roi.integer_coordinates = (corners - [roi.left, roi.top]).astype(np.int32)
        roi.n_coordinates = len(corners)
        return roi
    path: list[float] = []
    for ring in rings:
        for kind, (x, y) in zip([0.0] + [1.0] * (len(ring) - 1), ring.tolist(), strict=True):
            path += [kind, x, y]
        path.append(4.0)
    roi.roitype = roifile.ROI_TYPE.RECT
    roi.multi_coordinates = np.array(path, np.float32)
    roi.shape_roi_size = len(path)
    return roi


def _name_of(region: Region, is_stack: bool) -> str:
    name = f"{region.name or 'cell'}#{region.number}" if region.number else region.name
    if is_stack and region.planes:
        name += f"-{region.planes[0] + 1:04d}"
    return name
