"""How large a pixel is in the world, where a file says so: ImageJ's, OME's and BioIO's metadata."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any  # what tifffile reads of ImageJ is a loose dict
from xml.etree import ElementTree

import tifffile

from napari_unet.formats.images import TIFF_SUFFIXES
from napari_unet.formats.other_images import OTHER_SUFFIXES, spacing_of_other

__all__ = ["are_unlike", "plane_distance", "read_spacing"]

# Volumes whose planes lie this much farther apart than those of others are another kind (chosen).
MOST_UNLIKE = 1.5

# Micrometres in what ImageJ and OME call their units.
MICROMETRES = {
    "pm": 1e-6,
    "nm": 1e-3,
    "µm": 1.0,
    "μm": 1.0,  # the Greek letter, which looks the same
    "um": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "mm": 1e3,
    "cm": 1e4,
    "m": 1e6,
}


def read_spacing(path: str | Path) -> dict[str, float] | None:
    """Return the size of a pixel along Y, X and perhaps Z in micrometres; None if it is not known.

    Parameters
    ----------
    path : str or Path
        An image that can be read.
    """
    path = Path(path)
    is_other = path.suffix.lower() in OTHER_SUFFIXES
    if not is_other and path.suffix.lower() not in TIFF_SUFFIXES:
        return None
    try:
        found = spacing_of_other(path) if is_other else _of_tiff(path)
    except Exception:  # what it does not say well it does not say: the image is read all the same
        return None
    usable = all(math.isfinite(step) and step > 0 for step in found.values())
    return found if usable and {"Y", "X"} <= set(found) else None


def plane_distance(steps: Mapping[str, float]) -> float:
    """Return how many pixels planes lie apart, of the sizes along Z, Y and X."""
    return steps["Z"] / math.sqrt(steps["Y"] * steps["X"])


def are_unlike(one: float, other: float) -> bool:
    """Whether two distances of planes are those of volumes of another kind."""
    return max(one, other) > MOST_UNLIKE * min(one, other)


def _of_tiff(path: Path) -> dict[str, float]:
    with tifffile.TiffFile(path) as file:
        return _of_ome(file.ome_metadata) if file.is_ome else _of_imagej(file)


def _of_ome(text: str | None) -> dict[str, float]:
    if text is None or "<!ENTITY" in text:
        return {}
    found = {}
    root = ElementTree.fromstring(text)
    pixels = next(one for one in root.iter() if one.tag.rpartition("}")[2] == "Pixels")
    for axis in "ZYX":
        if size := pixels.get(f"PhysicalSize{axis}"):
            unit = pixels.get(f"PhysicalSize{axis}Unit", "µm")
            found[axis] = float(size) * MICROMETRES[unit]
    return found


def _of_imagej(file: tifffile.TiffFile) -> dict[str, float]:
    values: dict[str, Any] = file.imagej_metadata or {}
    unit = str(values.get("unit", "")).replace("\\u00B5", "µ")
    if unit not in MICROMETRES:
        return {}
    found = {}
    for axis, tag in (("Y", "YResolution"), ("X", "XResolution")):
        count, per = file.pages.first.tags[tag].value  # pixels a unit, as a fraction
        found[axis] = per / count * MICROMETRES[unit]
    if "spacing" in values:
        found["Z"] = float(values["spacing"]) * MICROMETRES[unit]
    return found
