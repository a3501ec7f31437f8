"""From foreground probabilities to instance labels; fast enough for live sliders."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any  # probabilities come as float or quantised

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unet.core.errors import InputError
from napari_unet.core.object_score import ObjectScore, choose_objects, upper_threshold
from napari_unet.core.rescale import resize_image, resize_labels
from napari_unet.core.split_touching import split_objects
from napari_unet.core.targets import fill_gaps

__all__ = [
    "check_settings",
    "components",
    "fill_holes",
    "foreground_of",
    "objects_at",
    "probability_to_labels",
    "remove_small",
    "volume_to_labels",
]

# A hole of up to this part of its object is filled (chosen).
HOLE = 0.1


def probability_to_labels(
    probability: NDArray[Any],
    *,
    threshold: float = 0.5,
    min_size: int = 20,
    split: float = 0.0,
    shape: tuple[int, int] | None = None,
    score: ObjectScore | None = None,
    typical_areas: tuple[float, float] | None = None,
) -> NDArray[np.int32]:
    """Label the connected pixels above a threshold, fill small holes and close the gaps.

    Parameters
    ----------
    probability : ndarray of float (0 to 1) or uint8 (255 is 1.0), shape (Y, X)
        Probability of the foreground.
    threshold : float
        Pixels of at least this probability are foreground, 0 to 1.
    min_size : int
        Objects of fewer pixels are left out.
    split : float
        0 leaves objects as they are connected; up to 1, waists are cut ever more eagerly, see
        `napari_unet.core.split_touching`.
    shape : tuple of int, optional
        Rows and columns of the image, where the probability is of that image rescaled: objects
        are told apart as the network saw them and then brought to the image's pixels.
        `min_size` counts these.
    score : ObjectScore, optional
        With it objects are made at a second, higher threshold too, and those that look most like
        true ones are chosen; see `napari_unet.core.object_score`.
    typical_areas : tuple of float, optional
        Where this is a part of an image: what the score needs to know of all of it, see
        `choose_objects`.

    Returns
    -------
    ndarray of int32, shape (Y, X) or `shape`
        Objects are numbered from 1 without holes in the numbering.
    """
    if probability.ndim != 2:
        raise InputError(f"Probabilities of shape {probability.shape} are not one plane.")
    check_settings(threshold, split)
    is_rescaled = shape is not None and shape != probability.shape
    size = min_size
    if shape is not None and is_rescaled:
        size = int(min_size * probability.size / max(1, shape[0] * shape[1]))
    labels = objects_at(probability, threshold, size, split)
    upper, is_upper = None, np.zeros(0, bool)
    if score is not None:
        upper = upper_threshold(threshold)
        higher = objects_at(probability, upper, size, split)
        labels, is_upper = choose_objects(
            labels, higher, _belief(probability), score, threshold, typical_areas
        )
    if shape is None or not is_rescaled:
        return labels
    cut = _Cut(threshold, upper, is_upper)
    return remove_small(_at_shape(labels, probability, cut, shape), min_size)


def volume_to_labels(
    probability: NDArray[Any],
    *,
    threshold: float = 0.5,
    min_size: int = 20,
    split: float = 0.0,
    spacing: Sequence[float] | None = None,
) -> NDArray[np.int32]:
    """Label the objects of a volume, which reach through its planes.

    Parameters
    ----------
    probability : ndarray of float (0 to 1) or uint8 (255 is 1.0), shape (Z, Y, X)
        Probability of the foreground.
    threshold, min_size, split
        See `probability_to_labels`; sizes are in voxels.
    spacing : sequence of float, optional
        How far voxels lie apart along each axis, in pixels of a plane; by default 1.

    Returns
    -------
    ndarray of int32, shape (Z, Y, X)
        Objects are numbered from 1 without holes in the numbering.
    """
    if probability.ndim != 3:
        raise InputError(f"Probabilities of shape {probability.shape} are not one volume.")
    check_settings(threshold, split)
    return objects_at(probability, threshold, min_size, split, spacing)


def objects_at(
    probability: NDArray[Any],
    threshold: float,
    min_size: int,
    split: float,
    spacing: Sequence[float] | None = None,
) -> NDArray[np.int32]:
    """Return the objects of a plane or volume at one threshold; parameters as above."""
    foreground = fill_holes(foreground_of(probability, threshold))
    if split > 0:
        belief = _belief(probability)
        labels = split_objects(foreground, belief, split, min_size=min_size, spacing=spacing)
    else:
        labels = components(foreground)
    # What is too small goes first: no gap is filled on its account.
    return fill_gaps(remove_small(labels, min_size)).astype(np.int32, copy=False)


@dataclass(frozen=True, slots=True, eq=False)
class _Cut:
    """At which threshold each object was made."""

    lower: float
    upper: float | None
    is_upper: NDArray[np.bool_]  # by number

    def foreground(self, probability: NDArray[Any], labels: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Return which pixels are above the threshold of the object that they belong to."""
        above = foreground_of(probability, self.lower)
        if self.upper is not None:
            above &= ~self.is_upper[labels] | foreground_of(probability, self.upper)
        return above


def _belief(probability: NDArray[Any]) -> NDArray[np.float32]:
    """Probabilities as float32 from 0 to 1."""
    scale = np.float32(1 / 255 if probability.dtype == np.uint8 else 1)
    return probability.astype(np.float32) * scale


def _at_shape(
    labels: NDArray[np.int32], probability: NDArray[Any], cut: _Cut, shape: tuple[int, int]
) -> NDArray[np.int32]:
    """Bring labels to another grid; on a finer one their outline follows the probability."""
    out = resize_labels(labels, shape)
    step = labels.shape[0] / shape[0]
    if step < 1:
        coarse = resize_labels(cut.foreground(probability, labels).astype(np.int32), shape) > 0
        grown = _grown(out, 1 / step)
        fine = cut.foreground(resize_image(_belief(probability)[None], shape)[0], grown)
        # What is labelled though it is not foreground is a hole or a gap that was filled.
        out = np.where(fine, grown, np.where(coarse, 0, out))
    return out


def _grown(labels: NDArray[np.int32], distance: float) -> NDArray[np.int32]:
    """Give background within a distance of objects to the nearest one."""
    away, nearest = ndimage.distance_transform_edt(labels == 0, return_indices=True)
    return np.where(away <= distance, labels[tuple(nearest)], labels)


def fill_holes(foreground: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Fill what an object encloses, where it is small against the object.

    Texture inside large objects leaves holes, which would also make `split` cut there. What is
    more than `HOLE` of its object is left: rings are rings.
    """
    background, count = ndimage.label(~foreground)
    if count <= 1:
        return foreground
    area = np.bincount(background.ravel(), minlength=count + 1)
    rim = [background.take(end, axis) for axis in range(background.ndim) for end in (0, -1)]
    is_hole = np.ones(count + 1, bool)
    is_hole[np.concatenate([[0], *map(np.ravel, rim)])] = False
    holes = np.flatnonzero(is_hole)
    if not len(holes):
        return foreground
    objects, number = ndimage.label(foreground, np.ones(foreground.ndim * (3,), bool))
    # A hole is within one object alone: the one above its topmost pixel, or before its first plane.
    first = np.full(count + 1, -1)
    flat = background.ravel()
    inside = np.flatnonzero(is_hole[flat])
    first[flat[inside[::-1]]] = inside[::-1]
    around = objects.ravel()[first[holes] - math.prod(foreground.shape[1:])]
    size = np.bincount(objects.ravel(), minlength=number + 1)
    filled = np.zeros(count + 1, bool)
    filled[holes] = area[holes] <= HOLE * size[around]
    filled_in: NDArray[np.bool_] = foreground | filled[background]
    return filled_in


def components(foreground: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Number what is connected, also by corners, from 1."""
    labels = np.zeros(foreground.shape, np.int32)
    ndimage.label(foreground, np.ones(foreground.ndim * (3,), bool), output=labels)
    return labels


def foreground_of(probability: NDArray[Any], threshold: float) -> NDArray[np.bool_]:
    """Return where a probability, as float or in 8 bits, is at least the threshold."""
    if probability.dtype == np.uint8:
        is_there: NDArray[np.bool_] = probability >= max(1, round(threshold * 255))
    elif probability.dtype.kind == "f":
        # Never all of the plane: what a byte cannot tell from 0 is background.
        is_there = probability >= max(threshold, 0.5 / 255)
    else:
        raise InputError(f"Probabilities are {probability.dtype}; they must be float or uint8.")
    return is_there


def check_settings(threshold: float, split: float) -> None:
    """Refuse settings of `probability_to_labels` that are out of their bounds.

    Raises
    ------
    InputError
        With a sentence that names the setting.
    """
    if not 0 <= threshold <= 1:
        raise InputError(f"The threshold is {threshold}; it must be from 0 to 1.")
    if not 0 <= split <= 1:
        raise InputError(f"Split is {split}; it must be from 0 to 1.")


def remove_small(labels: NDArray[np.int32], min_size: int) -> NDArray[np.int32]:
    """Drop objects of fewer pixels than `min_size` and number the rest from 1."""
    sizes = np.bincount(labels.ravel())
    if len(sizes) <= 1:
        return labels
    keep = sizes >= max(1, min_size)
    keep[0] = False
    number = np.cumsum(keep, dtype=np.int32)
    return np.where(keep, number, 0).astype(np.int32)[labels]
