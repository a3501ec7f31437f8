"""The session: what is open, what runs, which model is current. Widgets and bridge observe it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar  # images come in any real dtype

from numpy.typing import NDArray
from psygnal import Signal

from napari_unet.core.boxes import Box
from napari_unet.core.errors import InputError
from napari_unet.engine.preferred import PreferredRunner
from napari_unet.engine.process import ProcessRunner
from napari_unet.engine.runner import Job, Runner
from napari_unet.engine.tasks import DeviceInfo, ProbeTask, Task
from napari_unet.session.image import Image, Place
from napari_unet.session.import_run import ImportRun
from napari_unet.session.label_maker import LabelMaker
from napari_unet.session.live_objects import LiveObjects, is_worth_while
from napari_unet.session.live_run import LiveRun, Looking
from napari_unet.session.measure_run import MeasureRun
from napari_unet.session.model_shelf import ModelShelf
from napari_unet.session.object_size import ObjectSize, SizeKey, size_text
from napari_unet.session.pair import UNSET, ObjectSettings, Pair, Proposal
from napari_unet.session.segment_run import SegmentRun
from napari_unet.session.sentences import error_sentence
from napari_unet.session.teach_run import Curve, TeachRun
from napari_unet.session.versions import Versions
from napari_unet.session.volume_run import VolumeRun

__all__ = ["Session"]

# Labels of a volume are written for so long at a time, then the viewer draws (chosen).
WRITE_S = 0.01

T = TypeVar("T")
log = logging.getLogger(__name__)


class Session(ModelShelf):
    """The loop of segmenting, correcting and teaching, without any widget.

    All methods are for one thread, the viewer's; `pump` has to be called there every few
    hundredths of a second, and signals are emitted there.

    Parameters
    ----------
    runner : Runner, optional
        Where networks run; a worker process of its own if None.
    """

    progress = Signal(float, str)
    """Fraction done, and what is being done."""
    labels_changed = Signal(object, tuple)
    """New labels were written: pair and place."""
    curve_changed = Signal(Curve, str)
    """The loss curve has grown; the score in words."""
    size_changed = Signal()
    """How wide objects are was measured, typed or forgotten."""
    where_changed = Signal()
    """It computes elsewhere now, or on this computer again."""
    settings_changed = Signal()
    """How objects are made and taught was taken from a session's folder."""

    def __init__(self, runner: Runner | None = None) -> None:
        super().__init__()
        self._runner = PreferredRunner(runner or ProcessRunner())
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="napari-unet reader")
        self._maker: LabelMaker[tuple[Pair, dict[Place, Proposal]]] = LabelMaker()
        self._live_objects = LiveObjects()
        self._to_write: dict[tuple[int, Place], tuple[Pair, Proposal]] = {}
        self._run: SegmentRun | MeasureRun | ImportRun | TeachRun | LiveRun | None = None
        self._probe: Job[DeviceInfo] | None = None
        self._then: tuple[Pair, list[Place]] | None = None
        self._taught_versions: Versions | None = None
        self._after_teaching = False
        self._segmented = 0  # how many times
        self.settings = UNSET
        self.average = "none"  # of mirrored and turned versions, see `SegmentTask`
        self.keep: float | None = None  # of teaching, as chosen last
        self.teach_seconds: float | None = None

    # The size of objects

    def size_key(self, image: Image) -> SizeKey | None:
        """Return whose objects the model finds in an image; None if it knows no size of them."""
        knows_size = self.model[0].diameter is not None
        return (self.model_path, image.channels) if knows_size else None

    def type_size(self, image: Image, size: ObjectSize, diameter: float | None) -> None:
        """Take the diameter that the user says, in pixels; None has it measured anew."""
        size.type(diameter)
        self.size_changed.emit()
        if diameter is not None:
            text = size_text(diameter, image.pixel_size)
            self.said.emit(f"Objects are {text} across as typed; press Segment to use it.", False)

    def measure(self, image: Image, place: Place, size: ObjectSize) -> None:
        """Measure the objects of a plane with the current version; refused as `segment` is."""
        self._must_be_idle()
        key = self.size_key(image)
        if key is None:
            raise InputError("The model does not know the size of its objects; choose another.")
        model = self.versions.current.model
        self._run = MeasureRun(
            self._runner, self._reader, image, place, model, size, key, self.model[0].slices
        )
        self._started("starting")

    # Small things beside the work

    def read_plane(self, image: Image, place: Place, slices: int = 1) -> Future[NDArray[Any]]:
        """Read a plane on the reader's thread, after what it is reading; see `Image.read_seen`."""
        return self._reader.submit(image.read_seen, place, slices)

    def submit(self, task: Task[T]) -> Job[T]:
        """Have the worker do something small, after what it is doing."""
        return self._runner.submit(task)

    # Work

    @property
    def busy(self) -> str:
        """What runs: "Segment", "Measure", "Teach", "Opening a package", or nothing."""
        return "" if self._run is None else self._run.WHAT

    def works_on(self, pair: Pair) -> bool:
        """Whether the pair is being segmented."""
        return isinstance(self._run, SegmentRun) and self._run.pair is pair

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

    def open_model(self, path: str) -> None:
        """Make a model file current, or a BioImage.IO package, which is taken in first.

        Raises
        ------
        ModelFileError, InputError
            If it is no model; of a package that is said later.
        """
        if Path(path).suffix.lower() != ".zip":
            self.load_model_file(path)
            return
        self._must_be_idle()
        self._run = ImportRun(self._runner, path)
        self._started(self._run.text)

    def segment(
        self,
        pair: Pair,
        places: Sequence[Place],
        center: tuple[float, float] | None = None,
        *,
        model: str | None = None,
    ) -> None:
        """Segment planes with the current version or another one, the first plane first."""
        self._must_be_idle()
        self._after_teaching = False
        self.must_fit(pair)
        self._segmented += 1
        pair.remade_by = "Segment", self._segmented
        key = self.size_key(pair.image)
        config = self.model[0]
        model = self.versions.current.model if model is None else model
        where = self._runner, self._reader, pair, model
        if config.is_volumetric:
            self._run = VolumeRun(*where, places, config.spacing)
        else:
            self._run = SegmentRun(*where, key, places, center, self.average, config.slices)
        self._started("starting")

    def look_at(self, pair: Pair, place: Place, center: tuple[float, float]) -> None:
        """Tell where the user looks now: of what is being segmented, that comes next."""
        if isinstance(self._run, SegmentRun) and self._run.pair is pair:
            self._run.look_at(place, center)

    def teach(
        self,
        pairs: Sequence[Pair],
        *,
        seconds: float,
        keep: float,
        then: tuple[Pair, list[Place]] | None = None,
    ) -> None:
        """Teach the current version what is checked in all pairs, then segment anew.

        Parameters
        ----------
        pairs : sequence of Pair
            All that are open.
        seconds : float
            How long.
        keep : float
            0 learns freely, 1 stays close to what the model knows.
        then : tuple of Pair and list of Place, optional
            What to segment with the taught model.

        Raises
        ------
        InputError
            If nothing is checked, or something runs.
        """
        self._must_be_idle()
        for pair in pairs:
            pair.absorb_visited()
        like = then[0] if then is not None else next((p for p in pairs if p.has_checked), None)
        pairs, classes = self.of_one_kind(pairs, like)
        if not any(pair.has_checked for pair in pairs):
            raise InputError("Nothing is checked yet; correct a few cells first.")
        versions = self.versions
        keys = [key for pair in pairs if (key := self.size_key(pair.image)) is not None]
        config = self.model[0]
        run = TeachRun(
            self._runner,
            self._reader,
            pairs,
            versions.current.model,
            seconds=seconds,
            keep=keep,
            keys=keys or None,
            title=f"{versions.base.title}, {versions.next_title}",
            origin=versions.origin,
            memory=None if classes or config.is_volumetric else self.memory_if_wanted,
            classes=classes,
            base=versions.base.model,
            slices=config.slices,
            volumes=config.is_volumetric,
        )
        self._run, self._then, self._taught_versions = run, then, versions
        self.curve_changed.emit(run.curve, "")
        self._started("starting")

    def learn_live(
        self, pairs: Callable[[], Sequence[Pair]], looking: Looking, *, keep: float
    ) -> None:
        """Teach the current version while cells are corrected, until it is stopped.

        Parameters
        ----------
        pairs : callable
            Returns all that is open.
        looking : callable
            Returns what is shown now: pair, plane, and the middle of what is seen.
        keep : float
            See `teach`.

        Raises
        ------
        InputError
            If something runs.
        """
        self._must_be_idle()
        if self.model[0].is_volumetric:
            raise InputError(
                "A model of volumes does not learn while you correct; correct, and press Teach."
            )
        versions = self.versions
        shown = looking()
        like = None if shown is None else shown[0]
        _, classes = self.of_one_kind(pairs(), like)
        run = LiveRun(
            self._runner,
            self._reader,
            lambda: [pair for pair in pairs() if bool(pair.classes) == bool(classes)],
            looking,
            lambda pair: self.size_key(pair.image),
            versions.current.model,
            keep=keep,
            title=f"{versions.base.title}, {versions.next_title}",
            origin=versions.origin,
            memory=None if classes else self.memory_if_wanted,
            classes=classes,
            base=versions.base.model,
            slices=self.model[0].slices,
        )
        self._run, self._taught_versions = run, versions
        self.curve_changed.emit(run.curve, "")
        self._started("starting")

    @property
    def is_live(self) -> bool:
        """Whether it learns while cells are corrected."""
        return isinstance(self._run, LiveRun) and not self._run.cancelled

    def stop(self) -> None:
        """Stop what runs: tiles that are done stay, the best taught so far is kept."""
        if self._run is not None:
            self._run.cancel()
            self.progress.emit(self._run.fraction, "stopping")

    def set_objects(
        self,
        settings: ObjectSettings,
        pair: Pair | None,
        shown: Place,
        seen: Box | None = None,
    ) -> None:
        """Make objects anew from the probabilities that are there, the shown plane first.

        Of a large plane what is `seen` comes first, rows and columns, and the rest when nothing
        has been set for a moment.
        """
        self.settings = settings
        if pair is None:
            return
        pair.remade_by = "objects"
        self._live_objects.forget()
        if seen is not None and is_worth_while(pair, shown, seen):
            how = self._object_settings(pair)
            self._live_objects.request(
                pair, shown, seen, how, partial(self._request_all, pair, shown)
            )
        else:
            self._request_all(pair, shown)

    def _request_all(self, pair: Pair, shown: Place) -> None:
        for place in pair.segmented:
            self._request_labels(pair, place, first=place == shown)

    def close(self) -> None:
        """End the worker and all threads; what runs is dropped."""
        self._drop_run()
        self._probe = None
        self._runner.close()
        self._reader.shutdown(wait=False, cancel_futures=True)
        self._maker.close()
        self._live_objects.close()

    def _must_be_idle(self) -> None:
        if self._run is not None:
            raise InputError(f"{self.busy} is running; stop it first or wait.")

    def _started(self, text: str) -> None:
        self.state_changed.emit()
        self.progress.emit(0.0, text)

    # What comes back

    def pump(self) -> None:
        """Take what threads and worker have done and tell those who observe; never waits."""
        self.guarded(self._pump_probe)
        self.guarded(self._pump_run, ends_run=True)
        seen, errors = self._live_objects.pump()
        for error in [*errors, *self._maker.take_errors()]:
            self._failed(error)
        for pair, place, glimpse in seen:
            self.guarded(partial(self._write_glimpse, pair, place, glimpse))
        for _, (pair, proposals) in self._maker.take():
            if self._live_objects.overtakes(pair):
                continue
            for place, proposal in proposals.items():
                self._to_write[id(pair), place] = pair, proposal
        self._write_some()

    @property
    def settled(self) -> bool:
        """Whether nothing runs and all labels are written."""
        is_made = not self._maker.busy and not self._live_objects.busy
        return self._run is None and is_made and not self._to_write

    def guarded(self, step: Callable[[], None], *, ends_run: bool = False) -> None:
        """Do a step; what goes wrong is said in one sentence, and the rest goes on.

        With `ends_run`, what runs is dropped then.
        """
        try:
            step()
        except Exception as error:
            if ends_run:
                self._rescue_what_was_learnt()
                self._drop_run()
            self._failed(error)

    def _failed(self, error: BaseException) -> None:
        self.said.emit(error_sentence(error, log), True)
        self.state_changed.emit()
        if self._run is None:
            self.progress.emit(0.0, "")

    def _rescue_what_was_learnt(self) -> None:
        """The last turn of live teaching is on disk, whatever happened to the worker."""
        if isinstance(self._run, LiveRun) and self._run.saved and self._taught_versions is not None:
            self._taught_versions.add(self._run.saved, None, Path(self._run.model).stem)
            self.versions_changed.emit()
        elif isinstance(self._run, TeachRun | LiveRun):
            self._run.sizes.take_back()
            self.size_changed.emit()

    def _drop_run(self) -> None:
        run, self._run = self._run, None
        if run is not None:
            run.cancel()

    def _pump_probe(self) -> None:
        if self._probe is not None and self._probe.done():
            job, self._probe = self._probe, None
            self.said.emit(job.result().sentence, False)

    def _pump_run(self) -> None:
        run = self._run
        if isinstance(run, SegmentRun):
            self._pump_segment(run)
        elif isinstance(run, MeasureRun):
            self._pump_measure(run)
        elif isinstance(run, ImportRun):
            self._pump_import(run)
        elif isinstance(run, TeachRun):
            self._pump_teach(run)
        elif isinstance(run, LiveRun):
            self._pump_live(run)

    def _pump_segment(self, run: SegmentRun) -> None:
        place = run.pump()
        if run.take_news_of_size():
            self.size_changed.emit()
        if place is not None and isinstance(run, VolumeRun):
            self._request_volume(run.pair, place)
        elif place is not None:
            self._request_labels(run.pair, place)
        if run.take_news_of_progress():
            self.progress.emit(run.fraction, run.text)
        if run.finished:
            self._run = None
            self.progress.emit(0.0, "")
            if run.cancelled or not self._after_teaching:
                self.said.emit(run.sentence, False)
            self.state_changed.emit()

    def _pump_measure(self, run: MeasureRun) -> None:
        run.pump()
        self.progress.emit(run.fraction, run.text)
        if run.finished:
            self._run = None
            self.progress.emit(0.0, "")
            self.said.emit(run.sentence, False)
            self.size_changed.emit()
            self.state_changed.emit()

    def _pump_import(self, run: ImportRun) -> None:
        run.pump()
        if run.finished:
            self._run = None
            self.progress.emit(0.0, "")
            if run.model:
                self.load_model_file(run.model)
            self.said.emit(run.sentence, False)
            self.models_changed.emit()
            self.state_changed.emit()

    def _pump_teach(self, run: TeachRun) -> None:
        if run.pump():
            self.curve_changed.emit(run.curve, run.score_text)
        self._tell_of_teaching(run)

    def _pump_live(self, run: LiveRun) -> None:
        changed = run.pump()
        if changed is not None:
            changed[0].remade_by = None  # Ctrl+Z is for strokes while it learns from them
            self._request_labels(*changed)
        if run.take_news_of_curve():
            self.curve_changed.emit(run.curve, "")
        if run.finished:
            self._then = run.shown()
        self._tell_of_teaching(run)

    def _tell_of_teaching(self, run: TeachRun | LiveRun) -> None:
        if run.finished and (run.done is None or not run.done.model):
            run.sizes.take_back()
        if run.sizes.take_news():
            self.size_changed.emit()
        if not run.cancelled:
            self.progress.emit(run.fraction, run.text)
        if run.finished:
            self._run = None
            self.progress.emit(0.0, "")
            self._taught(run)
            self.state_changed.emit()

    def _taught(self, run: TeachRun | LiveRun) -> None:
        then, self._then = self._then, None
        versions, self._taught_versions = self._taught_versions, None
        done = run.done
        if versions is None or done is None or (done.summary.improved and not done.model):
            self.said.emit("Stopped before anything was learnt; the model is as before.", False)
            return
        self.said.emit(done.summary.sentence, False)
        if done.model:
            versions.add(done.model, done.summary, Path(run.model).stem)
            self.versions_changed.emit()
        elif isinstance(run, TeachRun):
            return  # nothing else is shown than before
        if then is not None and versions is self.versions:  # no other model was chosen meanwhile
            self.segment(*then)
            self._after_teaching = True  # its sentence stays to be read

    def _request_labels(self, pair: Pair, place: Place, *, first: bool = False) -> None:
        volume = pair.volume_of(place)
        if volume is not None:
            self._request_volume(pair, volume)
            return
        settings = self._object_settings(pair)

        def work() -> tuple[Pair, dict[Place, Proposal]]:
            return pair, {place: pair.propose(place, settings)}

        self._maker.request((id(pair), place), work, first=first)

    def _request_volume(self, pair: Pair, volume: Place) -> None:
        settings = self._object_settings(pair)

        def work() -> tuple[Pair, dict[Place, Proposal]]:
            return pair, pair.propose_volume(volume, settings)

        self._maker.request((id(pair), "volume", volume), work)

    def _object_settings(self, pair: Pair) -> ObjectSettings:
        live = self._run.saved if isinstance(self._run, LiveRun) else ""
        settings = replace(self.settings, score=self.object_score(live or pair.made_by))
        if settings.min_size is None:
            settings = replace(settings, min_size=self.usual_min_size(pair))
        return settings

    def _write_some(self) -> None:
        """Write labels that are made: of a volume a few planes at a time, the viewer goes on."""
        end = time.monotonic() + WRITE_S
        while self._to_write:
            key = next(iter(self._to_write))
            pair, proposal = self._to_write.pop(key)
            self.guarded(partial(self._write_labels, pair, key[1], proposal))
            if pair.volume_of(key[1]) is not None and time.monotonic() > end:
                return

    def _write_glimpse(self, pair: Pair, place: Place, glimpse: Proposal) -> None:
        """Write what is seen, unless anything has changed meanwhile: all of it comes after."""
        if glimpse.made_at == pair.ledger.changes and pair.accept(place, glimpse):
            self.labels_changed.emit(pair, place)

    def _write_labels(self, pair: Pair, place: Place, proposal: Proposal) -> None:
        if pair.accept(place, proposal):
            self.labels_changed.emit(pair, place)
        else:
            self._request_labels(pair, place)
