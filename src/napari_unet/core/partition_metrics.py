"""How two divisions of an image into regions agree: Rand indices and information."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_unet.core.label_index import IntArray
from napari_unet.core.matching import Overlap

__all__ = ["aggregated_jaccard", "foreground_rand", "rand_index", "variation_of_information"]


def aggregated_jaccard(overlap: Overlap) -> tuple[int, int]:
    """Return shared pixels and union of Kumar et al. 2017 (algorithm 1); AJI is their ratio.

    Each true object goes with the predicted one of the largest IoU, which several may do; a
    predicted object that none went with adds its pixels to the union.
    """
    truth, predicted, ious = overlap.iou_pairs()
    order = np.lexsort((-ious, truth))
    truth, predicted = truth[order], predicted[order]
    rows, first = np.unique(truth, return_index=True)
    best = predicted[first]
    cells = (overlap.truth > 0) & (overlap.predicted > 0)
    shared = overlap.pixels[cells][order][first]
    alone = overlap.predicted_sizes.copy()
    alone[0], alone[best] = 0, 0
    missed = overlap.truth_sizes[1:].sum() - overlap.truth_sizes[rows].sum()
    union = overlap.truth_sizes[rows] + overlap.predicted_sizes[best] - shared
    return int(shared.sum()), int(union.sum() + missed + alone.sum())


def rand_index(overlap: Overlap) -> float:
    """Fraction of pixel pairs that both images put together or both put apart.

    Background is a region like the others. 1 for an image of fewer than two pixels.
    """
    n = float(overlap.pixels.sum())
    if n < 2:
        return 1.0
    together = _squares(overlap.pixels)
    apart = _squares(overlap.truth_sizes) + _squares(overlap.predicted_sizes) - 2 * together
    return float(1 - apart / (n * (n - 1)))


def foreground_rand(overlap: Overlap) -> float:
    """The foreground-restricted Rand score of the ISBI 2012 challenge; 1 is perfect.

    The F-score of the pairs of pixels inside true cells that are put together. A pixel that
    the prediction calls background is together with no other, so that painting all of it
    background earns nothing. Where there is no pair at all: 1.
    """
    cells = (overlap.truth > 0) & (overlap.predicted > 0)
    sizes = np.bincount(overlap.predicted[cells], weights=overlap.pixels[cells])
    both = _ordered_pairs(overlap.truth_sizes[1:]) + _ordered_pairs(sizes)
    return 2 * _ordered_pairs(overlap.pixels[cells]) / both if both else 1.0


def variation_of_information(overlap: Overlap) -> tuple[float, float]:
    """Bits lost by false splits, H(prediction | truth), and by merges, H(truth | prediction)."""
    n = max(float(overlap.pixels.sum()), 1.0)
    joint = _entropy(overlap.pixels / n)
    splits = joint - _entropy(overlap.truth_sizes / n)
    merges = joint - _entropy(overlap.predicted_sizes / n)
    return max(splits, 0.0), max(merges, 0.0)


def _squares(counts: IntArray) -> float:
    return float(np.square(counts.astype(np.float64)).sum())


def _ordered_pairs(counts: IntArray) -> float:
    return float((counts * (counts - 1.0)).sum())


def _entropy(parts: npt.NDArray[np.float64]) -> float:
    parts = parts[parts > 0]
    return float(-(parts * np.log2(parts)).sum())
