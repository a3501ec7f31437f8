"""What a worker can be asked to do: frozen values that know how to run where torch is.

Any picklable object with a `run` method as `Task` describes is a task. Nothing here imports
torch before a task runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar  # Any: images come in any real dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.events import (
    TileResult,
    TrainProgress,
    VolumeResult,
)
from napari_unet.engine.errors import as_sentence

__all__ = [
    "LIVE",
    "Cancelled",
    "DeviceInfo",
    "ImportTask",
    "MeasureTask",
    "PlaneSize",
    "ProbeTask",
    "SegmentDone",
    "SegmentTask",
    "SegmentVolumeTask",
    "Task",
    "VaryTask",
    "Wishes",
    "run_task",
]

Cancelled = Callable[[], bool]
Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)

LIVE = "live:"
"""The names of what is being taught live begin so, see `LearnTask`."""

# Reports of progress are sent at most this often: nobody reads faster than 20 a second.
REPORT_EVERY_S = 0.05


class Wishes:
    """What is wanted of a task while it runs: called, whether it is to stop.

    Attributes
    ----------
    center : tuple of float or None
        Where the user looks now; None as long as that is where it was when the task was made.
    """

    def __init__(self, cancelled: Cancelled) -> None:
        self._cancelled = cancelled
        self.center: tuple[float, float] | None = None

    def __call__(self) -> bool:
        return self._cancelled()


class Task(Protocol[Result_co]):
    """Something to compute: yields events while it runs, and returns its result.

    An attribute ``grace_s`` says how many seconds a worker may take to answer a cancel before
    it is killed; without it that is the runner's own.
    """

    def run(self, cancelled: Cancelled) -> Generator[object, None, Result_co]:
        """Compute; poll `cancelled` often, then return what there is or raise an error."""
        ...


@dataclass(frozen=True, slots=True)
class PlaneSize:
    """At which size a plane is segmented; told before its tiles.

    Attributes
    ----------
    diameter : float or None
        Of the objects, in pixels of the image; None where the image is taken as it is.
    shape_yx : tuple of int
        Rows and columns of the plane after it was rescaled: the tiles that follow lie in it.
    measured : bool
        Whether the diameter was measured, with or without success, rather than given.
    """

    diameter: float | None
    shape_yx: tuple[int, int]
    measured: bool


@dataclass(frozen=True)
class SegmentDone:
    """A whole image plane was segmented.

    ``seconds`` leave out waiting in the queue; ``device`` is what a person calls it; ``notes``
    are sentences for the user, of memory that was short.
    """

    seconds: float
    device: str
    precision: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class DeviceInfo:
    """What will compute; ``sentence`` is for people: "this computer, bfloat16, ready"."""

    device: str
    precision: str
    sentence: str


@dataclass(frozen=True, eq=False)
class SegmentTask:
    """Segment one image plane at the size of objects that the model knows.

    The first event is a `PlaneSize`, the others are `TileResult` of the rescaled plane with
    uint8 probabilities. Cancelled, it raises `JobCancelledError` between two tiles; the tiles
    before stay true.

    Attributes
    ----------
    image : ndarray, shape (C, Y, X)
        Any real dtype. It is not copied before it is sent: leave it unchanged until the job
        is done.
    model : str
        Name or path.
    center : tuple of float, optional
        Row and column of the image where the user is looking: tiles come nearest first.
        `Job.look_at` tells of another one while it runs.
    diameter : float, optional
        Of the objects, in pixels. None measures it where the model knows the size of its
        objects; where it knows none, or nothing is found, the image is taken as it is.
    device, precision : str
        See `napari_unet.core.device`.
    ranges : ndarray, shape (C, 2), optional
        Intensity ranges of the whole image, where `image` is a part of one.
    tile : int, optional
        Largest side of a tile; None lets the engine choose.
    average : {"none", "flips", "rotations"}
        Over which versions of the image is averaged, see `napari_unet.core.symmetries`. Tiles
        then come once for each version, each time averaged over those so far.
    """

    image: NDArray[Any]
    model: str
    center: tuple[float, float] | None = None
    diameter: float | None = None
    device: str = "auto"
    precision: str = "auto"
    ranges: NDArray[np.float64] | None = None
    tile: int | None = None
    average: str = "none"

    @property
    def grace_s(self) -> float:
        """A large tile takes some seconds without a GPU, and so does starting another worker.

        With the worker what is being learnt live would go.
        """
        return 60.0 if self.model.startswith(LIVE) else 5.0

    def run(self, cancelled: Cancelled) -> Generator[PlaneSize | TileResult, None, SegmentDone]:
        """Yield the size of the plane, then tiles."""
        from napari_unet.engine.compute import segment  # weight: runs torch

        return segment(self, cancelled)


@dataclass(frozen=True, eq=False)
class SegmentVolumeTask:
    """Segment one volume with a model of volumes.

    The events are `VolumeResult` with uint8 probabilities. Cancelled, it raises
    `JobCancelledError` between two tiles; the tiles before stay true.

    Attributes
    ----------
    image : ndarray, shape (C, Z, Y, X)
        Any real dtype; leave it unchanged until the job is done.
    model : str
        Name or path.
    device, precision : str
        See `napari_unet.core.device`.
    """

    grace_s: ClassVar[float] = 5.0

    image: NDArray[Any]
    model: str
    device: str = "auto"
    precision: str = "auto"

    def run(self, cancelled: Cancelled) -> Generator[VolumeResult, None, SegmentDone]:
        """Yield tiles."""
        from napari_unet.engine.compute import segment_volume  # weight: runs torch

        return segment_volume(self, cancelled)


@dataclass(frozen=True, eq=False)
class MeasureTask:
    """Measure how wide the objects of one image plane are.

    The result is their median diameter in pixels, or None where nothing is found or the model
    does not know the size of its objects. Cancelled, it raises `JobCancelledError`.

    Attributes
    ----------
    image : ndarray, shape (C, Y, X)
        Any real dtype; leave it unchanged until the job is done.
    model : str
        Name or path.
    device, precision : str
        See `napari_unet.core.device`.
    """

    grace_s: ClassVar[float] = 5.0

    image: NDArray[Any]
    model: str
    device: str = "auto"
    precision: str = "auto"

    def run(self, cancelled: Cancelled) -> Generator[object, None, float | None]:
        """Yield nothing."""
        from napari_unet.engine.compute import measure  # weight: runs torch

        return measure(self, cancelled)


@dataclass(frozen=True, eq=False)
class VaryTask:
    """Show how training would vary a patch.

    The result is an array of float32, shape (1 + count, C, side, side): the patch as it is,
    normalised, and then its variants.

    Attributes
    ----------
    image : ndarray, shape (C, Y, X)
        Any real dtype; leave it unchanged until the job is done.
    center : tuple of float
        Row and column that the middle of the patch shows.
    settings : str
        What differs from how `napari-unet train` varies, see `AugmentConfig.changed`.
    side, count : int
        Of the patch in pixels; how many variants.
    seed : int
        The same draws the same variants.
    labels : ndarray of int, shape (Y, X), optional
        Where objects are, for what varies within them.
    """

    image: NDArray[Any]
    center: tuple[float, float]
    settings: str = ""
    side: int = 160
    count: int = 5
    seed: int = 0
    labels: NDArray[Any] | None = None

    def run(self, cancelled: Cancelled) -> Generator[object, None, NDArray[np.float32]]:
        """Yield nothing."""
        from napari_unet.engine.vary import vary  # weight: runs torch

        return vary(self)


@dataclass(frozen=True)
class ImportTask:
    """Take a BioImage.IO package in as a model file, if it computes what it says it does.

    The result is the path of the model file. See `napari_unet.formats.zoo`.

    Attributes
    ----------
    package : str
        Path of a .zip file.
    folder : str
        Where to put the model.
    name : str
        What to call it; empty takes the package's own name.
    force : bool
        Replace a model of that name.
    """

    package: str
    folder: str
    name: str = ""
    force: bool = False

    def run(self, cancelled: Cancelled) -> Generator[object, None, str]:
        """Yield nothing."""
        from napari_unet.engine.take_in import take_in  # weight: runs torch

        return take_in(self)


@dataclass(frozen=True)
class ProbeTask:
    """Ask what will compute."""

    device: str = "auto"
    precision: str = "auto"

    def run(self, cancelled: Cancelled) -> Generator[object, None, DeviceInfo]:
        """Yield nothing."""
        from napari_unet.engine.compute import probe  # weight: runs torch

        return probe(self)


def run_task(task: Task[Result], cancelled: Cancelled) -> Generator[object, None, Result]:
    """Run a task here: yield its events, progress thinned out, and return its result.

    Raises
    ------
    NapariUnetError
        Whatever went wrong, as one sentence.
    """
    try:
        return (yield from _thinned(task.run(cancelled)))
    except Exception as error:
        sentence = as_sentence(error)
        if sentence is error:
            raise
        raise sentence from error


def _thinned(events: Generator[object, None, Result]) -> Generator[object, None, Result]:
    """Leave out progress that comes too soon after the last; the very last always goes out."""
    held: TrainProgress | None = None
    sent = -REPORT_EVERY_S
    try:
        while True:
            try:
                event = next(events)
            except StopIteration as end:
                if held is not None:
                    yield held
                return end.value  # type: ignore[no-any-return]  # StopIteration is not generic
            if isinstance(event, TrainProgress):
                held, now = event, time.monotonic()
                if now - sent < REPORT_EVERY_S:
                    continue
                sent, held = now, None
            elif held is not None:
                yield held
                held = None
            yield event
    finally:
        events.close()
