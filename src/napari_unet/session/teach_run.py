"""One press of Teach: checked planes are gathered and sent, progress and the new model return."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field, replace

import numpy as np

from napari_unet.core.errors import InputError, NapariUnetError
from napari_unet.core.events import KeptAsideScore, TrainProgress
from napari_unet.core.example import Example
from napari_unet.core.neighbours import through_axis
from napari_unet.engine.runner import Job, Runner
from napari_unet.engine.teach_tasks import TeachDone, TeachTask
from napari_unet.session.memory import Memory, Remembered, name_of
from napari_unet.session.object_size import ObjectSize, SizeKey, checked_diameter
from napari_unet.session.pair import Pair
from napari_unet.session.taught_volumes import read_volume_example, taught_volumes
from napari_unet.session.versions import new_version_path

__all__ = ["Curve", "FoundSizes", "Gathered", "TeachRun", "gathering", "with_memory"]

log = logging.getLogger(__name__)


@dataclass
class Curve:
    """What the loss curve shows, over the fraction of the time that is gone."""

    loss: list[tuple[float, float]] = field(default_factory=list)
    score: list[tuple[float, float]] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Gathered:
    """What is learnt from one pair, and the size of its objects if that was found out."""

    pair: Pair
    key: SizeKey | None
    examples: list[Example]
    measured: float | None


class FoundSizes:
    """The sizes that checked cells gave during a run, and those from before it."""

    def __init__(self) -> None:
        self._before: dict[tuple[ObjectSize, SizeKey], float | None] = {}
        self._has_news = False

    def take(self, gathered: Sequence[Gathered]) -> None:
        """Let what was found count from now on."""
        for one in gathered:
            if one.key is not None and one.measured is not None:
                size = one.pair.size
                self._before.setdefault((size, one.key), size.from_checked(one.key))
                size.set_checked(one.key, one.measured)
                self.tell()

    def take_learnt(self, gathered: Sequence[Gathered], diameters: Sequence[float | None]) -> None:
        """Let the sizes count that the worker found wrong and learnt at others.

        Parameters
        ----------
        gathered : sequence of Gathered
            What was learnt.
        diameters : sequence of float or None
            As in `TeachSummary`: of each image in turn.
        """
        left = iter(diameters)
        for one in gathered:
            found = [size for _, size in zip(one.examples, left, strict=False) if size is not None]
            if found and not one.pair.size.is_typed:
                self.take([replace(one, measured=float(np.median(found)))])

    def take_back(self) -> None:
        """Let count again what did before: nothing was learnt at these sizes."""
        for (size, key), diameter in self._before.items():
            size.set_checked(key, diameter)
            self.tell()
        self._before.clear()

    def tell(self) -> None:
        """Have it said that a size has changed."""
        self._has_news = True

    def take_news(self) -> bool:
        """Whether a size has changed since the last call."""
        news, self._has_news = self._has_news, False
        return news


def gathering_volumes(pair: Pair) -> Callable[[], Gathered]:
    """Copy what is checked now for a model of volumes, see `gathering`."""
    volumes = taught_volumes(pair)
    return lambda: Gathered(pair, None, [read_volume_example(pair, one) for one in volumes], None)


def gathering(pair: Pair, key: SizeKey | None, slices: int = 1) -> Callable[[], Gathered]:
    """Copy what is checked now, and return what a second thread makes of it.

    With `slices` above 1 each plane is learnt with its neighbours, which are refused here where
    the image is a single plane.
    """
    if slices > 1:
        through_axis(pair.image.axes, pair.image.name)
    planes = pair.taught_planes()
    known = None if key is None else pair.size.diameter(key)
    may_measure = key is not None and not pair.size.is_typed and not pair.classes

    def gather() -> Gathered:
        measured = None
        if may_measure:
            measured = checked_diameter([(labels, checked) for _, labels, checked in planes], known)
        diameter = known if measured is None else measured
        examples = [pair.read_example(*plane, diameter, slices) for plane in planes]
        if pair.size.is_typed:
            examples = [replace(example, sized=True) for example in examples]
        return Gathered(pair, key, examples, measured)

    return gather


def with_memory(
    gathered: Sequence[Gathered], memory: Memory | None, *, keep: bool = True
) -> tuple[Example, ...]:
    """Return what is learnt from, with what is remembered of other images; for a second thread.

    What was not remembered before is marked as recent. What is learnt from now is remembered, if it
    is to be kept; where that fails it is learnt all the same.
    """
    fresh = [(one.pair.image.name, example) for one in gathered for example in one.examples]
    examples = tuple(example for _, example in fresh)
    if memory is None or not fresh:
        return examples
    corrections = [Remembered(*one) for one in fresh]
    examples = tuple(memory.marked(one) for one in corrections)
    try:
        names = memory.keep(corrections) if keep else set(map(name_of, corrections))
    except InputError as error:
        log.warning("The corrections are not remembered: %s", error)
        return examples
    return (*examples, *memory.recall(len(examples[0].image_cyx), names))


class TeachRun:
    """Teaches a model what is checked in the given pairs; see `SegmentRun` for its use.

    `keys` says whose objects of each pair have which size; None where the model knows none.
    With a memory, what was learnt from before is learnt along. Classes are added to the model, and
    it stays close to the base. A model of `volumes` learns whole ones, of which a part is checked.
    """

    WHAT = "Teach"  # as the button is called

    def __init__(
        self,
        runner: Runner,
        reader: Executor,
        pairs: Sequence[Pair],
        model: str,
        *,
        seconds: float,
        keep: float,
        keys: Sequence[SizeKey] | None = None,
        title: str = "",
        origin: str = "",
        memory: Memory | None = None,
        classes: tuple[str, ...] = (),
        base: str = "",
        slices: int = 1,
        volumes: bool = False,
    ) -> None:
        self.model = model
        self._base = base
        self.budget_s = seconds
        self._classes = classes
        self.curve = Curve()
        self.fraction = 0.0
        self.finished = False
        self.cancelled = False
        self.done: TeachDone | None = None
        self._runner = runner
        self._keep = keep
        self._title = title
        self._origin = origin
        self._elapsed = 0.0
        self._cells_aside = 0
        self.sizes = FoundSizes()
        works = [
            gathering_volumes(pair)
            if volumes
            else gathering(pair, None if keys is None else keys[n], slices)
            for n, pair in enumerate(pairs)
        ]

        def read() -> tuple[list[Gathered], tuple[Example, ...]]:
            gathered = [work() for work in works]
            return gathered, with_memory(gathered, memory)

        self._reading: Future[tuple[list[Gathered], tuple[Example, ...]]] | None = reader.submit(
            read
        )
        self._job: Job[TeachDone] | None = None
        self._gathered: Sequence[Gathered] = ()

    @property
    def text(self) -> str:
        """What is being done."""
        if self._job is None:
            return "reading what is checked"
        if not self.curve.loss:
            return "starting"
        left = max(0.0, self.budget_s - self._elapsed)
        return f"learning, {left:.0f} s left" if left >= 1 else "finishing"

    @property
    def score_text(self) -> str:
        """The score on the cells kept aside, before and now; or where none are, on those taught."""
        if not self.curve.score:
            return ""
        where = "kept aside" if self._cells_aside else "on what is learnt"
        return f"{where}: before {self.curve.score[0][1]:.2f}, now {self.curve.score[-1][1]:.2f}"

    def cancel(self) -> None:
        """Stop; the best so far is kept."""
        self.cancelled = True
        if self._job is not None:
            self._job.cancel()

    def pump(self) -> bool:
        """Take what has come; return whether the curve has grown."""
        if self._reading is not None and (self.cancelled or self._reading.done()):
            self._send()
        if self._job is None:
            return False
        is_done = self._job.done()  # asked first: what came before the end is then polled
        grew = self._take_events(self._job)
        if is_done:
            self.finished = True
            job, self._job = self._job, None
            try:
                self.done = job.result()
                grew = self._take_last_score(self.done) or grew
                if self.done.model:
                    self.sizes.take_learnt(self._gathered, self.done.summary.diameters)
            except NapariUnetError:
                if not self.cancelled:
                    raise
        return grew

    def _take_last_score(self, done: TeachDone) -> bool:
        """The curve ends where the sentence does: with the score of the model that is kept."""
        after = done.summary.after
        if not self.curve.score or after is None:
            return False
        self.curve.score.append((1.0, after))
        return True

    def _take_events(self, job: Job[TeachDone]) -> bool:
        grew = False
        for event in job.poll():
            if isinstance(event, TrainProgress):
                self.fraction, self._elapsed = event.fraction, event.seconds
                self.curve.loss.append((event.fraction, event.loss))
                grew = True
            elif isinstance(event, KeptAsideScore):
                at = min(1.0, event.seconds / self.budget_s)
                self.curve.score.append((at, event.score))
                self._cells_aside = event.cells
                grew = True
        return grew

    def _send(self) -> None:
        assert self._reading is not None
        reading, self._reading = self._reading, None
        if self.cancelled:
            self.finished = True
            return
        gathered, examples = reading.result()
        self._gathered = gathered
        self.sizes.take(gathered)
        path = new_version_path(self.model)
        task = TeachTask(
            self.model,
            examples,
            self.budget_s,
            keep=self._keep,
            save_to=str(path),
            title=self._title,
            origin=self._origin,
            classes=self._classes,
            base=self._base,
        )
        self._job = self._runner.submit(task)
