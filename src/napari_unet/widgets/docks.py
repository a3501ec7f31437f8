"""The docks that napari offers under Plugins and under Layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from magicgui.widgets import Container, Widget
from qtpy.QtWidgets import QFrame, QSizePolicy

from napari_unet.widgets.batch_panel import BatchPanel
from napari_unet.widgets.correct_panel import CorrectPanel
from napari_unet.widgets.header import Header
from napari_unet.widgets.measure_panel import MeasurePanel
from napari_unet.widgets.parts import SPACING, Note, Panel, follow, frame, row, scrolled
from napari_unet.widgets.restore_row import RestoreRow
from napari_unet.widgets.segment_panel import SegmentPanel
from napari_unet.widgets.teach_panel import TeachPanel
from napari_unet.widgets.where_row import WhereRow
from napari_unet.widgets.workbench import Workbench

if TYPE_CHECKING:
    import napari

__all__ = ["BatchDock", "CorrectDock", "MeasureDock", "SegmentDock", "TeachDock", "UNetDock"]

MIN_WIDTH = 300
BETWEEN_STEPS = 10
MOST = 1000


class _Footed(Container[Widget]):
    """Takes all the height there is, above the line that says how things stand."""

    def __init__(self, bench: Workbench, body: Widget, where: WhereRow | None = None) -> None:
        self.bench = bench
        self.status = Note("Starting…")
        body.native.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        foot = Panel([self.status] if where is None else [where, row(self.status, where.fold)])
        foot.native.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Maximum)
        super().__init__(widgets=[body, foot], labels=False)
        self.native.layout().setContentsMargins(0, 0, 0, 2)
        self.native.layout().setSpacing(SPACING)
        self.native.layout().setStretch(0, MOST)  # napari may add a spacer of its own
        # What is scrolled may be cut in the middle of a sentence, just above the line of the foot.
        edge = QFrame()
        edge.setFrameShape(QFrame.Shape.HLine)
        edge.setFixedHeight(1)
        edge.setStyleSheet("background: rgba(128, 128, 128, 110); border: none;")
        self.native.layout().insertWidget(1, edge)
        self.native.setMinimumWidth(MIN_WIDTH)
        follow(self.native, self.bench.status_changed, self._show_status)
        if self.bench.status:
            self._show_status(self.bench.status, self.bench.status_is_failure)
        self.bench.add_dock(self.native)

    def _show_status(self, sentence: str, is_failure: bool) -> None:
        self.status.say(sentence, failure=is_failure)


class _Dock(_Footed):
    """Header and steps."""

    STEPS: tuple[type[SegmentPanel] | type[CorrectPanel] | type[TeachPanel], ...] = ()

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        bench = Workbench.of(napari_viewer)
        self.restore = RestoreRow(bench)
        self.header = Header(bench)
        self.steps = [step(bench, self.header) for step in self.STEPS]
        inside = Container(widgets=[self.restore, self.header, *self.steps], labels=False)
        inside.native.layout().setContentsMargins(0, 2, 0, 2)
        inside.native.layout().setSpacing(BETWEEN_STEPS)
        inside.native.layout().addStretch(1)
        self.where = WhereRow(bench)
        super().__init__(bench, frame(scrolled(inside.native)), self.where)


class UNetDock(_Dock):
    """The whole loop: Segment, Correct, Teach."""

    STEPS = (SegmentPanel, CorrectPanel, TeachPanel)


class SegmentDock(_Dock):
    """The first step alone."""

    STEPS = (SegmentPanel,)


class CorrectDock(_Dock):
    """The second step alone."""

    STEPS = (CorrectPanel,)


class TeachDock(_Dock):
    """The third step alone."""

    STEPS = (TeachPanel,)


class BatchDock(_Footed):
    """Many images in the background."""

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        bench = Workbench.of(napari_viewer)
        self.panel = BatchPanel(bench)
        inside = Container(widgets=[self.panel], labels=False)
        inside.native.layout().addStretch(1)
        super().__init__(bench, frame(scrolled(inside.native)))


class MeasureDock(_Footed):
    """What there is to say of each cell, as a table."""

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        bench = Workbench.of(napari_viewer)
        self.panel = MeasurePanel(bench)
        super().__init__(bench, self.panel)
