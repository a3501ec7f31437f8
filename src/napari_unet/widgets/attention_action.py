"""A line of the model's menu: where an Attention U-Net looks, as layers."""

from __future__ import annotations

from napari.layers import Image as ImageLayer
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QMenu, QWidget

from napari_unet.bridge.attention_layers import show_attention
from napari_unet.bridge.view import shown_place
from napari_unet.core.errors import NapariUnetError
from napari_unet.engine.attention_task import AttentionMaps
from napari_unet.session.attention import Attention
from napari_unet.session.image import Image, Place
from napari_unet.widgets.parts import is_alive
from napari_unet.widgets.workbench import Workbench

__all__ = ["AttentionAction"]

PUMP_EVERY_MS = 30
TIP = "Layers of what each attention gate of the model lets through of the plane that is shown."


class AttentionAction:
    """Computes the maps of the plane that is shown, and adds them to the viewer."""

    def __init__(self, bench: Workbench, menu: QMenu, parent: QWidget) -> None:
        self._bench, self._parent = bench, parent
        self._attention = Attention(bench.session)
        self._over: tuple[ImageLayer, Image] | None = None
        menu.addAction("Show attention maps", self.start)
        self.action = menu.actions()[-1]
        menu.setToolTipsVisible(True)
        menu.aboutToShow.connect(self._show_state)
        self._attention.done.connect(self._on_done)
        self._attention.failed.connect(self._on_failed)
        self._timer = QTimer(parent)
        self._timer.setInterval(PUMP_EVERY_MS)
        self._timer.timeout.connect(self._pump)
        parent.destroyed.connect(self._attention.stop)
        bench.closing.connect(self._stop)
        self._show_state()

    def _show_state(self) -> None:
        reason = self._attention.reason()
        self.action.setEnabled(not reason)
        self.action.setToolTip(reason or TIP)

    def start(self) -> None:
        """Ask for the maps of the plane that is shown."""
        workspace, layer = self._bench.workspace, self._bench.workspace.chosen
        try:
            if layer is None:
                self._on_failed("Open an image first.")
                return
            image = workspace.image()
            item = workspace.current
            size = None if item is None else item.pair.size
            self._attention.start(image, shown_place(self._bench.viewer, layer, image), size)
        except NapariUnetError as error:
            self._on_failed(str(error))
            return
        self._over = layer, image
        self._bench.session.said.emit("Looking where the model attends.", False)
        self._timer.start()

    def _pump(self) -> None:
        self._attention.pump()
        if not self._attention.busy and is_alive(self._parent):
            self._timer.stop()

    def _stop(self) -> None:
        """The session is over: ask it nothing more."""
        self._attention.stop()
        if is_alive(self._parent):
            self._timer.stop()

    def _on_failed(self, sentence: str) -> None:
        self._bench.session.said.emit(sentence, True)

    def _on_done(self, found: AttentionMaps, place: Place) -> None:
        if self._over is None or self._over[0] not in self._bench.viewer.layers:
            return
        layer, image = self._over
        show_attention(self._bench.viewer, layer, image, found, place)
        told = ", ".join(
            f"{name} {plane.min():.2f} to {plane.max():.2f}"
            for name, plane in zip(found.names, found.maps, strict=True)
        )
        self._bench.session.said.emit(
            f"Attention maps are layers now; bright is what a gate lets through: {told}.", False
        )
