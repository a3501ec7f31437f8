"""From foreground probabilities to instance labels; fast enough for live sliders."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any  # probabilities come as float or quantised

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unet.core.belief import belief_of, foreground_of
from napari_unet.core.choose_objects import choose_objects
from napari_unet.core.draw_labels import Cut, Grids, draw_labels
from napari_unet.core.errors import InputError
from napari_unet.core.grow import grow_where
from napari_unet.core.object_score import ObjectScore, outline_of_upper, upper_threshold
from napari_unet.core.runs import runs_of_background, runs_of_foreground
from napari_unet.core.smallest import remove_small
from napari_unet.core.split_touching import Hills, find_hills, smoothed
from napari_unet.core.split_volume import split_volume
from napari_unet.core.targets import fill_gaps, fill_gaps_and_nooks
from napari_unet.core.threads import in_threads

__all__ = [
    "PlaneObjects",
    "check_settings",
    "components",
    "fill_holes",
    "model_size",
    "objects_at",
    "probability_to_labels",
    "scored_objects",
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
        Objects of fewer pixels are left out; what the border cuts off may be smaller, see
        `napari_unet.core.smallest`.
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
    return PlaneObjects(probability).labels(
        threshold=threshold,
        min_size=min_size,
        split=split,
        shape=shape,
        score=score,
        typical_areas=typical_areas,
    )


class PlaneObjects:
    """Makes objects of the same probabilities again and again, as sliders ask for them.

    What does not change with a setting is kept from the call before: smoothed probabilities for
    all of them, foreground and hills for as long as the threshold stays. One thread at a time
    may call it.

    Parameters
    ----------
    probability : ndarray of float (0 to 1) or uint8 (255 is 1.0), shape (Y, X)
        Probability of the foreground; it must not change.

    Attributes
    ----------
    typical_areas : tuple of float or None
        Medians of the objects that were judged last, at both thresholds; see `choose_objects`.
    """

    def __init__(self, probability: NDArray[Any]) -> None:
        self.probability = probability
        self.typical_areas: tuple[float, float] | None = None
        self._belief: NDArray[np.float32] | None = None
        self._smoothed: NDArray[np.float32] | None = None
        self._bases: dict[float, _Base] = {}

    def labels(
        self,
        *,
        threshold: float = 0.5,
        min_size: int = 20,
        split: float = 0.0,
        shape: tuple[int, int] | None = None,
        score: ObjectScore | None = None,
        typical_areas: tuple[float, float] | None = None,
    ) -> NDArray[np.int32]:
        """Return what `probability_to_labels` does."""
        probability = self.probability
        if probability.ndim != 2:
            raise InputError(f"Probabilities of shape {probability.shape} are not one plane.")
        check_settings(threshold, split)
        is_rescaled = shape is not None and shape != probability.shape
        size = min_size
        if shape is not None and is_rescaled:
            size = model_size(min_size, probability, shape)
        labels, is_upper = self.scored(threshold, size, split, score, typical_areas)
        if shape is None or not is_rescaled:
            return labels
        upper = None if score is None else outline_of_upper(threshold)
        cut, grids = Cut(threshold, upper, is_upper), Grids(labels.shape, shape)
        whole = slice(0, shape[0]), slice(0, shape[1])
        seen = grids.seen(whole)
        drawn = draw_labels(labels[seen], probability[seen], cut, grids, whole)
        return remove_small(drawn, min_size)

    def scored(
        self,
        threshold: float,
        min_size: int,
        split: float,
        score: ObjectScore | None,
        typical_areas: tuple[float, float] | None,
    ) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Return what `scored_objects` does."""
        if score is None:
            (labels,) = self.at([threshold], min_size, split)
            return labels, np.zeros(int(labels.max(initial=0)) + 1, bool)
        lower, higher = self.at([threshold, upper_threshold(threshold)], min_size, split)
        labels, is_upper, self.typical_areas = choose_objects(
            lower, higher, self._as_belief(), score, threshold, typical_areas
        )
        grow_where(labels, self._as_belief(), outline_of_upper(threshold), is_upper)
        return labels, is_upper

    def at(
        self, thresholds: Sequence[float], min_size: int, split: float
    ) -> list[NDArray[np.int32]]:
        """Return the objects at each of some thresholds, see `objects_at`."""
        if split > 0 and self._smoothed is None:
            self._smoothed = smoothed(self._as_belief())
        self._bases = {
            threshold: self._bases.get(threshold) or _Base(self.probability, threshold)
            for threshold in thresholds
        }

        def objects(threshold: float) -> NDArray[np.int32]:
            return self._bases[threshold].objects(self._smoothed, min_size, split)

        return in_threads(objects, thresholds, self.probability.size)

    def _as_belief(self) -> NDArray[np.float32]:
        if self._belief is None:
            self._belief = belief_of(self.probability)
        return self._belief


class _Base:
    """What is known of the foreground at one threshold."""

    def __init__(self, probability: NDArray[Any], threshold: float) -> None:
        self._probability, self._threshold = probability, threshold
        self._foreground: NDArray[np.bool_] | None = None
        self._hills: Hills | None = None

    def objects(
        self, belief: NDArray[np.float32] | None, min_size: int, split: float
    ) -> NDArray[np.int32]:
        """Return the objects; with a split there must be a smoothed belief."""
        if self._foreground is None:
            self._foreground = fill_holes(foreground_of(self._probability, self._threshold))
        if split > 0 and belief is not None:
            if self._hills is None:
                self._hills = find_hills(self._foreground, belief)
            labels = self._hills.objects(split, min_size, least=min_size)
        else:
            labels = remove_small(components(self._foreground), min_size)
        # What is too small has gone: no gap is filled on its account.
        return fill_gaps_and_nooks(labels, in_place=True).astype(np.int32, copy=False)


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
    return PlaneObjects(probability).scored(threshold, min_size, split, score, typical_areas)


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
    if probability.ndim == 2:
        return PlaneObjects(probability).at([threshold], min_size, split)[0]
    foreground = fill_holes(foreground_of(probability, threshold))
    if split > 0:
        belief = belief_of(probability)
        labels = split_volume(foreground, belief, split, min_size=min_size, spacing=spacing)
    else:
        labels = components(foreground)
    # What is too small goes first: no gap is filled on its account.
    return fill_gaps(remove_small(labels, min_size)).astype(np.int32, copy=False)


def fill_holes(foreground: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Fill what an object encloses, where it is small against the object.

    Texture inside large objects leaves holes, which would also make `split` cut there. What is
    more than `HOLE` of its object is left: rings are rings.
    """
    if foreground.ndim == 2:
        return _fill_holes_of_plane(foreground)
    background = np.empty(foreground.shape, np.int32)
    count = ndimage.label(~foreground, output=background)
    if count <= 1:
        return foreground
    flat = background.ravel()
    ends = [background.take(end, axis) for axis in range(background.ndim) for end in (0, -1)]
    rim = np.concatenate([end.ravel() for end in ends])
    is_hole = np.ones(count + 1, bool)
    is_hole[0] = is_hole[rim] = False
    if not is_hole.any():
        return foreground
    # Most of the background is one piece: then a comparison spares looking each pixel up.
    inside = np.flatnonzero((flat != np.bincount(rim[rim > 0], minlength=1).argmax()) & (flat != 0))
    inside = inside[is_hole[flat[inside]]]
    hole = flat[inside]
    area = np.bincount(hole, minlength=count + 1)
    objects = background  # what was in it is not needed any more
    number = ndimage.label(foreground, np.ones(foreground.ndim * (3,), bool), output=objects)
    # A hole is within one object alone: the one above its topmost pixel, or before its first plane.
    first = np.full(count + 1, -1)
    first[hole[::-1]] = inside[::-1]
    holes = np.flatnonzero(is_hole)
    around = objects.ravel()[first[holes] - math.prod(foreground.shape[1:])]
    size = np.bincount(objects[foreground], minlength=number + 1)
    filled = np.zeros(count + 1, bool)
    filled[holes] = area[holes] <= HOLE * size[around]
    filled_in = foreground.copy()
    filled_in.ravel()[inside[filled[hole]]] = True
    return filled_in


def _fill_holes_of_plane(foreground: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Do the same by the runs of rows, which are far fewer than pixels."""
    runs = runs_of_foreground(foreground)
    around = runs_of_background(runs)
    rows, columns = foreground.shape
    count, piece = around.pieces(by_corners=False)
    at_border = (around.starts < columns) | (around.ends > (rows - 1) * columns)
    at_border |= (around.starts % max(1, columns) == 0) | (around.ends % max(1, columns) == 0)
    is_hole = np.ones(count, bool)
    is_hole[piece[at_border]] = False
    if not is_hole.any():
        return foreground
    area = np.bincount(piece, around.ends - around.starts, count)
    first = np.empty(count, np.int64)
    first[piece[::-1]] = around.starts[::-1]
    holes = np.flatnonzero(is_hole)
    # A hole is within one object alone: the one above its topmost pixel.
    above = np.searchsorted(runs.starts, first[holes] - columns, side="right") - 1
    number, of_object = runs.pieces(by_corners=True)
    size = np.bincount(of_object, runs.ends - runs.starts, number)
    is_filled = np.zeros(count, bool)
    is_filled[holes] = area[holes] <= HOLE * size[of_object[above]]
    filled_in = foreground.copy()
    filled_in.ravel()[around.pixels(is_filled[piece])] = True
    return filled_in


def components(foreground: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Number what is connected, also by corners, from 1."""
    labels = np.zeros(foreground.shape, np.int32)
    ndimage.label(foreground, np.ones(foreground.ndim * (3,), bool), output=labels)
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


def model_size(min_size: int, probability: NDArray[Any], shape: tuple[int, int]) -> int:
    """Return a number of the image's pixels in those of the probabilities, which are rescaled."""
    return int(min_size * probability.size / max(1, shape[0] * shape[1]))
