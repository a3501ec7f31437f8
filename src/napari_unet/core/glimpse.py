"""Objects of what is seen of a large plane, which are soon there, before those of all of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any  # probabilities come as float or quantised

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.blocks import BlockSettings, Slices, label_part
from napari_unet.core.draw_labels import Cut, Grids, draw_labels
from napari_unet.core.instances import model_size
from napari_unet.core.object_score import outline_of_upper

__all__ = ["MARGIN", "labels_of_part", "widened"]

# Objects are cut where a part ends: it ends so many pixels beyond what is seen (chosen).
MARGIN = 64

# What is connected to the part is looked at as far as this; a glimpse is to be quick (chosen).
MOST_MARGIN = 256


def widened(part: Slices, shape: tuple[int, int]) -> Slices:
    """Return a part of a plane with `MARGIN` pixels around it."""
    y, x = (
        slice(max(0, side.start - MARGIN), min(size, side.stop + MARGIN))
        for side, size in zip(part, shape, strict=True)
    )
    return y, x


def labels_of_part(
    probability: NDArray[Any],
    part: Slices,
    settings: BlockSettings,
    shape: tuple[int, int],
    typical_areas: tuple[float, float] | None = None,
) -> NDArray[np.int32]:
    """Make the objects of a part of a plane, as `probability_to_labels` makes them of all of it.

    They are the same, but for their numbers, unless what is connected to the part reaches further
    than `MOST_MARGIN` pixels beyond it, or the typical areas are not those of the whole.

    Parameters
    ----------
    probability : ndarray of float (0 to 1) or uint8, shape (Y, X)
        Of the foreground, as the network saw the plane.
    part : tuple of slice
        Rows and columns of the image.
    settings : BlockSettings
        How; `min_size` counts pixels of the image.
    shape : tuple of int
        Rows and columns of the image.
    typical_areas : tuple of float, optional
        Of the whole plane, see `choose_objects`; else those of the part.

    Returns
    -------
    ndarray of int32, shape of the part
        Objects are numbered from 1, with holes in the numbering; at its edges they are cut.
    """
    grids = Grids((probability.shape[0], probability.shape[1]), shape)
    if grids.model == shape:
        return label_part(probability, part, settings, typical_areas)[0]
    seen = grids.seen(part)
    in_model = replace(settings, min_size=model_size(settings.min_size, probability, shape))
    labels, is_upper = label_part(probability, seen, in_model, typical_areas)
    upper = None if settings.score is None else outline_of_upper(settings.threshold)
    cut = Cut(settings.threshold, upper, is_upper)
    return _without_small(
        draw_labels(labels, probability[seen], cut, grids, part), settings.min_size
    )


def _without_small(labels: NDArray[np.int32], min_size: int) -> NDArray[np.int32]:
    """Drop objects of fewer pixels, but for those that are cut."""
    keep = np.bincount(labels.ravel(), minlength=1) >= min_size
    keep[np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])] = True
    return np.where(keep[labels], labels, 0)
