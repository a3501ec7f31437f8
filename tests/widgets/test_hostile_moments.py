"""Anything may happen to layers and docks while it segments, teaches, or while one paints."""

import numpy as np
import pytest
from qtpy.QtWidgets import QApplication

from faults.desk import Mistakes
from faults.random_network import HeldNetwork
from person import SCREEN, User, settle, wait_until

SHAPE = (3, 60, 72)
FIRST, SECOND = np.s_[:, 20:30, 20:32], np.s_[:, 40:50, 20:32]
NUMBER = 77


class Moment:
    """A stack with a stroke, and something that is going on."""

    def __init__(self, viewer):
        viewer.window.resize(*SCREEN)
        self.network = HeldNetwork(0)
        self.user = User(viewer, self.network)
        self.bench, self.viewer = self.user.bench, viewer
        self.mistakes = Mistakes()
        self.bench.session.said.connect(self.mistakes.said)
        # napari 0.9.2 alone crashes in OpenGL where the last image goes and labels are drawn anew.
        viewer.add_image(np.zeros(SHAPE, np.uint8), name="another")
        self.image = viewer.add_image(np.random.default_rng(0).integers(0, 255, SHAPE, np.uint8))
        self.dock = self.user.dock()
        self.labels = self.bench.workspace.open().labels
        self.paint(FIRST)
        settle(0.1)

    def paint(self, box):
        where = np.zeros(SHAPE, bool)
        where[box] = True
        self.labels.data_setitem(np.nonzero(where), NUMBER)

    @property
    def workspace(self):
        return self.bench.workspace

    def wait(self):
        wait_until(lambda: self.bench.session.settled and not self.workspace.keeper.busy)
        settle(0.2)

    def close(self):
        self.bench.close()
        self.__dict__.clear()  # pytest keeps it longer than napari lets a viewer live


@pytest.fixture
def moment(make_napari_viewer):
    moment = Moment(make_napari_viewer(show=True))
    with moment.mistakes:
        yield moment
    moment.close()


def delete_labels(moment):
    moment.viewer.layers.remove(moment.labels)


def delete_image(moment):
    moment.viewer.layers.remove(moment.image)


def delete_checked(moment):
    wait_until(lambda: moment.workspace.find(moment.image).checked is not None)
    moment.viewer.layers.remove(moment.workspace.find(moment.image).checked)


def rename(moment):
    moment.labels.name, moment.image.name = "mine", "yours"


def replace(moment):
    moment.labels.data = moment.labels.data.copy()


def too_small(moment):
    """Numbers above 255 do not fit into it."""
    moment.labels.data = moment.labels.data.astype(np.uint8)


def hide(moment):
    moment.labels.visible = moment.image.visible = False


def reorder(moment):
    moment.viewer.layers.reverse()


def swap(moment):
    moment.image.data = 255 - moment.image.data


def make_3d(moment):
    moment.viewer.dims.ndisplay = 3


def other_shape(moment):
    moment.labels.data = np.zeros((2, 5, 7), np.int32)


def reopen(moment):
    moment.viewer.window.remove_dock_widget(moment.dock.native)
    settle(0.1)
    moment.dock = moment.user.dock()


def second_dock(moment):
    moment.user.dock("Segment")


def other_slice(moment):
    moment.viewer.dims.set_current_step(0, 2)


def other_image(moment):
    moment.viewer.add_image(np.zeros((40, 50), np.uint8))


HAPPENINGS = [
    delete_labels, delete_image, delete_checked, rename, replace, too_small, hide, reorder, swap,
    make_3d, other_shape, reopen, second_dock, other_slice, other_image,
]  # fmt: skip
GONE = delete_labels, other_shape


def segmenting(moment, happens):
    moment.dock.steps[0].press()
    wait_until(lambda: moment.network.held)
    happens(moment)
    settle(0.1)
    moment.network.release()


def teaching(moment, happens):
    moment.user.press(moment.dock.steps[2].teach)
    wait_until(lambda: moment.network.held)
    happens(moment)
    settle(0.1)
    moment.network.release()


def painting(moment, happens):
    with moment.labels.block_history():
        moment.paint(SECOND)
        happens(moment)
        if happens not in GONE:
            moment.paint(SECOND)


@pytest.mark.slow
@pytest.mark.parametrize("happens", HAPPENINGS, ids=lambda happens: happens.__name__)
@pytest.mark.parametrize("during", [segmenting, teaching, painting], ids=lambda one: one.__name__)
def test_whatever_happens_nothing_painted_is_lost(moment, during, happens):
    during(moment, happens)
    moment.wait()
    assert moment.mistakes.found == []
    if happens in GONE:
        get_back(moment)
    if happens is delete_checked:
        undo_until_back(moment)
    labels = moment.labels.data
    assert (labels[FIRST] == NUMBER).all()
    if during is painting and happens not in GONE:  # the stroke under the brush goes with a layer
        assert (labels[SECOND] == NUMBER).all()
    assert_next_press_works(moment)


def get_back(moment):
    """What was deleted is offered, and restored as it was."""
    if moment.labels in moment.viewer.layers:
        moment.viewer.layers.remove(moment.labels)
    wait_until(lambda: moment.workspace.keeper.kept)
    moment.user.press(moment.dock.restore.restore)
    moment.wait()
    moment.labels = moment.workspace.current.labels


def undo_until_back(moment):
    """What nobody has checked any more may be replaced by Segment; that can be taken back."""
    pair = moment.workspace.find(moment.image).pair
    while not (pair.labels[FIRST] == NUMBER).all():
        assert pair.undo()


def assert_next_press_works(moment):
    """Labels of the chosen image are segmented, and a stroke stays."""
    moment.viewer.dims.ndisplay = 2
    item = moment.workspace.open()
    item.labels.data_setitem(tuple(np.array([[0]] * item.labels.ndim)), 300)
    moment.dock.steps[0].press()
    wait_until(lambda: moment.network.held)
    moment.network.release()
    moment.wait()
    assert moment.mistakes.found == [] and "Segmented" in moment.bench.status
    assert item.labels.data.flat[0] == 300 and item.pair.segmented


@pytest.mark.parametrize("during", [segmenting, teaching, painting], ids=lambda one: one.__name__)
def test_the_viewer_is_closed_at_any_moment(make_napari_viewer, during):
    moment = Moment(make_napari_viewer(show=True))
    bench = moment.bench
    mistakes = moment.mistakes
    with mistakes:
        during(moment, lambda moment: moment.viewer.close())
        settle(0.3)
        QApplication.processEvents()
        assert mistakes.found == []
    assert not bench.session.busy and not bench._timer.isActive()
    assert moment.network.is_closed
    moment.__dict__.clear()
