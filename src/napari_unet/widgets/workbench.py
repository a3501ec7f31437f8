"""One viewer's session and workspace, shared by all docks that are open in it."""

from __future__ import annotations

import atexit
import logging
from typing import TYPE_CHECKING

from psygnal import Signal
from qtpy.QtCore import QEvent, QObject, Qt, QTimer
from qtpy.QtWidgets import QApplication, QDockWidget, QMainWindow, QWidget

from napari_unet.bridge.compare import Compare
from napari_unet.bridge.layers import warm_up
from napari_unet.bridge.preferences import Preferences
from napari_unet.bridge.sessions import Sessions
from napari_unet.bridge.unsure_layer import UnsureLayers
from napari_unet.bridge.workspace import Workspace
from napari_unet.engine.runner import Runner
from napari_unet.session.batch_run import BatchRun
from napari_unet.session.review import Review
from napari_unet.session.session import Session
from napari_unet.widgets.parts import is_alive
from napari_unet.widgets.shortcuts import Shortcuts
from napari_unet.widgets.tool_belt import ToolBelt

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["Workbench"]

PUMP_EVERY_MS = 30
WIDTH = 340

log = logging.getLogger(__name__)
_open: dict[int, Workbench] = {}


class Workbench(QObject):
    """What the docks of one viewer share; it lives until the viewer's window is closed."""

    closing = Signal()
    """The viewer is going, or the last dock."""
    batch_changed = Signal()
    """There is news of the run over many images."""
    status_changed = Signal(str, bool)
    """The line at the bottom of the docks: a sentence, and whether something failed."""

    def __init__(self, viewer: Viewer, runner: Runner | None = None) -> None:
        super().__init__()
        self.viewer = viewer
        self.session = Session(runner)
        self.preferences = Preferences(self.session)
        self.workspace = Workspace(viewer, self.session)
        self.sessions = Sessions(self.workspace)
        self.review = Review(self.session)
        self.compare = Compare(viewer, self.session, self.workspace)
        self.unsure = UnsureLayers(viewer, self.session, self.workspace)
        self.belt = ToolBelt(self.workspace)
        self.shortcuts = Shortcuts(self.workspace, self.belt.said.emit)
        self.batch: BatchRun | None = None
        self.status = ""
        self.status_is_failure = False
        self._was_busy = False
        self._round, self._said_in_round = 0, -1
        self.session.said.connect(self._on_said)
        self.session.state_changed.connect(self._on_state)
        self._window: QMainWindow | None = None
        self._docks: list[QWidget] = []
        self._new_docks: list[QWidget] = []
        self._timer = QTimer(self)
        self._timer.setInterval(PUMP_EVERY_MS)
        self._timer.timeout.connect(self._pump)
        self._timer.start()
        application = QApplication.instance()
        if isinstance(application, QApplication):
            application.aboutToQuit.connect(self.close)
            application.focusChanged.connect(self._on_focus)
        atexit.register(self._at_exit)
        warm_up()
        self.session.probe()

    @classmethod
    def of(cls, viewer: Viewer, runner: Runner | None = None) -> Workbench:
        """Return the workbench of a viewer; it is made where there is none.

        A runner may be given where the workbench is made: a worker of its own if None.
        """
        viewer = getattr(viewer, "__wrapped__", viewer)  # napari hands out proxies
        if id(viewer) not in _open:
            _open[id(viewer)] = cls(viewer, runner)
        return _open[id(viewer)]

    def add_dock(self, dock: QWidget) -> None:
        """Follow a dock, to end with the window it is in."""
        self._docks.append(dock)
        self._new_docks.append(dock)
        dock.destroyed.connect(self._on_dock_destroyed)

    @property
    def has_docks(self) -> bool:
        """Whether a dock of ours is open in the viewer."""
        return any(is_alive(dock) for dock in self._docks)

    def _on_dock_destroyed(self) -> None:
        self._docks = [dock for dock in self._docks if is_alive(dock)]
        self._new_docks = [dock for dock in self._new_docks if is_alive(dock)]
        if not self._docks and self._window is None:  # never shown in a window
            self.close()

    def start_batch(self, run: BatchRun) -> None:
        """Follow a run over many images until it ends, whether or not its dock is open."""
        self.batch = run
        self.batch_changed.emit()

    def _pump_batch(self) -> None:
        run = self.batch
        if run is not None and not run.finished and run.pump():
            self._tell_of_batch(run)

    def _tell_of_batch(self, run: BatchRun) -> None:
        if run.finished and not len(self.batch_changed):  # no dock shows it
            self.session.said.emit(run.sentence, bool(run.problems))
        self.batch_changed.emit()

    def _find_windows(self) -> None:
        """A dock is put into its window after it was made."""
        for dock in [dock for dock in self._new_docks if is_alive(dock)]:
            window = dock.window()
            if isinstance(window, QMainWindow):
                self._new_docks.remove(dock)
                narrow(window, dock)
                if self._window is None:
                    self._window = window
                    window.destroyed.connect(self.close)

    def _forget_closed(self) -> None:
        """napari takes a dock that is closed out of its window, and makes another one later."""
        for dock in self._docks:
            if dock not in self._new_docks and is_alive(dock) and dock.parentWidget() is None:
                dock.deleteLater()

    def _on_said(self, sentence: str, is_failure: bool) -> None:
        self._said_in_round = self._round
        self._show_status(sentence, is_failure)

    def _show_status(self, sentence: str, is_failure: bool) -> None:
        self.status, self.status_is_failure = sentence, is_failure
        self.status_changed.emit(sentence, is_failure)

    def _on_state(self) -> None:
        """What was said of something else does not stand beside the progress of what begins.

        What is said as it begins stays: of a lesson, after which it segments.
        """
        is_busy, was_busy = bool(self.session.busy), self._was_busy
        self._was_busy = is_busy
        is_old = self._said_in_round != self._round
        if is_busy and not was_busy and is_old and self.session.where:
            self._show_status(f"{self.session.where}, at work", is_failure=False)

    def _pump(self) -> None:
        self._round += 1
        if self._new_docks:
            self._find_windows()
        self._forget_closed()
        if not self.shortcuts.notice():
            self.belt.drop()
        self.session.guarded(self.workspace.notice)  # a stroke comes before what is made now
        self.session.guarded(self._look)
        self.session.pump()
        self.session.guarded(self.workspace.flush)
        self.session.guarded(self.unsure.flush)
        self.session.guarded(self.sessions.pump)
        self.session.guarded(self.review.pump)
        self.session.guarded(self._pump_batch)

    def _look(self) -> None:
        """Tell where the user looks: what is segmented there comes first."""
        item = self.workspace.current
        if item is not None and self.session.works_on(item.pair):
            self.session.look_at(item.pair, self.workspace.shown(item), self.workspace.center(item))

    def _on_focus(self, old: QWidget | None, now: QWidget | None) -> None:
        """Keys go to the image again when the button that had them is switched off or hidden.

        Qt hands them to the next field, where a key of napari or of a tool would be typed.
        """
        if old is None or now is None or (is_alive(old) and old.isEnabled() and old.isVisible()):
            return
        if any(is_alive(dock) and dock.isAncestorOf(now) for dock in self._docks):
            now.clearFocus()

    def _at_exit(self) -> None:
        """A script ended without closing the viewer, or without an event loop after it."""
        self.close()
        _delete_what_is_left()

    def close(self) -> None:
        """End the worker and follow the viewer no more."""
        if _open.pop(id(self.viewer), None) is None:
            return
        atexit.unregister(self._at_exit)
        self._timer.stop()
        application = QApplication.instance()
        if isinstance(application, QApplication):
            application.focusChanged.disconnect(self._on_focus)
        for dock in self._docks:
            if is_alive(dock):
                dock.destroyed.disconnect(self._on_dock_destroyed)
        if self._window is not None and is_alive(self._window):
            self._window.destroyed.disconnect(self.close)
        self.closing.emit()
        if self.batch is not None:
            self.batch.close()
        self.preferences.close()
        self.shortcuts.close()
        self.belt.close()
        self.compare.close()
        self.unsure.close()
        self.review.close()
        self.session.close()
        self.sessions.close()
        self.workspace.close()


def _delete_what_is_left() -> None:
    """Let Qt delete what was closed: PyQt crashes on it when the interpreter is taken down."""
    application = QApplication.instance()
    if application is not None:
        application.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
        application.processEvents()


def narrow(window: QMainWindow, widget: QWidget) -> None:
    """Give a dock the width its texts need; the rest is for the image."""
    parent: QWidget | None = widget
    while parent is not None and not isinstance(parent, QDockWidget):
        parent = parent.parentWidget()
    if isinstance(parent, QDockWidget):
        window.resizeDocks([parent], [WIDTH], Qt.Orientation.Horizontal)
