"""The session: what is open, what runs, which model is current. Widgets and bridge observe it."""

from __future__ import annotations

from pathlib import Path

from napari_unet.session.import_run import ImportRun
from napari_unet.session.live_run import LiveRun
from napari_unet.session.measure_run import MeasureRun
from napari_unet.session.segment_run import SegmentRun
from napari_unet.session.teach_run import TeachRun
from napari_unet.session.teaching import Teaching

__all__ = ["Session"]


class Session(Teaching):
    """The loop of segmenting, correcting and teaching, without any widget.

    All methods are for one thread, the viewer's; `pump` has to be called there every few
    hundredths of a second, and signals are emitted there.

    Parameters
    ----------
    runner : Runner, optional
        Where networks run; a worker process of its own if None.
    """

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

    @property
    def settled(self) -> bool:
        """Whether nothing runs and all labels are written."""
        return self._run is None and not self._has_labels_to_come

    def pump(self) -> None:
        """Take what threads and worker have done and tell those who observe; never waits."""
        self.guarded(self._pump_probe)
        self.guarded(self._pump_run, ends_run=True)
        self._pump_labels()

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

    def _pump_import(self, run: ImportRun) -> None:
        run.pump()
        if run.finished:
            self._ended()
            if run.model:
                self.load_model_file(run.model)
            self.said.emit(run.sentence, False)
            self.models_changed.emit()
            self.state_changed.emit()
