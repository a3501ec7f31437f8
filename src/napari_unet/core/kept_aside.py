"""Keep a part of the checked cells aside, by region, and score models on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any  # images and labels come in any real dtype

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unet.core.example import Example
from napari_unet.core.instances import probability_to_labels
from napari_unet.core.model_file import Model
from napari_unet.core.normalize import intensity_range
from napari_unet.core.predict import predict_tiles

__all__ = ["KeptAside", "keep_aside"]

FEWEST_CELLS = 6  # with fewer, each is worth more as a lesson than as a test (chosen)
PART = 0.2  # of the cells, at least two
CONTEXT = 48  # pixels around the cells kept aside that are predicted with them


@dataclass(frozen=True, eq=False)
class _Region:
    """A part of one example: its image with context, its truth, where that is true."""

    image_cyx: NDArray[Any]
    ranges: NDArray[np.float64]  # of the whole image: a part may be dark
    labels: NDArray[Any]
    mask: NDArray[np.bool_]
    cells: tuple[int, ...]

    def foreground(self, model: Model, device: str, precision: str) -> NDArray[np.float32]:
        """Probability that a pixel is foreground, (Y, X)."""
        out = np.zeros(self.labels.shape, np.float32)
        for tile in predict_tiles(
            self.image_cyx, model, device=device, precision=precision, ranges=self.ranges
        ):
            height, width = tile.probability.shape[1:]
            out[tile.y : tile.y + height, tile.x : tile.x + width] = 1 - tile.probability[0]
        return out


@dataclass(frozen=True, eq=False)
class KeptAside:
    """Cells that teaching never sees.

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

    def score(self, model: Model, *, device: str = "auto", precision: str = "auto") -> float:
        """Return the mean IoU of the cells; each false object counts as a cell of IoU 0."""
        total, count = 0.0, 0
        for region in self.regions:
            found = probability_to_labels(
                region.foreground(model, device, precision),
                threshold=model.config.threshold,
                min_size=model.config.min_size,
            )
            overlaps, false_objects = _match(region, found)
            total += sum(overlaps)
            count += len(overlaps) + false_objects
        return total / max(1, count)


def keep_aside(
    examples: Sequence[Example],
    percentiles: tuple[float, float] = (1.0, 99.8),
    *,
    seed: int = 0,
) -> tuple[list[Example], KeptAside | None]:
    """Split checked cells into those to learn from and those kept aside.

    The cells kept aside are neighbours: around one drawn at random, the nearest ones of the
    same example, until a fifth of all checked cells (at least two) is reached. Every checked
    pixel goes with its nearest cell.

    Returns
    -------
    taught : list of Example
        The examples, less what is kept aside.
    aside : KeptAside or None
        None if fewer than six cells are checked.
    """
    cells = [_checked_cells(example) for example in examples]
    total = sum(map(len, cells))
    if total < FEWEST_CELLS:
        return list(examples), None
    wanted = max(2, round(PART * total))
    rng = np.random.default_rng(seed)
    taught, regions = list(examples), []
    for index in sorted(range(len(examples)), key=lambda i: -len(cells[i])):
        most = len(cells[index]) - 1 if total - wanted > 1 else 0
        take = min(wanted, most)
        if take < 1:
            break
        chosen = _neighbours(examples[index], cells[index], take, rng)
        taught[index], region = _split(examples[index], chosen, percentiles)
        regions.append(region)
        wanted -= take
    return taught, KeptAside(tuple(regions))


def _checked_cells(example: Example) -> NDArray[np.intp]:
    """Labels of the objects of which most is checked."""
    labels = np.asarray(example.labels)
    values, inverse = np.unique(labels, return_inverse=True)
    inverse = inverse.ravel()
    part = np.bincount(inverse, weights=example.mask.ravel()) / np.bincount(inverse)
    cells: NDArray[np.intp] = values[(part > 0.5) & (values != 0)].astype(np.intp)
    return cells


def _neighbours(
    example: Example, cells: NDArray[np.intp], count: int, rng: np.random.Generator
) -> tuple[int, ...]:
    centers = np.array(ndimage.center_of_mass(example.labels > 0, example.labels, cells))
    anchor = centers[rng.integers(len(cells))]
    order = np.argsort(np.square(centers - anchor).sum(axis=1), kind="stable")
    return tuple(int(cell) for cell in cells[order[:count]])


def _split(
    example: Example, chosen: tuple[int, ...], percentiles: tuple[float, float]
) -> tuple[Example, _Region]:
    labels = np.asarray(example.labels)
    nearest = ndimage.distance_transform_edt(
        labels == 0, return_distances=False, return_indices=True
    )
    owner = labels[tuple(nearest)]
    aside = np.isin(owner, chosen) & example.mask
    rows, columns = np.nonzero(aside)
    box = tuple(
        slice(max(0, int(at.min()) - CONTEXT), int(at.max()) + 1 + CONTEXT)
        for at in (rows, columns)
    )
    region = _Region(
        image_cyx=example.image_cyx[(slice(None), *box)],
        ranges=intensity_range(example.image_cyx, percentiles),
        labels=labels[box],
        mask=aside[box],
        cells=chosen,
    )
    return replace(example, checked=example.mask & ~aside), region


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
