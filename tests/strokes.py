"""What the tests of the bridge share: painting, drawing, waiting."""

import time

import numpy as np
from napari.utils.key_bindings import KeymapHandler


def paint(workspace, layer, where, value):
    layer.data_setitem(np.nonzero(where), value)
    workspace.notice()


def disc(shape, y, x, radius=4):
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


def show(workspace):
    workspace._redraw._drawn_at = 0.0
    workspace.flush()


def wait(workspace):
    end = time.monotonic() + 120
    while not workspace.session.settled:
        assert time.monotonic() < end, "labels were not made"
        workspace.session.pump()
        time.sleep(0.005)


def press(viewer, key, layer=None):
    """As napari does: the active layer's keys before the viewer's."""
    handler = KeymapHandler()
    handler.keymap_providers = [viewer] if layer is None else [layer, viewer]
    return handler.press_key(key)
