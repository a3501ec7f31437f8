"""One press of Again: a plane is read and sent to the worker, which measures its objects."""

from __future__ import annotations

from concurrent.futures import Executor, Future
from typing import Any  # images come in any real dtype

from numpy.typing import NDArray

from napari_unet.core.errors import NapariUnetError
from napari_unet.engine.runner import Job, Runner
from napari_unet.engine.tasks import MeasureTask
from napari_unet.session.image import Image, Place
from napari_unet.session.object_size import ObjectSize, SizeKey, size_text

__all__ = ["MeasureRun"]

NOTHING = "No objects were found to measure; type how wide they are."


class MeasureRun:
    """Measures the objects of one plane; see `SegmentRun` for its use."""

    fraction = 0.0

    WHAT = "Measure"  # as the button is called

    def __init__(
        self,
        runner: Runner,
        reader: Executor,
        image: Image,
        place: Place,
        model: str,
        size: ObjectSize,
        key: SizeKey,
        slices: int = 1,
    ) -> None:
        self.finished = False
        self.cancelled = False
        self.diameter: float | None = None
        self._runner = runner
        self._image = image
        self._model = model
        self._size = size
        self._key = key
        self._job: Job[float | None] | None = None
        self._reading: Future[NDArray[Any]] | None = reader.submit(image.read_seen, place, slices)

    @property
    def text(self) -> str:
        """What is being done."""
        return "reading the image" if self._reading is not None else "measuring the objects"

    @property
    def sentence(self) -> str:
        """What is told to the user at the end."""
        if self.cancelled:
            return "Stopped; the size of the objects is as before."
        if self.diameter is None:
            return NOTHING
        return f"Objects measured {size_text(self.diameter, self._image.pixel_size)} across."

    def cancel(self) -> None:
        """Stop; nothing is changed."""
        self.cancelled = True
        if self._reading is not None:
            self._reading.cancel()
        if self._job is not None:
            self._job.cancel()

    def pump(self) -> None:
        """Take what has come; a measured size takes the place of what was typed."""
        if self.cancelled:  # what is under way is not waited for
            self.finished = True
        elif self._reading is not None and self._reading.done():
            reading, self._reading = self._reading, None
            self._job = self._runner.submit(MeasureTask(reading.result(), self._model))
        elif self._job is not None:
            self._job.poll()  # makes an inline job go on
            if self._job.done():
                self._end(self._job)

    def _end(self, job: Job[float | None]) -> None:
        self.finished = True
        try:
            self.diameter = job.result()
        except NapariUnetError:
            if not self.cancelled:
                raise
        if self.diameter is not None:
            self._size.type(None)
            self._size.measured(self._key, self.diameter)
