"""How often each place of the checked area is drawn: hard and recent ones more often."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["AHEAD", "Interest", "center_errors"]

# The hardest place is drawn at the most so many times as often as a usual one, the easiest at the
# least so many times: what is learnt would be forgotten, and what is hardest may be drawn wrongly
# (chosen).
MOST, LEAST = 3.0, 1 / 3

# What was corrected since the last round comes so many times as often (chosen).
RECENT = 2.0

# How much of what was seen of a place before is forgotten when it is seen again (chosen).
FORGET = 0.5

# A batch is drawn while the one before is learnt from: it knows of those before that one.
AHEAD = 2

# Of a patch this part of each side, in the middle, tells of the place that it is drawn for: so far
# from its centre is the pixel that was chosen there at the most.
MIDDLE = 1 / 2


class Interest:
    """What is known of the places that patches are centred on.

    A place that was not yet seen counts as the hardest: each correction is looked at first. After
    that it counts as its error does against the mean of all that was seen, within bounds (as in the
    sampling in proportion to loss of Loshchilov and Hutter 2016, arXiv:1511.06343, with a floor).

    Parameters
    ----------
    recent : ndarray of bool, shape (n,)
        Which of the places were corrected since the last round.
    """

    def __init__(self, recent: NDArray[np.bool_]) -> None:
        self._recency = np.where(recent, RECENT, 1.0)
        self._error = np.full(len(recent), np.nan)
        self._coming: deque[tuple[int, NDArray[np.intp], NDArray[np.float64]]] = deque()
        self._has_notes = False

    def note(self, batch: int, places: Sequence[int], errors: Sequence[float]) -> None:
        """Take note of how wrong the network was where the patches of a batch were centred.

        Parameters
        ----------
        batch : int
            Its number.
        places : sequence of int
            One for each patch.
        errors : sequence of float
            As many, 0 and above; what is not finite says nothing.
        """
        self._coming.append((batch, np.asarray(places, np.intp), np.asarray(errors, float)))

    def chances(self, batch: int) -> NDArray[np.float64]:
        """Return how often each place is to be drawn for a batch, 1 for a usual one, shape (n,).

        What was noted of the batches up to `AHEAD` before it counts, whichever thread was faster.
        """
        while self._coming and self._coming[0][0] <= batch - AHEAD:
            self._take(*self._coming.popleft()[1:])
        if not self._has_notes:
            return self._recency.copy()
        mean = float(np.nanmean(self._error))
        hardness = np.clip(self._error / max(mean, 1e-6), LEAST, MOST)
        chances: NDArray[np.float64] = self._recency * np.where(np.isnan(hardness), MOST, hardness)
        return chances

    def _take(self, places: NDArray[np.intp], errors: NDArray[np.float64]) -> None:
        for place, error in zip(places, errors, strict=True):
            if np.isfinite(error):
                old = self._error[place]
                kept = error if np.isnan(old) else old
                self._error[place] = kept + FORGET * (error - kept)
                self._has_notes = True


def center_errors(logits: Tensor, target: Tensor, weight: Tensor) -> list[float]:
    """Return the mean squared error of the true class's probability in the middle of each patch.

    Parameters
    ----------
    logits : Tensor of float, shape (B, K, [D,] H, W)
    target : Tensor of int64, shape (B, [D,] H, W)
    weight : Tensor of float, shape (B, [D,] H, W)
        Only pixels above 0 count.

    Returns
    -------
    list of float
        One for each patch, from 0 to 1; not a number where none of its middle counts.
    """
    middle = tuple(
        slice(round(size * (1 - MIDDLE) / 2), round(size * (1 + MIDDLE) / 2))
        for size in target.shape[1:]
    )
    there = (slice(None), *middle)
    with torch.no_grad():
        probability = logits.detach()[(slice(None), *there)].float().softmax(dim=1)
        right = probability.gather(1, target[there][:, None])[:, 0]
        counts = (weight[there] > 0).float()
        space = tuple(range(1, target.ndim))
        wrong = ((1 - right).square() * counts).sum(dim=space) / counts.sum(dim=space)
    return [float(value) for value in wrong.cpu()]
