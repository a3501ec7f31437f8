"""Teaching: at the press of a button or while cells are corrected, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from psygnal import Signal

from napari_unet.core.errors import InputError
from napari_unet.engine.runner import Runner
from napari_unet.session.image import Place
from napari_unet.session.live_run import LiveRun, Looking
from napari_unet.session.pair import Pair
from napari_unet.session.segmenting import Segmenting
from napari_unet.session.teach_run import Curve, TeachRun
from napari_unet.session.versions import Versions

__all__ = ["VOLUMES_WAIT", "Teaching"]

VOLUMES_WAIT = "A model of volumes does not learn while you correct; correct, and press Teach."


class Teaching(Segmenting):
    """The part of a session that teaches, and segments with what was learnt.

    Parameters
    ----------
    runner : Runner, optional
        See `Work`.
    """

    curve_changed = Signal(Curve, str)
    """The loss curve has grown; the score in words."""

    def __init__(self, runner: Runner | None = None) -> None:
        super().__init__(runner)
        self._then: tuple[Pair, list[Place]] | None = None
        self._taught_versions: Versions | None = None
        self.keep: float | None = None  # of teaching, as chosen last
        self.teach_seconds: float | None = None

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
            raise InputError(VOLUMES_WAIT)
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

    def _made_by(self, pair: Pair) -> str:
        live = self._run.saved if isinstance(self._run, LiveRun) else ""
        return live or pair.made_by

    def _rescue_what_was_learnt(self) -> str:
        """The last turn of live teaching is on disk, whatever happened to the worker."""
        run, versions = self._run, self._taught_versions
        if isinstance(run, LiveRun) and run.saved and versions is not None:
            version = versions.add(run.saved, None, Path(run.model).stem)
            self.versions_changed.emit()
            return (
                f"What it had learnt before that is kept as {version.title}, and was not compared "
                "with the model before."
            )
        if isinstance(run, TeachRun | LiveRun):
            run.sizes.take_back()
            self.size_changed.emit()
        return ""

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
            self._ended()
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
            self.segment(*then, quiet=True)
