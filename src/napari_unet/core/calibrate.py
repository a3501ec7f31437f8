"""How objects are best made of what a trained network finds: smallest object, split, score."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any  # probabilities come as float or quantised

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.config import ModelConfig
from napari_unet.core.example import Example
from napari_unet.core.instances import probability_to_labels
from napari_unet.core.matching import overlap_of
from napari_unet.core.model_file import Model
from napari_unet.core.object_looks import looks_of
from napari_unet.core.object_score import ObjectScore, fit_score, upper_threshold
from napari_unet.core.optimise import Cancelled
from napari_unet.core.predict import predict_plane
from napari_unet.core.rescale import resize_labels

__all__ = ["MAX_PIXELS", "Tally", "is_whole", "iter_calibrate", "truth_and_probability"]

SPLITS = (0.0, 0.15, 0.3, 0.5, 0.7)
THRESHOLDS = (0.4, 0.5, 0.6)
FACTORS = (0.5, 1.0, 2.0, 3.0)  # of the smallest object that the labels suggest
IOUS = (0.5, 0.7, 0.9)

# Settings whose mean precision differs by less are equally good: what was there stays.
SAME = 0.005

# From fewer images it is not learnt what right objects look like: they are of one experiment, and
# what does not look like theirs would be left out elsewhere (docs/measured.md).
LEAST_OF_LOOKS = 20

# More pixels, at the model's scale, change the answer no more (chosen: a minute's work), or what
# objects that are right look like.
MAX_PIXELS = 3_000_000
MAX_PIXELS_OF_LOOKS = 8_000_000

Floats = NDArray[np.float64]


def iter_calibrate(
    model: Model,
    examples: Sequence[Example],
    *,
    device: str = "auto",
    precision: str = "auto",
    cancelled: Cancelled | None = None,
) -> Generator[float, None, Model]:
    """Choose how objects are made by what is found in images learnt from.

    Labels alone do not tell: how many crumbs a network leaves, and where it has doubts within an
    object, depends on the images. `min_size` and `split` are chosen first; where the score of
    objects is better than none, `split` and `threshold` are chosen with it.

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
    config = replace(model.config, object_score=())
    grid = [(max(1, round(f * config.min_size)), split) for f in FACTORS for split in SPLITS]
    own = (config.min_size, config.split)
    grid = list(dict.fromkeys([own, *grid]))
    ways = [replace(config, min_size=min_size, split=split) for min_size, split in grid]
    tally = Tally(len(ways))
    planes = []
    pixels = 0
    for example in examples:
        if pixels >= MAX_PIXELS_OF_LOOKS or (cancelled is not None and cancelled()):
            break
        if not is_whole(example):
            continue
        truth, probability = truth_and_probability(example, model, device, precision)
        if pixels < MAX_PIXELS:
            tally.add(truth, probability, ways)
        planes.append((truth, _as_bytes(probability)))
        pixels += probability.size
        yield min(1.0, pixels / MAX_PIXELS_OF_LOOKS)
    value = tally.precision
    if value[0] < value.max() - SAME:  # its own settings are the first
        config = ways[int(value.argmax())]
    config = _with_score(config, planes)
    return model if config == model.config else replace(model, config=config)


def is_whole(example: Example) -> bool:
    """Whether all of an example is checked: of another one nobody knows what is false."""
    return bool(example.mask.all())


def truth_and_probability(
    example: Example, model: Model, device: str, precision: str
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return the labels of an example as the network sees them, and what it finds there."""
    diameter = None if model.config.diameter is None else example.diameter
    background = predict_plane(
        example.image_cyx, model, diameter=diameter, device=device, precision=precision
    )[0]
    probability = 1 - background
    return resize_labels(example.labels.astype(np.int32), probability.shape), probability


class Tally:
    """Hits and objects of several ways to make objects."""

    def __init__(self, ways: int) -> None:
        self._hits = np.zeros((ways, len(IOUS)))
        self._objects = np.zeros((ways, 1))

    def add(
        self, truth: NDArray[np.int32], probability: NDArray[Any], ways: Sequence[ModelConfig]
    ) -> None:
        """Count what each way finds in a plane."""
        for row, way in enumerate(ways):
            overlap = overlap_of(truth, _found(probability, way))
            self._objects[row] += overlap.n_truth + overlap.n_predicted
            self._hits[row] += [len(overlap.matched(iou)[0]) for iou in IOUS]

    @property
    def precision(self) -> Floats:
        """Mean precision of each way over the IoUs."""
        each: Floats = (self._hits / np.maximum(1, self._objects - self._hits)).mean(axis=1)
        return each


def _found(probability: NDArray[Any], way: ModelConfig) -> NDArray[np.int32]:
    return probability_to_labels(
        probability,
        threshold=way.threshold,
        min_size=way.min_size,
        split=way.split,
        score=way.score,
    )


def _with_score(
    config: ModelConfig, planes: Sequence[tuple[NDArray[np.int32], NDArray[np.uint8]]]
) -> ModelConfig:
    """Learn what objects look like that are right; keep it where choosing by it is better.

    With it another threshold or split may be best: those are chosen together.
    """
    score = _fitted(config, planes)
    if score is None:
        return config
    ways = [config]
    for threshold in THRESHOLDS:
        for split in SPLITS:
            way = replace(config, threshold=threshold, split=split)
            ways.append(replace(way, object_score=score.coefficients))
    tally = Tally(len(ways))
    for truth, probability in planes:
        tally.add(truth, probability, ways)
    best = _best_of(ways, tally.precision)
    if best is config:
        return config
    again = _fitted(best, planes)  # its looks are those of other objects now
    return best if again is None else replace(best, object_score=again.coefficients)


def _best_of(ways: Sequence[ModelConfig], value: Floats) -> ModelConfig:
    """Return the best way to make objects; of equally good ones one at the threshold of the first.

    On images learnt from 0.5 and 0.6 differ by chance; on nuclei of a look that was not learnt
    from, 0.5 had up to 0.04 more of AP at IoU 0.5.
    """
    if value[0] == value.max():
        return ways[0]
    is_usual = np.array([way.threshold == ways[0].threshold and way is not ways[0] for way in ways])
    is_equal = is_usual & (value > value.max() - SAME)
    return ways[int(np.where(is_equal, value, -1).argmax() if is_equal.any() else value.argmax())]


def _fitted(
    config: ModelConfig, planes: Sequence[tuple[NDArray[np.int32], NDArray[np.uint8]]]
) -> ObjectScore | None:
    """Fit a score to what is found with these settings; None if that cannot be, or should not."""
    diameter = config.diameter
    if diameter is None or len(planes) < LEAST_OF_LOOKS:
        return None
    config = replace(config, object_score=())
    looks, ious = [], []
    for truth, probability in planes:
        belief = probability.astype(np.float32) / np.float32(255)
        for threshold in (config.threshold, upper_threshold(config.threshold)):
            found = _found(probability, replace(config, threshold=threshold))
            is_upper = threshold != config.threshold
            looks.append(looks_of(found, belief, diameter, is_upper=is_upper))
            ious.append(_best_iou(truth, found))
    return fit_score(looks, ious, diameter)


def _best_iou(truth: NDArray[np.int32], found: NDArray[np.int32]) -> Floats:
    """IoU of each found object with the true one that it fits best."""
    overlap = overlap_of(truth, found)
    _, rows, ious = overlap.iou_pairs()
    best = np.zeros(int(found.max(initial=0)))
    np.maximum.at(best, overlap.predicted_names[rows] - 1, ious)
    return best


def _as_bytes(probability: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.round(probability * 255).astype(np.uint8)
