"""The dock that shows how training varies a patch of the user's own image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from magicgui.widgets import CheckBox, Container, FloatSlider, LineEdit, Widget
from numpy.typing import NDArray
from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import QApplication, QLabel, QSizePolicy

from napari_unet.bridge.view import shown_place, visible_center
from napari_unet.core.errors import NapariUnetError
from napari_unet.session.variations import Variations, as_text, mosaic
from napari_unet.widgets.parts import (
    Note,
    Panel,
    button,
    fields,
    follow,
    frame,
    is_alive,
    row,
    scrolled,
)
from napari_unet.widgets.workbench import Workbench

if TYPE_CHECKING:
    import napari

__all__ = ["SLIDERS", "VaryDock"]

PUMP_EVERY_MS = 30
AFTER_MS = 150  # a slider that is being moved asks only when it rests
MIN_WIDTH = 300
COLUMNS = 3
MOST = 1000

# Name, label, highest value, that of `napari-unet train`, and what it does.
SLIDERS = (
    ("elastic_sigma", "Bend", 30.0, 10.0, "Points three to a side are moved by so many pixels."),
    ("elastic_alpha", "Bend fine", 200.0, 0.0, "Smoothed noise moves each pixel."),
    ("scale", "Size", 2.0, 1.45, "Larger and smaller by up to this factor."),
    ("brightness", "Brightness", 0.5, 0.05, "Added to all intensities."),
    ("contrast", "Contrast", 3.0, 1.4, "Stretched or squeezed by up to this factor."),
    ("gamma", "Gamma", 3.0, 1.4, "Middle intensities go up or down."),
    ("shade", "Shade", 1.0, 0.3, "Uneven light; also the bias field of magnetic resonance."),
    ("haze", "Haze", 0.9, 0.0, "Light from out of focus, as in thick samples."),
    ("rim", "Rim", 0.95, 0.0, "Objects get darker towards their rim, as balls are."),
    ("spots", "Spots", 0.95, 0.0, "The light of objects lies in spots, as that of chromatin does."),
    ("window", "Window", 0.9, 0.0, "Window and level: dark and bright ends are cut off, as in CT."),
    ("blur", "Blur", 5.0, 1.0, "Out of focus, in pixels."),
    ("noise", "Noise", 0.5, 0.04, "Of the camera's electronics, everywhere alike."),
    ("shot_noise", "Photons", 0.5, 0.0, "Few photons: bright places are noisier."),
    ("channel_drop", "Channels", 0.9, 0.0, "How often one of several is empty."),
    ("plain", "As it is", 0.95, 0.0, "How often a patch stays so, for outlines as drawn."),
)
OF_OBJECTS = ("rim", "spots")
LOWEST = {"scale": 1.0, "contrast": 1.0, "gamma": 1.0}
NO_IMAGE = "Open an image to see how training would vary it."
FIRST = "Top left as it is, then five that training might draw of it."
NO_OBJECTS = "Rim and Spots vary objects, and none are known here: press Segment first."


class VaryDock(Container[Widget]):
    """Sliders, and below them the patch in view as training would see it."""

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        self.bench = Workbench.of(napari_viewer)
        self._variations = Variations(self.bench.session)
        self._seed = 0
        self._said = FIRST
        self._make()
        inside = Panel([self.note, frame(self.picture), self.again, self.form, self.line])
        inside.native.layout().addStretch(1)
        body = frame(scrolled(inside.native))
        body.native.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        super().__init__(widgets=[body], labels=False)
        self._inside = inside  # its Python side, which Qt does not keep
        self.native.layout().setStretch(0, MOST)  # napari may add a spacer of its own
        self.native.layout().setContentsMargins(0, 2, 0, 2)
        self.native.setMinimumWidth(MIN_WIDTH)
        self._connect()
        self.bench.add_dock(self.native)
        self._soon()

    def _make(self) -> None:
        self.note = Note(FIRST)
        self.picture = QLabel()
        self.picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.picture.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.again = button("Draw again", "Draw five others.", self._draw_again)
        self.turn = CheckBox(text="Turn", value=True, label="", tooltip="By any angle.")
        self.flip = CheckBox(text="Mirror", value=True, label="", tooltip="Half of the patches.")
        self.sliders: dict[str, FloatSlider] = {
            name: FloatSlider(
                label=label,
                min=LOWEST.get(name, 0.0),
                max=highest,
                value=usual,
                step=0.01,
                tooltip=tooltip,
            )
            for name, label, highest, usual, tooltip in SLIDERS
        }
        self.form = fields(row(self.turn, self.flip, label="Place"), *self.sliders.values())
        self.text = LineEdit(
            label="", tooltip="What napari-unet train --augment takes.", enabled=True
        )
        self.text.native.setReadOnly(True)
        self.copy = button("Copy", "Copy it, for napari-unet train --augment.", self._copy)
        self.copy.native.setFixedWidth(60)
        self.line = row(self.text, self.copy)

    def _connect(self) -> None:
        self._resting = QTimer(self.native)
        self._resting.setSingleShot(True)
        self._resting.setInterval(AFTER_MS)
        self._resting.timeout.connect(self.show_variants)
        self._timer = QTimer(self.native)
        self._timer.setInterval(PUMP_EVERY_MS)
        self._timer.timeout.connect(self._variations.pump)
        self._timer.start()
        for box in (self.turn, self.flip):
            box.changed.connect(self._soon)
        for slider in self.sliders.values():
            slider.changed.connect(self._soon)
        self._variations.done.connect(self._on_done)
        self._variations.failed.connect(self._on_failed)
        follow(self.native, self.bench.workspace.chosen_changed, self._soon)
        self.native.destroyed.connect(self._variations.stop)
        self.bench.closing.connect(self._stop)

    @property
    def settings(self) -> str:
        """What is chosen, as `--augment` takes it."""
        places = {"rotate": bool(self.turn.value), "flip": bool(self.flip.value)}
        return as_text(places | {name: one.value for name, one in self.sliders.items()})

    def _soon(self) -> None:
        if not is_alive(self.native):  # the dock was closed, the workbench goes on
            return
        self.text.value = self.settings
        self.text.native.setCursorPosition(0)  # of a long text the beginning is seen
        self._resting.start()

    def _draw_again(self) -> None:
        self._seed += 1
        self.show_variants()

    def show_variants(self) -> None:
        """Ask for variants of what is in the middle of the view."""
        workspace = self.bench.workspace
        layer = workspace.chosen
        if layer is None:
            self.note.say(NO_IMAGE)
            return
        try:
            image = workspace.image()
        except NapariUnetError as error:
            self._on_failed(str(error))
            return
        place = shown_place(self.bench.viewer, layer, image)
        center = visible_center(self.bench.viewer, layer, image)
        open_pair = workspace.find(layer)
        labels = None if open_pair is None else open_pair.pair.labels[place]
        if labels is not None and not labels.any():
            labels = None
        needs_objects = any(self.sliders[name].value > 0 for name in OF_OBJECTS)
        self._said = NO_OBJECTS if needs_objects and labels is None else FIRST
        self._variations.start(image, place, center, self.settings, self._seed, labels)

    def _stop(self) -> None:
        """The session is over: ask it nothing more."""
        self._variations.stop()
        if is_alive(self.native):
            self._resting.stop()
            self._timer.stop()

    def _on_failed(self, sentence: str) -> None:
        self.note.say(sentence, failure=True)

    def _on_done(self, patches: NDArray[np.float32]) -> None:
        grey = mosaic(patches, COLUMNS)
        height, width = grey.shape
        picture = QImage(grey.tobytes(), width, height, width, QImage.Format.Format_Grayscale8)
        self.picture.setPixmap(
            QPixmap.fromImage(picture).scaledToWidth(
                MIN_WIDTH, Qt.TransformationMode.SmoothTransformation
            )
        )
        self.note.say(self._said)

    def _copy(self) -> None:
        clipboard = QApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(self.settings)
