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

from napari_unet.core.example import Example
from napari_unet.core.instances import probability_to_labels
from napari_unet.core.model_file import Model
from napari_unet.core.normalize import intensity_range
from napari_unet.core.object_score import looks_of
from napari_unet.core.predict import predict_plane
from napari_unet.core.rescale import resize_labels, usual_area

__all__ = ["Knowledge", "what_is_known", "with_believed"]

MOST = 4  # images that are looked at
SIDE = 512  # of what is looked at around the corrections, in pixels of the model
FEWEST = 10  # objects that say anything (chosen)

# So much of what it finds must have such a likely IoU (measured of models for nuclei: 0.26 to 0.33
# in phase contrast, 0.64 to 0.84 on nuclei of a look never seen, 0.35 to 0.55 on crowded embryos).
LIKELY, PART = 0.6, 0.5

# Ground is sure where the probability of an object is less, and so far from objects that are not
# likely, in pixels of the model (chosen).
DOUBTFUL, AWAY = 0.2, 2

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
    model: Model, examples: Sequence[Example], *, device: str = "auto", precision: str = "auto"
) -> Knowledge:
    """Look at what a model finds near the checked areas of images.

    Parameters
    ----------
    model : Model
        One without a score of objects knows nothing of how they look, and is not believed.
    examples : sequence of Example
        With their diameter, if the model works at one size of objects.
    device, precision : str
        See `napari_unet.core.device`.
    """
    if model.config.score is None or model.config.semantic:
        return Knowledge(is_known=False)
    seen = [_look(model, example, device, precision) for example in examples[:MOST]]
    each = np.concatenate([one.likely for one in seen]) if seen else np.zeros(0)
    if len(each) < FEWEST or float((each >= LIKELY).mean()) < PART:
        return Knowledge(is_known=False)
    pairs = zip(examples, seen, strict=False)
    return Knowledge(True, tuple(_believed(example, one) for example, one in pairs))


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
    labels: NDArray[np.int32]
    likely: NDArray[np.float64]  # IoU of each object
    is_sure: NDArray[np.bool_]  # of each pixel


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
    is_object = np.concatenate([[False], likely >= LIKELY])[labels]
    doubtful = ~is_object & ((labels > 0) | (foreground > DOUBTFUL))
    is_sure = is_object | ~ndimage.binary_dilation(doubtful, iterations=AWAY)
    return _Seen(box, labels, likely, is_sure)


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
