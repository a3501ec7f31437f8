"""Labels that are made of probabilities: how, and what is written if nothing was edited since."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any  # labels may be any integer dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.boxes import Box
from napari_unet.core.config import ModelConfig
from napari_unet.core.object_index import ObjectIndex
from napari_unet.core.object_score import ObjectScore
from napari_unet.core.packed import Packed, pack
from napari_unet.core.threads import in_threads

__all__ = ["UNSET", "USUAL_MIN_SIZE", "ObjectSettings", "Proposal", "proposal_of"]

USUAL_MIN_SIZE = ModelConfig().min_size


@dataclass(frozen=True)
class ObjectSettings:
    """How objects are made of probabilities; see `probability_to_labels`.

    No smallest size stands for the usual one of the model and the image.
    """

    threshold: float = 0.5
    min_size: int | None = None
    split: float = 0.0
    score: ObjectScore | None = None


UNSET = ObjectSettings()  # until somebody has chosen


@dataclass(frozen=True, eq=False)
class Proposal:
    """Labels for one plane, made while `edits` edits were known.

    `packed` is the plane before and with them, as the history keeps it, `index` where its objects
    are, and `made_at` the number of changes that were known; no `packed` stands for labels that
    would change nothing. A `box` says that labels are those of a part of the plane alone.
    """

    labels: NDArray[np.int32]
    edits: int
    made_at: int
    packed: tuple[Packed, Packed] | None = None
    index: ObjectIndex | None = None
    box: Box | None = None


def proposal_of(
    current: NDArray[Any],
    predicted: NDArray[np.int32],
    edits: int,
    made_at: int,
    checked: NDArray[np.bool_] | None = None,
) -> Proposal:
    """Return a proposal with what is to be known of it; an index only with what is checked."""
    if np.array_equal(current, predicted):
        return Proposal(predicted, edits, made_at)
    found: dict[str, Any] = {}

    def know(what: str) -> None:
        if what == "packed":
            found[what] = pack(current), pack(predicted)
        elif checked is not None:
            found[what] = ObjectIndex(predicted, checked)

    in_threads(know, ("packed", "index"), predicted.size)
    return Proposal(predicted, edits, made_at, found["packed"], found.get("index"))
