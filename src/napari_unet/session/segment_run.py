"""One press of Segment: planes are read, sent to the worker, and their tiles collected."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from typing import Any  # images come in any real dtype

from numpy.typing import NDArray

from napari_unet.core.errors import NapariUnetError
from napari_unet.core.events import TileResult
from napari_unet.core.neighbours import through_axis
from napari_unet.engine.runner import Job, Runner
from napari_unet.engine.tasks import PlaneSize, SegmentDone, SegmentTask, Task
from napari_unet.session.image import Place
from napari_unet.session.object_size import SizeKey, size_text
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
        Gets the probabilities, and the size of its objects where that is measured.
    model : str
        Name or path.
    key : SizeKey or None
        Whose objects are measured; None where the model does not know their size.
    places : sequence of Place
        Which planes, in this order.
    center : tuple of float, optional
        Row and column where the user is looking.
    average : str
        Over which versions of the image is averaged, see `SegmentTask`.
    slices : int
        How many neighbouring slices the model sees at once.

    Raises
    ------
    InputError
        If it sees several, and the image is a single plane.
    """

    WHAT = "Segment"  # as the button is called
    PART = "slice"  # what is segmented in one piece

    def __init__(
        self,
        runner: Runner,
        reader: Executor,
        pair: Pair,
        model: str,
        key: SizeKey | None,
        places: Sequence[Place],
        center: tuple[float, float] | None = None,
        average: str = "none",
        slices: int = 1,
    ) -> None:
        if slices > 1:
            through_axis(pair.image.axes, pair.image.name)
        self._slices = slices
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
        self._average = average
        self._key = key
        self._is_typed = pair.size.is_typed
        # The same for all planes, also if another is typed meanwhile.
        self._diameter = None if key is None else pair.size.diameter(key)
        self._has_news_of_size = False
        self._any_tile_came = False
        self._told = (0.0, "")
        self._notes: dict[str, None] = {}  # each once, in order
        self._started = time.monotonic()
        self._timed_from: tuple[float, float] | None = None  # when, and the fraction done then
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
        plane = f"{self.PART} {self._begun} of {self._planes}, " if self._planes > 1 else ""
        if not count:
            return plane + self._before_tiles()
        left = self._seconds_left()
        return f"{plane}tile {done} of {count}" + (f", {left:.0f} s left" if left >= 1 else "")

    def _before_tiles(self) -> str:
        if self._reading is not None:
            return "reading the image"
        is_measuring = self._key is not None and self._diameter is None
        return "measuring the objects" if is_measuring else "starting"

    @property
    def sentence(self) -> str:
        """What is told to the user at the end."""
        if self.cancelled:
            stays = (
                "the tiles that were done stay" if self._any_tile_came else "nothing was changed"
            )
            return f"Stopped; {stays}."
        took = " ".join([*self._notes, f"Segmented in {self.seconds:.1f} s"])
        if self._key is None or not self._any_tile_came:
            return f"{took}."
        if self._diameter is None:
            return f"{took}; no objects were found to measure, the image was taken as it is."
        text = size_text(self._diameter, self.pair.image.pixel_size)
        if self._is_typed:
            return f"{took}; objects {text} across, as typed."
        return f"{took}; objects measured {text} across."

    def take_news_of_size(self) -> bool:
        """Whether a size was told since the last call."""
        news, self._has_news_of_size = self._has_news_of_size, False
        return news

    def take_news_of_progress(self) -> bool:
        """Whether there is something else to tell of progress than at the last call."""
        told, self._told = self._told, (self.fraction, self.text)
        return told != self._told and not self.cancelled and not self.finished

    def look_at(self, place: Place, center: tuple[float, float]) -> None:
        """Tell which plane is shown and where the user looks: what is left there comes first."""
        self._center = center
        if place in self._waiting:
            self._waiting.remove(place)
            self._waiting.insert(0, place)
        if self._job is not None and place == self._place:
            self._job.look_at(center)

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
        changed = self._place if self._take_events(self._job) else None
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
            self._notes |= dict.fromkeys(job.result().notes)
        except NapariUnetError as error:
            self._failure = error  # raised by the next `pump`: its tiles go out first
            return
        self._next_plane()

    def _take_events(self, job: Job[SegmentDone]) -> bool:
        assert self._place is not None
        any_came = False
        for event in job.poll():
            if isinstance(event, PlaneSize):
                self._take_size(self._place, event)
            else:
                any_came |= self._take_tile(self._place, event)
        self._any_tile_came |= any_came
        return any_came

    def _take_tile(self, place: Place, event: object) -> bool:
        """Put a tile where it belongs; whether it was one."""
        if not isinstance(event, TileResult):
            return False
        self.pair.place_tile(place, event)
        self._note_tile(event.index + 1, event.count)
        return True

    def _note_tile(self, done: int, count: int) -> None:
        """Count a tile; what it takes is timed from the first one of this size on."""
        is_other_size = count != self._tile[1] and self._tile != (0, 0)
        self._tile = (done, count)
        if self._timed_from is None or is_other_size:
            self._timed_from = time.monotonic(), self.fraction

    def _take_size(self, place: Place, size: PlaneSize) -> None:
        self.pair.made_by = self.model
        self.pair.begin_plane(place, size.shape_yx, size.diameter)
        self._diameter = size.diameter
        self._has_news_of_size = True
        if self._key is not None and size.measured and size.diameter is not None:
            self.pair.size.measured(self._key, size.diameter)

    def _next_plane(self) -> None:
        self._place = None
        self._tile = (0, 0)
        if not self._waiting:
            self.finished = True
            return
        self._place = self._waiting.pop(0)
        self._begun += 1
        self._reading = self._reader.submit(self._read, self._place)

    def _read(self, place: Place) -> NDArray[Any]:
        """Read what is segmented in one piece, on the reader's thread."""
        return self.pair.image.read_seen(place, self._slices)

    def _task(self, image: NDArray[Any]) -> Task[SegmentDone]:
        return SegmentTask(
            image,
            self.model,
            center=self._center,
            diameter=self._diameter,
            average=self._average,
        )

    def _send(self) -> None:
        assert self._reading is not None
        reading, self._reading = self._reading, None
        if self.cancelled:
            self.finished = True
            return
        self._job = self._runner.submit(self._task(reading.result()))

    def _seconds_left(self) -> float:
        """By the tiles since the first: to start and to measure takes its time only once."""
        begun, before = self._timed_from or (0.0, 1.0)
        if self.fraction <= before:
            return 0.0
        return (time.monotonic() - begun) * (1 - self.fraction) / (self.fraction - before)
