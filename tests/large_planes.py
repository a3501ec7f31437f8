"""A plane that is segmented in parts though it is small, and what its labels are to be."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_unet.commands import segment_zarr
from napari_unet.core import large_plan
from napari_unet.core.instances import probability_to_labels
from napari_unet.core.model_file import Model
from napari_unet.core.predict import predict_plane
from napari_unet.core.rescale import usual_min_size
from napari_unet.core.segmentation import segment
from napari_unet.formats import ome_zarr_labels
from small_scenes import discs, photograph

__all__ = ["field", "in_memory", "make_parts_small"]


def make_parts_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every plane is too large; tiles, blocks and chunks are small."""
    monkeypatch.setattr(segment_zarr, "MAX_WHOLE", 0)
    monkeypatch.setattr(segment_zarr, "BLOCK", 64)
    monkeypatch.setattr(ome_zarr_labels, "CHUNK", 64)
    monkeypatch.setattr(ome_zarr_labels, "SMALLEST_LEVEL", 60)
    monkeypatch.setattr(large_plan, "MOST_TILE", 64)


def field() -> NDArray[np.float32]:
    """150 x 170 pixels, 28 objects, some across the borders of tiles and blocks; three cut off.

    A crumb lies at the border of a block.
    """
    places = [(y, x) for y in range(14, 140, 30) for x in range(14, 160, 30)]
    places += [(-4, 59), (104, 173), (149, 156)]
    labels = discs((150, 170), places)
    labels[62:64, 56:64] = 99
    return photograph(labels, 3)


def in_memory(model: Model, diameter: float | None = None) -> NDArray[np.int32]:
    """The labels of `segment`, of probabilities in 8 bits."""
    whole = segment(field(), model, diameter=diameter)
    assert whole.labels.max() > 20
    likely = 1 - predict_plane(field()[None], model, diameter=whole.diameter, device="cpu")[0]
    return probability_to_labels(
        np.rint(likely * np.float32(255)).astype(np.uint8),
        min_size=usual_min_size(model.config, whole.diameter),
        split=model.config.split,
        score=model.config.score,
        shape=whole.labels.shape,
    )
