"""Undo with the keys of a real keyboard, and the line that offers what a crash has left."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from napari_unet.sample_data import nuclei
from person import settle, wait_until

LEFT, NONE = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
CONTROL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier
SHOTS = os.environ.get("NAPARI_UNET_SHOTS")  # a folder, to look at what is tested

PAINTS = """
import sys, time
sys.path.insert(0, sys.argv[1])
import numpy as np
from napari_unet.sample_data import nuclei
from napari_unet.session.image import Image
from napari_unet.session.journal import Journal, journals_dir
from napari_unet.session.pair import Pair

planes = np.stack([nuclei((96, 128), seed=seed)[0] for seed in range(3)])
labels, checked = np.zeros(planes.shape, np.int32), np.zeros(planes.shape, np.uint8)
pair = Pair(Image("cells", planes, "ZYX"), labels, checked)
journal = Journal(journals_dir(), pair.image)
pair.ledger.keep = journal.append
for number in range(1, 13):
    pair.labels[1, 7 * number : 7 * number + 5, 20:60] = number
    pair.absorb((1,))
assert journal.flush()
print("painted", flush=True)
time.sleep(60)
"""


@pytest.fixture
def stack(user):
    """A stack with the dock beside it, ready to paint a new cell."""
    user.viewer.add_image(planes(), name="cells")
    dock = user.dock()
    user.press(dock.steps[1].new)
    settle(0.3)
    return user


def planes():
    return np.stack([nuclei((96, 128), seed=seed)[0] for seed in range(3)])


def canvas(user):
    return user.viewer.window._qt_viewer.canvas.native


def drag(user, start, end):
    """A stroke of the brush, in pixels of the screen from the middle of the canvas."""
    native = canvas(user)
    middle = native.rect().center()
    QTest.mouseMove(native, middle + QPoint(*start))
    settle(0.05)
    QTest.mousePress(native, LEFT, NONE, middle + QPoint(*start))
    for part in np.linspace(0, 1, 12):
        at = [round((1 - part) * a + part * b) for a, b in zip(start, end, strict=True)]
        QTest.mouseMove(native, middle + QPoint(*at))
        settle(0.01)
    QTest.mouseRelease(native, LEFT, NONE, middle + QPoint(*end))
    settle(0.2)


def keys(user, modifiers=CONTROL, *, on=None):
    QTest.keyClick(on or canvas(user), Qt.Key.Key_Z, modifiers)
    settle(0.2)


def shot(user, name):
    if SHOTS:
        user.viewer.screenshot(str(Path(SHOTS) / f"history_{name}.png"), canvas_only=False)


def test_strokes_on_two_slices_are_undone_and_redone_with_the_keyboard(stack):
    user = stack
    item = user.bench.workspace.current
    labels, checked = item.pair.labels, item.pair.checked
    for plane in (0, 2):
        user.viewer.dims.set_point(0, plane)
        item.labels.selected_label = plane + 1
        item.labels.brush_size = 6
        settle(0.1)
        drag(user, (-60, -40), (60, 40))
    settle(0.3)
    assert labels[0].any() and labels[2].any() and checked[0].any() and checked[2].any()
    painted = labels.copy(), checked.copy()
    count = user.bench.workspace.current.pair.checked_cells
    shot(user, "two_strokes")
    user.viewer.dims.set_point(0, 1)
    keys(user)
    assert user.viewer.dims.current_step[0] == 2  # one sees what is taken back
    assert not labels[2].any() and not checked[2].any() and labels[0].any()
    shot(user, "one_undone")
    keys(user, on=user.viewer.window._qt_window)  # the focus is in the dock
    assert user.viewer.dims.current_step[0] == 0
    assert not labels.any() and not checked.any()
    assert item.pair.checked_cells == 0
    keys(user, CONTROL | SHIFT)
    user.viewer.layers.selection.active = item.image
    keys(user, CONTROL | SHIFT)
    for now, then in zip((labels, checked), painted, strict=True):
        np.testing.assert_array_equal(now, then)
    assert item.pair.checked_cells == count == 2
    shot(user, "redone")


def test_a_hundred_strokes_are_undone_one_by_one(stack):
    item = stack.bench.workspace.current
    for number in range(1, 101):
        with item.labels.block_history():
            rows, columns = np.divmod(number - 1, 10)
            item.labels.paint((number % 3, 4 + 9 * rows, 6 + 12 * columns), number)
        stack.bench.workspace.notice()
    assert len(np.unique(item.pair.labels)) == 101
    for left in range(99, -1, -1):
        QTest.keyClick(canvas(stack), Qt.Key.Key_Z, CONTROL)
        assert len(np.unique(item.pair.labels)) == left + 1
    assert not item.pair.checked.any()


def test_the_dock_gives_the_keys_back(stack):
    item = stack.bench.workspace.current
    assert item.labels.keymap and stack.viewer.keymap
    stack.bench.close()
    assert not item.labels.keymap and not stack.viewer.keymap


def test_corrections_of_a_killed_process_are_offered_and_restored(user):
    child = subprocess.Popen(
        [sys.executable, "-c", PAINTS, str(Path(__file__).parents[1])], stdout=subprocess.PIPE
    )
    try:
        assert child.stdout.readline().strip() == b"painted"
        user.viewer.add_image(planes(), name="again")
        dock = user.dock()
        wait_until(lambda: not user.bench.workspace.keeper.busy)
        assert not dock.restore.visible  # it is being painted on
    finally:
        child.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
        child.wait()
        child.stdout.close()
    user.viewer.layers.clear()
    user.viewer.add_image(planes(), name="again")
    wait_until(lambda: dock.restore.visible)
    assert "(12 strokes) can be restored" in dock.restore.note.value
    shot(user, "restore_line")
    user.press(dock.restore.restore)
    wait_until(lambda: not dock.restore.visible)
    user.viewer.dims.set_point(0, 1)
    settle(0.3)
    pair = user.bench.workspace.current.pair
    assert pair.checked_cells == 12 and "12 cells" in dock.steps[1].title.value
    assert "⚠" not in dock.status.value and "restored" in dock.status.value
    shot(user, "restored")
    keys(user)
    assert not pair.labels.any() and not pair.checked.any()


def test_discarded_corrections_are_gone(user):
    child = subprocess.Popen(
        [sys.executable, "-c", PAINTS, str(Path(__file__).parents[1])], stdout=subprocess.PIPE
    )
    child.stdout.readline()
    child.kill()
    child.wait()
    child.stdout.close()
    dock = user.dock()
    assert not dock.restore.visible
    user.viewer.add_image(planes(), name="again")
    wait_until(lambda: dock.restore.visible)
    user.press(dock.restore.discard)
    assert not dock.restore.visible
    user.viewer.add_image(planes()[0], name="other")
    user.viewer.add_image(planes(), name="and again")
    wait_until(lambda: not user.bench.workspace.keeper.busy)
    assert not dock.restore.visible
