"""Parts of a resampled plane, each pixel as it is where the whole plane is resampled at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Resampled"]


@dataclass(frozen=True, slots=True)
class Resampled:
    """An axis of `old` pixels that gets `new` ones; pixel centres stay where they are."""

    old: int
    new: int

    def span(self, start: int, stop: int) -> tuple[int, int]:
        """Return which old pixels the new ones from `start` to `stop` depend on."""
        first, last = self._between(start, start + 1), self._between(stop - 1, stop)
        return int(first[0]), min(int(last[0]) + 2, self.old)

    def nearest(self, start: int, stop: int) -> NDArray[np.intp]:
        """Return for each new pixel the old one in which its centre lies."""
        at = (np.arange(start, stop) + 0.5) * (self.old / self.new)
        index: NDArray[np.intp] = np.minimum(at.astype(int), self.old - 1)
        return index

    def linear(
        self, image: NDArray[np.float32], axis: int, start: int, stop: int, first: int = 0
    ) -> NDArray[np.float32]:
        """Interpolate the new pixels from `start` to `stop` along an axis of (C, Y, X).

        Along it, what is given begins at the old pixel `first` and holds their `span`.
        """
        if self.new == self.old:
            return image[(slice(None),) * axis + (slice(start - first, stop - first),)]
        at = self._between(start, stop)
        before = at.astype(int)
        after = np.minimum(before + 1, self.old - 1)
        part = (at - before).astype(np.float32).reshape([-1 if i == axis else 1 for i in range(3)])
        out: NDArray[np.float32] = image.take(before - first, axis)
        out += (image.take(after - first, axis) - out) * part
        return out

    def between(
        self, start: int, stop: int, first: int = 0
    ) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
        """Return for each new pixel the two old ones around its centre, and the way between them.

        The old ones are counted from `first`; the way is 0 at the one before, towards 1.
        """
        at = self._between(start, stop)
        before = at.astype(np.intp)
        after = np.minimum(before + 1, self.old - 1)
        return before - first, after - first, (at - before).astype(np.float32)

    def _between(self, start: int, stop: int) -> NDArray[np.float64]:
        at = (np.arange(start, stop) + 0.5) * (self.old / self.new) - 0.5
        inside: NDArray[np.float64] = np.clip(at, 0, self.old - 1)
        return inside
