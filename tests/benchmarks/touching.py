"""Pairs of true objects that touch: are they two in the prediction too?

A pair touches if a pixel of one is within two rows and columns of a pixel of the other: they are
neighbours, or one pixel of background is between them. A predicted object stands for a true one
if it covers more than half of it. Then a pair is

- fused, if one predicted object stands for both,
- lost, if none stands for one of them (or for either),
- separated, if two different ones do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any  # labels come in any integer dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.matching import overlap_of

__all__ = ["Pairs", "count_pairs", "touching_pairs"]

REACH = 2  # pixels


@dataclass(frozen=True, slots=True)
class Pairs:
    """How many touching pairs came out how."""

    separated: int = 0
    fused: int = 0
    lost: int = 0

    def __add__(self, other: Pairs) -> Pairs:
        return Pairs(
            self.separated + other.separated, self.fused + other.fused, self.lost + other.lost
        )

    def __str__(self) -> str:
        share = f"{self.separated / self.count:.3f}" if self.count else "-"
        counts = f"{self.separated:5} separated  {self.fused:4} fused  {self.lost:4} lost"
        return f"{counts}  {share}"

    @property
    def count(self) -> int:
        """All pairs."""
        return self.separated + self.fused + self.lost


def touching_pairs(labels: NDArray[Any], reach: int = REACH) -> NDArray[np.int64]:
    """Return the labels of objects within so many rows and columns, shape (N, 2), each once."""
    labels = np.asarray(labels).astype(np.int64)
    found = [np.zeros((0, 2), np.int64)]
    for dy in range(reach + 1):
        for dx in range(-reach, reach + 1):
            if dy == 0 and dx <= 0:
                continue  # the mirror image of another step, or none
            here = labels[: len(labels) - dy, max(0, -dx) : labels.shape[1] - max(0, dx)]
            there = labels[dy:, max(0, dx) : labels.shape[1] - max(0, -dx)]
            differ = (here > 0) & (there > 0) & (here != there)
            found.append(np.stack([here[differ], there[differ]], axis=1))
    together: NDArray[np.int64] = np.unique(np.sort(np.concatenate(found), axis=1), axis=0)
    return together


def count_pairs(truth: NDArray[Any], prediction: NDArray[Any]) -> Pairs:
    """Count the touching pairs of the truth that the prediction separates, fuses and loses."""
    pairs = touching_pairs(truth)
    overlap = overlap_of(truth, prediction)
    covers = (overlap.predicted > 0) & (2 * overlap.pixels > overlap.truth_sizes[overlap.truth])
    stands_for = dict(
        zip(
            overlap.truth_names[overlap.truth[covers]].tolist(),
            overlap.predicted[covers].tolist(),
            strict=True,
        )
    )
    separated = fused = 0
    for first, second in pairs.tolist():
        one, other = stands_for.get(first), stands_for.get(second)
        if one is not None and other is not None:
            fused += one == other
            separated += one != other
    return Pairs(separated, fused, len(pairs) - separated - fused)
