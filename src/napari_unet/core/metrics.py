"""How good a segmentation is: scores of one image, and pooled over many."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_unet.core.errors import InputError
from napari_unet.core.label_index import IntArray, whole_numbers
from napari_unet.core.matching import (
    Matches,
    Overlap,
    average_precision,
    match_objects,
    overlap_of,
)
from napari_unet.core.partition_metrics import (
    aggregated_jaccard,
    foreground_rand,
    rand_index,
    variation_of_information,
)
from napari_unet.core.surface_metrics import boundary_f1, surface_distances
from napari_unet.core.targets import labels_to_classes
from napari_unet.core.warping_error import warping_error

__all__ = ["THRESHOLDS", "Matches", "Scores", "average_precision", "match_objects", "pool", "score"]

THRESHOLDS = (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)


@dataclass(frozen=True, slots=True)
class Scores:
    """Counts of one image, or sums over several, and what follows from them.

    Attributes
    ----------
    found
        Matched objects at each of `THRESHOLDS`, the true positives.
    n_truth, n_predicted
        Number of true and of predicted objects.
    iou_sum
        Sum of the IoU of the pairs matched at 0.5.
    n_pixels, truth_pixels, predicted_pixels, shared_pixels
        All pixels, and those of the foregrounds and of their intersection.
    jaccard_shared, jaccard_union
        What the aggregated Jaccard index is the ratio of.
    boundary_f1
        F1 of the boundaries, within the tolerance given to `score`.
    hausdorff, hausdorff_95, surface_distance
        Largest distance of the foregrounds' surfaces, that of 95 %, and the mean one; infinite
        where one is empty.
    rand_index, foreground_rand
        Agreement of pixel pairs, over all pixels and as in the ISBI 2012 challenge.
    split_information, merge_information
        The two halves of the variation of information, in bits.
    warping_error
        Share of pixels where the topology is wrong, as in the ISBI 2012 challenge; touching cells
        count as parted by a gap of a pixel.
    """

    found: tuple[int, ...]
    n_truth: int
    n_predicted: int
    iou_sum: float
    n_pixels: int
    truth_pixels: int
    predicted_pixels: int
    shared_pixels: int
    jaccard_shared: int
    jaccard_union: int
    boundary_f1: float
    hausdorff: float
    hausdorff_95: float
    surface_distance: float
    rand_index: float
    foreground_rand: float
    split_information: float
    merge_information: float
    warping_error: float

    @property
    def average_precision(self) -> dict[float, float]:
        """TP / (TP + FP + FN) at each IoU threshold."""
        objects = self.n_truth + self.n_predicted
        return {
            threshold: _share(found, objects - found)
            for threshold, found in zip(THRESHOLDS, self.found, strict=True)
        }

    @property
    def mean_average_precision(self) -> float:
        """Mean of `average_precision` over its thresholds."""
        return float(np.mean(list(self.average_precision.values())))

    @property
    def precision(self) -> float:
        """Share of the predicted objects that are right, at IoU 0.5."""
        return _share(self.found[0], self.n_predicted)

    @property
    def recall(self) -> float:
        """Share of the true objects that were found, at IoU 0.5."""
        return _share(self.found[0], self.n_truth)

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall at IoU 0.5; also recognition quality."""
        return _share(2 * self.found[0], self.n_truth + self.n_predicted)

    @property
    def segmentation_quality(self) -> float:
        """Mean IoU of the matched pairs (SQ of Kirillov 2019); 0 where none matched."""
        if not self.n_truth and not self.n_predicted:
            return 1.0
        return self.iou_sum / self.found[0] if self.found[0] else 0.0

    @property
    def panoptic_quality(self) -> float:
        """PQ = SQ RQ (Kirillov 2019)."""
        return self.segmentation_quality * self.f1

    @property
    def dice(self) -> float:
        """Dice coefficient of the foregrounds."""
        return _share(2 * self.shared_pixels, self.truth_pixels + self.predicted_pixels)

    @property
    def iou(self) -> float:
        """Intersection over union of the foregrounds."""
        union = self.truth_pixels + self.predicted_pixels - self.shared_pixels
        return _share(self.shared_pixels, union)

    @property
    def mean_iou(self) -> float:
        """Mean of the intersections over union of foreground and background."""
        outside = self.n_pixels - self.truth_pixels - self.predicted_pixels + self.shared_pixels
        return (self.iou + _share(outside, self.n_pixels - self.shared_pixels)) / 2

    @property
    def aggregated_jaccard(self) -> float:
        """AJI (Kumar et al. 2017): pixels of best partners shared, of all that they cover."""
        return _share(self.jaccard_shared, self.jaccard_union)

    @property
    def variation_of_information(self) -> float:
        """Bits that are lost by false splits and by merges together."""
        return self.split_information + self.merge_information

    @property
    def pixel_accuracy(self) -> float:
        """Share of the pixels whose class, cell or background, is right."""
        return 1 - self.pixel_error

    @property
    def pixel_error(self) -> float:
        """Share of the pixels whose class, cell or background, is wrong.

        The ISBI 2012 challenge also reports pixel error as one minus the F-score, 1 - `dice`.
        """
        wrong = self.truth_pixels + self.predicted_pixels - 2 * self.shared_pixels
        return wrong / self.n_pixels if self.n_pixels else 0.0


def score(
    truth: npt.ArrayLike,
    prediction: npt.ArrayLike,
    *,
    tolerance: float = 2.0,
    spacing: Sequence[float] | None = None,
) -> Scores:
    """Compare a segmentation with the truth.

    An image without objects in either scores perfectly; where only one has objects, shares
    are 0 and surface distances infinite.

    Parameters
    ----------
    truth, prediction
        Integer labels of the same shape, 2 or 3 axes, 0 is background.
    tolerance
        Within how many pixels a boundary counts as hit.
    spacing
        Size of a pixel along each axis, for tolerance and distances; by default 1.

    Returns
    -------
    Scores
        Everything at once; `pool` sums it over images.
    """
    overlap = overlap_of(truth, prediction)
    true_labels, labels = whole_numbers(truth), whole_numbers(prediction)
    if true_labels.ndim not in (2, 3):
        raise InputError(f"Labels need 2 or 3 axes to be scored, but have {true_labels.ndim}.")
    surfaces = surface_distances(true_labels != 0, labels != 0, spacing)
    splits, merges = variation_of_information(overlap)
    at_half = overlap.matched(THRESHOLDS[0])[2]
    truth_pixels, predicted_pixels, shared_pixels = _foreground(overlap)
    jaccard_shared, jaccard_union = aggregated_jaccard(overlap)
    return Scores(
        found=tuple(len(overlap.matched(threshold)[0]) for threshold in THRESHOLDS),
        n_truth=overlap.n_truth,
        n_predicted=overlap.n_predicted,
        iou_sum=float(at_half.sum()),
        n_pixels=int(overlap.pixels.sum()),
        truth_pixels=truth_pixels,
        predicted_pixels=predicted_pixels,
        shared_pixels=shared_pixels,
        jaccard_shared=jaccard_shared,
        jaccard_union=jaccard_union,
        boundary_f1=boundary_f1(true_labels, labels, tolerance, spacing),
        hausdorff=surfaces.hausdorff,
        hausdorff_95=surfaces.hausdorff_95,
        surface_distance=surfaces.mean,
        rand_index=rand_index(overlap),
        foreground_rand=foreground_rand(overlap),
        split_information=splits,
        merge_information=merges,
        warping_error=warping_error(_parted(true_labels), _parted(labels)),
    )


def pool(scores: Iterable[Scores]) -> Scores:
    """Add up the counts of many images; boundary, distance and region scores are averaged.

    An infinite distance, from an image where only one side has objects, is left out of the
    average.
    """
    every = list(scores)
    if not every:
        raise InputError("There are no scores to pool: give at least one image.")
    return Scores(
        found=tuple(sum(counts) for counts in zip(*(one.found for one in every), strict=True)),
        n_truth=sum(one.n_truth for one in every),
        n_predicted=sum(one.n_predicted for one in every),
        iou_sum=sum(one.iou_sum for one in every),
        n_pixels=sum(one.n_pixels for one in every),
        truth_pixels=sum(one.truth_pixels for one in every),
        predicted_pixels=sum(one.predicted_pixels for one in every),
        shared_pixels=sum(one.shared_pixels for one in every),
        jaccard_shared=sum(one.jaccard_shared for one in every),
        jaccard_union=sum(one.jaccard_union for one in every),
        boundary_f1=_mean(one.boundary_f1 for one in every),
        hausdorff=_mean(one.hausdorff for one in every),
        hausdorff_95=_mean(one.hausdorff_95 for one in every),
        surface_distance=_mean(one.surface_distance for one in every),
        rand_index=_mean(one.rand_index for one in every),
        foreground_rand=_mean(one.foreground_rand for one in every),
        split_information=_mean(one.split_information for one in every),
        merge_information=_mean(one.merge_information for one in every),
        warping_error=_mean(one.warping_error for one in every),
    )


def _parted(labels: IntArray) -> npt.NDArray[np.bool_]:
    """Where cells are, with a gap between those that touch in a plane."""
    return labels_to_classes(labels, n_dims=2).view(bool)


def _share(part: float, whole: float) -> float:
    """Part of the whole; of nothing, all is right."""
    return part / whole if whole else 1.0


def _foreground(overlap: Overlap) -> tuple[int, int, int]:
    """Pixels of the true foreground, of the predicted one, and of both."""
    both = overlap.pixels[(overlap.truth > 0) & (overlap.predicted > 0)]
    truth, predicted = overlap.truth_sizes[1:], overlap.predicted_sizes[1:]
    return int(truth.sum()), int(predicted.sum()), int(both.sum())


def _mean(values: Iterable[float]) -> float:
    finite = [value for value in values if np.isfinite(value)]
    return float(np.mean(finite)) if finite else float("inf")
