"""How objects are made of what a model of volumes says: chosen on volumes that it learnt from.

The gaps between cells weigh most in training, so a network of volumes draws cells too tight or too
wide for a threshold of 0.5, and leaves crumbs. Threshold, split and smallest object are tried out,
and those kept with which the true objects are found best.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any  # labels come in any integer dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.example import Example
from napari_unet.core.instances import volume_to_labels
from napari_unet.core.label_index import count_objects
from napari_unet.core.matching import overlap_of
from napari_unet.core.model_file import Model
from napari_unet.core.predict_volume import predict_volume
from napari_unet.core.smallest import remove_small

__all__ = ["calibrate_volumes"]

# Of those that are equally good the first counts.
THRESHOLDS = (0.5, 0.4, 0.6, 0.3, 0.7)
SPLITS = (0.5, 0.2, 0.7, 0.0)
IOUS = (0.5, 0.7, 0.9)

# Of the sizes of true objects: the smallest that is kept has half of one of these percentiles.
PERCENTS = (2, 5, 10, 20)

# So many volumes are looked at, and of each so many voxels a side, from its middle (chosen: about a
# minute's work).
MOST_VOLUMES, SEEN = 3, 80


def calibrate_volumes(
    model: Model,
    examples: Sequence[Example],
    *,
    device: str = "auto",
    precision: str = "auto",
    progress: Callable[[float], None] | None = None,
) -> Model:
    """Return the model with the settings of objects that suit it best.

    Parameters
    ----------
    model : Model
        Of volumes.
    examples : sequence of Example
        What it learnt from; those that are checked in part are left out.
    device, precision : str
        See `napari_unet.core.device`.
    progress : callable, optional
        Is told what part is done, 0 to 1.
    """
    seen: list[tuple[NDArray[Any], NDArray[np.float32]]] = []
    for example in examples:
        inside = (slice(None), *_middle(example.labels))
        truth = example.labels[inside[1:]]
        if len(seen) < MOST_VOLUMES and example.mask[inside[1:]].all() and truth.any():
            image = example.image_cyx
            ranges = model.config.range_of(image)
            found = predict_volume(
                image[inside], model, ranges=ranges, device=device, precision=precision
            )
            seen.append((truth, 1 - found[0]))
    if not seen:
        return model
    sizes = _sizes([truth for truth, _ in seen])
    best, best_score = model.config, -1.0
    tries = list(itertools.product(THRESHOLDS, SPLITS))
    for number, (threshold, split) in enumerate(tries):
        made = [
            volume_to_labels(
                foreground,
                threshold=threshold,
                split=split,
                min_size=sizes[0],
                spacing=model.config.spacing,
            )
            for _, foreground in seen
        ]
        for size in sizes:
            pairs = [(t, remove_small(m, size)) for (t, _), m in zip(seen, made, strict=True)]
            score = _precision(pairs)
            if score > best_score:
                best = replace(model.config, threshold=threshold, split=split, min_size=size)
                best_score = score
        if progress is not None:
            progress((number + 1) / len(tries))
    return replace(model, config=best)


def _middle(labels: NDArray[Any]) -> tuple[slice, ...]:
    """Return where the middle of a volume is that is looked at."""
    starts = [max(0, (size - SEEN) // 2) for size in labels.shape]
    return tuple(slice(start, start + SEEN) for start in starts)


def _sizes(truths: Sequence[NDArray[Any]]) -> list[int]:
    areas = np.concatenate([count_objects(truth)[1] for truth in truths])
    return sorted({max(1, round(float(np.percentile(areas, p)) / 2)) for p in PERCENTS})


def _precision(pairs: Sequence[tuple[NDArray[Any], NDArray[np.int32]]]) -> float:
    """Average precision of all volumes together, the mean of some IoU."""
    hits, objects = np.zeros(len(IOUS)), 0
    for truth, found in pairs:
        overlap = overlap_of(truth, found)
        objects += overlap.n_truth + overlap.n_predicted
        hits += [len(overlap.matched(iou)[0]) for iou in IOUS]
    return float((hits / np.maximum(1, objects - hits)).mean())
