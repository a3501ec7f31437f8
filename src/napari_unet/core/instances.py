"""From foreground probabilities to instance labels; fast enough for live sliders."""

from __future__ import annotations

from typing import Any  # probabilities come as float or quantised

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unet.core.belief import belief_of, foreground_of
from napari_unet.core.draw_labels import Cut, Grids, draw_labels
from napari_unet.core.errors import InputError
from napari_unet.core.object_score import ObjectScore, choose_objects, upper_threshold
from napari_unet.core.split_touching import split_objects
from napari_unet.core.targets import fill_gaps

__all__ = [
    "check_settings",
    "components",
    "fill_holes",
    "objects_at",
    "probability_to_labels",
    "remove_small",
    "scored_objects",
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
    check_settings(threshold, split)
    is_rescaled = shape is not None and shape != probability.shape
    size = min_size
    if shape is not None and is_rescaled:
        size = int(min_size * probability.size / max(1, shape[0] * shape[1]))
    labels, is_upper = scored_objects(probability, threshold, size, split, score, typical_areas)
    if shape is None or not is_rescaled:
        return labels
    upper = None if score is None else upper_threshold(threshold)
    cut, grids = Cut(threshold, upper, is_upper), Grids(labels.shape, shape)
    whole = slice(0, shape[0]), slice(0, shape[1])
    seen = grids.seen(whole)
    return remove_small(draw_labels(labels[seen], probability[seen], cut, grids, whole), min_size)


def scored_objects(
    probability: NDArray[Any],
    threshold: float,
    min_size: int,
    split: float,
    score: ObjectScore | None = None,
    typical_areas: tuple[float, float] | None = None,
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Return objects as the network saw them, and by number which are of the upper threshold.

    See `probability_to_labels` for the parameters.
    """
    labels = objects_at(probability, threshold, min_size, split)
    if score is None:
        return labels, np.zeros(int(labels.max(initial=0)) + 1, bool)
    higher = objects_at(probability, upper_threshold(threshold), min_size, split)
    return choose_objects(labels, higher, belief_of(probability), score, threshold, typical_areas)


def objects_at(
    probability: NDArray[Any], threshold: float, min_size: int, split: float
) -> NDArray[np.int32]:
    """Return the objects at one threshold; see `probability_to_labels` for the parameters."""
    foreground = fill_holes(foreground_of(probability, threshold))
    if split > 0:
        labels = split_objects(foreground, belief_of(probability), split, min_size=min_size)
    else:
        labels = components(foreground)
    # What is too small goes first: no gap is filled on its account.
    return fill_gaps(remove_small(labels, min_size)).astype(np.int32, copy=False)


def fill_holes(foreground: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Fill what an object encloses, where it is small against the object.

    Texture inside large objects leaves holes, which would also make `split` cut there. What is
    more than `HOLE` of its object is left: rings are rings.
    """
    background, count = ndimage.label(~foreground)
    if count <= 1:
        return foreground
    area = np.bincount(background.ravel(), minlength=count + 1)
    rim = (background[0], background[-1], background[:, 0], background[:, -1])
    is_hole = np.ones(count + 1, bool)
    is_hole[np.concatenate([[0], *rim])] = False
    holes = np.flatnonzero(is_hole)
    if not len(holes):
        return foreground
    objects, number = ndimage.label(foreground, np.ones((3, 3), bool))
    # A hole is within one object alone: the one above its topmost pixel.
    first = np.full(count + 1, -1)
    flat = background.ravel()
    inside = np.flatnonzero(is_hole[flat])
    first[flat[inside[::-1]]] = inside[::-1]
    around = objects.ravel()[first[holes] - foreground.shape[1]]
    size = np.bincount(objects.ravel(), minlength=number + 1)
    filled = np.zeros(count + 1, bool)
    filled[holes] = area[holes] <= HOLE * size[around]
    filled_in: NDArray[np.bool_] = foreground | filled[background]
    return filled_in


def components(foreground: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Number what is connected, also by corners, from 1."""
    labels = np.zeros(foreground.shape, np.int32)
    ndimage.label(foreground, np.ones((3, 3), bool), output=labels)
    return labels


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
