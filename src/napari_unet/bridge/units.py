"""How wide a pixel is in the real world, where a layer says so."""

from __future__ import annotations

from math import isfinite, sqrt
from typing import Any  # pint has no types of its own for what napari hands out

from napari.layers import Image as ImageLayer
from napari.layers import Layer

__all__ = ["micrometres_of", "pixel_size_of"]


def pixel_size_of(layer: ImageLayer) -> tuple[float, str] | None:
    """Return the width of a pixel and its unit, such as ``(0.5, "µm")``; None if that is unknown.

    Where pixels are not square it is the side of a square of the same area.
    """
    units: tuple[Any, ...] = getattr(layer, "units", ())  # came with napari 0.5.5
    if len(units) < 2 or not all(map(_is_length, units[-2:])):
        return None
    y, x = (abs(float(scale)) for scale in layer.scale[-2:])
    size = sqrt(y * float((1 * units[-2]).to(units[-1]).magnitude) * x)
    if not isfinite(size) or size <= 0:
        return None
    return size, f"{units[-1]:~P}"


def micrometres_of(layer: Layer, axes: str) -> dict[str, float] | None:
    """Return the size of a pixel along Z, Y and X in micrometres, by letter; None if not known.

    Parameters
    ----------
    layer : napari.layers.Layer
    axes : str
        One letter for each of the layer's dimensions; those other than Z, Y and X are left out,
        and so is Z where only Y and X have a length.
    """
    units: tuple[Any, ...] = getattr(layer, "units", ())  # came with napari 0.5.5
    found = {}
    for axis, unit, scale in zip(axes[-len(units) :], units, layer.scale, strict=False):
        if axis in "ZYX" and _is_length(unit):
            found[axis] = abs(float(scale)) * float((1 * unit).to("micrometer").magnitude)
    usable = {"Y", "X"} <= set(found) and all(
        isfinite(step) and step > 0 for step in found.values()
    )
    return found if usable else None


def _is_length(unit: Any) -> bool:
    return dict(getattr(unit, "dimensionality", {})) == {"[length]": 1}
