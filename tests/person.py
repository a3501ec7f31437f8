"""What the tests of the docks share: a person at the screen."""

import time

import numpy as np
from qtpy.QtWidgets import QApplication, QStyle, QStyleOptionComboBox

from napari_unet.bridge.view import camera_of, canvas_size
from napari_unet.widgets.workbench import Workbench

PLUGIN = "napari-unet-interactive"
SCREEN = (1366, 768)  # a small laptop's
ROUND_S = 0.01  # a round of Qt's events and a rest


class Shared:
    """A runner that outlives the docks of a test."""

    def __init__(self, runner):
        self.runner = runner

    def submit(self, task):
        return self.runner.submit(task)

    def close(self):
        """The next test goes on with the same process."""


class User:
    """Opens docks, presses buttons and paints, as a person would."""

    def __init__(self, viewer, runner):
        self.viewer = viewer
        self.bench = Workbench.of(viewer, runner)

    def dock(self, name="U-Net"):
        _, dock = self.viewer.window.add_plugin_dock_widget(PLUGIN, name)
        settle(0.2)
        return dock

    def press(self, button):
        assert button.native.isEnabled(), button.tooltip
        button.native.click()

    def wait(self, seconds=240.0):
        """Until nothing runs any more."""
        session = self.bench.session
        wait_until(lambda: not session.busy and session.settled, seconds)
        settle(0.3)

    def paint(self, layer, where, value):
        """One stroke, that ends as napari's own do."""
        with layer.block_history():
            layer.data_setitem(np.nonzero(where), value)
        settle(0.15)


def settle(seconds):
    """Let Qt work for some time, and so many rounds that the docks' timer ticks in it.

    On a busy machine one round may take all the time.
    """
    end, least = time.monotonic() + seconds, seconds / ROUND_S
    rounds = 0
    while time.monotonic() < end or rounds < least:
        QApplication.processEvents()
        time.sleep(0.005)
        rounds += 1


def look_away(viewer, point):
    """Zoom in far from a point (Y, X) of the world, so that it is not seen."""
    camera = camera_of(viewer)
    camera.zoom = 1000.0
    camera.center = (0.0, point[0] + 100.0, point[1] + 100.0)
    assert not is_seen(viewer, point)


def is_seen(viewer, point):
    """Whether a point (Y, X) of the world lies in the canvas."""
    camera = camera_of(viewer)
    away = np.abs(np.array(camera.center[-2:]) - point)
    return bool((away < np.array(canvas_size(viewer)) / camera.zoom / 2).all())


def is_read_whole(choice, text):
    """Whether a text has room in a combo box."""
    option = QStyleOptionComboBox()
    choice.initStyleOption(option)
    field, box = QStyle.SubControl.SC_ComboBoxEditField, QStyle.ComplexControl.CC_ComboBox
    room = choice.style().subControlRect(box, option, field, choice).width()
    icon = choice.iconSize().width() + 4 if not choice.itemIcon(0).isNull() else 0
    return choice.fontMetrics().horizontalAdvance(text) + icon <= room


def wait_until(is_so, seconds=120.0):
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not come to pass"
        settle(0.02)
