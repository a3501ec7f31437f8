"""How wide a pixel is in the real world, where a layer says so."""

from __future__ import annotations

from math import isfinite, sqrt
from typing import Any  # pint has no types of its own for what napari hands out

from napari.layers import Image as ImageLayer

__all__ = ["pixel_size_of"]


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


def _is_length(unit: Any) -> bool:
    return dict(getattr(unit, "dimensionality", {})) == {"[length]": 1}
