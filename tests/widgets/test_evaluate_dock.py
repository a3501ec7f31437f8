"""Truth and prediction are compared in napari: colours, rows that lead to objects, files."""

import numpy as np
import pytest
from napari.layers import Labels, Shapes
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_unet.core.verdicts import Verdict
from person import PLUGIN, is_seen, look_away, settle, wait_until


@pytest.fixture
def viewer(make_napari_viewer):
    return make_napari_viewer(show=True)


@pytest.fixture
def dock(viewer):
    truth, found = np.zeros((2, 60, 80), np.int32)
    truth[5:15, 5:15], truth[5:15, 40:50], truth[30:50, 10:40] = 1, 2, 3
    found[5:15, 5:15], found[52:58, 60:70] = 1, 2
    found[30:50, 10:24], found[30:50, 26:40] = 3, 4
    viewer.add_labels(truth, name="truth")
    viewer.add_labels(found, name="found")
    return opened(viewer)


def opened(viewer):
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "Evaluate labels")
    settle(0.1)
    return dock


def compare(dock):
    assert dock.evaluate.native.isEnabled(), dock.evaluate.tooltip
    before = dock.result
    dock.evaluate.native.click()
    wait_until(lambda: dock.result is not before)


def texts(table, column):
    model = table.model()
    return [model.index(row, column).data() for row in range(model.rowCount())]


def test_what_is_wrong_is_listed_and_coloured(viewer, dock):
    compare(dock)
    assert dock.note.value.startswith("1 of 3 objects are hit, 1 missed, 1 split; 1 that is false")
    assert sorted(texts(dock.objects, 0)) == ["false", "missed", "split", "split", "split"]
    verdicts = viewer.layers["found verdicts"]
    assert isinstance(verdicts, Labels)
    assert verdicts.data[10, 10] == Verdict.HIT
    assert verdicts.data[10, 45] == Verdict.MISSED
    compared = viewer.layers["truth"], viewer.layers["found"]
    assert not any(layer.visible for layer in compared)  # their colours would mix with these
    dock.colour.value = False
    assert not verdicts.visible and all(layer.visible for layer in compared)
    assert [name for name, _ in dock.truth._offered] == ["found", "truth"]  # not the colours


def test_a_clicked_row_leads_to_its_object(viewer, dock):
    compare(dock)
    row = texts(dock.objects, 0).index("false")
    place = dock.objects.visualRect(dock.objects.model().index(row, 0)).center()
    look_away(viewer, (54.5, 64.5))
    QTest.mouseClick(dock.objects.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert is_seen(viewer, (54.5, 64.5))
    (ring,) = [layer for layer in viewer.layers if isinstance(layer, Shapes)]
    points = ring.data[0]
    assert points.min(axis=0)[0] < 52 and points.max(axis=0)[1] > 69


def test_tables_are_written(dock, tmp_path, monkeypatch):
    assert not dock.save_objects.native.isEnabled()
    compare(dock)
    for save, name in ((dock.save_objects, "o"), (dock.save_measures, "m")):
        monkeypatch.setattr(
            "napari_unet.widgets.evaluate_dock.QFileDialog.getSaveFileName",
            lambda *_, name=name: (str(tmp_path / name), ""),
        )
        save.native.click()
    lines = (tmp_path / "o.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "verdict,truth,prediction,iou,pixels,y,x"
    assert len(lines) == 1 + len(dock.result.objects)
    assert "AP 0.50," in (tmp_path / "m.csv").read_text(encoding="utf-8")


def test_a_stack_is_compared_by_slices_or_on_the_one_that_is_shown(viewer):
    truth = np.zeros((2, 30, 30), int)
    truth[:, 5:10, 5:10] = 1
    found = truth.copy()
    found[1] = 0
    viewer.add_labels(truth, name="truth")
    viewer.add_labels(found, name="found")
    dock = opened(viewer)
    assert dock.scope.native.isVisible()
    compare(dock)
    assert dock.note.value.startswith("1 of 2 objects are hit, 1 missed")
    viewer.dims.set_current_step(0, 1)
    dock.scope.value = "shown"
    compare(dock)
    assert dock.note.value.startswith("0 of 1 objects are hit, 1 missed")
    assert viewer.layers["found verdicts"].data[1, 7, 7] == Verdict.MISSED


def test_reasons_why_not_are_said(viewer):
    dock = opened(viewer)
    assert "two labels layers" in dock.note.value
    viewer.add_labels(np.zeros((20, 20), int), name="truth")
    assert "same layer" in dock.evaluate.tooltip
    viewer.add_labels(np.zeros((20, 21), int), name="found")
    dock.prediction.value = str(viewer.layers["found"].unique_id)
    assert "must be equal" in dock.note.value
    assert not dock.evaluate.native.isEnabled()


def test_what_is_called_truth_is_taken_for_it_also_if_it_came_last(viewer):
    labels = np.zeros((20, 20), np.int32)
    viewer.add_labels(labels, name="cells labels")
    dock = opened(viewer)
    truth = viewer.add_labels(labels.copy(), name="Ground truth")
    settle(0.1)
    assert dock.truth.value == str(truth.unique_id) != dock.prediction.value
    dock.truth.value, dock.prediction.value = dock.prediction.value, dock.truth.value
    viewer.add_labels(labels.copy(), name="another")
    settle(0.1)
    assert dock.prediction.value == str(truth.unique_id)  # as it was chosen


def test_a_closed_dock_hears_nothing_more(viewer, dock):
    viewer.window.remove_dock_widget(dock.native)
    settle(0.1)
    viewer.add_labels(np.zeros((20, 20), int), name="later")


def test_what_was_painted_since_is_told(viewer, dock):
    compare(dock)
    found = viewer.layers["found"]
    found.data_setitem(np.nonzero(found.data == 2), 0)
    assert "Out of date" in dock.note.value
    compare(dock)
    assert "0 that are false" in dock.note.value


def test_a_checked_area_is_not_offered(user):
    user.viewer.add_image(np.zeros((40, 40)), name="dark")
    user.dock()
    labels = user.bench.workspace.open().labels
    where = np.zeros((40, 40), bool)
    where[5:15, 5:15] = True
    user.paint(labels, where, 1)
    assert any("checked area" in layer.name for layer in user.viewer.layers)
    assert [name for name, _ in opened(user.viewer).truth._offered] == [labels.name]


def test_other_slices_and_hidden_layers_are_no_change(viewer):
    truth = np.zeros((3, 30, 30), int)
    truth[:, 5:10, 5:10] = 1
    layer = viewer.add_labels(truth, name="truth")
    viewer.add_labels(truth.copy(), name="found")
    dock = opened(viewer)
    compare(dock)
    said = dock.note.value
    assert "3 of 3 objects are hit" in said
    for step in (0, 2):
        viewer.dims.set_current_step(0, step)
    dock.colour.value = False
    layer.visible = False
    settle(0.1)
    assert dock.note.value == said
    layer.data[2, 5, 5] = 0  # as what is segmented anew is written
    layer.visible = True
    layer.refresh()
    assert "Out of date" in dock.note.value
