"""A hand on the mouse and the keys of a real napari: events as Qt sends them."""

import itertools
import time

import numpy as np
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_unet.bridge.view import camera_of
from person import settle

LEFT, NO_BUTTON = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
NO_KEY, SHIFT = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier
CONTROL = Qt.KeyboardModifier.ControlModifier
STEPS = 6  # of the mouse between two points
MOVES_S = 0.006  # napari takes one move in 5 ms and leaves out those between


class Hand:
    """Presses keys, clicks and drags at places of a layer, row and column."""

    def __init__(self, viewer):
        self.viewer = viewer
        self.canvas = viewer.window._qt_viewer.canvas.native

    def click(self, layer, at, *, held=NO_KEY):
        self.drag(layer, [at], held=held)

    def drag(self, layer, points, *, held=NO_KEY, before_release=None):
        """Press at the first point, go to the others, let go at the last."""
        self._wait_for_rest()
        on_screen = [self._on_screen(layer, point) for point in points]
        self._send(QEvent.Type.MouseMove, on_screen[0], NO_BUTTON, NO_BUTTON, held)
        self._send(QEvent.Type.MouseButtonPress, on_screen[0], LEFT, LEFT, held)
        for start, end in itertools.pairwise(on_screen):
            for part in np.linspace(0, 1, STEPS + 1)[1:]:
                at = start + (end - start) * part
                self._send(QEvent.Type.MouseMove, at, NO_BUTTON, LEFT, held)
        if before_release is not None:
            before_release()
        self._send(QEvent.Type.MouseButtonRelease, on_screen[-1], LEFT, NO_BUTTON, held)
        settle(0.15)

    def key(self, letter, *, on=None, held=NO_KEY):
        """Press a key over the image, or on another widget."""
        QTest.keyClick(on or self.canvas, letter.lower(), held)
        settle(0.1)

    def _wait_for_rest(self):
        """Until the canvas stands still: after a dock has opened it is laid out anew."""
        before = None
        while before != (before := self._view()):
            settle(0.03)

    def _view(self):
        camera = camera_of(self.viewer)
        return self.canvas.size(), camera.center, camera.zoom

    def _on_screen(self, layer, point):
        """x and y in the canvas of a row and column of a layer."""
        axes = self.viewer.dims.displayed[-2:]
        data = [*layer.world_to_data(self.viewer.dims.point[-layer.ndim :])[:-2], *point]
        world = np.array(layer.data_to_world(data))[[axis - self.viewer.dims.ndim for axis in axes]]
        camera = camera_of(self.viewer)
        middle = np.array([self.canvas.height(), self.canvas.width()]) / 2
        return (middle + (world - np.array(camera.center[-2:])) * camera.zoom)[::-1]

    def _send(self, kind, at, button, buttons, held):
        place = QPointF(*map(float, at))
        on_desk = QPointF(self.canvas.mapToGlobal(place.toPoint()))
        QApplication.sendEvent(
            self.canvas, QMouseEvent(kind, place, on_desk, button, buttons, held)
        )
        QApplication.processEvents()
        if kind == QEvent.Type.MouseMove:
            time.sleep(MOVES_S)
            QApplication.processEvents()
