"""How two divisions of an image into regions agree: Rand indices and information."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from napari_unet.core.label_index import IntArray
from napari_unet.core.matching import Overlap

__all__ = ["foreground_rand", "rand_index", "variation_of_information"]


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

    The F-score of pixel pairs inside true cells (Arganda-Carreras 2015, V^Rand at alpha 1/2).
    A pixel that the prediction calls background counts as a region of its own, so that
    painting all of it background earns nothing. Where truth has no cell: 1.
    """
    inside = overlap.truth > 0
    pixels, predicted = overlap.pixels[inside], overlap.predicted[inside]
    if not len(pixels):
        return 1.0
    cell = predicted > 0
    sizes = np.bincount(predicted[cell], weights=pixels[cell])
    alone = float(pixels[~cell].sum())  # regions of one pixel: the square of one is one
    together = _squares(pixels[cell]) + alone
    both = _squares(overlap.truth_sizes[1:]) + _squares(sizes) + alone
    return float(2 * together / both)


def variation_of_information(overlap: Overlap) -> tuple[float, float]:
    """Bits lost by false splits, H(prediction | truth), and by merges, H(truth | prediction)."""
    n = max(float(overlap.pixels.sum()), 1.0)
    joint = _entropy(overlap.pixels / n)
    splits = joint - _entropy(overlap.truth_sizes / n)
    merges = joint - _entropy(overlap.predicted_sizes / n)
    return max(splits, 0.0), max(merges, 0.0)


def _squares(counts: IntArray) -> float:
    return float(np.square(counts.astype(np.float64)).sum())


def _entropy(parts: npt.NDArray[np.float64]) -> float:
    parts = parts[parts > 0]
    return float(-(parts * np.log2(parts)).sum())
