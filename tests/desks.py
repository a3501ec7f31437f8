"""Viewers without a window whose sessions are saved and opened by tests."""

import time

import numpy as np
from napari.components import ViewerModel

from napari_unet.bridge.sessions import Sessions
from napari_unet.bridge.workspace import Workspace
from napari_unet.engine.runner import InlineRunner
from napari_unet.session.session import Session
from strokes import disc, paint, show

SHAPE = (40, 50)
CELL, OTHER = disc(SHAPE, 20, 25), disc(SHAPE, 8, 40, 3)


def never(sentence):
    raise AssertionError(f"asked for a file: {sentence}")


def noise(shape=SHAPE, seed=0):
    return np.random.default_rng(seed).integers(0, 255, shape, np.uint8)


def corrected(desk, path, where=CELL):
    """An image that was opened, with one cell painted."""
    desk.open_image(path)
    item = desk.workspace.open()
    desk.stroke(item, where, 3)
    return item


def assert_back(item, labels, checked):
    np.testing.assert_array_equal(item.pair.labels, labels)
    np.testing.assert_array_equal(item.pair.checked != 0, checked != 0)


class Desk:
    """A viewer without a window, its workspace and its sessions."""

    def __init__(self):
        self.viewer = ViewerModel()
        self.session = Session(InlineRunner())
        self.workspace = Workspace(self.viewer, self.session)
        self.sessions = Sessions(self.workspace)
        self.said = []
        self.session.said.connect(lambda *said: self.said.append(said))

    def open_image(self, path):
        [layer] = self.viewer.open(str(path))
        return layer

    def stroke(self, item, where, number):
        paint(self.workspace, item.labels, where, number)

    def save(self, folder=None):
        self.sessions.save(folder)
        return self.wait()

    def open(self, folder, where):
        self.sessions.open(folder, where)
        return self.wait()

    def wait(self):
        end = time.monotonic() + 120
        while self.sessions.busy:
            assert time.monotonic() < end
            time.sleep(0.005)
            self.session.guarded(self.sessions.pump)
        return self.said[-1]

    def pump(self):
        show(self.workspace)
        while self.workspace.keeper.busy:
            time.sleep(0.005)
            show(self.workspace)

    def close(self):
        self.session.close()
        self.sessions.close()
        self.workspace.close()
