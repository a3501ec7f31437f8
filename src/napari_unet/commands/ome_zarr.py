"""Segment an OME-Zarr of any size from Python, here or on a cluster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any  # dask is not typed

from napari_unet.commands.batch import Journal
from napari_unet.commands.segment import SegmentOptions, what_counts
from napari_unet.commands.segment_zarr import segment_zarr, zarr_target

if TYPE_CHECKING:
    from napari_unet.engine.cluster import Cluster

__all__ = ["segment_ome_zarr"]


def segment_ome_zarr(
    image: str | Path,
    labels: str | Path,
    model: str = "nuclei-fluorescence",
    *,
    options: SegmentOptions | None = None,
    client: Any = None,
    again: bool = False,
    progress: Callable[[float, float], None] | None = None,
) -> int:
    """Segment an OME-Zarr into another, in bounded memory; after a stop it goes on where it was.

    It is what `napari-unet segment` does, and goes on with what that has begun.

    Parameters
    ----------
    image, labels : str or Path
        Folders; where they are the same, labels go into the image.
    model : str
        Name or path.
    options : SegmentOptions, optional
        How; None takes the model's settings.
    client : distributed.Client or str, optional
        Of a dask cluster, or its address: its workers compute. It is left open.
    again : bool
        Do anew what is done.
    progress : callable, optional
        Called with (done, total).

    Returns
    -------
    int
        How many objects there are.

    Raises
    ------
    InputError
        If something cannot be read or written, or nobody answers at the address.
    """
    from napari_unet.core.model_file import load_model  # torch

    options = options or SegmentOptions()
    path = Path(image)
    key = Journal(None, what_counts(model, options)).key(path)
    cluster = None if client is None else _cluster(client)
    try:
        objects, _ = segment_zarr(
            path,
            zarr_target(path, Path(labels)),
            load_model(model),
            options,
            progress or _silent,
            key=key,
            again=again,
            cluster=cluster,
        )
    finally:
        if cluster is not None:
            cluster.close()
    return objects


def _cluster(client: Any) -> Cluster:
    from napari_unet.engine.cluster import Cluster  # for weight

    return Cluster(client)


def _silent(done: float, total: float) -> None:
    """Tell nobody."""
