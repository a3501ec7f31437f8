"""How wide the objects are: measured at Segment, or typed."""

from __future__ import annotations

from math import floor, log10

from magicgui.widgets import Container, FloatSpinBox, Label, Widget
from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QAbstractSpinBox, QSizePolicy, QWidget

from napari_unet.bridge.units import pixel_size_of
from napari_unet.bridge.view import shown_place
from napari_unet.core.errors import NapariUnetError
from napari_unet.session.image import Image, Place
from napari_unet.session.object_size import MOST, ObjectSize
from napari_unet.widgets.parts import button, follow, let_shrink, row, set_enabled
from napari_unet.widgets.workbench import Workbench

__all__ = ["SizeRow"]

TIP = "How wide your objects are; the image is rescaled to the size the model knows."
MEASURE_TIP = "Measure the objects that are shown, in the whole slice, now."
UNKNOWN = "This model does not know the size of its objects; it takes images as they are."
AUTO = "measured at Segment"
NARROW, WIDE, UNBOUNDED = 76, 136, 16_777_215


class SizeRow:
    """The diameter in pixels, how it is known, and a button that measures it.

    Attributes
    ----------
    line : Container
        The row itself.
    physical : Container
        A second row, to read and type the diameter in the unit of the layer if it has one.
    """

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._pixel: tuple[float, str] | None = None
        self._wheel = _WheelGuard()
        self.box, self.length = self._make_box(), self._make_box()
        let_shrink(self.box)
        self.length.native.setSpecialValueText("auto")
        self.length.native.setFixedWidth(WIDE)
        self.word = Label(value="", label="", tooltip=TIP)
        let_shrink(self.word)
        self.measure = button("Measure", MEASURE_TIP, self._measure)
        self.measure.native.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.line: Container[Widget] = row(self.box, self.word, self.measure, label="Objects")
        self.physical: Container[Widget] = row(self.length, _filler(), label="in µm")
        self.box.changed.connect(self._on_pixels)
        self.length.changed.connect(self._on_length)
        session, workspace = bench.session, bench.workspace
        for signal in (
            session.size_changed,
            session.models_changed,
            session.versions_changed,
            session.state_changed,
            workspace.chosen_changed,
            workspace.layers_changed,
        ):
            follow(self.line.native, signal, self.refresh)

    def _make_box(self) -> FloatSpinBox:
        made = FloatSpinBox(label="", min=0.0, max=MOST, step=1.0, value=0.0, tooltip=TIP)
        made.native.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
        made.native.setKeyboardTracking(False)  # taken with Enter, or when the field is left
        made.native.installEventFilter(self._wheel)
        return made

    def refresh(self) -> None:
        """Show what is known of the chosen image."""
        reason, diameter, word = "", None, ""
        try:
            image, size, _ = self._chosen()
            key = self._bench.session.size_key(image)
            reason = UNKNOWN if key is None else ""
            diameter = None if key is None else size.diameter(key)
            word = "" if key is None else size.source(key)
        except NapariUnetError as error:
            reason = str(error)
        self._enable(reason)
        self._show(diameter)
        self.box.native.setMinimumWidth(NARROW)
        self.box.native.setMaximumWidth(NARROW if word else UNBOUNDED)
        self.word.value = word
        self.word.visible = bool(word)
        self.measure.text = "Measure" if diameter is None else "Again"

    def _chosen(self) -> tuple[Image, ObjectSize, Place]:
        workspace = self._bench.workspace
        image, layer = workspace.image(), workspace.chosen
        assert layer is not None  # image() has said so otherwise
        return image, workspace.size(layer), shown_place(self._bench.viewer, layer, image)

    def _enable(self, reason: str) -> None:
        for box in (self.box, self.length):
            set_enabled(box, reason, TIP)
        self.box.native.setSpecialValueText("as it is" if reason == UNKNOWN else AUTO)
        busy = self._bench.session.busy
        if busy and not reason:
            reason = f"{busy} is running; stop it first or wait."
        set_enabled(self.measure, reason, MEASURE_TIP)

    def _show(self, diameter: float | None) -> None:
        _fill(self.box, diameter, 1.0, "px")
        layer = self._bench.workspace.chosen
        self._pixel = None if layer is None else pixel_size_of(layer)
        self.physical.visible = self._pixel is not None and self.box.enabled
        if self._pixel is not None:
            size, unit = self._pixel
            self.physical.label = f"in {unit}"
            _fill(self.length, diameter, size, unit)

    def _on_pixels(self, diameter: float) -> None:
        self._type(diameter)

    def _on_length(self, length: float) -> None:
        if self._pixel is not None:
            self._type(length / self._pixel[0])

    def _type(self, diameter: float) -> None:
        try:
            image, size, _ = self._chosen()
            self._bench.session.type_size(image, size, diameter or None)
        except NapariUnetError as error:
            self._bench.session.said.emit(str(error), True)
            self.refresh()

    def _measure(self) -> None:
        try:
            image, size, place = self._chosen()
            self._bench.session.measure(image, place, size)
        except NapariUnetError as error:
            self._bench.session.said.emit(str(error), True)


def _fill(box: FloatSpinBox, diameter: float | None, unit_size: float, unit: str) -> None:
    """Show a diameter in pixels in a unit, with as many decimals as are worth reading."""
    native = box.native
    with box.changed.blocked():
        native.setDecimals(max(1, 1 - floor(log10(unit_size))))
        native.setMaximum(MOST * unit_size)
        native.setSuffix(f" {unit}")
        native.setValue(0.0 if diameter is None else diameter * unit_size)


def _filler() -> Label:
    filler = Label(value="", label="")
    let_shrink(filler)
    return filler


class _WheelGuard(QObject):
    """Leaves the wheel to scrolling, unless the user is in the field."""

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Swallow nothing; refuse the wheel."""
        if event is None or not isinstance(watched, QWidget):
            return False
        if event.type() == QEvent.Type.Wheel and not watched.hasFocus():
            event.ignore()
            return True
        return False
