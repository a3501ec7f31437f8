"""Keep a part of the checked patches of classes aside, and score models on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any  # images come in any real dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.checked import PATCH, checked_patches
from napari_unet.core.class_labels import class_map
from napari_unet.core.config import ModelConfig
from napari_unet.core.example import Example
from napari_unet.core.kept_aside import Mark, boxes_around
from napari_unet.core.model_file import Model
from napari_unet.core.normalize import intensity_range
from napari_unet.core.predict import predict_plane
from napari_unet.core.rescale import resize_image

__all__ = ["KeptPatches", "all_patches", "count_patches", "keep_patches_aside"]

FEWEST = 10  # with fewer patches, each is worth more as a lesson than as a test (chosen)
PART = 0.2


@dataclass(frozen=True, eq=False)
class _Region:
    """A part of one example: its image with context, its classes, where those are true."""

    image_cyx: NDArray[Any]
    ranges: NDArray[np.float64]
    labels: NDArray[Any]
    mask: NDArray[np.bool_]
    diameter: float | None


@dataclass(frozen=True, eq=False)
class KeptPatches:
    """Checked pixels to score models on; as `KeptAside`, for classes.

    Attributes
    ----------
    regions : tuple
        Where they are.
    cells : int
        How many patches.
    """

    regions: tuple[_Region, ...]
    cells: int

    @property
    def classes(self) -> set[int]:
        """The classes that occur in them."""
        return {int(one) for of in self.regions for one in np.unique(of.labels[of.mask])}

    def min_sizes(self, config: ModelConfig) -> list[int]:
        """Return nothing: classes have no size."""
        return []

    def whole_areas(self, config: ModelConfig) -> list[float]:
        """Return nothing: classes have no size."""
        return []

    def mark(self, model: Model, *, device: str = "auto", precision: str = "auto") -> Mark:
        """Say how good a model is: mean IoU of the classes that occur, and squared error."""
        return self.marks(model, [model.config], device=device, precision=precision)[0]

    def marks(
        self,
        model: Model,
        configs: Sequence[ModelConfig],
        *,
        device: str = "auto",
        precision: str = "auto",
    ) -> list[Mark]:
        """Say how good a model is, with other thresholds too."""
        count = len(model.config.classes)
        pairs = np.zeros((len(configs), count, count))
        loss, pixels = 0.0, 0
        for region in self.regions:
            diameter = None if model.config.diameter is None else region.diameter
            probability = predict_plane(
                region.image_cyx,
                model,
                diameter=diameter,
                device=device,
                precision=precision,
                ranges=region.ranges,
            )
            shape = region.labels.shape
            truth = region.labels[region.mask].astype(np.int64)
            for n, config in enumerate(configs):
                found = class_map(probability, threshold=config.threshold, shape=shape)
                np.add.at(pairs[n], (truth, found[region.mask]), 1)
            belief = resize_image(probability, shape)[:, region.mask]
            right = belief[truth, np.arange(len(truth))].astype(np.float64)
            loss += float(np.square(1 - right).sum())
            pixels += len(truth)
        return [Mark(_mean_iou(one), loss / max(1, pixels)) for one in pairs]


def _mean_iou(pairs: NDArray[np.float64]) -> float:
    """Mean over the classes that occur in the truth, background among them."""
    true, found, both = pairs.sum(axis=1), pairs.sum(axis=0), np.diag(pairs)
    occurs = true > 0
    return (
        float((both / np.maximum(1, true + found - both))[occurs].mean()) if occurs.any() else 0.0
    )


def count_patches(example: Example) -> int:
    """Return how many patches are checked."""
    return len(checked_patches(example.mask))


def all_patches(
    examples: Sequence[Example], percentiles: tuple[float, float] = (1.0, 99.8)
) -> KeptPatches | None:
    """Return all checked patches, for where there are too few to keep any aside."""
    regions = [r for one in examples for r in _regions(one, one.mask, percentiles)]
    count = sum(map(count_patches, examples))
    return KeptPatches(tuple(regions), count) if count else None


def keep_patches_aside(
    examples: Sequence[Example],
    percentiles: tuple[float, float] = (1.0, 99.8),
    *,
    seed: int = 0,
) -> tuple[list[Example], KeptPatches | None]:
    """Split what is checked into patches to learn from and a fifth that is kept aside.

    Of a class that is seen in few patches none may be kept: it is then only learnt.

    Returns
    -------
    taught : list of Example
        The examples, less what is kept aside.
    aside : KeptPatches or None
        None if fewer than ten patches are checked.
    """
    places = [
        (n, *place)
        for n, one in enumerate(examples)
        for place in checked_patches(one.mask).tolist()
    ]
    if len(places) < FEWEST:
        return list(examples), None
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(places))[: max(2, round(PART * len(places)))]
    masks = [np.zeros(one.labels.shape, bool) for one in examples]
    for n, y, x in (places[k] for k in order):
        masks[n][y * PATCH : (y + 1) * PATCH, x * PATCH : (x + 1) * PATCH] = True
    taught, regions = [], []
    for one, mask in zip(examples, masks, strict=True):
        taught.append(replace(one, checked=one.mask & ~mask))
        regions += _regions(one, one.mask & mask, percentiles)
    return taught, KeptPatches(tuple(regions), len(order))


def _regions(
    example: Example, mask: NDArray[np.bool_], percentiles: tuple[float, float]
) -> list[_Region]:
    ranges = intensity_range(example.image_cyx, percentiles)
    labels = np.asarray(example.labels)
    return [
        _Region(
            example.image_cyx[(slice(None), *box)], ranges, labels[box], mask[box], example.diameter
        )
        for box in boxes_around(mask)
    ]
