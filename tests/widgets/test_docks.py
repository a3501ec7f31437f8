"""How the docks look and what they offer, on a real napari."""

import gc
import weakref

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPoint, QRect
from qtpy.QtWidgets import QAbstractButton, QApplication, QComboBox, QLabel, QScrollArea

from napari_unet.core.config import ModelConfig
from napari_unet.core.model_file import Model
from napari_unet.engine import DeviceInfo, SegmentDone
from napari_unet.engine.runner import InlineRunner
from napari_unet.sample_data import nuclei
from napari_unet.session import work
from napari_unet.widgets import workbench
from napari_unet.widgets.parts import Note, Panel, bring_into_view, scrolled
from person import PLUGIN, SCREEN, User, settle, wait_until
from session.fakes import FakeRunner

WIDTH = 340


def on_screen(widget, inside):
    """The rectangle of a widget in another's coordinates."""
    return QRect(widget.mapTo(inside, QPoint(0, 0)), widget.size())


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_dock_is_read_at_340_pixels_without_scrolling(user, theme):
    user.viewer.theme = theme
    user.viewer.add_image(nuclei((64, 64))[0], name="an image with quite a long name, channel 3")
    dock = user.dock()
    settle(0.5)
    assert abs(dock.native.width() - WIDTH) <= 2
    area = dock.native.findChild(QScrollArea)
    view = area.viewport()
    for step, name in zip(dock.steps, ("segment", "new", "teach"), strict=True):
        button = getattr(step, name).native
        assert view.rect().contains(on_screen(button, view)), name
    for child in view.findChildren(QAbstractButton) + view.findChildren(QComboBox):
        if child.isVisible():
            assert view.rect().left() <= on_screen(child, view).left()
            assert on_screen(child, view).right() <= view.rect().right()
    for child in view.findChildren(QAbstractButton):
        if child.isVisible():
            wanted = child.fontMetrics().horizontalAdvance(child.text())
            assert wanted <= child.width(), f"{child.text()} is clipped"
    assert user.viewer.window.geometry()[2:] == SCREEN


def test_long_sentences_squeeze_no_field(user):
    user.viewer.window.resize(SCREEN[0], 500)
    user.viewer.add_image(np.zeros((3, 64, 64)), name="stack")
    dock = user.dock()
    settle(0.3)
    inner = dock.native.findChild(QScrollArea).widget()
    fields = [one for one in inner.findChildren(QComboBox) if one.isVisible()]
    heights = [one.height() for one in fields]
    for step in dock.steps:
        for note in (getattr(step, name, None) for name in ("note", "problem")):
            if note is not None:
                note.say("A sentence that is broken into several lines. " * 4)
    settle(0.3)
    assert len(fields) > 4 and [one.height() for one in fields] == heights
    assert min(heights) >= fields[0].sizeHint().height()


def test_empty_viewer_offers_the_sample(user):
    dock = user.dock()
    assert "No image" in dock.header.problem.value
    assert not dock.steps[0].segment.native.isEnabled()
    assert "Open an image" in dock.steps[0].segment.tooltip
    user.press(dock.header.open_sample)
    settle(0.3)
    assert len(user.viewer.layers) == 1
    assert not dock.header.empty.native.isVisible()
    assert dock.steps[0].segment.native.isEnabled()


def test_teach_is_off_until_something_is_checked(user):
    user.viewer.add_image(np.zeros((40, 50)))
    dock = user.dock()
    _, correct, teach = dock.steps
    assert not teach.teach.native.isEnabled()
    assert "Correct a few cells" in teach.teach.tooltip
    assert "Correct a few cells" in teach.note.value
    user.press(correct.new)
    labels = user.bench.workspace.current.labels
    assert labels.mode == "paint"
    assert user.viewer.layers.selection.active == labels
    where = np.zeros((40, 50), bool)
    where[10:20, 10:20] = True
    user.paint(labels, where, labels.selected_label)
    assert "1 cell checked" in correct.title.value
    assert teach.teach.native.isEnabled()
    assert correct.uncheck.native.isEnabled()
    user.press(correct.uncheck)
    settle(0.2)
    assert not teach.teach.native.isEnabled()


def test_wrong_labels_are_refused_on_their_field(user):
    user.viewer.add_image(np.zeros((40, 50)))
    own = user.viewer.add_labels(np.zeros((40, 51), int), name="too wide")
    dock = user.dock()
    correct = dock.steps[1]
    choose(correct.layer, str(own.unique_id))
    assert "same size" in correct.problem.value
    assert user.bench.workspace.current is None


def test_model_of_two_channels_is_refused_on_its_field(user, tmp_path):
    user.viewer.add_image(np.zeros((40, 50)))
    dock = user.dock()
    config = ModelConfig(in_channels=2, width=4, depth=2)
    path = tmp_path / "two.safetensors"
    Model.fresh(config, seed=0).save(path)
    dock.header.load(str(path))
    settle(0.1)
    assert "2 channels" in dock.header.problem.value
    assert not dock.steps[0].segment.native.isEnabled()
    assert "2 channels" in dock.steps[0].segment.tooltip
    user.viewer.add_image(np.zeros((3, 40, 50)))
    choose(dock.header.axis, 0)
    assert dock.header.channel.value == (0, 1)
    assert dock.steps[0].segment.native.isEnabled()


def test_broken_model_file_is_one_sentence(user, tmp_path):
    dock = user.dock()
    path = tmp_path / "broken.safetensors"
    path.write_bytes(b"no model at all")
    dock.header.load(str(path))
    assert dock.status.value.startswith("⚠ broken.safetensors")


def test_saved_model_is_in_the_list(user):
    dock = user.dock()
    dock.header.save_as("My nuclei")
    box = dock.header.model.native
    assert "My nuclei" in [box.itemText(number) for number in range(box.count())]
    dock.header.save_as("My nuclei")
    assert "choose another name" in dock.status.value


def test_colours_and_stacks_show_their_fields(user):
    user.viewer.add_image(np.zeros((40, 50)), name="plain")
    dock = user.dock()
    header, segment = dock.header, dock.steps[0]
    assert not header.channel.native.isVisible()
    assert not segment.scope.native.isVisible()
    user.viewer.add_image(np.zeros((40, 50, 3), np.uint8), rgb=True, name="colours")
    settle(0.1)
    assert header.channel.native.isVisible()
    assert header.channel.native.currentText() == "mean of all (grey)"
    assert not header.axis.native.isVisible()
    user.viewer.add_image(np.zeros((4, 40, 50)), name="stack")
    settle(0.1)
    assert segment.scope.native.isVisible()
    assert header.axis.native.isVisible()


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("Segment", {"Segment"}),
        ("Correct labels", {"New  N", "Erase  I"}),
        ("Teach", {"Teach"}),
    ],
)
def test_each_step_opens_alone(user, name, texts):
    dock = user.dock(name)
    shown = {b.text() for b in dock.native.findChildren(QAbstractButton)}
    assert texts <= shown
    assert len({"Segment", "Teach", "New  N"} & shown) == 1


def test_two_docks_work_on_the_same_thing(user):
    user.viewer.add_image(np.zeros((40, 50)), name="first")
    user.viewer.add_image(np.zeros((40, 50)), name="second")
    whole, alone = user.dock(), user.dock("Segment")
    first = user.viewer.layers["first"]
    choose(whole.header.image, str(first.unique_id))
    assert alone.header.image.value == str(first.unique_id)


def test_closed_dock_opens_again_with_everything(user):
    user.viewer.add_image(np.zeros((40, 50)))
    dock = user.dock()
    user.press(dock.steps[1].new)
    item = user.bench.workspace.current
    where = np.zeros((40, 50), bool)
    where[10:20, 10:20] = True
    user.paint(item.labels, where, item.labels.selected_label)
    user.viewer.window.remove_dock_widget(dock.native)
    del dock
    settle(0.3)
    again = user.dock()
    assert "1 cell checked" in again.steps[1].title.value


def test_closed_docks_leave_nothing_behind(user):
    user.viewer.add_image(np.zeros((40, 50)))
    kept, listening = [], []
    for _ in range(3):
        dock = user.dock()
        settle(0.1)
        kept.append(weakref.ref(dock))
        user.viewer.window.remove_dock_widget(dock.native)
        del dock
        settle(0.1)
        QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
        listening.append([len(signal) for signal in signals_of(user.bench)])
    gc.collect()
    assert [dock() for dock in kept] == [None] * 3
    assert listening[0] == listening[1] == listening[2]
    user.bench.session.said.emit("nobody is there to show it", False)


def signals_of(bench):
    session, workspace = bench.session, bench.workspace
    changed = session.state_changed, session.models_changed, session.versions_changed
    return *changed, workspace.chosen_changed, workspace.layers_changed, workspace.corrected


def test_closing_the_viewer_ends_worker_and_session(make_napari_viewer):
    runner = InlineRunner()
    closed = []
    runner.close = lambda: closed.append(1)
    viewer = make_napari_viewer(show=True)
    bench = User(viewer, runner).bench
    viewer.window.add_plugin_dock_widget(PLUGIN, "U-Net")
    wait_until(lambda: bench._window is not None)
    bench = weakref.ref(bench)
    viewer.close()
    settle(0.3)
    del viewer
    gc.collect()
    settle(0.1)
    assert closed
    assert not workbench._open
    assert bench() is None


def test_click_tools_delete_and_accept(user):
    user.viewer.add_image(np.zeros((40, 50)))
    dock = user.dock()
    correct = dock.steps[1]
    user.press(correct.new)
    item = user.bench.workspace.current
    item.pair.labels[5:15, 5:15] = 1
    item.pair.labels[25:35, 25:35] = 2
    np.copyto(item.pair.ledger.labels, item.pair.labels)  # as if Segment had made them
    item.labels.refresh()
    user.press(correct.right)
    click(user, item.labels, (10, 10))
    assert "1 cell checked" in correct.title.value
    user.press(correct.delete)
    assert not correct.right.native.isChecked()
    click(user, item.labels, (30, 30))
    assert set(np.unique(item.labels.data)) == {0, 1}
    user.press(correct.delete)
    click(user, item.labels, (10, 10))
    assert set(np.unique(item.labels.data)) == {0, 1}


def click(user, layer, position):
    """A press and a release at a place of the image, through napari's own mouse callbacks."""
    from types import SimpleNamespace

    from napari.utils.interactions import mouse_press_callbacks, mouse_release_callbacks

    event = SimpleNamespace(
        type="mouse_press",
        button=1,
        modifiers=(),
        position=position,
        view_direction=None,
        up_direction=None,
        dims_displayed=[0, 1],
        dims_point=[0, 0],
        handled=False,
        is_dragging=False,
        native=None,
    )
    mouse_press_callbacks(layer, event)
    event.type = "mouse_release"
    mouse_release_callbacks(layer, event)
    settle(0.2)


def choose(field, value):
    """Choose in a list as a person does, by its text."""
    box = field.native
    texts = [box.itemText(index) for index in range(box.count())]
    values = [field.get_choice(text) for text in texts]
    box.setCurrentIndex(values.index(value))
    settle(0.1)


def test_labels_of_fields_are_read(user):
    dock = user.dock()
    for label in dock.native.findChildren(QLabel):
        if label.isVisible() and label.text() and not label.wordWrap():
            wanted = label.sizeHint().width()
            assert wanted <= label.width(), f"{label.text()} is clipped"


def test_a_fault_while_drawing_is_one_sentence(user, monkeypatch):
    user.viewer.add_image(np.zeros((40, 50)))
    dock = user.dock()

    def fail():
        raise KeyError("a layer that is gone")

    monkeypatch.setattr(work.log, "disabled", True)  # a traceback would hold the viewer
    monkeypatch.setattr(user.bench.workspace, "flush", fail)
    settle(0.2)
    assert "not foreseen" in dock.status.value
    assert dock.steps[0].segment.native.isEnabled()


def test_model_file_that_vanished_is_one_sentence(user, tmp_path):
    user.viewer.add_image(np.zeros((40, 50)))
    dock = user.dock()
    path = tmp_path / "mine.safetensors"
    Model.fresh(ModelConfig(width=4, depth=2), seed=0).save(path)
    dock.header.load(str(path))
    path.unlink()
    user.viewer.add_image(np.zeros((40, 50)))
    settle(0.1)
    assert "no model file" in dock.header.problem.value
    assert not dock.steps[0].segment.native.isEnabled()


def test_what_is_told_of_teaching_is_seen_on_a_low_screen(user, monkeypatch):
    """The curve lies below the edge there: the dock scrolls to it when it begins."""
    user.viewer.add_image(np.zeros((40, 50)))
    dock = user.dock()
    teach = dock.steps[2]
    assert not is_seen(teach.curve)
    monkeypatch.setattr(type(user.bench.session), "busy", "Teach")
    user.bench.session.state_changed.emit()
    for part in (teach.teach, teach.note, teach.curve, teach.versions.version):
        assert is_seen(getattr(part, "native", part)), part


def is_seen(widget):
    return widget.visibleRegion().boundingRect().height() == widget.height()


def test_what_was_scrolled_to_stays_in_view_until_a_person_scrolls(qtbot):
    notes = [Note(f"A sentence, number {n}.") for n in range(40)]
    area = scrolled(Panel(notes).native)
    qtbot.addWidget(area)
    area.resize(300, 200)
    area.show()
    bring_into_view(notes[30])
    view, bar = area.viewport(), area.verticalScrollBar()

    def is_seen():
        return view.rect().contains(on_screen(notes[30].native, view))

    wait_until(is_seen)
    for say in (2, 30):  # above it, and of itself
        notes[say].say("It goes on, word by word, " * 8)
        settle(0.3)
        assert is_seen()
    area.resize(300, 160)
    settle(0.3)
    assert is_seen()
    bar.triggerAction(bar.SliderAction.SliderToMinimum)
    notes[2].say("Short again.")
    settle(0.3)
    assert bar.value() == 0


def test_what_was_said_before_does_not_stand_beside_the_progress_of_what_begins(
    make_napari_viewer,
):
    runner = FakeRunner()
    desk = User(make_napari_viewer(), runner)
    dock, session = desk.dock(), desk.bench.session
    runner.job.finish(DeviceInfo("this computer", "float32", "this computer, float32, ready"))
    wait_until(lambda: dock.status.value == "this computer, float32, ready")
    desk.viewer.add_image(np.zeros((40, 40), np.uint8))
    session.said.emit("Segmented in 3 s.", False)
    settle(0.1)
    desk.press(dock.steps[0].segment)
    assert dock.status.value == desk.bench.status == "this computer, float32, at work"
    wait_until(lambda: len(runner.jobs) == 2)
    runner.job.finish(SegmentDone(1.0, "this computer", "float32"))
    desk.wait()
    assert dock.status.value.startswith("Segmented in ")
    desk.bench._pump()
    session.said.emit("The version was deleted.", False)  # and what was before it segments
    desk.press(dock.steps[0].segment)
    assert dock.status.value == "The version was deleted."
    desk.bench.close()
