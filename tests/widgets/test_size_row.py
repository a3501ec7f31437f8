"""How wide the objects are, in the dock: measured, typed, in pixels or in the layer's unit."""

import weakref

import numpy as np
import pytest
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication, QScrollArea

from napari_unet.core.config import ModelConfig
from napari_unet.core.model_file import Model
from napari_unet.engine.runner import InlineRunner
from napari_unet.sample_data import nuclei
from napari_unet.widgets.size_row import UNKNOWN
from person import SCREEN, Shared, User, settle, wait_until

DRAWN = nuclei((64, 64))[0]
MICROMETRES = {"scale": (0.5, 0.5), "units": ("um", "um")}


@pytest.fixture
def at_desk(make_napari_viewer, monkeypatch, tmp_path):
    """A user whose network runs here, finds objects of 22 px, and is tiny."""
    monkeypatch.setattr("napari_unet.core.measure.measure_diameter", lambda *_, **__: 22.0)
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(*SCREEN)
    user = User(viewer, Shared(InlineRunner()))
    path = tmp_path / "sized.safetensors"
    Model.fresh(ModelConfig(width=2, depth=1, diameter=20.0), name="sized").save(path)
    user.bench.session.load_model_file(str(path))
    yield user
    user.bench.close()
    user.__dict__.clear()


def type_in(box, text):
    """As a person does, with Enter at the end."""
    box.native.lineEdit().setText(text)
    box.native.interpretText()
    settle(0.1)


def test_it_is_measured_at_segment_and_said(at_desk):
    at_desk.viewer.add_image(DRAWN)
    dock = at_desk.dock()
    size, segment = dock.header.size, dock.steps[0]
    assert size.box.native.text() == "measured at Segment" and not size.word.value
    assert size.box.tooltip.startswith("How wide your objects are;")
    at_desk.press(segment.segment)
    at_desk.wait()
    assert size.box.native.text() == "22.0 px"
    assert size.word.value == "measured"
    assert dock.status.value.endswith("; objects measured 22 px across.")
    assert not size.physical.native.isVisible()


def test_several_looks_are_chosen_shown_and_remembered(at_desk):
    at_desk.viewer.add_image(DRAWN, name="cells")
    dock = at_desk.dock()
    segment, session = dock.steps[0], at_desk.bench.session
    assert segment.look.native.currentText() == "once" and session.average == "none"
    segment.look.native.setCurrentText("4 times, mirrored")
    assert session.average == "flips"
    at_desk.press(segment.segment)
    at_desk.wait()
    wait_until(lambda: "cells unsure" in at_desk.viewer.layers)
    session.average = "rotations"  # as a saved session says
    session.settings_changed.emit()
    assert segment.look.native.currentText() == "8 times, mirrored and turned"


def test_it_is_typed_and_measured_again(at_desk):
    at_desk.viewer.add_image(DRAWN)
    dock = at_desk.dock()
    size, segment = dock.header.size, dock.steps[0]
    type_in(size.box, "30 px")
    assert size.word.value == "typed" and "press Segment" in dock.status.value
    assert at_desk.bench.workspace.current is None  # nothing was segmented by itself
    at_desk.press(segment.segment)
    at_desk.wait()
    assert dock.status.value.endswith("; objects 30 px across, as typed.")
    pair = at_desk.bench.workspace.current.pair
    assert pair.probability[()].shape == (43, 43)
    at_desk.press(size.measure)
    at_desk.wait()
    assert size.word.value == "measured" and size.box.native.text() == "22.0 px"
    assert dock.status.value == "Objects measured 22 px across."
    type_in(size.box, "0")
    assert size.box.native.text() == "measured at Segment" and not size.word.value


def test_objects_can_be_measured_before_they_are_segmented(at_desk):
    at_desk.viewer.add_image(np.stack([DRAWN, DRAWN]))
    dock = at_desk.dock()
    assert dock.header.size.measure.text == "Measure"
    at_desk.press(dock.header.size.measure)
    assert "Measure is running" in dock.steps[0].segment.tooltip
    assert dock.steps[0].stop.native.isEnabled()
    at_desk.wait()
    assert dock.header.size.word.value == "measured"
    assert dock.header.size.measure.text == "Again"
    assert len(at_desk.viewer.layers) == 1


def test_an_impossible_size_is_one_sentence(at_desk):
    at_desk.viewer.add_image(DRAWN)
    dock = at_desk.dock()
    type_in(dock.header.size.box, "0.5")
    assert "type one from 1 to 10,000 px" in dock.status.value
    assert dock.header.size.box.native.text() == "measured at Segment"


def test_a_layer_with_a_unit_is_typed_in_it(at_desk):
    plain = at_desk.viewer.add_image(DRAWN, name="plain")
    dock = at_desk.dock()
    size = dock.header.size
    at_desk.viewer.layers.remove(plain)  # napari warns of mixed units
    layer = at_desk.viewer.add_image(DRAWN, **MICROMETRES)
    settle(0.1)
    assert size.physical.native.isVisible() and size.physical.label == "in µm"
    assert size.length.native.text() == "auto"
    type_in(size.length, "15")
    assert size.box.native.text() == "30.0 px" and size.length.native.text() == "15.00 µm"
    assert dock.status.value.startswith("Objects are 30 px (15 µm) across")
    layer.scale = (0.25, 0.25)
    settle(0.1)
    assert size.length.native.text() == "7.50 µm" and size.word.value == "typed"


def test_a_model_that_knows_no_size_says_so(at_desk, tmp_path):
    at_desk.viewer.add_image(DRAWN)
    dock = at_desk.dock()
    size = dock.header.size
    type_in(size.box, "30")
    path = tmp_path / "any.safetensors"
    Model.fresh(ModelConfig(width=2, depth=1), name="any").save(path)
    dock.header.load(str(path))
    settle(0.1)
    for widget in (size.box, size.measure):
        assert not widget.native.isEnabled() and widget.tooltip == UNKNOWN
    assert size.box.native.text() == "as it is"
    at_desk.press(dock.steps[0].segment)
    at_desk.wait()
    assert "object" not in dock.status.value and not dock.status.value.startswith("⚠")


def test_an_empty_viewer_has_no_size(at_desk):
    dock = at_desk.dock()
    assert not dock.header.size.box.native.isEnabled()
    assert dock.header.size.box.tooltip == "Open an image first."


def test_each_image_has_its_own_size(at_desk):
    first = at_desk.viewer.add_image(DRAWN, name="first")
    dock = at_desk.dock()
    size = dock.header.size
    type_in(size.box, "30")
    at_desk.viewer.add_image(DRAWN, name="second")
    settle(0.1)
    assert size.box.native.text() == "measured at Segment"
    at_desk.bench.workspace.choose(first)
    assert size.box.native.text() == "30.0 px"


def test_smallest_follows_the_size_until_it_is_moved(at_desk):
    at_desk.viewer.add_image(DRAWN)
    dock = at_desk.dock()
    size, segment = dock.header.size, dock.steps[0]
    assert segment.smallest.value == 20
    for diameter, smallest in ((40, 80), (200, 2000)):
        type_in(size.box, str(diameter))
        at_desk.press(segment.segment)
        at_desk.wait()
        assert segment.smallest.value == smallest < segment.smallest.max
    segment.smallest.value = 33
    type_in(size.box, "40")
    at_desk.press(segment.segment)
    at_desk.wait()
    assert segment.smallest.value == 33
    assert at_desk.bench.session.settings.min_size == 33


def test_a_dock_that_is_opened_again_shows_what_was_set(at_desk):
    at_desk.viewer.add_image(DRAWN)
    dock = at_desk.dock()
    dock.steps[0].smallest.value = 33
    dock.steps[0].threshold.value = 0.7
    type_in(dock.header.size.box, "30")
    at_desk.viewer.window.remove_dock_widget(dock.native)
    del dock
    settle(0.3)
    again = at_desk.dock()
    assert (again.steps[0].smallest.value, again.steps[0].threshold.value) == (33, 0.7)
    assert at_desk.bench.session.settings.min_size == 33
    assert again.header.size.box.native.text() == "30.0 px"


def test_stop_while_it_measures(at_desk, monkeypatch):
    session = weakref.ref(at_desk.bench.session)  # monkeypatch outlives the viewer

    def measure(*_, cancelled, **__):
        session().stop()  # a person presses Stop
        assert cancelled()

    monkeypatch.setattr("napari_unet.core.measure.measure_diameter", measure)
    at_desk.viewer.add_image(DRAWN)
    dock = at_desk.dock()
    at_desk.press(dock.steps[0].segment)
    at_desk.wait()
    assert dock.status.value == "Stopped; nothing was changed."
    assert not dock.header.size.word.value
    assert dock.steps[0].segment.native.isEnabled()


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_all_of_it_is_read_at_340_pixels(at_desk, theme):
    at_desk.viewer.theme = theme
    at_desk.viewer.add_image(DRAWN, **MICROMETRES)
    dock = at_desk.dock()
    size = dock.header.size
    dock.native.setFixedWidth(340 - 13)  # beside a scroll bar
    for text in ("0", "888.8"):
        type_in(size.box, text)
        settle(0.2)
        for field in (size.word.native, size.measure.native):
            wanted = field.fontMetrics().horizontalAdvance(field.text())
            assert wanted <= field.width(), field.text()
        area = dock.native.findChild(QScrollArea).viewport()
        right = size.measure.native.mapTo(area, QPoint(size.measure.native.width(), 0)).x()
        assert right <= area.width()
        for box in (size.box.native, size.length.native):
            wanted = box.fontMetrics().horizontalAdvance(box.text())
            assert wanted <= box.lineEdit().width(), box.text()


def test_the_wheel_scrolls_the_dock_and_changes_no_size(at_desk):
    at_desk.viewer.add_image(DRAWN)
    dock = at_desk.dock()
    box = dock.header.size.box
    type_in(box, "30")
    dock.steps[0].segment.native.setFocus()
    wheel = QWheelEvent(
        QPointF(5, 5),
        QPointF(box.native.mapToGlobal(QPoint(5, 5))),
        QPoint(0, 0),
        QPoint(0, 120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(box.native, wheel)
    wait_until(lambda: box.native.text() == "30.0 px")
