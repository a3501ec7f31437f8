"""Segmenting: planes go to the network, what it says becomes labels that follow the sliders."""

from __future__ import annotations

from collections.abc import Sequence

from psygnal import Signal

from napari_unet.core.errors import InputError
from napari_unet.engine.runner import Runner
from napari_unet.session.image import Image, Place
from napari_unet.session.labelling import Labelling
from napari_unet.session.measure_run import MeasureRun
from napari_unet.session.object_size import ObjectSize, SizeKey, size_text
from napari_unet.session.pair import Pair
from napari_unet.session.segment_run import SegmentRun
from napari_unet.session.volume_run import VolumeRun

__all__ = ["Segmenting"]


class Segmenting(Labelling):
    """The part of a session that segments, and knows how wide objects are.

    Parameters
    ----------
    runner : Runner, optional
        See `Work`.
    """

    size_changed = Signal()
    """How wide objects are was measured, typed or forgotten."""
    settings_changed = Signal()
    """How objects are made and taught was taken from a session's folder."""

    def __init__(self, runner: Runner | None = None) -> None:
        super().__init__(runner)
        self._is_quiet = False
        self._segmented = 0  # how many times
        self.average = "none"  # of mirrored and turned versions, see `SegmentTask`

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

    # Planes

    def works_on(self, pair: Pair) -> bool:
        """Whether the pair is being segmented."""
        return isinstance(self._run, SegmentRun) and self._run.pair is pair

    def segment(
        self,
        pair: Pair,
        places: Sequence[Place],
        center: tuple[float, float] | None = None,
        *,
        model: str | None = None,
        quiet: bool = False,
    ) -> None:
        """Segment planes with the current version or another one, the first plane first.

        With `quiet` nothing is said at its end, so that what was said before stays to be read.
        """
        self._must_be_idle()
        self._is_quiet = quiet
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

    # What comes back

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
            self._ended()
            if run.cancelled or not self._is_quiet:
                self.said.emit(f"{run.sentence} {self.versions.hint}".strip(), False)
            self.state_changed.emit()

    def _pump_measure(self, run: MeasureRun) -> None:
        run.pump()
        self.progress.emit(run.fraction, run.text)
        if run.finished:
            self._ended()
            self.said.emit(run.sentence, False)
            self.size_changed.emit()
            self.state_changed.emit()
