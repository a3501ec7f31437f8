"""One press of Segment: planes are read, sent to the worker, and their tiles collected."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from typing import Any  # images come in any real dtype

from numpy.typing import NDArray

from napari_unet.core.errors import NapariUnetError
from napari_unet.core.events import TileResult
from napari_unet.engine.runner import Job, Runner
from napari_unet.engine.tasks import SegmentDone, SegmentTask
from napari_unet.session.image import Place
from napari_unet.session.pair import Pair

__all__ = ["SegmentRun"]


class SegmentRun:
    """Segments planes of one image, one after the other.

    Call `pump` often; it never waits. Errors of reading and of the worker are raised by it.

    Parameters
    ----------
    runner : Runner
        Where the network runs.
    reader : Executor
        Where lazy planes are read.
    pair : Pair
        Gets the probabilities.
    model : str
        Name or path.
    places : sequence of Place
        Which planes, in this order.
    center : tuple of float, optional
        Row and column where the user is looking.
    """

    def __init__(
        self,
        runner: Runner,
        reader: Executor,
        pair: Pair,
        model: str,
        places: Sequence[Place],
        center: tuple[float, float] | None = None,
    ) -> None:
        self.pair = pair
        self.model = model
        self.seconds = 0.0
        self.finished = False
        self.cancelled = False
        self._runner = runner
        self._reader = reader
        self._waiting = list(places)
        self._planes = len(places)
        self._begun = 0
        self._failure: NapariUnetError | None = None
        self._center = center
        self._started = time.monotonic()
        self._tile = (0, 0)
        self._place: Place | None = None
        self._reading: Future[NDArray[Any]] | None = None
        self._job: Job[SegmentDone] | None = None
        self._next_plane()

    @property
    def fraction(self) -> float:
        """How much is done, 0 to 1."""
        done, count = self._tile
        planes_done = self._begun - (self._place is not None)
        return (planes_done + (done / count if count else 0.0)) / max(1, self._planes)

    @property
    def text(self) -> str:
        """What is being done, for the line under the progress bar."""
        done, count = self._tile
        plane = f"slice {self._begun} of {self._planes}, " if self._planes > 1 else ""
        if not count:
            return plane + ("reading the image" if self._reading else "starting")
        left = self._seconds_left()
        return f"{plane}tile {done} of {count}" + (f", {left:.0f} s left" if left >= 1 else "")

    def cancel(self) -> None:
        """Stop; what is done stays."""
        self.cancelled = True
        self._waiting.clear()
        if self._reading is not None:
            self._reading.cancel()
        if self._job is not None:
            self._job.cancel()

    def pump(self) -> Place | None:
        """Take what has come; return the plane whose probabilities changed, if one did."""
        if self._failure is not None:
            raise self._failure
        if self._reading is not None and (self.cancelled or self._reading.done()):
            self._send()
        if self._job is None:
            if self._reading is None:
                self.finished = True
            return None
        is_done = self._job.done()  # asked first: what came before the end is then polled
        changed = self._place if self._take_tiles(self._job) else None
        if self.cancelled:
            self._job = None  # the tile it is at is not waited for
            self.finished = True
        elif is_done:
            self._end_plane(self._job)
        self.seconds = time.monotonic() - self._started
        return changed

    def _end_plane(self, job: Job[SegmentDone]) -> None:
        self._job = None
        try:
            job.result()
        except NapariUnetError as error:
            self._failure = error  # raised by the next `pump`: its tiles go out first
            return
        self._next_plane()

    def _take_tiles(self, job: Job[SegmentDone]) -> bool:
        assert self._place is not None
        any_came = False
        for event in job.poll():
            if isinstance(event, TileResult):
                self.pair.place_tile(self._place, event)
                self._tile = (event.index + 1, event.count)
                any_came = True
        return any_came

    def _next_plane(self) -> None:
        self._place = None
        self._tile = (0, 0)
        if not self._waiting:
            self.finished = True
            return
        self._place = self._waiting.pop(0)
        self._begun += 1
        self._reading = self._reader.submit(self.pair.image.read_plane, self._place)

    def _send(self) -> None:
        assert self._reading is not None
        reading, self._reading = self._reading, None
        if self.cancelled:
            self.finished = True
            return
        task = SegmentTask(reading.result(), self.model, center=self._center)
        self._job = self._runner.submit(task)

    def _seconds_left(self) -> float:
        if self.fraction <= 0:
            return 0.0
        return (time.monotonic() - self._started) * (1 / self.fraction - 1)
