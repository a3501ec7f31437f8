"""Step 3: the network learns what is checked."""

from __future__ import annotations

from magicgui.widgets import CheckBox, FloatSlider, ProgressBar

from napari_unet.core.errors import NapariUnetError
from napari_unet.session.image import Place
from napari_unet.session.pair import Pair
from napari_unet.session.teach_run import Curve
from napari_unet.session.teaching import VOLUMES_WAIT
from napari_unet.widgets.compare_row import CompareRow
from napari_unet.widgets.curve import CurveView
from napari_unet.widgets.header import Header
from napari_unet.widgets.parts import (
    Choice,
    Note,
    Panel,
    bring_into_view,
    button,
    fields,
    follow,
    frame,
    heading,
    row,
    set_enabled,
)
from napari_unet.widgets.version_row import VersionRow
from napari_unet.widgets.workbench import Workbench

__all__ = ["TeachPanel"]

TEACH_TIP = "Learn from everything that is checked, in all open images, then segment again."
STOP_TIP = "Stop; the best so far is kept."
LIVE_TIP = "Learn each correction within seconds and show it; Stop keeps it as a version."
NOTHING = "Correct a few cells first: what you touch is checked, and learnt."
NO_STROKE = "Paint a little of each class first, and of background: what is painted is learnt."
TIMES = [("quick, 30 s", 30.0), ("normal, 2 min", 120.0), ("thorough, 10 min", 600.0)]
KEEP = 0.5  # as `iter_finetune`


class TeachPanel(Panel):
    """Time, Teach, the curve, and the versions."""

    def __init__(self, bench: Workbench, header: Header) -> None:
        self._bench = bench
        self._header = header
        self._is_teaching = False
        self.time = Choice(label="Time", tooltip="How long to learn.")
        self.time.offer(TIMES, TIMES[0][1])
        self.teach = button("Teach", TEACH_TIP, self.press)
        self.stop = button("Stop", STOP_TIP, bench.session.stop)
        self.stop.native.setFixedWidth(60)
        self.live = CheckBox(text="Learn as I correct", value=False, label="", tooltip=LIVE_TIP)
        self.progress = ProgressBar(min=0, max=1000, value=0, label="")
        self.progress.native.setTextVisible(False)
        self.progress.native.setFixedHeight(8)
        self.note = Note(keeps_room=True)
        self.keep = FloatSlider(
            label="Keep", min=0.0, max=1.0, step=0.05, value=KEEP,
            tooltip="How much it keeps of what it knows: left learns freely, right stays close.",
        )  # fmt: skip
        self.curve = CurveView()
        self.score = Note(keeps_room=True)
        self.versions = VersionRow(bench)
        self.compared = CompareRow(bench)
        super().__init__(
            [
                heading("3  Teach"),
                fields(self.time, self.keep),
                row(self.teach, self.stop, self.live),
                self.progress,
                self.note,
                frame(self.curve),
                self.score,
                self.versions.row,
                self.compared.row,
                self.compared.note,
            ]
        )
        self._take_settings()
        self.live.changed.connect(self._on_live)
        self.keep.changed.connect(self._on_settings)
        self.time.changed.connect(self._on_settings)
        follow(self.native, bench.session.settings_changed, self._take_settings)
        session, workspace = bench.session, bench.workspace
        for signal in (session.state_changed, workspace.corrected, workspace.chosen_changed):
            follow(self.native, signal, self._show_state)
        follow(self.native, session.progress, self._show_progress)
        follow(self.native, session.curve_changed, self._show_curve)
        self._show_state()

    def press(self) -> None:
        """Teach, then segment what is shown again."""
        try:
            self._bench.session.teach(
                self._bench.workspace.pairs(),
                seconds=self.time.value,
                keep=self.keep.value,
                then=self._bench.workspace.visited(),
            )
        except NapariUnetError as error:
            self.note.say(str(error), failure=True)

    def _take_settings(self) -> None:
        """Show what was chosen before, in another dock or when the session was saved."""
        session = self._bench.session
        with self.keep.changed.blocked():
            self.keep.value = self.keep.value if session.keep is None else session.keep
        with self.time.changed.blocked():
            if session.teach_seconds in [seconds for _, seconds in TIMES]:
                self.time.value = session.teach_seconds
        self._on_settings()

    def _on_settings(self) -> None:
        session = self._bench.session
        session.keep, session.teach_seconds = self.keep.value, self.time.value

    def _on_live(self, is_on: bool) -> None:
        session = self._bench.session
        if not is_on:
            session.stop()
            return
        try:
            session.learn_live(self._bench.workspace.pairs, self._looking, keep=self.keep.value)
        except NapariUnetError as error:
            self.note.say(str(error), failure=True)
            self._show_live()

    def _looking(self) -> tuple[Pair, Place, tuple[float, float]] | None:
        """Return what is shown now."""
        workspace = self._bench.workspace
        item = workspace.current
        if item is None:
            return None
        return item.pair, workspace.shown(item), workspace.center(item)

    def _show_live(self) -> None:
        session = self._bench.session
        with self.live.changed.blocked():
            self.live.value = session.is_live
        reason = self._header.reason()
        if session.busy and not session.is_live:
            reason = f"{session.busy} is running; stop it first or wait."
        elif not reason and session.model[0].is_volumetric:
            reason = VOLUMES_WAIT
        set_enabled(self.live, reason, LIVE_TIP)

    def _show_state(self) -> None:
        self._show_live()
        busy = self._bench.session.busy
        was_teaching, self._is_teaching = self._is_teaching, busy == "Teach"
        if was_teaching != self._is_teaching:
            bring_into_view(self.versions.row, self.teach)  # what is told of it, on a low screen
        reason = self._header.reason()
        if busy:
            reason = f"{busy} is running; stop it first or wait."
        elif not reason and not any(pair.has_checked for pair in self._bench.workspace.pairs()):
            item = self._bench.workspace.current
            reason = NO_STROKE if item is not None and item.pair.classes else NOTHING
        set_enabled(self.teach, reason, TEACH_TIP)
        set_enabled(self.stop, "" if busy == "Teach" else "Nothing is being taught.", STOP_TIP)
        if busy != "Teach":
            self.note.say(reason if reason in (NOTHING, NO_STROKE) else "")

    def _show_progress(self, fraction: float, text: str) -> None:
        is_mine = self._bench.session.busy == "Teach"
        self.progress.value = round(1000 * fraction) if is_mine else 0
        if is_mine:
            self.note.say(text.capitalize() + ".")

    def _show_curve(self, curve: Curve, score: str) -> None:
        self.curve.show_curve(curve)
        self.score.say(score.capitalize())
