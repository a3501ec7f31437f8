"""Whether a model knows a kind of image, and what it finds there that is learnt along.

What a person corrects is what was worst: on a few such cells a model that finds nine of ten looks
as if it knew nothing, and taught these few alone it takes crumbs for cells and loses others. How
likely objects are true ones, by their looks (`core/object_score.py`), is said of all that it finds.
Where most looks right, that counts as checked while it is taught, as in self-training (Yarowsky
1995; Lee 2013, "Pseudo-label").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import expand_labels

from napari_unet.core.example import Example
from napari_unet.core.instances import probability_to_labels
from napari_unet.core.model_file import Model
from napari_unet.core.normalize import intensity_range
from napari_unet.core.object_looks import looks_of
from napari_unet.core.predict import predict_plane
from napari_unet.core.rescale import resize_labels, usual_area

__all__ = ["Knowledge", "what_is_known", "with_believed"]

MOST = 4  # images that are looked at
SIDE = 512  # of what is looked at around the corrections, in pixels of the model
FEWEST = 10  # objects that say anything (chosen)

# So much of what it finds must have such a likely IoU (measured of models for nuclei: 0.26 to 0.33
# in phase contrast, 0.64 to 0.84 on nuclei of a look never seen, 0.35 to 0.55 on crowded embryos).
LIKELY, PART = 0.6, 0.5

# And it must not be contradicted by what was checked. Mean probability of the truth over checked
# cells and over checked ground, averaged where there are both (measured, the worst having been
# corrected: 0.15 to 0.34 on coins, dark nuclei and phase contrast, 0.5 and 0.56 on crowded
# embryos, 0.73 to 0.95 on other nuclei); and of likely objects on true cells so many must be right
# (measured: none of nuclei that were all fused in pairs, a third and more elsewhere).
AGREES = 0.45
RIGHT, RIGHT_IOU, FEWEST_JUDGED = 0.25, 0.6, 3

# Ground is sure where the probability of an object is less, and so far from objects that are not
# likely, in pixels of the model (chosen).
DOUBTFUL, AWAY = 0.2, 2

# Outlines are moved out by one of these, in pixels of the model, if that fits the corrected cells
# better by more than this of IoU for one cell, and so many say it (chosen).
SHIFTS = (-3.0, -2.0, -1.5, -1.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
FITS_BETTER, SAME, FEWEST_DRAWN = 0.1, 0.01, 2

Box = tuple[slice, slice]


@dataclass(frozen=True, eq=False)
class Knowledge:
    """What a model says of images, beside what was checked.

    Attributes
    ----------
    is_known : bool
        Whether most of what it finds looks right.
    believed : tuple of Example
        Of each image that was looked at, what it finds, checked where that is likely and nobody
        has checked it. Empty if the kind is not known.
    """

    is_known: bool
    believed: tuple[Example, ...] = ()


def what_is_known(
    model: Model,
    examples: Sequence[Example],
    *,
    taught: Sequence[Example] | None = None,
    device: str = "auto",
    precision: str = "auto",
) -> Knowledge:
    """Look at what a model finds near the checked areas of images.

    The kind is known where most objects look right and what was checked does not contradict that:
    the ground of a negative has likely objects too, and so have nuclei that are fused in pairs.

    Parameters
    ----------
    model : Model
        One without a score of objects knows nothing of how they look, and is not believed.
    examples : sequence of Example
        With their diameter, if the model works at one size of objects.
    taught : sequence of Example, optional
        The same, less what is kept aside: how wide outlines are drawn is taken from these.
    device, precision : str
        See `napari_unet.core.device`.
    """
    if model.config.score is None or model.config.semantic:
        return Knowledge(is_known=False)
    found = [_look(model, example, device, precision) for example in examples[:MOST]]
    each = np.concatenate([one.likely for one in found]) if found else np.zeros(0)
    if not len(each) or float((each >= LIKELY).mean()) < PART:
        return Knowledge(is_known=False)
    shift = _shift_of_outlines(examples if taught is None else taught, found)
    seen = [one.moved(shift) for one in found]
    parts = [_checked(one, of) for one, of in zip(examples, seen, strict=False)]
    judged = [is_right for one in parts for is_right in _judged(one)]
    if _is_contradicted(parts, judged) or (len(each) < FEWEST and not _is_confirmed(judged)):
        return Knowledge(is_known=False)
    pairs = zip(examples, seen, strict=False)
    return Knowledge(True, tuple(_believed(one, of) for one, of in pairs))


def with_believed(taught: Sequence[Example], knowledge: Knowledge) -> list[Example]:
    """Add what is believed to examples of the same images, as far as nobody has checked it.

    Parameters
    ----------
    taught : sequence of Example
        Those that were looked at come first, in the same order.
    knowledge : Knowledge
        Of these images.
    """
    joined = list(taught)
    for number, (own, more) in enumerate(zip(taught, knowledge.believed, strict=False)):
        labels = np.where(own.mask, own.labels, more.labels)
        joined[number] = replace(own, labels=labels, checked=own.mask | more.mask)
    return joined


@dataclass(frozen=True, eq=False)
class _Seen:
    """What a model finds in a part of an image, at its own scale."""

    box: Box  # in the image
    foreground: NDArray[np.float32]
    labels: NDArray[np.int32]
    likely: NDArray[np.float64]  # IoU of each object
    is_sure: NDArray[np.bool_]

    @property
    def reach(self) -> NDArray[np.float64]:
        """How far pixels lie outside of what was found; below 0 inside."""
        found = self.labels > 0
        inside: NDArray[np.float64] = ndimage.distance_transform_edt(found)
        outside: NDArray[np.float64] = ndimage.distance_transform_edt(~found)
        return np.where(found, 0.5 - inside, outside - 0.5)

    def moved(self, shift: float) -> _Seen:
        """Return the same objects with outlines so far out that one is sure of them."""
        if not shift:
            return self
        wider = expand_labels(self.labels, max(shift, AWAY))  # type: ignore[no-untyped-call]
        around = _is_likely(self.likely)[wider]
        labels = np.where(self.reach <= shift, wider, 0)
        return replace(self, labels=labels, is_sure=self.is_sure | around)


def _look(model: Model, example: Example, device: str, precision: str) -> _Seen:
    config = model.config
    score = config.score
    assert score is not None
    diameter = None if config.diameter is None else example.diameter
    box = _near_checked(example, usual_area(config, diameter) ** 0.5)
    probability = predict_plane(
        example.image_cyx[(slice(None), *box)],
        model,
        diameter=diameter,
        device=device,
        precision=precision,
        ranges=intensity_range(example.image_cyx, config.percentiles),
    )
    foreground = 1 - probability[0]
    labels = probability_to_labels(
        foreground,
        threshold=config.threshold,
        min_size=config.min_size,
        split=config.split,
        score=score,
    )
    likely = score.score(looks_of(labels, foreground, score.diameter))
    return _Seen(box, foreground, labels, likely, _sure(labels, foreground, likely))


def _is_likely(likely: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether each label is a likely object; 0 is none."""
    return np.concatenate([[False], likely >= LIKELY])


def _sure(
    labels: NDArray[np.int32], foreground: NDArray[np.float32], likely: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Where likely objects are, and ground that nothing doubtful is near."""
    is_object = _is_likely(likely)[labels]
    doubtful = ~is_object & ((labels > 0) | (foreground > DOUBTFUL))
    is_sure: NDArray[np.bool_] = is_object | ~ndimage.binary_dilation(doubtful, iterations=AWAY)
    return is_sure


@dataclass(frozen=True, eq=False)
class _Checked:
    """A part of an image with what was checked there, at the scale of the model."""

    seen: _Seen
    mask: NDArray[np.bool_]
    truth: NDArray[np.int32]  # 0 outside the mask


def _checked(example: Example, seen: _Seen) -> _Checked:
    shape = seen.labels.shape
    mask = resize_labels(example.mask[seen.box].astype(np.int32), shape) > 0
    truth = resize_labels(np.asarray(example.labels)[seen.box].astype(np.int32), shape)
    return _Checked(seen, mask, np.where(mask, truth, 0))


def _is_contradicted(parts: Sequence[_Checked], judged: Sequence[bool]) -> bool:
    """Whether what was checked says that neither pixels nor looks are to be believed."""
    cells = [one.seen.foreground[one.truth > 0] for one in parts]
    ground = [1 - one.seen.foreground[one.mask & (one.truth == 0)] for one in parts]
    means = [float(np.concatenate(of).mean()) for of in (cells, ground) if sum(map(len, of))]
    is_wrong = len(judged) >= FEWEST_JUDGED and float(np.mean(judged)) < RIGHT
    return is_wrong or (len(means) == 2 and float(np.mean(means)) < AGREES)


def _is_confirmed(judged: Sequence[bool]) -> bool:
    """Whether what was checked says that looks are to be believed."""
    return len(judged) >= FEWEST_JUDGED and float(np.mean(judged)) >= PART


def _judged(part: _Checked) -> list[bool]:
    """Return for each likely object that lies on true cells whether it is one of them."""
    labels, truth = part.seen.labels, part.truth
    sizes = np.bincount(labels.ravel(), minlength=len(part.seen.likely) + 1)
    on_cells = np.bincount(labels[truth > 0], minlength=len(sizes))
    right = []
    for number in 1 + np.flatnonzero(part.seen.likely >= LIKELY):
        if 2 * on_cells[number] > sizes[number]:
            cells, shared = np.unique(truth[labels == number], return_counts=True)
            ious = [
                both / (np.count_nonzero(truth == cell) + sizes[number] - both)
                for cell, both in zip(cells, shared, strict=True)
                if cell
            ]
            right.append(max(ious) >= RIGHT_IOU)
    return right


def _shift_of_outlines(taught: Sequence[Example], seen: Sequence[_Seen]) -> float:
    """Return how far out outlines fit the cells that were found and corrected.

    0 if they fit as well as they are. Cells that were missed say nothing of outlines.
    """
    parts = [_checked(example, one) for example, one in zip(taught, seen, strict=False)]
    fits = [fit for part in parts for fit in _fits_of_cells(part, (0.0, *SHIFTS))]
    if len(fits) < FEWEST_DRAWN:
        return 0.0
    own, *others = np.mean(fits, axis=0)
    good = [shift for shift, fit in zip(SHIFTS, others, strict=True) if fit >= max(others) - SAME]
    is_better = max(others) > own + FITS_BETTER / len(fits) ** 0.5
    return min(good, key=abs) if is_better else 0.0


def _fits_of_cells(part: _Checked, shifts: Sequence[float]) -> list[list[float]]:
    """Return for each checked cell that was found, at each shift, IoU of what is nearest to it."""
    truth, seen, reach = part.truth, part.seen, part.seen.reach
    if not truth.any():
        return []
    nearest = ndimage.distance_transform_edt(
        truth == 0, return_distances=False, return_indices=True
    )
    owner = np.where(part.mask, truth[tuple(nearest)], 0)
    fits = []
    for cell in np.unique(truth[truth > 0]):
        zone, is_cell = owner == cell, truth == cell
        if 2 * np.count_nonzero(seen.labels[is_cell]) < np.count_nonzero(is_cell):
            continue
        away, inside = reach[zone], is_cell[zone]
        fits.append([_iou(inside, away <= shift) for shift in shifts])
    return fits


def _iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((one & other).sum() / (one | other).sum())


def _believed(example: Example, seen: _Seen) -> Example:
    """Return what was seen at the scale of the image, without what touches a checked area."""
    shape = tuple(side.stop - side.start for side in seen.box)
    labels, is_sure = (
        resize_labels(plane.astype(np.int32), shape) for plane in (seen.labels, seen.is_sure)
    )
    checked = example.mask[seen.box]
    is_touched = np.isin(labels, np.unique(labels[checked & (labels > 0)]))
    whole = np.asarray(example.labels).astype(np.int32)
    other = np.where((labels > 0) & ~is_touched, labels + int(whole.max(initial=0)), 0)
    whole[seen.box] = np.where(checked, whole[seen.box], other)
    mask = np.zeros(whole.shape, bool)
    mask[seen.box] = (is_sure > 0) & ~checked & ~is_touched
    return replace(example, labels=whole, checked=mask, recent=None)


def _near_checked(example: Example, zoom: float) -> Box:
    """Return a part of an image around the middle of what is checked."""
    side = max(1, round(SIDE * zoom))
    parts = []
    sizes: tuple[int, ...] = example.labels.shape
    for places, size in zip(np.nonzero(example.mask), sizes, strict=True):
        middle = int(np.median(places)) if len(places) else size // 2
        start = max(0, min(middle - side // 2, size - side))
        parts.append(slice(start, min(size, start + side)))
    return parts[0], parts[1]
