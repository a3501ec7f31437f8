"""Corrections of a viewer that is gone come back in another one."""

import time

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_unet.bridge.undo import UNDO
from napari_unet.bridge.workspace import Workspace
from napari_unet.core.errors import InputError
from napari_unet.engine.runner import InlineRunner
from napari_unet.session.class_pair import BACKGROUND
from napari_unet.session.journal import journals_dir
from napari_unet.session.session import Session
from strokes import disc, paint, press, show

SHAPE = (3, 40, 50)
CELL = disc(SHAPE[1:], 20, 25)


def noise(seed=0):
    return np.random.default_rng(seed).integers(0, 255, SHAPE, np.uint8)


@pytest.fixture
def earlier():
    """A viewer and its workspace, to be closed as a crash would."""
    session = Session(InlineRunner())
    workspace = Workspace(ViewerModel(), session)
    yield workspace
    workspace.close()
    session.close()


def stroke(workspace, item, plane, number):
    where = np.zeros(SHAPE, bool)
    where[plane] = CELL
    paint(workspace, item.labels, where, number)


def pump(workspace):
    wait_until(workspace, lambda: not workspace.keeper.busy)


def wait_until(workspace, is_so):
    end = time.monotonic() + 120
    show(workspace)
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.005)
        show(workspace)


def test_what_was_corrected_comes_back_as_one_step(earlier, viewer, workspace):
    earlier.viewer.add_image(noise(), name="cells")
    item = earlier.open()
    for plane, number in ((0, 4), (2, 6)):
        stroke(earlier, item, plane, number)
    earlier.close()

    viewer.add_image(noise(), name="the same")
    pump(workspace)
    [kept] = workspace.keeper.kept
    assert kept.strokes == 2 and workspace.current is None
    workspace.restore()
    pump(workspace)
    pair = workspace.current.pair
    np.testing.assert_array_equal(pair.labels, item.pair.labels)
    np.testing.assert_array_equal(pair.checked, item.pair.checked)
    assert pair.checked_cells == 2 and workspace.current.checked is not None
    assert workspace.keeper.kept == []
    press(viewer, UNDO, workspace.current.labels)
    assert not pair.labels.any()


def test_the_last_stroke_is_kept_when_the_viewer_is_closed(earlier, viewer, workspace):
    earlier.viewer.add_image(noise())
    item = earlier.open()
    item.labels.data_setitem((np.array([1]), np.array([2]), np.array([3])), 8)
    earlier.close()
    viewer.add_image(noise())
    pump(workspace)
    assert [kept.strokes for kept in workspace.keeper.kept] == [1]


def test_of_another_image_nothing_is_offered(earlier, viewer, workspace):
    earlier.viewer.add_image(noise())
    stroke(earlier, earlier.open(), 0, 4)
    earlier.close()
    other = viewer.add_image(noise(1))
    pump(workspace)
    assert workspace.keeper.kept == []
    viewer.add_image(noise())
    pump(workspace)
    assert len(workspace.keeper.kept) == 1
    workspace.choose(other)
    assert workspace.keeper.kept == []
    pump(workspace)
    assert workspace.keeper.kept == []


def test_classes_come_back_with_their_names(earlier, viewer, workspace):
    earlier.viewer.add_image(noise())
    item = earlier.open_classes(["vessel"])
    earlier.add_class(item, "nerve")
    stroke(earlier, item, 0, 2)
    stroke(earlier, item, 1, BACKGROUND)
    earlier.close()
    viewer.add_image(noise())
    pump(workspace)
    workspace.restore()
    pump(workspace)
    pair = workspace.current.pair
    assert pair.classes == ("vessel", "nerve")
    np.testing.assert_array_equal(pair.labels, item.pair.labels)
    np.testing.assert_array_equal(pair.checked, item.pair.checked)


def test_objects_come_back_beside_classes(earlier, viewer, workspace):
    earlier.viewer.add_image(noise())
    stroke(earlier, earlier.open(), 0, 4)
    earlier.close()
    viewer.add_image(noise())
    pump(workspace)
    classes = workspace.open_classes(["vessel"])
    workspace.restore()
    pump(workspace)
    assert not workspace.current.pair.classes and classes.labels in viewer.layers
    assert (workspace.current.pair.labels[0][CELL] == 4).all()


def test_deleted_labels_can_be_restored_at_once(viewer, workspace):
    viewer.add_image(noise())
    item = workspace.open()
    stroke(workspace, item, 0, 4)
    viewer.layers.remove(item.labels)
    pump(workspace)
    assert len(workspace.keeper.kept) == 1
    workspace.restore()
    pump(workspace)
    assert workspace.current is not item
    assert (workspace.current.pair.labels[0][CELL] == 4).all()


def test_corrections_with_other_channels_are_told_apart(earlier, viewer, workspace):
    earlier.viewer.add_image(noise())
    stroke(earlier, earlier.open(), 0, 4)
    earlier.close()
    viewer.add_image(noise())
    workspace.choose_channels(0, (1,))
    pump(workspace)
    with pytest.raises(InputError, match="other axes"):
        workspace.restore()
    assert workspace.current is None and len(viewer.layers) == 1
    workspace.choose_channels(None, (0,))
    pump(workspace)
    workspace.restore()
    pump(workspace)
    assert (workspace.current.pair.labels[0][CELL] == 4).all()


def test_trouble_with_the_disk_is_told_once(viewer, workspace):
    journals_dir().parent.mkdir(parents=True, exist_ok=True)
    journals_dir().write_text("in the way")
    said = []
    workspace.session.said.connect(lambda sentence, is_failure: said.append((sentence, is_failure)))
    viewer.add_image(noise())
    item = workspace.open()
    for plane in range(3):
        stroke(workspace, item, plane, 4)
        wait_until(workspace, lambda: said)
    [(sentence, is_failure)] = said
    assert is_failure and "cannot be kept" in sentence
    assert item.pair.checked_cells == 3


@pytest.mark.parametrize("how", ["other labels", "another shape"])
def test_labels_that_were_put_aside_and_deleted_can_be_restored(viewer, workspace, how):
    viewer.add_image(noise(), name="cells")
    item = workspace.open()
    stroke(workspace, item, 1, 4)
    painted = item.labels.data.copy()
    if how == "other labels":
        own = viewer.add_labels(np.zeros(SHAPE, np.int32))
        workspace.open(own)
        viewer.layers.remove(item.labels)
        viewer.layers.remove(own)
    else:
        item.labels.data = np.zeros((3, 3), np.int32)
        viewer.layers.remove(item.labels)
    pump(workspace)
    assert workspace.keeper.kept
    workspace.restore()
    pump(workspace)
    np.testing.assert_array_equal(workspace.current.labels.data, painted)
