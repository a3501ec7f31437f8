"""Two versions of a model side by side, from the menu of the versions to End."""

from dataclasses import asdict, replace

import numpy as np
import pytest

from hand import Hand
from napari_unet.bridge.workspace import COMPARED
from napari_unet.core.config import ModelConfig
from napari_unet.core.events import TeachSummary, TileResult
from napari_unet.core.model_file import Model
from napari_unet.engine import DeviceInfo, PlaneSize, SegmentDone
from napari_unet.session.versions import new_version_path
from person import SCREEN, Shared, User, settle, wait_until
from session.fakes import FakeRunner, tile_of

SHAPE = (60, 80)
LEFT, RIGHT, EXTRA = np.s_[10:30, 5:25], np.s_[10:30, 50:70], np.s_[40:55, 50:75]


class Desk(User):
    """A user whose worker answers as the test says."""

    def __init__(self, viewer):
        self.runner = FakeRunner()
        super().__init__(viewer, Shared(self.runner))
        self.session = self.bench.session
        self.runner.jobs[0].finish(DeviceInfo("cpu", "float32", "this computer, ready"))

    def answer(self, count, *boxes):
        """Let the worker find boxes in what it is asked to segment; return the task."""
        wait_until(lambda: len(self.runner.jobs) == count)
        job = self.runner.jobs[-1]
        job.add_event(PlaneSize(None, SHAPE, False))
        job.add_event(tile_of(SHAPE, *boxes))
        job.finish(SegmentDone(1.0, "this computer", "float32"))
        self.wait()
        return job.task

    def answer_classes(self, count, *boxes):
        """Let the worker find classes 1, 2 and so on in boxes."""
        wait_until(lambda: len(self.runner.jobs) == count)
        classes = np.zeros(SHAPE, int)
        for number, box in enumerate(boxes, 1):
            classes[box] = number
        probability = np.moveaxis(np.eye(3)[classes] * 255, -1, 0).astype(np.uint8)
        job = self.runner.jobs[-1]
        job.add_event(PlaneSize(None, SHAPE, False))
        job.add_event(TileResult(0, 0, probability, 0, 1))
        job.finish(SegmentDone(1.0, "this computer", "float32"))
        self.wait()


@pytest.fixture
def at_desk(make_napari_viewer, tmp_path):
    """A user with an image, segmented with a version that was taught once."""
    base = Model.fresh(ModelConfig(width=2, depth=1), name="base")
    base = base.save(tmp_path / "base.safetensors")
    path = new_version_path("base")
    summary = asdict(TeachSummary(0.5, 0.84, 9, 3, True, 1.0, 10))
    card = replace(
        base.card, name=path.stem, title="base, taught 1", parent="base",
        origin=base.card.identity, taught=summary,
    )  # fmt: skip
    replace(base, card=card).save(path)
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(*SCREEN)
    user = Desk(viewer)
    user.session.load_model_file(str(tmp_path / "base.safetensors"))
    user.session.go_to_version(1)
    user.image = viewer.add_image(np.zeros(SHAPE), name="cells")
    user.steps = user.dock().steps
    viewer.reset_view()
    user.press(user.steps[0].segment)
    user.answer(2, LEFT, RIGHT)
    yield user
    user.bench.close()
    user.__dict__.clear()


def compare(user):
    """Choose the model before teaching in the menu."""
    menu = user.steps[2].versions.menu.native.menu()
    menu.aboutToShow.emit()
    (others,) = [action.menu() for action in menu.actions() if action.text() == "Compare with"]
    (action,) = others.actions()
    assert action.text() == "before teaching"
    action.trigger()


def compared_layers(user):
    return [layer for layer in user.viewer.layers if COMPARED in layer.metadata]


def test_the_other_version_is_shown_right_of_a_border_that_moves(at_desk):
    row = at_desk.steps[2].compared
    labels = at_desk.bench.workspace.current.labels
    before = labels.data.copy()
    assert not row.row.native.isVisible()
    compare(at_desk)
    assert row.row.native.isVisible()
    task = at_desk.answer(3, LEFT, EXTRA)
    assert task.model == at_desk.session.versions.base.model
    shown, line = compared_layers(at_desk)
    assert not labels.visible and shown.visible and line.visible
    middle = round(float(line.data[0][0, -1] + 0.5))
    assert 30 < middle < 50  # of what is seen
    number = int(before[LEFT].max())
    assert (shown.data[LEFT] == number).all()
    assert not shown.data[RIGHT].any() and shown.data[EXTRA].all()
    assert row.note.value == ("Left: taught 1, 2 objects. Right: before teaching, 2; alike are 1.")
    row.swipe.value = 1.0
    settle(0.1)
    assert (shown.data[RIGHT] == before[RIGHT]).all() and not shown.data[EXTRA].any()
    row.swipe.value = 0.0
    settle(0.1)
    assert (shown.data[LEFT] == number).all()  # alike, in the same colour
    assert not shown.data[RIGHT].any() and shown.data[EXTRA].all()
    at_desk.press(row.end)
    assert not row.row.native.isVisible() and not compared_layers(at_desk)
    assert labels.visible and (labels.data == before).all()
    assert at_desk.viewer.layers.selection.active is labels
    assert row.note.value == "" and row.swipe.value == 0.5


def test_what_is_compared_is_never_corrected_or_taught(at_desk):
    compare(at_desk)
    at_desk.answer(3, LEFT, EXTRA)
    workspace = at_desk.bench.workspace
    assert compared_layers(at_desk)[0] not in workspace.labels_layers()
    assert len(workspace.pairs()) == 1
    assert not compared_layers(at_desk)[0].editable


@pytest.mark.parametrize("take_up", ["a tool", "the labels"])
def test_it_ends_when_the_labels_are_corrected(at_desk, take_up):
    compare(at_desk)
    at_desk.answer(3, LEFT, EXTRA)
    item = at_desk.bench.workspace.current
    assert not item.labels.visible
    if take_up == "a tool":
        at_desk.press(at_desk.steps[1].delete)
    else:
        at_desk.viewer.layers.selection.active = item.labels
    assert item.labels.visible and not compared_layers(at_desk)
    assert at_desk.viewer.layers.selection.active is item.labels
    if take_up == "a tool":
        Hand(at_desk.viewer).click(item.labels, (20, 15))
        assert not item.labels.data[LEFT].any()


def test_sliders_act_on_both(at_desk):
    compare(at_desk)
    small = np.s_[40:44, 50:54]
    at_desk.answer(3, LEFT, small)
    at_desk.steps[0].smallest.value = 10
    at_desk.wait()
    at_desk.steps[2].compared.swipe.value = 0.0
    shown, _ = compared_layers(at_desk)
    wait_until(lambda: shown.data[small].all())
    at_desk.steps[0].smallest.value = 30
    wait_until(lambda: not shown.data[small].any())
    assert shown.data[LEFT].all()


@pytest.mark.parametrize(
    "what", ["version", "model", "layer removed", "image removed", "labels removed", "image"]
)
def test_it_ends_with_what_it_is_about(at_desk, what, tmp_path):
    compare(at_desk)
    at_desk.answer(3, LEFT)
    if what == "version":
        at_desk.session.go_to_version(0)
    elif what == "model":
        at_desk.session.choose_model("nuclei-fluorescence")
    elif what == "layer removed":
        at_desk.viewer.layers.remove(compared_layers(at_desk)[0])
    elif what == "image removed":
        at_desk.viewer.layers.remove(at_desk.image)
    elif what == "labels removed":
        at_desk.viewer.layers.remove(at_desk.bench.workspace.current.labels)
    else:
        at_desk.viewer.add_image(np.zeros((20, 20)), name="another")
    settle(0.3)
    assert not at_desk.bench.compare.is_on and not compared_layers(at_desk)
    assert not at_desk.bench.status_is_failure


def test_it_can_be_ended_while_the_other_version_still_segments(at_desk):
    compare(at_desk)
    wait_until(lambda: len(at_desk.runner.jobs) == 3)
    at_desk.press(at_desk.steps[2].compared.end)
    wait_until(lambda: not at_desk.session.busy)
    assert at_desk.runner.jobs[-1].cancelled
    assert not compared_layers(at_desk)


def test_without_a_segmentation_one_sentence_says_so(at_desk):
    at_desk.viewer.layers.remove(at_desk.bench.workspace.current.labels)
    settle(0.2)
    at_desk.steps[2].versions.compare(0)
    assert at_desk.bench.status == (
        "Press Segment first: versions are compared on what it has found."
    )
    assert not at_desk.bench.compare.is_on


def test_another_slice_ends_it(make_napari_viewer, tmp_path, at_desk):
    at_desk.viewer.layers.clear()
    at_desk.viewer.add_image(np.zeros((3, *SHAPE)), name="stack")
    at_desk.press(at_desk.steps[0].segment)
    at_desk.answer(3, LEFT)
    compare(at_desk)
    at_desk.answer(4, RIGHT)
    assert at_desk.bench.compare.is_on
    at_desk.viewer.dims.set_current_step(0, 0)
    settle(0.2)
    assert not at_desk.bench.compare.is_on


def test_classes_are_compared_in_their_own_colours(at_desk, tmp_path):
    config = ModelConfig(width=2, depth=1, classes=("background", "a", "b"), semantic=True)
    base = Model.fresh(config, name="classes").save(tmp_path / "classes.safetensors")
    path = new_version_path("classes")
    card = replace(base.card, name=path.stem, parent="classes", origin=base.card.identity)
    replace(base, card=replace(card, title="classes, taught 1")).save(path)
    at_desk.session.load_model_file(str(tmp_path / "classes.safetensors"))
    at_desk.session.go_to_version(1)
    at_desk.press(at_desk.steps[0].segment)
    at_desk.answer_classes(3, LEFT, RIGHT)
    labels = at_desk.bench.workspace.current.labels
    compare(at_desk)
    at_desk.answer_classes(4, RIGHT, LEFT)
    shown, _ = compared_layers(at_desk)
    at_desk.steps[2].compared.swipe.value = 0.0
    settle(0.1)
    assert (labels.data[LEFT] == 1).all() and (shown.data[LEFT] == 2).all()
    np.testing.assert_array_equal(shown.get_color(2), labels.get_color(2))
    percent = f"{800 / 4800:.0%}"
    assert at_desk.steps[2].compared.note.value == (
        f"Left: taught 1. Right: before teaching; they differ in {percent} of the pixels."
    )
