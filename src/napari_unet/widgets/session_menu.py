"""Save session, and open it: what the header's menu has for a whole session."""

from __future__ import annotations

from html import escape
from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QMenu, QMessageBox, QWidget

from napari_unet.widgets.workbench import Workbench

__all__ = ["SessionMenu", "ask_for_image", "open_session"]

SAVE_TIP = "Labels, checked areas, settings and versions of all open images go into a folder."


class SessionMenu:
    """Three lines of a menu; the folder is asked for once."""

    def __init__(self, bench: Workbench, menu: QMenu, parent: QWidget) -> None:
        self._bench, self._parent = bench, parent
        menu.addAction("Save session…", self.save)
        menu.addAction("Save session in another folder…", self.save_as)
        menu.addAction("Open session…", self.open)
        self.save_action, self.save_as_action, self.open_action = menu.actions()[-3:]
        menu.setToolTipsVisible(True)
        menu.aboutToShow.connect(self._show_state)
        self._show_state()

    def _show_state(self) -> None:
        folder = self._bench.sessions.folder
        self.save_action.setText("Save session…" if folder is None else "Save session")
        self.save_action.setToolTip(SAVE_TIP if folder is None else f"To {folder}.")
        self.save_as_action.setVisible(folder is not None)

    def save(self) -> None:
        """Save to the folder of the last time, or ask for one."""
        if self._bench.sessions.folder is None:
            self.save_as()
        else:
            self._bench.session.guarded(self._bench.sessions.save)

    def save_as(self) -> None:
        """Ask for a folder, and save there."""
        chosen = self._ask_for_folder("Choose or make a folder for the session")
        if chosen is not None:
            self._bench.session.guarded(lambda: self._bench.sessions.save(chosen))

    def open(self) -> None:
        """Ask for a folder, and open the session in it."""
        chosen = self._ask_for_folder("Choose the folder of a session")
        if chosen is not None:
            open_session(self._bench, chosen, self._parent)

    def _ask_for_folder(self, title: str) -> Path | None:
        folder = self._bench.sessions.folder
        start = "" if folder is None else str(folder.parent)
        chosen = QFileDialog.getExistingDirectory(self._parent, title, start)
        return Path(chosen) if chosen else None


def open_session(bench: Workbench, folder: Path, parent: QWidget | None = None) -> None:
    """Open a session folder; a problem is shown in the dock."""

    def where(sentence: str) -> Path | None:
        return ask_for_image(parent, sentence)

    bench.session.guarded(lambda: bench.sessions.open(folder, where))


def ask_for_image(parent: QWidget | None, sentence: str) -> Path | None:
    """Tell what is wrong with an image's file, and ask for another; None to go without."""
    asked = QMessageBox.question(
        parent,
        "Where is the image?",
        f"<p>{escape(sentence)}</p>",  # Qt would take names in it for marks of its rich text
        QMessageBox.StandardButton.Open | QMessageBox.StandardButton.Ignore,
        QMessageBox.StandardButton.Open,
    )
    if asked != QMessageBox.StandardButton.Open:
        return None
    path, _ = QFileDialog.getOpenFileName(parent, "Choose the image")
    return Path(path) if path else None
