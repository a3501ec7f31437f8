"""Learn as I correct, in the dock, with a network that runs here."""

import re

import numpy as np
import pytest

from napari_unet.core.config import ModelConfig
from napari_unet.core.model_file import Model
from napari_unet.engine.runner import InlineRunner
from napari_unet.session import live_run
from person import SCREEN, Shared, User, settle, wait_until

SHAPE = (96, 128)


@pytest.fixture
def at_desk(make_napari_viewer, monkeypatch, tmp_path):
    monkeypatch.setattr(live_run, "TURN_S", 0.3)
    monkeypatch.setattr(live_run, "FIRST_TURN_S", 0.3)
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(*SCREEN)
    user = User(viewer, Shared(InlineRunner()))
    path = tmp_path / "small.safetensors"
    Model.fresh(ModelConfig(width=4, depth=2), name="small").save(path)
    user.bench.session.load_model_file(str(path))
    yield user
    user.bench.close()
    user.__dict__.clear()


def scene():
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    cells = np.zeros(SHAPE, np.int32)
    for number, (row, column) in enumerate([(20, 20), (20, 80), (70, 30), (70, 100)], 1):
        cells[np.hypot(y - row, x - column) < 12] = number
    noise = np.random.default_rng(0).normal(0, 0.05, SHAPE)
    return (cells > 0) + noise, cells


def cells_in(sentence):
    """The number of cells that a sentence names; what a stroke cuts off counts as one too."""
    found = re.search(r"(\d+) (?:checked )?cell", sentence)
    return int(found[1]) if found else 0


def test_corrections_are_learnt_while_they_are_made(at_desk):
    image, cells = scene()
    at_desk.viewer.add_image(image)
    dock = at_desk.dock()
    _, correct, teach = dock.steps
    session = at_desk.bench.session
    assert not teach.live.value and teach.live.enabled
    teach.live.native.click()
    settle(0.3)
    assert session.is_live and "Waiting for a correction" in teach.note.value
    assert not teach.teach.enabled and teach.stop.enabled and correct.new.enabled

    at_desk.press(correct.new)
    labels = at_desk.bench.workspace.current.labels
    at_desk.paint(labels, cells == 1, labels.selected_label)
    wait_until(lambda: cells_in(teach.note.value) >= 1)
    first = cells_in(teach.note.value)
    wait_until(lambda: at_desk.bench.workspace.current.pair.segmented)
    assert (labels.data[cells == 1] == labels.data[20, 20]).all()  # it stays as it was painted
    wait_until(lambda: teach.curve.points > 1)
    number = labels.data.max() + 1
    at_desk.paint(labels, cells == 2, number)
    wait_until(lambda: cells_in(teach.note.value) > first)
    second = cells_in(teach.note.value)

    teach.live.native.click()
    at_desk.wait()
    assert not teach.live.value and not session.busy
    kept = "did not help" not in dock.status.value
    assert not kept or cells_in(dock.status.value) >= second
    assert (labels.data[cells == 2] == number).all()
    assert len(session.versions.items) == 1 + kept


def test_the_ring_stays_while_it_learns(at_desk):
    image, cells = scene()
    at_desk.viewer.add_image(image)
    _, correct, teach = at_desk.dock().steps
    item = at_desk.bench.workspace.open()
    at_desk.paint(item.labels, cells == 1, 1)
    teach.live.native.click()
    wait_until(lambda: at_desk.bench.review.knows(item.pair))
    settle(0.2)
    if not correct.next.next.enabled:
        pytest.fail("an untrained network is unsure of everything it finds")
    at_desk.press(correct.next.next)
    turns = at_desk.bench.session._run._turns
    wait_until(lambda: at_desk.bench.session._run._turns >= turns + 2)
    settle(0.2)
    at, rings = correct.next._at, [x for x in at_desk.viewer.layers if "look here" in x.name]
    assert (at is not None) == bool(rings)
    if at is not None:
        shown = item.pair.labels[tuple(map(round, at[2].center))]
        assert shown == at[2].number


def test_it_ends_with_the_docks(at_desk):
    image, cells = scene()
    at_desk.viewer.add_image(image)
    teach = at_desk.dock().steps[2]
    item = at_desk.bench.workspace.open()
    at_desk.paint(item.labels, cells == 1, 1)
    teach.live.native.click()
    wait_until(lambda: item.pair.segmented)
    at_desk.bench.close()
    assert not at_desk.bench.session.busy
