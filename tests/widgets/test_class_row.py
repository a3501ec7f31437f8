"""Classes in the dock: named, painted, taught, added to."""

import numpy as np
import pytest

from napari_unet.bridge.layers import CLASSES, class_colour
from napari_unet.core.config import ModelConfig
from napari_unet.core.model_file import Model
from napari_unet.engine import DeviceInfo, TeachTask
from napari_unet.session.class_pair import BACKGROUND
from person import SCREEN, Shared, User, is_read_whole, settle, wait_until
from session.fakes import FakeRunner

SHAPE = (60, 80)
ASK = "napari_unet.widgets.class_row.QInputDialog.getText"


@pytest.fixture
def asked(monkeypatch):
    """What the user answers to questions, the last one again and again."""
    answers = [("nucleus, cytoplasm", True)]
    monkeypatch.setattr(ASK, lambda *_, **__: answers[0])
    return answers


@pytest.fixture
def at_desk(make_napari_viewer, tmp_path, asked):
    """A user with an image, and a model of objects."""
    base = Model.fresh(ModelConfig(width=2, depth=1), name="base")
    base.save(tmp_path / "base.safetensors")
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(*SCREEN)
    runner = FakeRunner()
    user = User(viewer, Shared(runner))
    user.runner = runner
    runner.jobs[0].finish(DeviceInfo("cpu", "float32", "this computer, ready"))
    user.bench.session.load_model_file(str(tmp_path / "base.safetensors"))
    user.image = viewer.add_image(np.zeros(SHAPE), name="cells")
    user.dock_widget = user.dock()
    user.correct = user.dock_widget.steps[1]
    yield user
    user.bench.close()
    user.__dict__.clear()


def new_layer(user):
    choice = user.correct.layer
    (value,) = [data for text, data in choice._offered if text == "new layer of classes…"]
    choice.value = value
    settle(0.2)


def entries(row):
    return [row.choice.native.itemText(n) for n in range(row.choice.native.count())]


def test_classes_are_named_painted_and_taught(at_desk):
    row = at_desk.correct.classes
    assert not row.row.native.isVisible() and at_desk.correct.tools.native.isVisible()
    new_layer(at_desk)
    item = at_desk.bench.workspace.current
    assert item.labels.name == "cells classes"
    assert entries(row) == ["nucleus", "cytoplasm", "background"]
    assert row.row.native.isVisible()
    assert not at_desk.correct.tools.native.isVisible()
    assert not at_desk.correct.next.native.isVisible()
    assert at_desk.viewer.layers.selection.active is item.labels
    assert (item.labels.mode, item.labels.selected_label) == ("paint", 1)
    where = np.zeros(SHAPE, bool)
    where[4:8, 4:14] = True
    at_desk.paint(item.labels, where, 1)
    row.choice.value = 2
    assert (item.labels.mode, item.labels.selected_label) == ("paint", 2)
    at_desk.paint(item.labels, np.roll(where, 40, axis=1), 2)
    row.choice.value = BACKGROUND
    at_desk.paint(item.labels, np.roll(where, 40, axis=0), BACKGROUND)
    assert "3 patches checked" in at_desk.correct.title.value
    assert not item.labels.data[40:].any() and item.pair.checked[44:48, 4:14].all()
    at_desk.press(at_desk.dock_widget.steps[2].teach)
    wait_until(lambda: len(at_desk.runner.jobs) == 2)
    task = at_desk.runner.jobs[-1].task
    assert isinstance(task, TeachTask) and task.classes == ("nucleus", "cytoplasm")


def test_the_dock_speaks_of_classes_where_classes_are_painted(at_desk):
    segment, _, teach = at_desk.dock_widget.steps
    assert teach.note.value.startswith("Correct a few cells first")
    assert segment.split.native.isEnabled()
    new_layer(at_desk)
    assert teach.note.value.startswith("Paint a little of each class first")
    assert teach.teach.tooltip == teach.note.value
    assert not segment.split.native.isEnabled() and "objects" in segment.split.tooltip
    assert segment.threshold.native.isEnabled()
    assert is_read_whole(at_desk.correct.classes.choice.native, "background")


def test_colours_of_swatches_are_those_of_the_layer(at_desk):
    new_layer(at_desk)
    labels = at_desk.bench.workspace.current.labels
    row = at_desk.correct.classes
    for n, label in enumerate((1, 2, BACKGROUND)):
        swatch = row.choice.native.itemIcon(n).pixmap(12).toImage().pixelColor(6, 6)
        shown = labels.get_color(label)[:3]
        np.testing.assert_allclose(swatch.getRgbF()[:3], shown, atol=0.01)
    assert class_colour(0) == "#808080"


def test_a_class_is_added_and_the_brush_is_taken_with_it(at_desk, asked):
    new_layer(at_desk)
    row = at_desk.correct.classes
    asked[0] = ("vessel", True)
    at_desk.press(row.add)
    item = at_desk.bench.workspace.current
    assert entries(row) == ["nucleus", "cytoplasm", "vessel", "background"]
    assert item.labels.selected_label == 3 and item.labels.metadata[CLASSES][2] == "vessel"
    at_desk.press(row.add)
    assert "name that no other class has" in row.note.value
    asked[0] = ("another", False)  # thought better of it
    at_desk.press(row.add)
    assert len(entries(row)) == 4


def test_a_number_painted_in_napari_becomes_a_class(at_desk):
    new_layer(at_desk)
    labels = at_desk.bench.workspace.current.labels
    where = np.zeros(SHAPE, bool)
    where[4:8, 4:14] = True
    at_desk.paint(labels, where, 4)
    row = at_desk.correct.classes
    wait_until(lambda: len(entries(row)) == 5)
    assert entries(row)[2:] == ["class 3", "class 4", "background"]


def test_going_back_to_objects_shows_their_tools_and_classes_are_there_again(at_desk):
    new_layer(at_desk)
    classes = at_desk.bench.workspace.current.labels
    own = at_desk.viewer.add_labels(np.zeros(SHAPE, np.int32), name="own")
    settle(0.2)
    at_desk.correct.layer.value = str(own.unique_id)
    settle(0.2)
    assert at_desk.correct.tools.native.isVisible()
    assert not at_desk.correct.classes.row.native.isVisible()
    at_desk.correct.layer.value = str(classes.unique_id)
    settle(0.2)
    assert at_desk.bench.workspace.current.pair.classes == ("nucleus", "cytoplasm")
    assert at_desk.correct.classes.row.native.isVisible()


@pytest.mark.parametrize(
    ("answer", "said"),
    [(("a, a", True), "name of its own"), (("background", True), "name of its own")],
)
def test_names_that_do_not_tell_apart_cost_one_sentence(at_desk, asked, answer, said):
    asked[0] = answer
    new_layer(at_desk)
    assert said in at_desk.correct.problem.value
    assert [layer.name for layer in at_desk.viewer.layers] == ["cells"]


@pytest.mark.parametrize("answer", [("a", False), (" , ", True)])
def test_no_names_no_layer(at_desk, asked, answer):
    asked[0] = answer
    new_layer(at_desk)
    assert [layer.name for layer in at_desk.viewer.layers] == ["cells"]
    assert at_desk.correct.layer.value == ""


def test_a_model_of_classes_makes_its_layer_at_segment(at_desk, tmp_path):
    config = ModelConfig(width=2, depth=1, classes=("background", "a", "b"), semantic=True)
    Model.fresh(config).save(tmp_path / "classes.safetensors")
    at_desk.bench.session.load_model_file(str(tmp_path / "classes.safetensors"))
    at_desk.press(at_desk.dock_widget.steps[0].segment)
    wait_until(lambda: len(at_desk.runner.jobs) == 2)
    item = at_desk.bench.workspace.current
    assert item.pair.classes == ("a", "b") and item.labels.name == "cells classes"
    assert entries(at_desk.correct.classes) == ["a", "b", "background"]
    assert [layer.name for layer in at_desk.viewer.layers] == ["cells", "cells classes"]
