"""COCO's JSON: objects as polygons or run lengths, with categories.

A polygon there has no holes: an object that has some is written as run lengths. COCO knows flat
images; the planes of a stack are written as images one after the other.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any  # JSON values

import numpy as np
from scipy import ndimage

from napari_unet.core.errors import InputError
from napari_unet.core.files import write_beside
from napari_unet.core.outlines import Box, Polygon, fill
from napari_unet.formats.annotations import (
    Annotations,
    Region,
    check_canvas,
    draw,
    is_ignored,
    regions_of,
)
from napari_unet.formats.json_file import read_json
from napari_unet.formats.rle import (
    counts_to_mask,
    counts_to_text,
    mask_to_counts,
    text_to_counts,
)

__all__ = ["holds_coco", "read_coco", "write_coco"]


def holds_coco(values: Any) -> bool:
    """Whether a JSON value is a COCO data set."""
    return isinstance(values, dict) and {"images", "annotations"} <= set(values)


def read_coco(
    path: Path,
    shape: tuple[int, ...] | None = None,
    axes: str | None = None,
    image: str | None = None,
    values: Any = None,
) -> Annotations:
    """Read the objects of one image, or of the planes that `write_coco` made of a stack.

    What is marked as a crowd (many objects that nobody told apart) is not checked.

    Parameters
    ----------
    path : Path
    shape : tuple of int, optional
        Of the labels; None takes what the file says.
    axes : str, optional
        Of the labels; None takes the last of TZYX.
    image : str, optional
        Name of the image, where the file holds several; its ending does not count.
    values : optional
        What the file holds, where it has been read already.

    Raises
    ------
    InputError
        If the file cannot be read, or it is not clear which of its images is meant.
    """
    values = read_json(path) if values is None else values
    if not holds_coco(values):
        raise InputError(f"{path.name} is no COCO file; it has no images and annotations.")
    try:
        images = _wanted(values["images"], image, path)
        plane = int(images[0]["height"]), int(images[0]["width"])
        shape = shape or (plane if len(images) == 1 else (len(images), *plane))
        check_canvas(shape, path.name)
        if shape[-2:] != plane or int(np.prod(shape[:-2])) != len(images):
            raise InputError(
                f"{path.name} is of {len(images)} planes of {plane} and the image has the shape "
                f"{shape}; give the image that belongs to it."
            )
        places = {one["id"]: place for place, one in enumerate(images)}
        names = {one["id"]: str(one["name"]) for one in values.get("categories", [])}
        regions = [
            _region(one, places[one["image_id"]], names, plane)
            for one in values["annotations"]
            if one["image_id"] in places
        ]
        return draw(regions, shape, axes)
    except InputError:
        raise
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
        said = f"{error} is missing" if isinstance(error, KeyError) else error
        raise InputError(f"{path.name} is no COCO file: {said}.") from error


def write_coco(path: Path, annotations: Annotations, image: str = "image") -> None:
    """Write a data set of one image; what is not checked becomes a crowd called "ignore".

    Parameters
    ----------
    path : Path
    annotations : Annotations
    image : str
        Name of the image file.
    """
    height, width = annotations.labels.shape[-2:]
    count = int(np.prod(annotations.labels.shape[:-2]))
    regions = list(regions_of(annotations))
    names = sorted({region.name or "cell" for region in regions})
    categories = {name: number for number, name in enumerate(names, start=1)}
    images = [{"id": n + 1, "file_name": image, "width": width, "height": height} for n in range(1)]
    if annotations.labels.ndim > 2:
        stem, suffix = Path(image).stem, Path(image).suffix
        images = [
            {
                "id": place + 1,
                "file_name": f"{stem}_{place + 1:04d}{suffix}",
                "width": width,
                "height": height,
                "plane_of": image,
            }
            for place in range(count)
        ]
    values = {
        "images": images,
        "annotations": [
            _annotation(one, number, categories, (height, width))
            for number, one in enumerate(regions, start=1)
        ],
        "categories": [{"id": number, "name": name} for name, number in categories.items()],
    }
    write_beside(path, json.dumps(values, separators=(",", ":")).encode())


def _wanted(images: list[dict[str, Any]], name: str | None, path: Path) -> list[dict[str, Any]]:
    """Return the image, or all planes of a stack, in order."""
    found = images
    if len(images) > 1 and name is not None:
        stem = Path(name).stem
        found = [
            one
            for one in images
            if stem in (Path(str(one.get(key, ""))).stem for key in ("file_name", "plane_of"))
        ]
    stacks = {one.get("plane_of") for one in found}
    if len(found) == 1 or (len(found) > 1 and len(stacks) == 1 and None not in stacks):
        return found
    what = f"{len(found)} called {Path(name).stem}" if name and found != images else len(images)
    raise InputError(
        f"{path.name} is of {what or 'no'} images; give the one that is meant (--image)."
    )


def _region(
    one: dict[str, Any], place: int, names: dict[Any, str], shape: tuple[int, int]
) -> Region:
    number = one.get("label", one["id"])
    number = number if isinstance(number, int) else None
    name = "ignore" if one.get("iscrowd") else names.get(one.get("category_id"), "")
    shown = one["segmentation"]
    if isinstance(shown, dict):
        return Region([], name, number, (place,), mask=partial(_unrun, shown, shape))
    polygons: list[Polygon] = [[np.array(part, float).reshape(-1, 2)] for part in shown]
    return Region(polygons, name, number, (place,))


def _unrun(shown: dict[str, Any], shape: tuple[int, int]) -> tuple[Box, Any]:
    counts: Sequence[int] | str = shown["counts"]
    if tuple(shown["size"]) != shape:
        raise InputError(f"Run lengths are of {shown['size']} pixels and the image of {shape}.")
    if isinstance(counts, str):
        counts = text_to_counts(counts)
    mask = counts_to_mask(counts, shape)
    box = ndimage.find_objects(mask.view(np.uint8))  # a mask of the plane for each would be large
    if not box:
        return (slice(0, 0), slice(0, 0)), mask[:0, :0]
    return box[0], mask[box[0]].copy()


def _annotation(
    region: Region, number: int, categories: dict[str, int], shape: tuple[int, int]
) -> dict[str, Any]:
    corners = np.concatenate([ring for polygon in region.polygons for ring in polygon])
    (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
    box, inside = fill([ring for polygon in region.polygons for ring in polygon], shape)
    shown: Any = [polygon[0].astype(int).ravel().tolist() for polygon in region.polygons]
    is_crowd = is_ignored(region.name)
    if is_crowd or any(len(polygon) > 1 for polygon in region.polygons):
        mask = np.zeros(shape, bool)
        mask[box] = inside
        shown = {"size": list(shape), "counts": counts_to_text(mask_to_counts(mask))}
    values = {
        "id": number,
        "image_id": 1 + (region.planes or (0,))[0],
        "category_id": categories[region.name or "cell"],
        "segmentation": shown,
        "area": int(np.count_nonzero(inside)),
        "bbox": [int(left), int(top), int(right - left), int(bottom - top)],
        "iscrowd": int(is_crowd),
    }
    return values | ({"label": region.number} if region.number else {})
