"""Labels that are made of probabilities: how, and what is written if nothing was edited since."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any  # labels may be any integer dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.config import ModelConfig
from napari_unet.core.object_score import ObjectScore
from napari_unet.core.packed import Packed, pack

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

    `packed` is the plane before and with them, as the history keeps it, and `made_at` the number
    of changes that were known; no `packed` stands for labels that would change nothing.
    """

    labels: NDArray[np.int32]
    edits: int
    made_at: int
    packed: tuple[Packed, Packed] | None


def proposal_of(
    current: NDArray[Any], predicted: NDArray[np.int32], edits: int, made_at: int
) -> Proposal:
    """Return a proposal with what the history is to keep of it."""
    is_same = np.array_equal(current, predicted)
    packed = None if is_same else (pack(current), pack(predicted))
    return Proposal(predicted, edits, made_at, packed)
