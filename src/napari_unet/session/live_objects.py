"""Objects that follow the sliders: of a large plane what is seen first, the rest when they rest."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from napari_unet.core.boxes import Box
from napari_unet.session.image import Place
from napari_unet.session.label_maker import LabelMaker
from napari_unet.session.pair import ObjectSettings, Pair, Proposal

__all__ = ["LiveObjects", "is_worth_while"]

# In planes of as many pixels what is seen is made first, if it is at the most one part of so many;
# all of a smaller one is there as soon (chosen).
LARGE = 2**21
LARGEST_PART = 2

REST_S = 0.2  # sliders that have not moved for so long rest (chosen)

Then = Callable[[], None]


def is_worth_while(pair: Pair, place: Place, seen: Box) -> bool:
    """Whether what is seen of a plane is so little of it that it is made first."""
    rows, columns = (side.stop - side.start for side in seen)
    pixels = math.prod(pair.image.plane_shape)
    is_alone = not pair.classes and pair.volume_of(place) is None and place in pair.probability
    return is_alone and pixels >= LARGE and 0 < LARGEST_PART * rows * columns <= pixels


class LiveObjects:
    """Makes what is seen in a thread of its own; for the viewer's thread, as the session is."""

    def __init__(self) -> None:
        self._maker: LabelMaker[tuple[Pair, Place, Proposal]] | None = None  # from the first on
        self._then: Then | None = None
        self._pair: Pair | None = None
        self._moved_at = 0.0

    def request(
        self, pair: Pair, place: Place, seen: Box, settings: ObjectSettings, then: Then
    ) -> None:
        """Make what is seen; `then` is called once no other request came for a while."""
        if self._maker is None:
            self._maker = LabelMaker()
        self._then, self._pair, self._moved_at = then, pair, time.monotonic()
        self._maker.request("seen", lambda: (pair, place, pair.glimpse(place, settings, seen)))

    def forget(self) -> None:
        """What waits is overtaken."""
        self._then = None

    def overtakes(self, pair: Pair) -> bool:
        """Whether all objects of a pair will be made anew, so that older ones are not shown."""
        return self._then is not None and self._pair is pair

    @property
    def busy(self) -> bool:
        """Whether anything is to come."""
        return self._then is not None or (self._maker is not None and self._maker.busy)

    def pump(self) -> tuple[list[tuple[Pair, Place, Proposal]], list[Exception]]:
        """Return what was made since the last call, and what went wrong; never waits."""
        if self._maker is None:
            return [], []
        made, errors = [one for _, one in self._maker.take()], self._maker.take_errors()
        is_at_rest = time.monotonic() - self._moved_at >= REST_S and not self._maker.busy
        if self._then is not None and is_at_rest:
            then, self._then = self._then, None
            then()
        return made, errors

    def close(self) -> None:
        """End the thread."""
        self._then = None
        if self._maker is not None:
            self._maker.close()
