"""What training would make of a patch of the user's own image, for a dock to show."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any  # images come in any real dtype

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_unet.core.errors import NapariUnetError
from napari_unet.engine.runner import Job
from napari_unet.engine.tasks import VaryTask
from napari_unet.session.image import Image, Place
from napari_unet.session.session import Session

__all__ = ["FACTORS", "Variations", "as_text", "mosaic"]

# Of these a slider says the largest factor; the smallest is one over it.
FACTORS = ("scale", "contrast", "gamma")
DARKEST, BRIGHTEST = -0.1, 1.2  # of normalised intensities, what is shown black and white


def as_text(values: Mapping[str, float | bool]) -> str:
    """Return settings as `--augment` takes them."""
    parts = []
    for name, value in values.items():
        if isinstance(value, bool):
            parts.append(f"{name}={'yes' if value else 'no'}")
        elif name in FACTORS:
            parts.append(f"{name}={1 / value:.3g}-{value:.3g}")
        else:
            parts.append(f"{name}={value:.3g}")
    return ",".join(parts)


def mosaic(patches: NDArray[np.float32], columns: int) -> NDArray[np.uint8]:
    """Put patches (N, C, h, w) side by side in rows, channels averaged; grey, 0 to 255."""
    grey = patches.mean(axis=1)
    grey = np.clip((grey - DARKEST) / (BRIGHTEST - DARKEST), 0, 1)
    grey[:, -1, :] = grey[:, :, -1] = 0  # a line between them
    rows = -(-len(grey) // columns)
    filled = np.zeros((rows * columns, *grey.shape[1:]))
    filled[: len(grey)] = grey
    lined = filled.reshape(rows, columns, *grey.shape[1:]).swapaxes(1, 2)
    whole = lined.reshape(rows * grey.shape[1], columns * grey.shape[2])
    return np.ascontiguousarray(np.rint(255 * whole), np.uint8)


class Variations:
    """Asks the worker for variants of a patch, the latest request only.

    All methods are for the viewer's thread; `pump` has to be called there every now and then.

    Parameters
    ----------
    session : Session
        Whose worker computes.
    """

    done = Signal(object)
    """The patch and its variants, an array (N, C, h, w)."""

    failed = Signal(str)
    """A sentence that says why there are none."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._reading: Future[NDArray[Any]] | None = None
        self._job: Job[NDArray[np.float32]] | None = None
        self._wanted: tuple[tuple[float, float], str, int, NDArray[Any] | None] | None = None

    @property
    def busy(self) -> bool:
        """Whether something is under way."""
        return self._reading is not None or self._job is not None

    def start(
        self,
        image: Image,
        place: Place,
        center: tuple[float, float],
        settings: str,
        seed: int,
        labels: NDArray[Any] | None = None,
    ) -> None:
        """Vary a patch around a point of a plane; what was asked for before is given up.

        Without the labels of the plane objects are not known, and nothing varies within them.
        """
        self.stop()
        self._wanted = center, settings, seed, None if labels is None else labels.copy()
        self._reading = self._session.read_plane(image, place)

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
                assert self._wanted is not None
                center, settings, seed, labels = self._wanted
                self._job = self._session.submit(
                    VaryTask(reading.result(), center, settings, seed=seed, labels=labels)
                )
            elif self._job is not None:
                self._job.poll()  # makes an inline job go on
                if self._job.done():
                    job, self._job = self._job, None
                    self.done.emit(job.result())
        except NapariUnetError as error:
            self.failed.emit(str(error))
