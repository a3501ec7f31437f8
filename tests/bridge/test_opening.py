"""A session is opened while the viewer goes on, and whatever happens meanwhile."""

import threading

import numpy as np
import pytest
import tifffile

from desks import CELL, OTHER, assert_back, corrected, never, noise
from napari_unet.bridge import opening
from napari_unet.bridge.undo import UNDO
from napari_unet.core.errors import InputError
from strokes import press


@pytest.fixture
def saved(desks, data):
    """A saved session, the labels and the checked area in it."""
    desk = desks()
    item = corrected(desk, data / "cells.tif")
    desk.save(data / "session")
    return data / "session", item.pair.labels.copy(), item.pair.checked.copy()


@pytest.fixture
def held(monkeypatch):
    """Files of labels are not read before this is set."""
    let_go, read = threading.Event(), opening._read_planes

    def held_up(*what):
        assert let_go.wait(120)
        return read(*what)

    monkeypatch.setattr(opening, "_read_planes", held_up)
    yield let_go
    let_go.set()


def begin(desk, folder):
    """Open a session as far as the labels, which are held up."""
    desk.sessions.open(folder, never)
    while not desk.viewer.layers:
        desk.sessions.pump()
    for _ in range(3):
        desk.sessions.pump()  # comes back at once, though nothing was read
    assert desk.sessions.busy and desk.said == [(f"Opening the session of {folder}…", False)]


def test_what_is_painted_while_labels_are_read_comes_back_by_undo(desks, saved, held):
    folder, labels, checked = saved
    desk = desks()
    begin(desk, folder)
    item = desk.workspace.open()
    desk.stroke(item, OTHER, 6)
    painted = item.pair.labels.copy()
    held.set()
    desk.wait()
    assert_back(item, labels, checked)
    press(desk.viewer, UNDO, item.labels)
    np.testing.assert_array_equal(item.pair.labels, painted)


def test_another_image_that_is_chosen_meanwhile_gets_no_labels_of_it(desks, saved, held):
    folder, labels, checked = saved
    desk = desks()
    begin(desk, folder)
    desk.viewer.add_image(noise(seed=3), name="another")
    other = desk.workspace.open()
    held.set()
    desk.wait()
    assert not other.pair.labels.any()
    assert_back(desk.workspace.current, labels, checked)


@pytest.mark.parametrize("how", ["removed", "other pixels"])
def test_an_image_that_is_closed_meanwhile_is_told(desks, saved, held, how):
    desk = desks()
    begin(desk, saved[0])
    [layer] = desk.viewer.layers
    if how == "removed":
        desk.viewer.layers.remove(layer)
    else:
        layer.data = noise(seed=4)
    held.set()
    sentence, is_failure = desk.wait()
    assert "Opened 0 of 1 images" in sentence and "cells was closed" in sentence and is_failure
    assert not desk.workspace.pairs()


def test_the_viewer_is_closed_meanwhile_and_need_not_wait(desks, saved, held):
    desk = desks()
    begin(desk, saved[0])
    desk.sessions.close()  # would never end if it waited
    assert not desk.sessions.busy
    held.set()
    desk.sessions.pump()
    assert len(desk.said) == 1 and not desk.workspace.pairs()


def test_two_sessions_come_one_after_the_other_and_a_save_has_to_wait(desks, data, saved, held):
    folder, labels, checked = saved
    tifffile.imwrite(data / "more.tif", noise(seed=1))
    corrected(first := desks(), data / "more.tif", OTHER)
    first.save(data / "second")
    desk = desks()
    begin(desk, folder)
    desk.sessions.open(data / "second", never)
    with pytest.raises(InputError, match="being opened"):
        desk.sessions.save(data / "third")
    held.set()
    assert desk.wait() == (f"Opened 1 image of {data / 'second'}.", False)
    first, second = (item for item in desk.workspace.items())
    assert_back(first, labels, checked)
    assert (second.pair.labels[OTHER] == 3).all() and not second.pair.labels[CELL].any()


def test_a_dialog_lets_the_timer_go_on_and_the_viewer_close(desks, data, saved):
    (data / "cells.tif").unlink()
    desk = desks()

    def where(sentence):
        desk.sessions.pump()  # what the timer does while a dialog is open
        desk.sessions.close()
        return data / "cells.tif"

    desk.sessions.open(saved[0], where)
    while desk.sessions.busy:
        desk.sessions.pump()
    assert not desk.viewer.layers and len(desk.said) == 1
