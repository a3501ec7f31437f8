"""Many images: a folder, a plate or an OME-Zarr, segmented in the background."""

from __future__ import annotations

from pathlib import Path

from magicgui.types import FileDialogMode
from magicgui.widgets import CheckBox, FileEdit, FloatSpinBox, ProgressBar

from napari_unet.core.errors import NapariUnetError
from napari_unet.session.batch_run import BatchRun, batch_command
from napari_unet.session.object_size import MOST
from napari_unet.widgets.parts import Choice, Note, Panel, button, fields, follow, row, set_enabled
from napari_unet.widgets.workbench import Workbench

__all__ = ["BatchPanel"]

RUN_TIP = "Segment all images; what an earlier run has done with the same settings is passed over."
STOP_TIP = "Stop; the same run goes on where it was."
SIZE_TIP = "How wide the objects of all images are; left alone, each image is measured by itself."
MEASURED = "measured in each image"
SHOWN_PROBLEMS = 8


class BatchPanel(Panel):
    """Where from, where to, which model, how far.

    The run is the workbench's: it goes on when the dock is closed, and a dock that is opened again
    shows it.
    """

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        folder = FileDialogMode.EXISTING_DIRECTORY
        self.source = FileEdit(
            mode=folder, label="Images", tooltip="A folder of images, or an OME-Zarr or plate."
        )
        self.out = FileEdit(mode=folder, label="Labels", tooltip="The folder the labels go to.")
        self.model = Choice(label="Model", tooltip="The network that finds the objects.")
        self.size = FloatSpinBox(
            label="Objects", min=0.0, max=MOST, step=1.0, value=0.0, tooltip=SIZE_TIP
        )
        self.size.native.setSpecialValueText(MEASURED)
        self.size.native.setSuffix(" px")
        self.size.native.setDecimals(1)
        self.recursive = CheckBox(
            text="Folders in it", value=False, label="", tooltip="Go into folders of folders."
        )
        self.again = CheckBox(
            text="All anew", value=False, label="", tooltip="Also what an earlier run has done."
        )
        self.start = button("Run", RUN_TIP, self.press)
        self.stop = button("Stop", STOP_TIP, self.cancel)
        self.progress = ProgressBar(min=0, max=1000, value=0, label="")
        self.progress.native.setTextVisible(False)
        self.progress.native.setFixedHeight(8)
        self.note = Note(keeps_room=True)
        self.problems = Note()
        super().__init__(
            [
                fields(self.source, self.out, self.model, self.size),
                row(self.recursive, self.again),
                row(self.start, self.stop),
                self.progress,
                self.note,
                self.problems,
            ]
        )
        self.source.changed.connect(self._on_source)
        self.out.changed.connect(self._show_state)
        follow(self.native, bench.session.models_changed, self._show_models)
        follow(self.native, bench.session.versions_changed, self._show_models)
        follow(self.native, bench.batch_changed, self._show_run)
        self._take_typed_size()
        self._show_models()
        self._show_run()

    def press(self) -> None:
        """Begin; a problem is shown in the dock."""
        words = batch_command(
            path_in(self.source),
            path_in(self.out),
            str(self.model.value),
            recursive=bool(self.recursive.value),
            again=bool(self.again.value),
            diameter=self.size.value or None,
            settings=self._bench.session.settings,
        )
        self.problems.say("")
        self._bench.start_batch(BatchRun(words))

    def cancel(self) -> None:
        """Stop; what is done stays."""
        if self._running is not None:
            self._running.cancel()

    @property
    def _running(self) -> BatchRun | None:
        run = self._bench.batch
        return None if run is None or run.finished else run

    def _take_typed_size(self) -> None:
        """Begin with what the user has typed of the image that is open."""
        layer = self._bench.workspace.chosen
        typed = None if layer is None else self._bench.workspace.size(layer).typed
        if typed is not None:
            self.size.value = typed

    def _show_run(self) -> None:
        run = self._bench.batch
        if run is not None:
            problems = run.problems
            if run.finished:
                self.progress.value = 0
                self.note.say(run.sentence, failure=bool(run.problems))
                problems = [one for one in run.problems if one not in run.sentence]  # said once
            else:
                self.progress.value = round(1000 * run.fraction)
                self.note.say(run.text[:1].upper() + run.text[1:] + ".")
            self.problems.say("\n".join(problems[-SHOWN_PROBLEMS:]))
        self._show_state()

    def _on_source(self) -> None:
        """The labels go beside the images where nothing else is said."""
        source = path_in(self.source)
        if source.name and path_in(self.out) == Path():
            self.out.value = source.with_name(f"{source.name.partition('.')[0]}_labels")
        self._show_state()

    def _show_models(self) -> None:
        session = self._bench.session
        models = [(card.title or card.name, card.path) for card in session.models()]
        try:
            current = session.versions.current
        except NapariUnetError:  # its file is gone
            self.model.offer(models, self.model.value)
            return
        if current.model not in [path for _, path in models]:
            models.insert(0, (f"{session.versions.base.title}, {current.title}", current.model))
        self.model.offer(models, current.model)

    def _show_state(self) -> None:
        is_ready = path_in(self.source) != Path() and path_in(self.out) != Path()
        reason = "" if is_ready else "Choose the images and where their labels go first."
        set_enabled(self.start, "It is running." if self._running else reason, RUN_TIP)
        set_enabled(self.stop, "" if self._running else "Nothing is running.", STOP_TIP)


def path_in(field: FileEdit) -> Path:
    """Return the path in a field; an empty one where there is none."""
    return Path(str(field.value or ""))
