"""GeoJSON as QuPath reads and writes it: outlines with holes, classes and identifiers."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any  # JSON values

import numpy as np

from napari_unet.core.errors import InputError
from napari_unet.core.files import write_beside
from napari_unet.core.outlines import Polygon
from napari_unet.formats.annotations import (
    Annotations,
    Region,
    draw,
    is_ignored,
    needed_shape,
    regions_of,
)
from napari_unet.formats.json_file import read_json

__all__ = ["holds_geojson", "read_geojson", "write_geojson"]

# Of the identifiers of objects that have none: the same object gets the same one each time.
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "napari-unet-interactive")


def holds_geojson(values: Any) -> bool:
    """Whether a JSON value is GeoJSON: a collection, a feature, or a list of features."""
    if isinstance(values, list):
        return all(isinstance(one, dict) and one.get("type") == "Feature" for one in values)
    return isinstance(values, dict) and values.get("type") in ("FeatureCollection", "Feature")


def read_geojson(
    path: Path,
    shape: tuple[int, ...] | None = None,
    axes: str | None = None,
    values: Any = None,
) -> Annotations:
    """Read polygons and what QuPath says of them.

    An object's number is its name, where that is a whole number; else it is counted. Objects of
    the class "Ignore*" are regions that are not checked. Of a cell of QuPath the outline of the
    cell counts, not of its nucleus.

    Parameters
    ----------
    path : Path
    shape : tuple of int
        Of the labels; the file does not know it.
    axes : str, optional
        Of the labels, to find QuPath's z and t by; None takes the last of TZYX.
    values : optional
        What the file holds, where it has been read already.

    Raises
    ------
    InputError
        If the file cannot be read, or `shape` is missing.
    """
    shape = needed_shape(shape, path.name)
    axes = axes or "TZYX"[-len(shape) :]
    values = read_json(path) if values is None else values
    if not holds_geojson(values):
        raise InputError(f"{path.name} is no GeoJSON; it has no features.")
    features = values.get("features", [values]) if isinstance(values, dict) else values
    try:
        found = [_region(feature, shape, axes) for feature in features]
    except InputError:
        raise
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
        raise InputError(f"{path.name} is no GeoJSON that QuPath would write: {error}.") from error
    regions = [region for region in found if region is not None]
    left_out = len(found) - len(regions)
    notes = (
        (f"{left_out} of {len(found)} objects are no areas and were left out.",) if left_out else ()
    )
    return draw(regions, shape, axes, notes)


def write_geojson(path: Path, annotations: Annotations) -> None:
    """Write a collection that QuPath imports; what is not checked becomes "Ignore*".

    Raises
    ------
    InputError
        If there are more axes than QuPath has: time and one other.
    """
    stacked = annotations.labels.shape[:-2]
    letters = annotations.axes.replace("Y", "").replace("X", "")
    if len(letters.replace("T", "")) > 1:
        raise InputError(f"QuPath has one axis beside time, and these labels have {letters}.")
    features = [_feature(one, stacked, letters) for one in regions_of(annotations)]
    taken: set[str] = set()
    for feature in features:  # an object in several planes is several for QuPath
        if feature["id"] in taken:
            feature["id"] = _identifier(feature)
        taken.add(feature["id"])
    values = {"type": "FeatureCollection", "features": features}
    write_beside(path, json.dumps(values, separators=(",", ":")).encode())


def _region(feature: dict[str, Any], shape: tuple[int, ...], axes: str) -> Region | None:
    geometry = feature["geometry"]
    if geometry is None or geometry["type"] not in ("Polygon", "MultiPolygon"):
        return None
    parts = geometry["coordinates"]
    if geometry["type"] == "Polygon":
        parts = [parts]
    polygons: list[Polygon] = [
        [np.array(ring, float).reshape(len(ring), -1)[:, :2] for ring in part] for part in parts
    ]
    properties = feature.get("properties") or {}
    name = str((properties.get("classification") or {}).get("name", ""))
    label = str(properties.get("name", ""))
    number = int(label) if label.isascii() and label.isdigit() and len(label) < 11 else None
    planes = _planes(geometry.get("plane"), shape, axes)
    return Region(polygons, name, number, planes, str(feature.get("id", "")))


def _planes(plane: dict[str, Any] | None, shape: tuple[int, ...], axes: str) -> tuple[int] | None:
    """Find the plane by QuPath's z and t; an axis of another name is its z."""
    counts = shape[:-2]
    if not counts:
        return None
    if plane is None:
        plane = {}
    place = 0
    for letter, count in zip(axes.replace("Y", "").replace("X", ""), counts, strict=True):
        at = int(plane.get("t" if letter == "T" else "z", 0))
        if not 0 <= at < count:
            raise InputError(
                f"An object lies at {letter} = {at}, and the image has {count}; "
                "give the image that belongs to it."
            )
        place = place * count + at
    return (place,)


def _feature(region: Region, stacked: tuple[int, ...], letters: str) -> dict[str, Any]:
    parts = [[_closed(ring.tolist()) for ring in polygon] for polygon in region.polygons]
    geometry: dict[str, Any] = {"type": "MultiPolygon", "coordinates": parts}
    if len(parts) == 1:
        geometry = {"type": "Polygon", "coordinates": parts[0]}
    if stacked and region.planes:
        at = dict(zip(letters, np.unravel_index(region.planes[0], stacked), strict=True))
        t = int(at.pop("T", 0))
        geometry["plane"] = {"c": -1, "z": int(next(iter(at.values()), 0)), "t": t}
    properties: dict[str, Any] = {"objectType": "annotation"}
    if region.number:
        properties["name"] = str(region.number)
    name = "Ignore*" if is_ignored(region.name) else region.name
    if name:
        properties["classification"] = {"name": name}
    feature = {"type": "Feature", "id": region.id, "geometry": geometry, "properties": properties}
    return feature | {"id": region.id or _identifier(feature)}


def _identifier(feature: dict[str, Any]) -> str:
    content = [feature["geometry"], feature["properties"]]
    return str(uuid.uuid5(NAMESPACE, json.dumps(content)))


def _closed(ring: list[Any]) -> Iterator[Any] | list[Any]:
    """GeoJSON repeats the first corner, and whole numbers need no point."""
    corners = [[int(value) if value == int(value) else value for value in xy] for xy in ring]
    return [*corners, corners[0]]
