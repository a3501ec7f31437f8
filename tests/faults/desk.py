"""A real napari with docks and a random network, whose timer is turned by hand."""

import logging
import sys
import threading
import time
import traceback

import napari
import numpy as np
from napari.layers import Labels
from napari.utils.interactions import (
    mouse_move_callbacks,
    mouse_press_callbacks,
    mouse_release_callbacks,
)
from napari.utils.notifications import NotificationSeverity, notification_manager
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QApplication

from faults.naive import Naive, Wrong, require
from faults.random_network import RandomNetwork
from napari_unet.widgets.workbench import Workbench
from person import PLUGIN

SHAPE = (3, 60, 72)
SCALE = (4.0, 1.5, 1.5)
LONGEST_S = 20.0
WINDOW = 800, 500
DRAWN_EVERY = 20  # pumps; drawing is most of the time


class Mistakes(logging.Handler):
    """All that nobody caught, wherever it was raised, and failures that a user was told."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.found = []

    def __enter__(self):
        self._hooks = sys.excepthook, threading.excepthook
        sys.excepthook = self._uncaught
        threading.excepthook = lambda of: self._uncaught(*of[:3])
        logging.getLogger().addHandler(self)
        notification_manager.notification_ready.connect(self._on_notification)
        return self

    def __exit__(self, *_):
        sys.excepthook, threading.excepthook = self._hooks
        logging.getLogger().removeHandler(self)
        notification_manager.notification_ready.disconnect(self._on_notification)

    def _uncaught(self, *error):
        self.found.append("".join(traceback.format_exception(*error)))

    def emit(self, record):
        self.found.append(logging.Formatter().format(record))

    def _on_notification(self, notification):
        if notification.severity >= NotificationSeverity.WARNING:
            self.found.append(f"napari says: {notification.message}")

    def said(self, sentence, is_failure):
        if is_failure:
            self.found.append(f"the dock says: {sentence}")


class Mouse:
    """One event of napari, that changes from the press to the release."""

    button = 1
    handled = False
    is_dragging = True

    def __init__(self, modifiers=()):
        self.modifiers = modifiers
        self.view_direction = None
        self.dims_displayed = [1, 2]

    def drag(self, layer, points):
        """Press at the first point of the layer's data, move to the others, let go."""
        kinds = ["mouse_press", *["mouse_move"] * (len(points) - 1), "mouse_release"]
        for kind, point in zip(kinds, [*points, points[-1]], strict=True):
            self.type, self.position = kind, layer.data_to_world(point)
            self.pos = 8 * np.array(point[:0:-1])
            act = {"mouse_press": mouse_press_callbacks, "mouse_release": mouse_release_callbacks}
            act.get(kind, mouse_move_callbacks)(layer, self)


class Desk:
    """A viewer with two stacks, and of each pair in it what it must be."""

    def __init__(self, seed):
        self.mistakes = Mistakes()
        self.viewer = napari.Viewer(show=True)
        self.viewer.window.resize(*WINDOW)
        self.bench = Workbench.of(self.viewer, RandomNetwork(seed))
        self.bench._timer.stop()  # `pump` is called where the same seed always calls it
        self.bench.session.said.connect(self.mistakes.said)
        self.bench.session.labels_changed.connect(self._on_labels)
        self.models = {}
        self.pumps = 0
        self.docks = []
        self.twin = Labels(np.zeros(SHAPE, np.int32), scale=SCALE)
        self.pixels = [
            np.random.default_rng(which).integers(0, 255, SHAPE, np.uint8) for which in range(2)
        ]
        for which in range(2):
            self.add_image(which)
        self.open_dock("U-Net")

    def close(self):
        self.bench.close()
        self.viewer.close()
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
        QApplication.processEvents()

    # What there is

    def add_image(self, which):
        return self.viewer.add_image(self.pixels[which], name=f"image {which}", scale=SCALE)

    def open_dock(self, name):
        _, dock = self.viewer.window.add_plugin_dock_widget(PLUGIN, name)
        if dock not in self.docks:  # napari shows the one that is open
            self.docks.append(dock)
        self.pump()

    @property
    def workspace(self):
        return self.bench.workspace

    @property
    def item(self):
        """The pair that is worked on; made if there is none."""
        item = self.workspace.open()
        if item.pair not in self.models:
            zeros = np.zeros(item.pair.image.shape, np.int32)
            self.models[item.pair] = Naive(zeros, zeros.astype(np.uint8))
        return item

    @property
    def model(self):
        return self.models[self.item.pair]

    @property
    def shown(self):
        return self.workspace.shown(self.item)

    # What happens

    def pump(self):
        """What the timer does."""
        self.bench._pump()
        self.pumps += 1
        if self.pumps % DRAWN_EVERY == 0:
            QApplication.processEvents()
            QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)

    def settle(self):
        """Pump until all has come to rest."""
        end = time.monotonic() + LONGEST_S
        while not self.bench.session.settled or self.workspace.keeper.busy:
            require(time.monotonic() < end, "it does not come to rest")
            self.pump()
            time.sleep(0.001)
        self.pump()

    def _on_labels(self, pair, place):
        model = self.models[pair]
        model.usual = pair.used_diameter
        model.remade(place, pair.labels[place])

    def drag(self, points, *, shift=False, twin=False):
        layer = self.item.labels
        if twin:
            self._prepare_twin(layer)
            Mouse().drag(self.twin, points)
        Mouse(("Shift",) if shift else ()).drag(layer, points)

    def _prepare_twin(self, layer):
        """A layer in no viewer that is painted in the same way: what napari itself does."""
        self.twin.data[...] = self.model.labels
        for name in ("brush_size", "n_edit_dimensions", "contiguous", "preserve_labels"):
            setattr(self.twin, name, getattr(layer, name))
        self.twin.selected_label = layer.selected_label
        self.twin.mode = layer.mode

    # What must be

    def check(self):
        """Compare all that is open with what it must be."""
        if self.mistakes.found:
            raise Wrong("\n".join(self.mistakes.found))
        for item in self.workspace._open.values():
            model = self.models.get(item.pair)
            if model is not None:
                self._compare(item, model)

    def _compare(self, item, model):
        pair = item.pair
        for name in ("labels", "checked"):
            now, then = getattr(pair, name), getattr(model, name)
            count = np.count_nonzero(now != then)
            require(not count, f"{count} pixels of {name} of {item.image.name} are wrong")
        require(np.shares_memory(item.labels.data, pair.labels), "the layer shows other labels")
        require(item.labels in self.viewer.layers, "the labels are in no layer")
        require(pair.history.can_undo == model.can_undo, f"can undo: {pair.history.can_undo}")
        require(pair.history.can_redo == model.can_redo, f"can redo: {pair.history.can_redo}")
        require(pair.checked_cells == model.checked_cells, "another count of checked cells")
