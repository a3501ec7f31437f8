"""Where an Attention U-Net looks, asked of the worker; the latest request only."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any  # images come in any real dtype

from numpy.typing import NDArray
from psygnal import Signal

from napari_unet.core.errors import InputError, NapariUnetError
from napari_unet.engine.attention_task import AttentionMaps, AttentionTask
from napari_unet.engine.runner import Job
from napari_unet.session.image import Image, Place
from napari_unet.session.object_size import ObjectSize
from napari_unet.session.session import Session

__all__ = ["Attention"]

ARCHITECTURE = "attention-unet"


class Attention:
    """Asks the worker for the maps of a plane. All methods are for the viewer's thread.

    `pump` has to be called there every now and then.

    Parameters
    ----------
    session : Session
        Whose worker computes, and whose current model is looked into.
    """

    done = Signal(object, tuple)
    """The `AttentionMaps`, and the plane they are of."""

    failed = Signal(str)
    """A sentence that says why there are none."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._place: Place = ()
        self._task: tuple[str, float | None] = ("", None)
        self._reading: Future[NDArray[Any]] | None = None
        self._job: Job[AttentionMaps] | None = None

    @property
    def busy(self) -> bool:
        """Whether something is under way."""
        return self._reading is not None or self._job is not None

    def reason(self) -> str:
        """Why the current model has no maps, or nothing."""
        try:
            config = self._session.model[0]
        except NapariUnetError as error:
            return str(error)
        if config.architecture != ARCHITECTURE:
            return (
                f"The model is a {config.architecture} and has no attention gates; choose one "
                f"whose architecture is {ARCHITECTURE}."
            )
        return ""

    def start(self, image: Image, place: Place, size: ObjectSize | None) -> None:
        """Compute the maps of a plane; what was asked for before is given up.

        Raises
        ------
        InputError
            If the current model has none.
        """
        if self.reason():
            raise InputError(self.reason())
        self.stop()
        session = self._session
        key = session.size_key(image)
        diameter = None if key is None or size is None else size.diameter(key)
        self._place, self._task = place, (session.versions.current.model, diameter)
        self._reading = session.read_plane(image, place, session.model[0].slices)

    def stop(self, *_: object) -> None:
        """Give up what is under way."""
        if self._job is not None:
            self._job.cancel()
        self._reading = self._job = None

    def pump(self) -> None:
        """Take what has come; never waits."""
        try:
            if self._reading is not None and self._reading.done():
                reading, self._reading = self._reading, None
                self._job = self._session.submit(AttentionTask(reading.result(), *self._task))
            elif self._job is not None:
                self._job.poll()  # makes an inline job go on
                if self._job.done():
                    job, self._job = self._job, None
                    self.done.emit(job.result(), self._place)
        except NapariUnetError as error:
            self.failed.emit(str(error))
