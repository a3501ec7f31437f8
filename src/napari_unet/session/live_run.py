"""Learning while cells are corrected: a few seconds of it, then what is shown is segmented anew."""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path

from napari_unet.core.events import TrainProgress
from napari_unet.core.example import Example
from napari_unet.engine.errors import JobCancelledError
from napari_unet.engine.runner import Job, Runner
from napari_unet.engine.teach_tasks import KeepLiveTask, Learnt, LearnTask, TeachDone
from napari_unet.session.image import Place
from napari_unet.session.memory import Memory
from napari_unet.session.object_size import SizeKey
from napari_unet.session.pair import Pair
from napari_unet.session.segment_run import SegmentRun
from napari_unet.session.teach_run import Curve, FoundSizes, Gathered, gathering, with_memory
from napari_unet.session.versions import new_version_path

__all__ = ["LiveRun", "Looking"]

log = logging.getLogger(__name__)

TURN_S = 4.0  # with segmenting what is shown, a correction is seen to be learnt within 10 s
FIRST_TURN_S = 2.0
TURNS_AFTER = 8  # without another correction, then it waits: learning on would only fit these
SHOWN_S = 60.0  # of the loss curve at the least

Looking = Callable[[], tuple[Pair, Place, tuple[float, float]] | None]
Read = tuple[list[Gathered], tuple[Example, ...]]
_numbers = itertools.count(1)


class LiveRun:
    """Learns what is checked in all open pairs, in turns, until it is stopped.

    Call `pump` often, from the viewer's thread; it never waits.

    Parameters
    ----------
    runner, reader
        See `SegmentRun`.
    pairs : callable
        Returns all that is open now.
    looking : callable
        Returns the pair and the plane that are shown, and the middle of what is seen.
    key : callable
        Returns whose objects of a pair have which size, see `Session.size_key`.
    model : str
        Name or path of the model to start from.
    keep : float
        0 learns freely, 1 stays close to what the model knows.
    title, origin : str
        Of the new version.
    memory : Memory, optional
        What was learnt from before is learnt along; what is now, remembered at the end.
    classes : tuple of str, optional
        Are added to the model.
    base : str, optional
        The model that it stays close to, see `TeachTask`.
    slices : int
        How many neighbouring slices the model sees at once.
    """

    WHAT = "Teach"  # as the button is called

    def __init__(
        self,
        runner: Runner,
        reader: Executor,
        pairs: Callable[[], Sequence[Pair]],
        looking: Looking,
        key: Callable[[Pair], SizeKey | None],
        model: str,
        *,
        keep: float,
        title: str = "",
        origin: str = "",
        memory: Memory | None = None,
        classes: tuple[str, ...] = (),
        base: str = "",
        slices: int = 1,
    ) -> None:
        self.model = model
        self._base = base
        self._slices = slices
        self._classes = classes
        self.curve = Curve()
        self.fraction = 0.0
        self.finished = False
        self.cancelled = False
        self.done: TeachDone | None = None
        self._runner, self._reader = runner, reader
        self._pairs, self._looking, self._key = pairs, looking, key
        self._memory = memory
        self._keep, self._title, self._origin = keep, title, origin
        self._name = f"live:{next(_numbers)}"
        self._path = str(new_version_path(model))
        self._started = time.monotonic()
        self._loss: list[tuple[float, float]] = []
        self.sizes = FoundSizes()
        self._turns = 0
        self._turns_of_edits = 0
        self._edits = -1
        self._cells = self._coming = 0  # that it learns from, in this turn and in the next
        self._gathered: list[Gathered] = []
        self._examples: tuple[Example, ...] = ()
        self._reading: Future[Read] | None = None
        self._learning: Job[Learnt] | None = None
        self._showing: SegmentRun | None = None
        self._keeping: Job[TeachDone] | None = None

    @property
    def text(self) -> str:
        """What is being done."""
        if self._keeping is not None:
            return "comparing with the model before"
        if self._turns_of_edits >= TURNS_AFTER or not self._has_checked:
            return "waiting for a correction"
        return f"learning from {self._cells} cell{'s' * (self._cells != 1)}"

    @property
    def _has_checked(self) -> bool:
        return any(pair.has_checked for pair in self._pairs())

    def cancel(self) -> None:
        """Stop; what was learnt is judged and kept if it is better."""
        self.cancelled = True
        if self._learning is not None:
            self._learning.cancel()
        if self._showing is not None:
            self._showing.cancel()

    def pump(self) -> tuple[Pair, Place] | None:
        """Take what has come; return the plane whose probabilities changed, if one did."""
        if self._keeping is not None:
            self._take_kept(self._keeping)
        elif self._learning is not None:
            self._take_learnt(self._learning)
        elif self._showing is not None:
            return self._take_shown(self._showing)
        elif self._reading is not None:
            if self._reading.done():
                self._learn(self._reading)
        elif self.cancelled:
            self._end()
        else:
            self._begin_turn()
        return None

    def take_news_of_curve(self) -> bool:
        """Whether the loss curve has grown since the last call."""
        grew = len(self._loss) > len(self.curve.loss)
        if grew:
            whole = max(SHOWN_S, self._loss[-1][0])
            self.curve.loss = [(at / whole, loss) for at, loss in self._loss]
        return grew

    def _begin_turn(self) -> None:
        edits = sum(pair.edits for pair in self._pairs())
        if edits != self._edits:
            self._edits, self._turns_of_edits = edits, 0
        if self._turns_of_edits >= TURNS_AFTER or not self._has_checked:
            return
        self._turns_of_edits += 1
        self._coming = sum(pair.checked_cells for pair in self._pairs())
        works = [gathering(pair, self._key(pair), self._slices) for pair in self._pairs()]
        memory = self._memory

        def read() -> Read:
            gathered = [work() for work in works]
            return gathered, with_memory(gathered, memory, keep=False)

        self._reading = self._reader.submit(read)

    def _learn(self, reading: Future[Read]) -> None:
        self._reading = None
        if self.cancelled:
            return
        (self._gathered, self._examples), self._cells = reading.result(), self._coming
        self.sizes.take(self._gathered)
        task = LearnTask(
            self._name,
            self.model,
            self._examples,
            TURN_S if self._turns else FIRST_TURN_S,
            save_to=self._path,
            title=self._title,
            origin=self._origin,
            classes=self._classes,
            base=self._base,
            keep=self._keep,
        )
        self._learning = self._runner.submit(task)

    def _take_learnt(self, job: Job[Learnt]) -> None:
        is_done = job.done()
        for event in job.poll():
            if isinstance(event, TrainProgress):
                self.fraction = event.fraction
                self._loss.append((time.monotonic() - self._started, event.loss))
        if not is_done:
            return
        self._learning = None
        try:
            learnt = job.result()
        except JobCancelledError:
            return
        self.sizes.take_learnt(self._gathered, learnt.diameters)
        self._turns += 1
        looking = None if self.cancelled else self._looking()
        if looking is not None:
            pair, place, center = looking
            self._showing = SegmentRun(
                self._runner, self._reader, pair, self._name, self._key(pair), [place], center,
                slices=self._slices,
            )  # fmt: skip

    def _take_shown(self, run: SegmentRun) -> tuple[Pair, Place] | None:
        place = run.pump()
        if run.take_news_of_size():
            self.sizes.tell()
        if run.finished:
            self._showing = None
        return None if place is None else (run.pair, place)

    def _end(self) -> None:
        if not self._turns:
            self.finished = True
            return
        self._reader.submit(with_memory, self._gathered, self._memory).add_done_callback(_log)
        task = KeepLiveTask(
            self._name, self._examples, save_to=self._path, title=self._title, origin=self._origin
        )
        self._keeping = self._runner.submit(task)

    def _take_kept(self, job: Job[TeachDone]) -> None:
        job.poll()  # it tells nothing, but here it may be run by this
        if job.done():
            self._keeping = None
            self.finished = True
            self.done = job.result()

    def shown(self) -> tuple[Pair, list[Place]] | None:
        """Return what is to be segmented with the version that is current in the end."""
        looking = self._looking()
        return None if looking is None else (looking[0], [looking[1]])

    @property
    def saved(self) -> str:
        """The file of what was learnt so far, empty if there is none."""
        return self._path if self._turns and Path(self._path).is_file() else ""


def _log(remembering: Future[tuple[Example, ...]]) -> None:
    """Nobody waits for what is remembered at the end; a failure is at least in the log."""
    if not remembering.cancelled() and (error := remembering.exception()) is not None:
        log.warning("The corrections are not remembered.", exc_info=error)
