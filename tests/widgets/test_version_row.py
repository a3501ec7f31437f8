"""Versions in the dock: there again after a restart, renamed, deleted, gone back from."""

from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from napari_unet.core.config import ModelConfig
from napari_unet.core.events import TeachSummary
from napari_unet.core.example import Example
from napari_unet.core.model_file import Model
from napari_unet.engine.runner import InlineRunner
from napari_unet.session.memory import Remembered
from napari_unet.session.versions import Version, new_version_path
from napari_unet.widgets.version_row import described
from person import SCREEN, Shared, User, is_read_whole, settle

SUMMARY = TeachSummary(0.5, 0.84, 9, 3, True, 1.0, 10)


@pytest.fixture
def at_desk(make_napari_viewer, tmp_path):
    """A user with a tiny model that was taught twice, one after the other, before napari began."""
    base = Model.fresh(ModelConfig(width=2, depth=1), name="base")
    base = base.save(tmp_path / "base.safetensors")
    parent = "base"
    for number in (1, 2):
        path = new_version_path("base")
        card = replace(
            base.card,
            name=path.stem,
            title=f"base, taught {number}",
            parent=parent,
            origin=base.card.identity,
            taught=asdict(SUMMARY),
        )
        replace(base, card=card).save(path)
        parent = path.stem
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(*SCREEN)
    user = User(viewer, Shared(InlineRunner()))
    user.bench.session.load_model_file(str(tmp_path / "base.safetensors"))
    yield user
    user.bench.close()
    user.__dict__.clear()


def texts(row):
    return [row.version.native.itemText(n) for n in range(row.version.native.count())]


def actions(row):
    return {action.text(): action for action in row.menu.native.menu().actions()}


def test_a_title_and_its_score_are_read_whole(at_desk):
    at_desk.bench.session.go_to_version(2)
    choice = at_desk.dock().steps[2].versions.version.native
    assert choice.currentText() == "taught 2 (0.84)"
    assert is_read_whole(choice, "taught 12 (0.84)")


def test_what_was_taught_before_can_be_chosen_and_gone_back_from(at_desk):
    at_desk.viewer.add_image(np.zeros((40, 40)))
    dock = at_desk.dock()
    row, session = dock.steps[2].versions, at_desk.bench.session
    assert texts(row) == ["before teaching", "taught 1 (0.84)", "taught 2 (0.84)"]
    assert row.version.value == 0 and not row.back.enabled
    assert not actions(row)["Delete this version"].isEnabled()
    at_desk.press(dock.steps[0].segment)
    at_desk.wait()
    row.version.value = 2
    assert session.busy == "Segment"  # it shows what that version makes of the image
    assert not row.back.enabled and "Segment is running" in row.back.tooltip
    at_desk.wait()
    assert "9 checked cells" in row.version.tooltip
    at_desk.press(row.back)
    at_desk.wait()
    assert session.versions.current.title == "taught 1"
    at_desk.press(row.back)
    at_desk.wait()
    assert session.versions.index == 0


def test_it_is_renamed_and_deleted(at_desk):
    dock = at_desk.dock()
    row = dock.steps[2].versions
    row.version.value = 2
    settle(0.1)
    row.rename("with Mitoses")
    assert texts(row)[2] == "with Mitoses (0.84)"
    row.rename("taught 1")
    assert "choose another name" in dock.status.value
    path = at_desk.bench.session.versions.current.model
    at_desk.viewer.add_image(np.zeros((40, 40), np.uint8))
    at_desk.press(dock.steps[0].segment)
    at_desk.wait()
    actions(row)["Delete this version"].trigger()
    assert at_desk.bench.session.busy == "Segment"
    at_desk.wait()
    settle(0.1)
    assert texts(row) == ["before teaching", "taught 1 (0.84)"] and row.version.value == 1
    said = "'with Mitoses' was deleted; its file is kept in the folder versions/deleted."
    assert dock.status.value == said and not Path(path).exists()


def test_a_version_that_is_chosen_measures_objects_itself(at_desk, monkeypatch):
    key = "base", ()
    monkeypatch.setattr(at_desk.bench.session, "size_key", lambda image: key)
    row = at_desk.dock().steps[2].versions
    at_desk.viewer.add_image(np.zeros((40, 40), np.uint8))
    size = at_desk.bench.workspace.open().pair.size
    size.measured(key, 187.0)  # by the model before teaching
    row.version.value = 2
    assert size.diameter(key) is None
    size.measured(key, 22.0)
    size.type(25.0)
    at_desk.press(row.back)
    assert size.diameter(key) == 25.0


def test_the_question_for_a_name_offers_the_one_it_has(at_desk, monkeypatch):
    row = at_desk.dock().steps[2].versions
    row.version.value = 1
    asked = []

    def ask(parent, title, label, text):
        asked.append(text)
        return "better", len(asked) > 1

    monkeypatch.setattr("napari_unet.widgets.version_row.QInputDialog.getText", ask)
    actions(row)["Rename this version…"].trigger()  # and cancelled
    assert texts(row)[1] == "taught 1 (0.84)"
    actions(row)["Rename this version…"].trigger()
    assert texts(row)[1] == "better (0.84)" and asked == ["taught 1", "taught 1"]


def test_what_is_remembered_can_be_seen_and_forgotten(at_desk):
    dock = at_desk.dock()
    row, session = dock.steps[2].versions, at_desk.bench.session
    menu = row.menu.native.menu()
    menu.aboutToShow.emit()
    forget = actions(row)["Forget what is remembered (0 images)"]
    assert not forget.isEnabled()
    image = np.arange(400.0).reshape(20, 20)
    session.memory.keep([Remembered("a", Example(image, np.ones((20, 20), np.int32)))])
    menu.aboutToShow.emit()
    assert forget.text() == "Forget what is remembered (1 image)" and forget.isEnabled()
    forget.trigger()
    assert session.memory.count == 0 and dock.status.value == "1 image forgotten; versions stay."
    remember = actions(row)["Remember corrections for later rounds"]
    assert remember.isChecked() and session.memory_if_wanted is session.memory
    remember.trigger()
    assert session.memory_if_wanted is None


def test_a_day_is_named_where_it_is_not_today():
    now = datetime.now(UTC)
    assert described(Version("a", "taught 1", SUMMARY, "", now.isoformat())) == "taught 1 (0.84)"
    old = now - timedelta(days=3)
    shown = described(Version("a", "taught 1", None, "", old.isoformat()))
    assert shown == f"taught 1, {old.astimezone():%d %b}"
    assert described(Version("a", "taught 1")) == "taught 1"
