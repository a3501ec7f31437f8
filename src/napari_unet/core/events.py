"""What long work reports while it runs: small frozen values, no torch in them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any  # probabilities come as float or quantised

import numpy as np
from numpy.typing import NDArray

__all__ = ["KeptAsideScore", "TeachSummary", "TileResult", "TrainProgress", "VolumeResult"]


@dataclass(frozen=True, slots=True, eq=False)
class TileResult:
    """Class probabilities of one tile of an image plane.

    Attributes
    ----------
    y, x : int
        First row and column of the tile in the plane.
    probability : ndarray of float32 or uint8, shape (C, h, w)
        Probability of each class; uint8 if it is quantised, 255 is 1.0.
    index, count : int
        This is tile number ``index`` (from 0, in the order of computation) of ``count``.
    deviation : ndarray of float32 or uint8, shape (h, w), or None
        Where versions of the image are averaged: how far they differ, see `predict_averaged`.
    """

    y: int
    x: int
    probability: NDArray[np.float32] | NDArray[np.uint8]
    index: int
    count: int
    deviation: NDArray[np.float32] | NDArray[np.uint8] | None = None

    def quantised(self) -> TileResult:
        """Return the same with uint8 probabilities, a quarter of the bytes to send."""
        if self.probability.dtype == np.uint8:
            return self
        deviation = None if self.deviation is None else _in_bytes(self.deviation)
        return replace(self, probability=_in_bytes(self.probability), deviation=deviation)


@dataclass(frozen=True, slots=True, eq=False)
class VolumeResult:
    """Class probabilities of one tile of a volume.

    Attributes
    ----------
    place : tuple of slice
        Where it lies along Z, Y and X.
    probability : ndarray of float32 or uint8, shape (C, d, h, w)
        Probability of each class; uint8 if it is quantised, 255 is 1.0.
    done, count : int
        So many tiles are done with it, of so many.
    """

    place: tuple[slice, ...]
    probability: NDArray[np.float32] | NDArray[np.uint8]
    done: int
    count: int

    def quantised(self) -> VolumeResult:
        """Return the same with uint8 probabilities, a quarter of the bytes to send."""
        return replace(self, probability=_in_bytes(self.probability))


# A model that scores so much finds the cells, if not their outlines (chosen).
FOUND = 0.5


@dataclass(frozen=True, slots=True)
class TrainProgress:
    """Where training stands, reported a few times a second at the most.

    ``fraction`` runs from 0 to 1; ``loss`` is the mean since the last report.
    """

    step: int
    seconds: float
    fraction: float
    loss: float


@dataclass(frozen=True, slots=True)
class KeptAsideScore:
    """How well the cells kept aside are found: mean IoU, 0 to 1, false objects count as 0."""

    step: int
    seconds: float
    score: float
    cells: int


@dataclass(frozen=True, slots=True)
class TeachSummary:
    """How a round of teaching ended.

    Attributes
    ----------
    before, after : float or None
        Score on the cells kept aside, of the model before and of the one returned. Where too
        few were checked to keep any aside, on the checked cells themselves; None where no cell
        was checked.
    cells_taught, cells_kept_aside : int
        How many checked cells were learnt from, and how many were kept aside.
    improved : bool
        False if the taught model scored worse than the one before.
    seconds, steps : float, int
        What the round took.
    live : bool
        Whether it was learnt while cells were corrected: then none is kept aside.
    replayed : int
        How many images of earlier rounds were learnt along.
    noun : str
        What was counted: "cell", or "patch" where classes were learnt.
    rehearsed : bool
        Whether it was held to what it knew, of a kind of image that it did not know; see
        `napari_unet.core.rehearsal`.
    lost : bool
        Whether it is not taken for what it lost of what nobody had corrected.
    forgot : bool
        Whether it is not taken for what it lost of what was checked in earlier rounds.
    diameters : tuple of float or None
        Of the objects of each image that is not replayed, in pixels, where it was learnt at another
        size than was given; else None. Empty if all were learnt as given.
    """

    before: float | None
    after: float | None
    cells_taught: int
    cells_kept_aside: int
    improved: bool
    seconds: float
    steps: int
    live: bool = False
    replayed: int = 0
    noun: str = "cell"
    rehearsed: bool = False
    lost: bool = False
    forgot: bool = False
    diameters: tuple[float | None, ...] = ()

    def __post_init__(self) -> None:
        # The card of a model is JSON, which has no tuples.
        object.__setattr__(self, "diameters", tuple(self.diameters))

    @property
    def is_held(self) -> bool:
        """Whether what it knew may be why it still finds less than half of what was checked."""
        return self.rehearsed and self.after is not None and self.after < FOUND

    @property
    def sentence(self) -> str:
        """What is told to the user."""
        cells = _count(self.cells_taught, f"checked {self.noun}")
        if not self.cells_taught:
            cells = "checked background alone"
        if self.replayed:
            cells += f" and {_count(self.replayed, 'image')} of earlier rounds"
        if self.before is None or self.after is None:
            return f"Learnt from {cells}; too few were checked to keep any aside and test on them."
        scores = f"before {self.before:.2f}, after {self.after:.2f}"
        where = f"these {_plural(self.noun)}"
        if self.cells_kept_aside:
            where = f"{_count(self.cells_kept_aside, f'corrected {self.noun}')} kept aside"
        if self.lost and not self.improved:
            return (
                f"So taught, the model would lose {_plural(self.noun)} that looked right and were "
                "not checked, so the model before stays; check some of those too and teach again."
            )
        if self.forgot and not self.improved:
            return (
                f"So taught, the model would lose {_plural(self.noun)} of earlier rounds, so the "
                f"model before stays; check a few more {_plural(self.noun)} and teach again."
            )
        if not self.improved:
            more = f"check a few more {_plural(self.noun)}"
            more += ", or move Keep to the left," if self.is_held else ""
            return (
                f"Teaching did not help on {where} ({scores}), so the model before stays; "
                f"{more} and teach again."
            )
        closer = ""
        if self.after < self.before:  # within the noise of a few cells; the loss fell
            is_found = self.after >= FOUND
            closer = ", about the same" if is_found else " but closer; teach again for longer"
        if self.is_held:
            closer += " and" if closer else ";"
            closer += " move Keep to the left to learn more freely"
        if self.cells_kept_aside:
            return f"Learnt from {cells}; on {where}: {scores}{closer}."
        why = "none kept aside" if self.live else "too few to keep any aside"
        return f"Learnt from {cells}, {why}; on {where}: {scores}{closer}."


def _in_bytes(values: NDArray[Any]) -> NDArray[np.uint8]:
    if values.dtype == np.uint8:
        return values
    whole: NDArray[np.uint8] = np.rint(values * np.float32(255)).astype(np.uint8)
    return whole


def _count(number: int, noun: str) -> str:
    return f"{number} {noun if number == 1 else _plural(noun)}"


def _plural(noun: str) -> str:
    return noun + ("es" if noun.endswith("ch") else "s")
