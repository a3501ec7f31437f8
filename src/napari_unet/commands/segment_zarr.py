"""`napari-unet segment` of an OME-Zarr: plane by plane, in as much memory as one plane takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any  # images come in any real dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.commands.inputs import Reading, check_channels
from napari_unet.core.errors import InputError
from napari_unet.core.planes import cut_plane, plane_places
from napari_unet.formats.ome_zarr import open_ome_zarr
from napari_unet.formats.ome_zarr_labels import LabelsWriter

if TYPE_CHECKING:
    from napari_unet.commands.segment import SegmentOptions
    from napari_unet.core.model_file import Model

__all__ = ["segment_zarr", "zarr_target"]

INSIDE = "napari-unet"  # what labels are called in the image's own OME-Zarr

# Pixels of a plane that is segmented in one piece: its probabilities and labels take about 20
# bytes for each (chosen: 3 GB).
MAX_PLANE = 2**27


def zarr_target(source: Path, out: Path) -> Path:
    """Return where the labels of an OME-Zarr go; if it is named itself, they go into it."""
    return out / "labels" / INSIDE if out.resolve() == source.resolve() else out


def segment_zarr(
    path: Path,
    target: Path,
    model: Model,
    options: SegmentOptions,
    progress: Callable[[float, float], None],
    *,
    key: str,
    again: bool,
) -> tuple[int, float | None]:
    """Segment an OME-Zarr into another, going on where an earlier run was stopped.

    Parameters
    ----------
    path, target : Path
        Image and labels.
    model, options, progress
        See `segment_file`.
    key : str
        See `LabelsWriter`.
    again : bool
        Do anew what is done.

    Returns
    -------
    tuple of int and float or None
        How many objects there are, and how large.

    Raises
    ------
    InputError
        If it cannot be read, or a plane is too large to be held in memory.
    """
    from napari_unet.core.measure import measure_stack  # torch: not needed to read the options
    from napari_unet.core.segmentation import segment

    if model.config.is_volumetric:
        raise InputError(
            f"{path.name} is OME-Zarr, which a model of volumes cannot segment yet; save the "
            "volume as a TIFF, or choose a model of planes."
        )
    image = open_ome_zarr(path)
    axes = options.reading.named(image.data.shape, image.axes, path)
    picked = _Picked(image.data, axes, options.reading, path)
    check_channels(picked.shape, picked.axes, model.config.in_channels, path)
    _check_plane(picked.shape, picked.axes, path)
    writer = LabelsWriter(target, image, axes=axes, key=key, again=again)
    places = list(plane_places(picked.shape, picked.axes))
    diameter = options.diameter
    where = {"device": options.device, "precision": options.precision}
    if diameter is None and not all(map(writer.is_done, places)):
        diameter = measure_stack(picked, picked.axes, model, **where)
    for number, place in enumerate(places):

        def show(done: int, total: int, number: int = number) -> None:
            progress(number + done / total, len(places))

        if not writer.is_done(place):
            result = segment(
                cut_plane(picked, picked.axes, place),
                model,
                axes="CYX",
                diameter=diameter or model.config.diameter,
                threshold=options.threshold,
                min_size=options.min_size,
                split=options.split,
                flips=options.flips,
                progress=show,
                **where,
            )
            writer.write(place, result.labels, int(result.labels.max()))
        progress(number + 1, len(places))
    return writer.objects(), diameter


class _Picked:
    """A lazy image of which only the chosen channels are seen; read plane by plane."""

    def __init__(self, data: Any, axes: str, reading: Reading, path: Path) -> None:
        self._data, self._axes, self._reading, self._path = data, axes, reading, path
        sizes = dict(zip(axes, data.shape, strict=True))
        corner = np.empty([sizes[axis] if axis == "C" else 1 for axis in axes])
        found, self.axes = reading.picked(corner, axes, path)
        seen = zip(self.axes, found.shape, strict=True)
        self.shape = tuple(count if axis == "C" else sizes[axis] for axis, count in seen)
        self.dtype = data.dtype

    def __getitem__(self, index: tuple[slice | int, ...]) -> NDArray[Any]:
        """Return the channels of a plane, at an index as `cut_plane` makes it."""
        at: dict[str, slice | int] = dict(zip(self.axes, index, strict=True))
        whole = [at.get(axis, slice(None)) for axis in self._axes]
        left = "".join(
            axis for axis, one in zip(self._axes, whole, strict=True) if isinstance(one, slice)
        )
        return self._reading.picked(np.asarray(self._data[tuple(whole)]), left, self._path)[0]


def _check_plane(shape: tuple[int, ...], axes: str, path: Path) -> None:
    pixels = shape[axes.index("Y")] * shape[axes.index("X")]
    if pixels > MAX_PLANE:
        raise InputError(
            f"{path.name} has planes of {pixels / 1e6:,.0f} million pixels; up to "
            f"{MAX_PLANE / 1e6:,.0f} million are segmented, cut it into parts."
        )
