"""Keep a part of the checked cells aside, by region, and score models on them."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any  # images and labels come in any real dtype

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unet.core.config import ModelConfig
from napari_unet.core.example import Example
from napari_unet.core.instances import probability_to_labels
from napari_unet.core.model_file import Model
from napari_unet.core.normalize import intensity_range
from napari_unet.core.predict import predict_plane
from napari_unet.core.rescale import resize_image, usual_area, usual_min_size
from napari_unet.core.targets import labels_to_classes
from napari_unet.core.weight_map import touching_cell_weights

__all__ = ["KeptAside", "Mark", "all_checked", "boxes_around", "checked_cells", "keep_aside"]

FEWEST_CELLS = 6  # with fewer, each is worth more as a lesson than as a test (chosen)
PART = 0.2  # of the cells, at least two
SQUARE = 64.0  # side of a square, in pixels (chosen: a few cells)
SAMPLED = 8  # every so many rows and columns tell one image from another
CONTEXT = 48  # pixels around the cells kept aside that are predicted with them

# What is smaller than this part of the usual cell may be a crumb: these are tried. Of a model for
# nuclei that was taught 20 cells in phase contrast, AP 0.5 on other images was 0.19 with crumbs of
# a fifteenth of a cell, 0.38 without those below a third.
CRUMBS = (1 / 8, 1 / 4)


@dataclass(frozen=True, slots=True)
class Mark:
    """How good a model is on checked cells.

    Attributes
    ----------
    score : float
        Mean IoU of the cells, 0 to 1; each false object counts as a cell of IoU 0.
    loss : float
        Weighted mean of the squared error of the probability at the checked pixels (Brier 1950),
        0 to 1. It moves before whole cells are won or lost, so it tells more than the score where
        there are few. Cross-entropy would tell more of how sure a network is than of how right:
        it grows from round to round where the score does not fall.
    """

    score: float
    loss: float


@dataclass(frozen=True, eq=False)
class _Region:
    """A part of one example: its image with context, its truth, where that is true."""

    image_cyx: NDArray[Any]
    ranges: NDArray[np.float64]  # of the whole image: a part may be dark
    labels: NDArray[Any]
    mask: NDArray[np.bool_]
    cells: tuple[int, ...]
    diameter: float | None

    def foreground(self, model: Model, device: str, precision: str) -> NDArray[np.float32]:
        """Probability that a pixel is foreground, at the scale of the model."""
        diameter = None if model.config.diameter is None else self.diameter
        probability = predict_plane(
            self.image_cyx,
            model,
            diameter=diameter,
            device=device,
            precision=precision,
            ranges=self.ranges,
        )
        foreground: NDArray[np.float32] = 1 - probability[0]
        return foreground


@dataclass(frozen=True, eq=False)
class KeptAside:
    """Checked cells to score models on, with the area around them that is checked.

    Attributes
    ----------
    regions : tuple
        Where they are.
    """

    regions: tuple[_Region, ...]

    @property
    def cells(self) -> int:
        """How many there are."""
        return sum(len(region.cells) for region in self.regions)

    def min_sizes(self, config: ModelConfig) -> list[int]:
        """Return what the smallest object may be with cells like these, in the model's pixels."""
        areas = [
            np.count_nonzero(region.labels == cell) / usual_area(config, region.diameter)
            for region in self.regions
            for cell in region.cells
        ]
        usual = float(np.median(areas)) if areas else 0.0
        return [round(part * usual) for part in CRUMBS if part * usual >= 1]

    def whole_areas(self, config: ModelConfig) -> list[float]:
        """Return the areas in the model's pixels of the cells that the image does not cut off."""
        return [
            np.count_nonzero(region.labels == cell) / usual_area(config, region.diameter)
            for region in self.regions
            for cell in region.cells
            if not _is_cut(region.labels, cell)
        ]

    def mark(self, model: Model, *, device: str = "auto", precision: str = "auto") -> Mark:
        """Say how good a model is on these cells."""
        return self.marks(model, [model.config], device=device, precision=precision)[0]

    def marks(
        self,
        model: Model,
        configs: Sequence[ModelConfig],
        *,
        device: str = "auto",
        precision: str = "auto",
    ) -> list[Mark]:
        """Say how good a model is on these cells, with other ways to make objects too."""
        totals, counts = np.zeros(len(configs)), np.zeros(len(configs))
        losses, weights = 0.0, 0.0
        for region in self.regions:
            probability = region.foreground(model, device, precision)
            for n, config in enumerate(configs):
                overlaps, false_objects = _match(region, _found(region, probability, config))
                totals[n] += sum(overlaps)
                counts[n] += len(overlaps) + false_objects
            loss, weight = _weighted_loss(region, probability)
            losses += loss
            weights += weight
        scores = totals / np.maximum(1, counts)
        return [Mark(float(score), losses / max(1.0, weights)) for score in scores]


def all_checked(
    examples: Sequence[Example], percentiles: tuple[float, float] = (1.0, 99.8)
) -> KeptAside | None:
    """Return all checked cells, for where there are too few to keep any aside.

    None if no cell is checked.
    """
    regions: list[_Region] = []
    for example in examples:
        cells = tuple(int(cell) for cell in checked_cells(example))
        regions += _regions(example, cells, example.mask, percentiles)
    return KeptAside(tuple(regions)) if any(region.cells for region in regions) else None


def keep_aside(
    examples: Sequence[Example],
    percentiles: tuple[float, float] = (1.0, 99.8),
    *,
    seed: int = 0,
) -> tuple[list[Example], KeptAside | None]:
    """Split checked cells into those to learn from and those kept aside.

    A fifth of them, at least two, is kept aside, by region: images are parted into squares of some
    cells, and which square comes first is drawn from the image and the place alone. So a cell that
    is kept aside in one round of teaching is kept aside in the next, when more are checked, and
    the model before has not learnt it either. Every checked pixel goes with its nearest cell.

    Returns
    -------
    taught : list of Example
        The examples, less what is kept aside.
    aside : KeptAside or None
        None if fewer than six cells are checked.
    """
    cells = [checked_cells(example) for example in examples]
    total = sum(map(len, cells))
    if total < FEWEST_CELLS:
        return list(examples), None
    order = sorted(
        (*rank, index, cell)
        for index, example in enumerate(examples)
        for cell, rank in _ranked(example, cells[index], seed).items()
    )
    wanted = max(2, round(PART * total))
    chosen: list[list[int]] = [[] for _ in examples]
    for *_, index, cell in order:
        if len(chosen[index]) < len(cells[index]) - 1 and sum(map(len, chosen)) < wanted:
            chosen[index].append(cell)
    taught = list(examples)
    regions: list[_Region] = []
    for index, here in enumerate(chosen):
        if here:
            taught[index], there = _split(examples[index], tuple(here), percentiles)
            regions += there
    return taught, KeptAside(tuple(regions))


def _ranked(example: Example, cells: NDArray[np.intp], seed: int) -> dict[int, tuple[int, float]]:
    """Return for each cell what its square is drawn as, and how far in the square it is."""
    if not len(cells):
        return {}
    labels = np.asarray(example.labels)
    image = np.ascontiguousarray(example.image_cyx[:, ::SAMPLED, ::SAMPLED])
    picture = zlib.crc32(image.tobytes(), seed)
    centers = np.array(ndimage.center_of_mass(labels > 0, labels, cells)).reshape(-1, 2)
    squares = centers // SQUARE
    away = np.hypot(*(centers - SQUARE * squares).T)  # from its upper left corner
    drawn = [zlib.crc32(square.astype(np.int64).tobytes(), picture) for square in squares]
    return {int(c): (d, float(a)) for c, d, a in zip(cells, drawn, away, strict=True)}


def checked_cells(example: Example) -> NDArray[np.intp]:
    """Return the labels of the objects of which most is checked."""
    labels = np.asarray(example.labels)
    values, inverse = np.unique(labels, return_inverse=True)
    inverse = inverse.ravel()
    part = np.bincount(inverse, weights=example.mask.ravel()) / np.bincount(inverse)
    cells: NDArray[np.intp] = values[(part > 0.5) & (values != 0)].astype(np.intp)
    return cells


def _split(
    example: Example, chosen: tuple[int, ...], percentiles: tuple[float, float]
) -> tuple[Example, list[_Region]]:
    labels = np.asarray(example.labels)
    nearest = ndimage.distance_transform_edt(
        labels == 0, return_distances=False, return_indices=True
    )
    owner = labels[tuple(nearest)]
    aside = np.isin(owner, chosen) & example.mask
    regions = _regions(example, chosen, aside, percentiles)
    return replace(example, checked=example.mask & ~aside), regions


def _regions(
    example: Example,
    cells: tuple[int, ...],
    mask: NDArray[np.bool_],
    percentiles: tuple[float, float],
) -> list[_Region]:
    """Cut out what is in the mask, in one piece or several: cells may lie far apart."""
    labels = np.asarray(example.labels)
    ranges = intensity_range(example.image_cyx, percentiles)
    regions = []
    left = set(cells)
    for box in boxes_around(mask):
        here, counts = np.unique(labels[box][mask[box]], return_counts=True)
        inside = {int(n) for n, c in zip(here, counts, strict=True) if 4 * c > (labels == n).sum()}
        chosen = tuple(sorted(inside & left))
        left -= inside
        image = example.image_cyx[(slice(None), *box)]
        one = _Region(image, ranges, labels[box], mask[box], chosen, example.diameter)
        regions.append(one)
    return regions


def boxes_around(mask: NDArray[np.bool_]) -> list[tuple[slice, slice]]:
    """Boxes around the pieces of a mask, with context; those that overlap become one."""
    pieces, _ = ndimage.label(mask)
    boxes: list[list[int]] = []
    for rows, columns in ndimage.find_objects(pieces):
        box = [rows.start - CONTEXT, rows.stop + CONTEXT]
        box += [columns.start - CONTEXT, columns.stop + CONTEXT]
        while (other := next((o for o in boxes if _overlap(box, o)), None)) is not None:
            boxes.remove(other)
            box = [pick(a, b) for pick, a, b in zip((min, max) * 2, box, other, strict=True)]
        boxes.append(box)
    return [(slice(max(0, b[0]), b[1]), slice(max(0, b[2]), b[3])) for b in boxes]


def _overlap(a: list[int], b: list[int]) -> bool:
    return a[0] < b[1] and b[0] < a[1] and a[2] < b[3] and b[2] < a[3]


def _weighted_loss(region: _Region, probability: NDArray[np.float32]) -> tuple[float, float]:
    """Sum of the weighted squared errors over the region, and of the weights."""
    classes = labels_to_classes(region.labels)
    weight = np.where(classes == 0, touching_cell_weights(region.labels), 1) * region.mask
    probability = resize_image(probability[None], region.labels.shape)[0]
    right = np.where(classes > 0, probability, 1 - probability).astype(np.float64)
    return float((weight * np.square(1 - right)).sum()), float(weight.sum())


def _is_cut(labels: NDArray[Any], cell: int) -> bool:
    """Whether the image cuts an object off: elsewhere a region ends well beyond its cells."""
    edges = (labels[0], labels[-1], labels[:, 0], labels[:, -1])
    return any(bool((edge == cell).any()) for edge in edges)


def _found(
    region: _Region, probability: NDArray[np.float32], config: ModelConfig
) -> NDArray[np.int32]:
    return probability_to_labels(
        probability,
        threshold=config.threshold,
        min_size=usual_min_size(config, region.diameter),
        split=config.split,
        shape=region.labels.shape,
        score=config.score,
    )


def _match(region: _Region, found: NDArray[np.int32]) -> tuple[list[float], int]:
    """Best IoU of each cell kept aside, and how many other objects lie in its region."""
    sizes = np.bincount(found.ravel())
    matched, overlaps = set(), []
    for cell in region.cells:
        truth = region.labels == cell
        hits = np.bincount(found[truth], minlength=len(sizes))
        hits[0] = 0
        iou = hits / (sizes + truth.sum() - hits)
        best = int(np.argmax(iou))
        overlaps.append(float(iou[best]))
        if iou[best] > 0:
            matched.add(best)
    inside = np.bincount(found[region.mask], minlength=len(sizes))
    majority = np.flatnonzero(2 * inside > sizes)
    return overlaps, len(set(majority.tolist()) - matched - {0})
