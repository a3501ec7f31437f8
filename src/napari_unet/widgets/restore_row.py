"""Corrections that a crash has left on disk, in one line: restore or discard them."""

from __future__ import annotations

from napari_unet.core.errors import NapariUnetError
from napari_unet.widgets.parts import Note, Panel, button, follow, row
from napari_unet.widgets.workbench import Workbench

__all__ = ["RestoreRow"]

RESTORE_TIP = "Bring labels and checked area back as they were then; Ctrl+Z takes that back."
DISCARD_TIP = "Remove these corrections from the disk for good."


class RestoreRow(Panel):
    """What can be restored of the chosen image; it takes no room where there is nothing."""

    def __init__(self, bench: Workbench) -> None:
        self._workspace = bench.workspace
        self.note = Note()
        self.restore = button("Restore", RESTORE_TIP, self._restore)
        self.discard = button("Discard", DISCARD_TIP, self._discard)
        self.problem = Note()
        self.buttons = row(self.restore, self.discard)
        super().__init__([self.note, self.buttons, self.problem])
        follow(self.native, self._workspace.keeper.found, self._show)
        self._show()

    def _show(self) -> None:
        kept = self._workspace.keeper.kept
        self.note.say(kept[0].sentence if kept else "")
        self.buttons.visible = bool(kept)
        self.problem.say("")
        self.visible = bool(kept)

    def _restore(self) -> None:
        try:
            self._workspace.restore()
        except NapariUnetError as error:
            self.problem.say(str(error), failure=True)

    def _discard(self) -> None:
        try:
            self._workspace.keeper.discard()
        except NapariUnetError as error:
            self.problem.say(str(error), failure=True)
