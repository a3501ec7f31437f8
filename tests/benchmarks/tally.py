"""What is counted of one image or of many, and the scores that follow."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import reduce
from operator import add
from typing import Any  # labels come in any integer dtype

import numpy as np
from numpy.typing import NDArray
from touching import Pairs, count_pairs

from napari_unet.core.matching import overlap_of

__all__ = ["IOUS", "SHOWN", "Tally", "heading", "pooled", "tally_of"]

IOUS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
SHOWN = (0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True, slots=True)
class Tally:
    """Objects and touching pairs; `found` are the matches at each of `IOUS`."""

    found: tuple[int, ...] = (0,) * len(IOUS)
    n_truth: int = 0
    n_predicted: int = 0
    iou_sum: float = 0.0
    pairs: Pairs = field(default_factory=Pairs)

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            tuple(mine + yours for mine, yours in zip(self.found, other.found, strict=True)),
            self.n_truth + other.n_truth,
            self.n_predicted + other.n_predicted,
            self.iou_sum + other.iou_sum,
            self.pairs + other.pairs,
        )

    def precision(self, iou: float) -> float:
        """AP of the Data Science Bowl, TP / (TP + FP + FN); 1 where there is nothing."""
        hits = self.found[IOUS.index(iou)]
        others = self.n_truth + self.n_predicted - hits
        return hits / others if others else 1.0

    @property
    def mean_precision(self) -> float:
        """Mean of `precision` from IoU 0.5 to 0.95 in steps of 0.05."""
        return float(np.mean([self.precision(iou) for iou in IOUS]))

    @property
    def f1(self) -> float:
        """F1 at IoU 0.5."""
        objects = self.n_truth + self.n_predicted
        return 2 * self.found[0] / objects if objects else 1.0

    @property
    def panoptic_quality(self) -> float:
        """Mean IoU of the matches at 0.5, times F1."""
        if not self.n_truth + self.n_predicted:
            return 1.0
        return self.f1 * self.iou_sum / max(1, self.found[0])

    def __str__(self) -> str:
        row = "  ".join(f"{self.precision(iou):.3f}" for iou in SHOWN)
        return f"{row}  {self.mean_precision:.3f}  {self.f1:.3f}  {self.panoptic_quality:.3f}"

    def to_json(self) -> dict[str, Any]:  # JSON values
        """Return the counts, and beside them the scores for a person to read."""
        scores = {f"AP {iou:.2f}": round(self.precision(iou), 4) for iou in IOUS}
        scores |= {"F1": round(self.f1, 4), "PQ": round(self.panoptic_quality, 4)}
        return {"counts": asdict(self), "scores": scores}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Tally:
        """Read what `to_json` wrote."""
        counts = dict(values["counts"])
        counts["found"] = tuple(counts["found"])
        counts["pairs"] = Pairs(**counts["pairs"])
        return cls(**counts)


def heading() -> str:
    """Return the heading of a row of `Tally`."""
    return "  ".join(f"AP.{round(100 * iou)}" for iou in SHOWN) + "  mean   F1     PQ"


def tally_of(truth: NDArray[Any], prediction: NDArray[Any]) -> Tally:
    """Compare one plane of labels with the truth."""
    overlap = overlap_of(truth, prediction)
    matched = [overlap.matched(iou)[2] for iou in IOUS]
    return Tally(
        tuple(len(ious) for ious in matched),
        overlap.n_truth,
        overlap.n_predicted,
        float(matched[0].sum()),
        count_pairs(truth, prediction),
    )


def pooled(tallies: Iterable[Tally]) -> Tally:
    """Add up."""
    return reduce(add, tallies, Tally())
