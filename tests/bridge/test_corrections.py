"""Corrections by the dock's own tools, on a viewer without a window."""

import numpy as np
import pytest

from napari_unet.bridge import corrections
from napari_unet.bridge.view import camera_of
from napari_unet.core.events import TileResult
from strokes import disc, paint, wait


def test_delete_is_one_step_of_undo_and_checks_the_place(viewer, workspace):
    viewer.add_image(np.zeros((2, 40, 50)))
    item = workspace.open()
    cell = disc((40, 50), 20, 25)
    where = np.zeros((2, 40, 50), bool)
    where[0] = cell
    paint(workspace, item.labels, where, 3)
    corrections.delete(workspace, item, 3)
    workspace.notice()
    assert not item.pair.labels.any()
    assert item.pair.checked[0][cell].all()
    item.labels.undo()
    assert (item.pair.labels[0][cell] == 3).all()


def test_delete_over_channels(viewer, workspace):
    viewer.add_image(np.zeros((3, 40, 50)))
    workspace.choose_channels(0, (1,))
    item = workspace.open()
    item.pair.labels[disc((40, 50), 20, 25)] = 4
    corrections.delete(workspace, item, 4)
    assert not item.pair.labels.any()


def test_looks_right_adds_the_object(viewer, workspace):
    viewer.add_image(np.zeros((40, 50)))
    item = workspace.open()
    cell = disc((40, 50), 20, 25, radius=6)
    background = np.where(cell, 0, 255).astype(np.uint8)
    item.pair.place_tile((), TileResult(0, 0, background[None], 0, 1))
    workspace.session.set_objects(workspace.session.settings, item.pair, ())
    wait(workspace)
    assert not item.pair.has_checked
    corrections.looks_right(workspace, item, int(item.labels.data[20, 25]))
    assert item.pair.checked_cells == 1
    assert item.pair.checked[cell].all()


def test_all_i_see_is_right_takes_what_is_seen(viewer, workspace):
    viewer.add_image(np.zeros((400, 500)))
    item = workspace.open()
    camera_of(viewer).center = (0, 100, 100)
    camera_of(viewer).zoom = 10
    corrections.check_view(workspace, item)
    checked = item.pair.checked != 0
    assert checked[100, 100]
    assert not checked[300, 400]


def test_uncheck_forgets_the_slice(viewer, workspace):
    viewer.add_image(np.zeros((40, 50)))
    item = workspace.open()
    paint(workspace, item.labels, disc((40, 50), 20, 25), 3)
    corrections.uncheck(workspace, item)
    assert not item.pair.has_checked
    assert (item.labels.data == 3).any()


@pytest.mark.parametrize(
    ("act", "numbers", "steps"),
    [
        ("uncheck", [], 2),
        ("check_view", [], 2),
        ("looks_right", [7], 1),
        ("uncheck_object", [7], 2),
    ],
)
def test_a_stroke_through_the_stack_that_nobody_has_noticed_is_one_step(
    viewer, workspace, act, numbers, steps
):
    viewer.add_image(np.zeros((3, 40, 50)))
    item = workspace.open()
    where = np.broadcast_to(disc((40, 50), 20, 25), (3, 40, 50))
    item.labels.data_setitem(np.nonzero(where), 7)
    getattr(corrections, act)(workspace, item, *numbers)
    workspace.notice()
    for left in range(steps - 1, -1, -1):
        item.pair.undo()
        assert item.pair.labels.any() == bool(left) and item.pair.history.can_undo == bool(left)
    assert not item.pair.checked.any()
