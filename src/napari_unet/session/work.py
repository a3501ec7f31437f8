"""One piece of work at a time: what runs, where it is computed, and what goes wrong in it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar  # images come in any real dtype

from numpy.typing import NDArray
from psygnal import Signal

from napari_unet.core.errors import InputError
from napari_unet.engine.preferred import PreferredRunner
from napari_unet.engine.process import ProcessRunner
from napari_unet.engine.runner import Job, Runner
from napari_unet.engine.tasks import DeviceInfo, ProbeTask, Task
from napari_unet.session.image import Image, Place
from napari_unet.session.import_run import ImportRun
from napari_unet.session.live_run import LiveRun
from napari_unet.session.measure_run import MeasureRun
from napari_unet.session.model_shelf import ModelShelf
from napari_unet.session.segment_run import SegmentRun
from napari_unet.session.sentences import error_sentence
from napari_unet.session.teach_run import TeachRun

__all__ = ["Work"]

T = TypeVar("T")
log = logging.getLogger(__name__)


class Work(ModelShelf):
    """The part of a session that has one thing run, somewhere, and says what became of it.

    Parameters
    ----------
    runner : Runner, optional
        Where networks run; a worker process of its own if None.
    """

    progress = Signal(float, str)
    """Fraction done, and what is being done."""
    where_changed = Signal()
    """It computes elsewhere now, or on this computer again."""

    def __init__(self, runner: Runner | None = None) -> None:
        super().__init__()
        self._runner = PreferredRunner(runner or ProcessRunner())
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="napari-unet reader")
        self._run: SegmentRun | MeasureRun | ImportRun | TeachRun | LiveRun | None = None
        self._probe: Job[DeviceInfo] | None = None
        self.where = ""
        """What computes, and how precisely; empty until that is known."""

    # What runs

    @property
    def busy(self) -> str:
        """What runs: "Segment", "Measure", "Teach", "Opening a package", or nothing."""
        return "" if self._run is None else self._run.WHAT

    def stop(self) -> None:
        """Stop what runs: tiles that are done stay, the best taught so far is kept."""
        if self._run is not None:
            self._run.cancel()
            self.progress.emit(self._run.fraction, "stopping")

    # Where it is computed

    def prefer(self, device: str, precision: str) -> None:
        """Compute so from the next task on, see `napari_unet.core.device`."""
        self._runner.device, self._runner.precision = device, precision

    @property
    def address(self) -> str:
        """Of the cluster that computes; empty: this computer does."""
        return self._runner.address

    def compute_on(self, address: str) -> None:
        """Compute at the address of a dask scheduler from now on, or here if it is empty.

        What is computed there now ends. Whether somebody answers is said later.
        """
        if address != self._runner.address:
            self._runner.compute_on(address)
            if address:
                self.said.emit(f"Waiting for an answer from {address}.", False)
            self.probe()
            self.where_changed.emit()

    def probe(self) -> None:
        """Start the worker and ask what it computes on; the answer comes as `said`."""
        self._probe = self._runner.submit(ProbeTask())

    def read_plane(self, image: Image, place: Place, slices: int = 1) -> Future[NDArray[Any]]:
        """Read a plane on the reader's thread, after what it is reading; see `Image.read_seen`."""
        return self._reader.submit(image.read_seen, place, slices)

    def submit(self, task: Task[T]) -> Job[T]:
        """Have the worker do something small, after what it is doing."""
        return self._runner.submit(task)

    def close(self) -> None:
        """End the worker and the reader; what runs is dropped."""
        self._drop_run()
        self._probe = None
        self._runner.close()
        self._reader.shutdown(wait=False, cancel_futures=True)

    def guarded(self, step: Callable[[], None], *, ends_run: bool = False) -> None:
        """Do a step; what goes wrong is said in one sentence, and the rest goes on.

        With `ends_run`, what runs is dropped then.
        """
        try:
            step()
        except Exception as error:
            kept = ""
            if ends_run:
                kept = self._rescue_what_was_learnt()
                self._drop_run()
            self._failed(error, kept)

    def _failed(self, error: BaseException, kept: str = "") -> None:
        self.said.emit(f"{error_sentence(error, log)} {kept}".strip(), True)
        self.state_changed.emit()
        if self._run is None:
            self.progress.emit(0.0, "")

    def _rescue_what_was_learnt(self) -> str:
        """Keep what is there of a run that failed, and return a sentence that says so."""
        return ""

    def _must_be_idle(self) -> None:
        if self._run is not None:
            raise InputError(f"{self.busy} is running; stop it first or wait.")

    def _started(self, text: str) -> None:
        self.state_changed.emit()
        self.progress.emit(0.0, text)

    def _ended(self) -> None:
        self._run = None
        self.progress.emit(0.0, "")

    def _drop_run(self) -> None:
        run, self._run = self._run, None
        if run is not None:
            run.cancel()

    def _pump_probe(self) -> None:
        if self._probe is not None and self._probe.done():
            job, self._probe = self._probe, None
            info = job.result()
            self.where = f"{info.device}, {info.precision}"
            self.said.emit(info.sentence, False)
