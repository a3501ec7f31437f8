"""How objects are best made of what a trained network finds: smallest object and split."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace

import numpy as np

from napari_unet.core.example import Example
from napari_unet.core.instances import probability_to_labels
from napari_unet.core.matching import overlap_of
from napari_unet.core.model_file import Model
from napari_unet.core.optimise import Cancelled
from napari_unet.core.predict import predict_plane
from napari_unet.core.rescale import resize_labels

__all__ = ["iter_calibrate"]

SPLITS = (0.0, 0.15, 0.3, 0.5, 0.7)
FACTORS = (0.5, 1.0, 2.0, 3.0)  # of the smallest object that the labels suggest
IOUS = (0.5, 0.7, 0.9)

# Settings whose mean precision differs by less are equally good: what was there stays.
SAME = 0.005

# More pixels, at the model's scale, change the answer no more (chosen: a minute's work).
MAX_PIXELS = 3_000_000


def iter_calibrate(
    model: Model,
    examples: Sequence[Example],
    *,
    device: str = "auto",
    precision: str = "auto",
    cancelled: Cancelled | None = None,
) -> Generator[float, None, Model]:
    """Choose `min_size` and `split` by what the model finds in images that it learnt from.

    Labels alone do not tell: how many crumbs a network leaves, and where it has doubts within an
    object, depends on the images. The threshold stays.

    Parameters
    ----------
    model : Model
        Its own settings are where the search begins.
    examples : sequence of Example
        In an order in which the first ones stand for all; those with checked parts are left out.
    device, precision : str
        See `napari_unet.core.device`.
    cancelled : callable, optional
        Polled at each image; when it returns True the images so far decide.

    Yields
    ------
    float
        Fraction done.

    Returns
    -------
    Model
        With the settings whose mean precision at IoU 0.5, 0.7 and 0.9 is best.
    """
    config = model.config
    grid = [(max(1, round(f * config.min_size)), split) for f in FACTORS for split in SPLITS]
    own = (config.min_size, config.split)
    grid = list(dict.fromkeys([own, *grid]))
    hits = np.zeros((len(grid), len(IOUS)))
    objects = np.zeros((len(grid), 1))
    pixels = 0
    for example in examples:
        if pixels >= MAX_PIXELS or (cancelled is not None and cancelled()):
            break
        if not example.mask.all():
            continue
        probability = (
            1
            - predict_plane(
                example.image_cyx,
                model,
                diameter=None if config.diameter is None else example.diameter,
                device=device,
                precision=precision,
            )[0]
        )
        truth = resize_labels(example.labels.astype(np.int32), probability.shape)
        for row, (min_size, split) in enumerate(grid):
            found = probability_to_labels(
                probability, threshold=config.threshold, min_size=min_size, split=split
            )
            overlap = overlap_of(truth, found)
            objects[row] += overlap.n_truth + overlap.n_predicted
            hits[row] += [len(overlap.matched(iou)[0]) for iou in IOUS]
        pixels += probability.size
        yield min(1.0, pixels / MAX_PIXELS)
    best = hits / np.maximum(1, objects - hits)
    value = best.mean(axis=1)
    if value[0] >= value.max() - SAME:  # its own settings are the first
        return model
    min_size, split = grid[int(value.argmax())]
    return replace(model, config=replace(config, min_size=min_size, split=split))
