"""A segmentation beside the truth: every measure, every object, and a map of what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_unet.core.label_index import whole_numbers
from napari_unet.core.metrics import Scores, pool, score
from napari_unet.core.verdicts import ObjectVerdicts, compare_objects, joined

__all__ = ["Evaluation", "evaluate", "measures"]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What `evaluate` returns.

    Attributes
    ----------
    scores : Scores
        Of all planes together, where each plane is compared by itself.
    objects : ObjectVerdicts
        Centers are in the axes of the labels.
    map : ndarray of uint8, shape of the labels
        See `Comparison`.
    """

    scores: Scores
    objects: ObjectVerdicts
    map: npt.NDArray[np.uint8]


def evaluate(
    truth: npt.ArrayLike,
    prediction: npt.ArrayLike,
    *,
    iou: float = 0.5,
    spacing: Sequence[float] | None = None,
    volume: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Compare labels with the truth.

    Parameters
    ----------
    truth, prediction
        Integer labels of the same shape, (..., Y, X), 0 is background.
    iou
        Smallest intersection over union of a hit in the list of objects.
    spacing
        Size of a pixel along each axis that is compared, for tolerance and distances; by default 1.
    volume
        Objects reach through a third axis, Z; otherwise each plane is compared by itself.
    progress
        Called with (done, total) after each plane.

    Raises
    ------
    InputError
        If shapes differ, labels are no whole numbers, or a volume has no three axes.
    """
    truth, prediction = whole_numbers(truth), whole_numbers(prediction)
    if truth.shape != prediction.shape or volume or truth.ndim < 3:
        scores = score(truth, prediction, spacing=spacing)
        compared = compare_objects(truth, prediction, iou)
        return Evaluation(scores, compared.objects, compared.map)
    places = list(np.ndindex(truth.shape[:-2]))
    painted = np.zeros(truth.shape, np.uint8)
    every, parts = [], []
    for number, place in enumerate(places):
        plane, found = truth[place], prediction[place]
        compared = compare_objects(plane, found, iou)
        every.append(score(plane, found, spacing=spacing))
        parts.append((place, compared.objects))
        painted[place] = compared.map
        if progress is not None:
            progress(number + 1, len(places))
    return Evaluation(pool(every), joined(parts), painted)


def measures(scores: Scores) -> dict[str, float]:
    """Return every measure by its name, in the order in which they are shown."""
    return {
        "true objects": scores.n_truth,
        "predicted objects": scores.n_predicted,
        "matched at IoU 0.5": scores.found[0],
        **{f"AP {at:.2f}": value for at, value in scores.average_precision.items()},
        "mean AP": scores.mean_average_precision,
        "F1": scores.f1,
        "precision": scores.precision,
        "recall": scores.recall,
        "PQ": scores.panoptic_quality,
        "SQ": scores.segmentation_quality,
        "AJI": scores.aggregated_jaccard,
        "Dice": scores.dice,
        "IoU": scores.iou,
        "mean IoU": scores.mean_iou,
        "pixel accuracy": scores.pixel_accuracy,
        "pixel error": scores.pixel_error,
        "boundary F1": scores.boundary_f1,
        "Hausdorff distance": scores.hausdorff,
        "Hausdorff distance, 95 %": scores.hausdorff_95,
        "mean surface distance": scores.surface_distance,
        "Rand index": scores.rand_index,
        "foreground Rand": scores.foreground_rand,
        "warping error": scores.warping_error,
        "variation of information": scores.variation_of_information,
        "split information": scores.split_information,
        "merge information": scores.merge_information,
    }
