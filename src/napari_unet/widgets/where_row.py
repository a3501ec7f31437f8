"""Which computer computes: this one, or the cluster at an address."""

from __future__ import annotations

from magicgui.widgets import Label, LineEdit
from qtpy.QtWidgets import QLineEdit

from napari_unet.widgets.parts import Panel, button, follow, row, set_enabled
from napari_unet.widgets.workbench import Workbench

__all__ = ["WhereRow"]

HERE = "this computer"
TIP = (
    "Leave it empty to compute on this computer. Or type the address of a dask scheduler, such as "
    "tcp://host:8786: Segment and Teach run there then, on a graphics card for example."
)
BUSY = "{} is running; stop it first or wait."
FOLD_TIP = "Compute on this computer or on another one."


class WhereRow(Panel):
    """A field that is folded away until it is asked for, or an address is set.

    Attributes
    ----------
    fold : PushButton
        Shows and hides it; it stands elsewhere.
    """

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self.address = LineEdit(label="", tooltip=TIP)
        self.fold = button("…", FOLD_TIP, self._toggle)
        self.fold.native.setFixedWidth(32)
        super().__init__([row(Label(value="Compute on", label=""), self.address)])
        self._line: QLineEdit = self.address.native
        self._line.setPlaceholderText(HERE)
        self._line.setClearButtonEnabled(True)
        self._line.editingFinished.connect(self._take)
        follow(self.native, bench.session.where_changed, self._show)
        follow(self.native, bench.session.state_changed, self._show_state)
        self._show()
        self._show_state()

    def _toggle(self) -> None:
        self.visible = not self.native.isVisible()
        if self.native.isVisible():
            self._line.setFocus()

    def _take(self) -> None:
        address = self._line.text().strip()
        if address != self._bench.session.address:
            self._bench.preferences.compute_on(address)

    def _show(self) -> None:
        address = self._bench.session.address
        if self._line.text().strip() != address:
            self._line.setText(address)
        self.visible = bool(address) or self.native.isVisible()

    def _show_state(self) -> None:
        busy = self._bench.session.busy
        set_enabled(self.address, BUSY.format(busy) if busy else "", TIP)
