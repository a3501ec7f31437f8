"""Next: the likeliest mistakes one after the other, until there are none."""

import numpy as np
import pytest
from napari.layers import Shapes

from napari_unet.bridge.undo import REDO, UNDO
from napari_unet.core.config import ModelConfig
from napari_unet.core.events import TileResult
from napari_unet.core.model_file import Model
from napari_unet.core.uncertainty import MISSED, UNSURE
from napari_unet.engine.runner import InlineRunner
from napari_unet.widgets.next_row import ALL_FINE, NO_RING, NONE_FOUND, NOT_YET, TAKEN_BACK
from person import SCREEN, Shared, User, settle, wait_until
from strokes import press

SHAPE = (120, 160)
CELLS = {20: 255, 70: 150, 120: 110}  # column, and how sure in bytes


@pytest.fixture
def at_desk(make_napari_viewer, tmp_path):
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(*SCREEN)
    user = User(viewer, Shared(InlineRunner()))
    Model.fresh(ModelConfig(width=2, depth=1)).save(tmp_path / "plain.safetensors")
    # One that leaves no object out for its looks.
    user.bench.session.load_model_file(str(tmp_path / "plain.safetensors"))
    yield user
    user.bench.close()
    user.__dict__.clear()


def found(user, beliefs):
    """Let the network have found cells, without a network."""
    item = user.bench.workspace.open()
    foreground = np.zeros(SHAPE, np.uint8)
    for x, belief in beliefs.items():
        foreground[40:60, x : x + 20] = belief
    probability = np.stack([255 - foreground, foreground])
    item.pair.place_tile((), TileResult(0, 0, probability, 0, 1))
    session = user.bench.session
    session.set_objects(session.settings, item.pair, ())
    wait_until(lambda: user.bench.review.knows(item.pair) and session.settled)
    wait_until(lambda: not user.bench.review.busy)
    settle(0.1)
    return item


def rings(user):
    return [layer for layer in user.viewer.layers if isinstance(layer, Shapes)]


def test_what_is_doubtful_is_gone_through(at_desk):
    at_desk.viewer.add_image(np.zeros(SHAPE))
    row = at_desk.dock().steps[1].next
    assert not row.next.enabled and row.next.tooltip == NOT_YET
    item = found(at_desk, CELLS)
    assert row.left.value == "2 to look at" and row.next.enabled
    assert not row.right.enabled and row.right.tooltip == NO_RING
    at_desk.press(row.next)
    assert UNSURE in row.note.value.lower() or MISSED in row.note.value.lower()
    assert len(rings(at_desk)) == 1 and row.right.enabled
    at_desk.press(row.right)
    assert row.left.value == "1 to look at" and len(rings(at_desk)) == 1
    at_desk.press(row.right)
    assert row.left.value == ALL_FINE and rings(at_desk) == []
    assert not row.next.enabled and row.next.tooltip == ALL_FINE
    assert row.note.value == "" and not row.right.visible  # no row more
    settle(0.2)
    wanted = row.left.native.fontMetrics().horizontalAdvance(ALL_FINE)
    assert wanted <= row.left.native.width()
    checked = item.pair.checked != 0
    assert checked[50, 80] and checked[50, 130] and not checked[50, 30]
    assert item.pair.checked_cells == 1  # the other is background that was looked at


def test_a_new_segmentation_takes_the_ring_away(at_desk):
    at_desk.viewer.add_image(np.zeros(SHAPE))
    row = at_desk.dock().steps[1].next
    found(at_desk, CELLS)
    at_desk.press(row.next)
    found(at_desk, {20: 255})
    assert rings(at_desk) == [] and row.note.value == "" and row.left.value == ALL_FINE


def test_where_nothing_was_found_a_sentence_says_so(at_desk):
    at_desk.viewer.add_image(np.zeros(SHAPE))
    row = at_desk.dock().steps[1].next
    assert row.note.value == ""
    found(at_desk, {})
    assert row.note.value == NONE_FOUND and row.left.value == ""
    found(at_desk, {70: 150})
    assert row.note.value == "" and row.left.value == "1 to look at"


def test_where_the_objects_were_taken_back_it_says_how_they_come_again(at_desk):
    """Ctrl+Z after Segment alone empties the labels."""
    at_desk.viewer.add_image(np.zeros(SHAPE))
    row = at_desk.dock().steps[1].next
    item = found(at_desk, CELLS)
    press(at_desk.viewer, UNDO, item.labels)
    wait_until(lambda: row.note.value == TAKEN_BACK)
    assert not item.pair.labels[()].any()
    press(at_desk.viewer, REDO, item.labels)
    wait_until(lambda: row.note.value == "")
    wait_until(lambda: row.left.value == "2 to look at")
    assert item.pair.labels[()].any()


def test_another_image_has_its_own(at_desk):
    first = at_desk.viewer.add_image(np.zeros(SHAPE))
    row = at_desk.dock().steps[1].next
    found(at_desk, CELLS)
    at_desk.press(row.next)
    at_desk.viewer.add_image(np.zeros(SHAPE))
    settle(0.1)
    assert rings(at_desk) == [] and row.left.value == "" and row.next.tooltip == NOT_YET
    at_desk.bench.workspace.choose(first)
    settle(0.1)
    assert row.left.value == "2 to look at" and row.next.enabled


def test_the_ring_goes_with_the_docks(at_desk):
    at_desk.viewer.add_image(np.zeros(SHAPE))
    row = at_desk.dock().steps[1].next
    found(at_desk, CELLS)
    at_desk.press(row.next)
    at_desk.bench.close()
    assert rings(at_desk) == []
