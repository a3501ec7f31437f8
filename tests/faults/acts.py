"""What a person may do, each with how often; an act tells the model what must have come of it."""

import numpy as np

from faults import gestures
from faults.naive import require
from napari_unet.bridge import corrections
from napari_unet.bridge.undo import REDO, UNDO
from napari_unet.bridge.view import visible_box
from napari_unet.widgets.tool_list import NEW
from strokes import press

ACTS = []


def act(weight):
    def listed(function):
        function.weight = weight
        ACTS.append(function)
        return function

    return listed


def stroke(desk, draw, mode):
    """One drag of napari's brush, eraser or bucket, and what napari does on the same labels."""
    layer, path = desk.item.labels, gestures.line(desk, draw)
    desk.bench.belt.drop()  # the dock's eraser is napari's in one cell alone
    layer.mode = mode
    layer.brush_size = int(draw.integers(1, 14))
    layer.n_edit_dimensions = 3 if draw.random() < 0.15 else 2
    layer.preserve_labels = bool(draw.random() < 0.1)
    if draw.random() < 0.5:
        layer.selected_label = int(draw.integers(1, 60))
    before = desk.model.labels.copy()
    points = [(*desk.shown, *map(float, point)) for point in path]
    desk.drag(points, twin=True)
    layer.preserve_labels = False
    require(np.array_equal(layer.data, desk.twin.data), "the stroke is not what napari paints")
    desk.model.edited(desk.twin.data)
    return f"{mode}, {np.count_nonzero(before != desk.twin.data)} pixels"


@act(18)
def paint(desk, draw):
    said = stroke(desk, draw, "paint")
    desk.pump()
    return said


@act(6)
def erase(desk, draw):
    said = stroke(desk, draw, "erase")
    desk.pump()
    return said


@act(2)
def bucket(desk, draw):
    said = stroke(desk, draw, "fill")
    desk.pump()
    return said


@act(2)
def polygon(desk, draw):
    """napari's polygon."""
    layer = desk.item.labels
    points = [(*desk.shown, *map(float, point)) for point in gestures.line(desk, draw, 4)]
    layer.n_edit_dimensions = 2
    layer.preserve_labels = False
    desk._prepare_twin(layer)
    for one in (desk.twin, layer):
        one.paint_polygon(points, 9)
    desk.model.edited(desk.twin.data)
    desk.pump()


@act(3)
def new_cell(desk, draw):
    desk.bench.belt.drop()
    desk.bench.belt.take(NEW)
    layer = desk.item.labels
    desk.model.takes(int(layer.selected_label))
    layer.n_edit_dimensions = 2
    desk.drag([(*desk.shown, *map(float, point)) for point in gestures.line(desk, draw)], twin=True)
    desk.model.edited(desk.twin.data)
    desk.pump()


@act(3)
def script(desk, draw):
    """Pixels anywhere in the stack, in one go."""
    shape = desk.model.labels.shape
    where = tuple(draw.integers(0, side, 40) for side in shape)
    after = desk.model.labels.copy()
    after[where] = number = int(draw.integers(0, 30))
    desk.item.labels.data_setitem(where, number)
    desk.model.edited(after)
    desk.pump()


@act(1)
def silent_script(desk, draw):
    """Written into the array, then drawn, as scripts do."""
    after = desk.model.labels.copy()
    y, x = draw.integers(0, 40, 2)
    after[desk.shown][y : y + 7, x : x + 9] = int(draw.integers(0, 30))
    np.copyto(desk.item.labels.data, after)
    desk.item.labels.refresh()
    desk.model.edited(after)
    desk.pump()


@act(26)
def tool(desk, draw):
    said = gestures.gesture(desk, draw)
    desk.pump()
    return said


@act(12)
def undo(desk, draw):
    step(desk, draw, UNDO, -1)


@act(7)
def redo(desk, draw):
    step(desk, draw, REDO, 1)


def step(desk, draw, key, by):
    item = desk.item
    layer = [item.labels, item.image, item.checked, None][draw.integers(4)]
    press(desk.viewer, key, layer)
    desk.model.step(by)


@act(0.4)
def undo_all(desk, draw):
    """Back to the beginning, and perhaps to the end again."""
    model, count = desk.model, 0
    for key, by, name in ((UNDO, -1, "can_undo"), (REDO, 1, "can_redo")):
        while getattr(model, name):
            press(desk.viewer, key, desk.item.labels)
            model.step(by)
            count += 1
            if count % 10 == 0:
                desk.check()
        desk.check()
        if draw.random() < 0.3:
            break
    return f"{count} steps"


@act(4)
def hasty(desk, draw):
    """Something else is done before anybody has noticed the stroke."""
    said = stroke(desk, draw, "paint")
    then = [undo, tool, slider, uncheck, redo, check_view][draw.integers(6)]
    return f"{said}, then {then.__name__} {then(desk, draw) or ''}"


# The network


def segment_panel(desk):
    if not desk.docks or desk.docks[0].native.parent() is None:
        desk.open_dock("U-Net")
    return desk.docks[0].steps[0]


def press_segment(desk, draw):
    panel = segment_panel(desk)
    panel.scope.value = ["this slice", "all slices"][int(draw.random() < 0.4)]
    desk.model.join = object()
    panel.press()


@act(4)
def segment(desk, draw):
    press_segment(desk, draw)
    desk.settle()


@act(1.5)
def stroke_while_it_segments(desk, draw):
    press_segment(desk, draw)
    segment_panel(desk).scope.value = "this slice"
    while desk.bench.session.busy:
        desk.pump()
    desk.model.usual = desk.item.pair.used_diameter
    said = stroke(desk, draw, "paint")
    desk.settle()
    return said


@act(0.5)
def stop_segment(desk, draw):
    press_segment(desk, draw)
    for _ in range(draw.integers(3)):
        desk.pump()
    desk.bench.session.stop()
    desk.settle()
    desk.model.usual = desk.item.pair.used_diameter


@act(3)
def slider(desk, draw):
    panel = segment_panel(desk)
    desk.model.join = "objects"
    which = [panel.threshold, panel.smallest, panel.split][draw.integers(3)]
    which.value = type(which.value)(draw.uniform(which.min, min(which.max, 60)))
    desk.settle()


# The checked area


@act(2)
def uncheck(desk, draw):
    corrections.uncheck(desk.workspace, desk.item)
    checked = desk.model.checked.copy()
    checked[desk.shown] = 0
    desk.model.checked_by_hand(checked)
    desk.pump()


@act(1)
def check_view(desk, draw):
    item, checked = desk.item, desk.model.checked.copy()
    checked[desk.shown][visible_box(desk.viewer, item.image, item.pair.image)] = 1
    corrections.check_view(desk.workspace, item)
    desk.model.checked_by_hand(checked)
    desk.pump()


@act(2)
def paint_checked(desk, draw):
    if desk.item.checked is None:
        return
    y, x = np.mgrid[10:20, 5:30]
    value = int(draw.integers(2))
    desk.item.checked.data_setitem((np.full(y.shape, desk.shown[0]), y, x), value)
    checked = desk.model.checked.copy()
    checked[desk.shown][y, x] = value
    desk.model.checked_by_hand(checked)
    desk.pump()


@act(0.3)
def delete_checked(desk, draw):
    if desk.item.checked is None:
        return
    desk.viewer.layers.remove(desk.item.checked)
    desk.model.checked_by_hand(np.zeros_like(desk.model.checked))
    desk.pump()


# Layers, slices, docks


@act(5)
def slice_(desk, draw):
    desk.viewer.dims.set_current_step(0, int(draw.integers(desk.model.labels.shape[0])))
    desk.pump()


@act(1)
def rename(desk, draw):
    item = desk.item
    layer = [item.labels, item.image, item.checked or item.labels][draw.integers(3)]
    layer.name = f"{layer.name.split(' no ')[0]} no {draw.integers(100)}"
    desk.pump()


@act(1)
def hide(desk, draw):
    """A tool does nothing to hidden labels, and says so."""
    desk.item.labels.visible = False
    untouched(desk, draw)
    desk.item.labels.visible = True
    desk.pump()


@act(0.2)
def in_3d(desk, draw):
    desk.viewer.dims.ndisplay = 3
    untouched(desk, draw)
    undo(desk, draw)
    desk.pump()
    desk.viewer.dims.ndisplay = 2
    desk.pump()


def untouched(desk, draw):
    belt, said = desk.bench.belt, []
    belt.drop()
    belt.take(gestures.BY_NAME["delete"])
    belt.said.connect(said.append)
    desk.drag([(*desk.shown, *map(float, gestures.cell(desk, draw)))])
    belt.said.disconnect(said.append)
    require(any(said), "nobody says why the tool does nothing")


@act(1)
def reorder(desk, draw):
    layers = desk.viewer.layers
    layers.move(int(draw.integers(len(layers))), int(draw.integers(len(layers))))
    desk.pump()


@act(2)
def choose(desk, draw):
    images = desk.workspace.images()
    desk.workspace.choose(images[draw.integers(len(images))])
    desk.pump()


@act(0.5)
def delete_labels(desk, draw):
    """What was painted in every slice is offered, and restored as it was."""
    script(desk, draw)
    after = desk.model.labels.copy()
    after[:, 3:5, 3:5] = int(draw.integers(61, 90))
    y, x = np.mgrid[3:5, 3:5]
    where = np.broadcast_arrays(np.arange(len(after))[:, None, None], y, x)
    desk.item.labels.data_setitem(tuple(where), int(after[0, 3, 3]))
    desk.model.edited(after)
    is_new = not np.array_equal(desk.model.labels[0], 0)
    desk.pump()
    model = desk.models.pop(desk.item.pair)
    desk.viewer.layers.remove(desk.item.labels)
    desk.settle()
    if draw.random() < 0.5:
        while desk.workspace.keeper.kept:
            desk.workspace.keeper.discard()
        return "for good"
    require(desk.workspace.keeper.kept and is_new, "corrections are not offered")
    desk.workspace.restore()
    new = desk.model  # before anything is restored
    desk.settle()
    new.restored(model.labels, model.checked)
    return "and restored"


@act(0.5)
def delete_image(desk, draw):
    """The labels stay; opened over the image again they are what the user has."""
    item, model = desk.item, desk.models.pop(desk.item.pair)
    which = next(
        n for n, pixels in enumerate(desk.pixels) if np.array_equal(pixels, item.image.data)
    )
    desk.viewer.layers.remove(item.image)
    desk.settle()
    require(item.labels in desk.viewer.layers, "the labels went with the image")
    require(np.array_equal(item.labels.data, model.labels), "the labels went with the image")
    desk.workspace.choose(desk.add_image(which))
    desk.settle()
    if draw.random() < 0.5:
        desk.viewer.layers.remove(item.labels)
        desk.settle()
        return "for good"
    opened = desk.workspace.open(item.labels)
    again = desk.models[opened.pair] = type(model)(
        np.zeros_like(model.labels), np.zeros_like(model.checked)
    )
    again.replaced(model.labels)
    return "and opened again"


@act(0.7)
def other_data(desk, draw):
    """The array is replaced by one of the same shape, of any kind of integers."""
    dtype = [np.int32, np.uint8, np.uint16, np.int64, np.int16][draw.integers(5)]
    new = (desk.model.labels % 120).astype(dtype)
    y, x = draw.integers(0, 40, 2)
    new[draw.integers(len(new)), y : y + 9, x : x + 9] = int(draw.integers(120))
    desk.item.labels.data = new
    desk.model.replaced(new.astype(np.int32))
    desk.model.given = set()
    desk.pump()
    return np.dtype(dtype).name


@act(0.3)
def other_shape(desk, draw):
    item = desk.item
    desk.models.pop(item.pair)
    kept = item.pair.labels.copy()
    item.labels.data = np.zeros((2, 5, 7), np.int32)
    desk.settle()
    require(np.array_equal(item.pair.labels, kept), "the old labels were changed")
    desk.viewer.layers.remove(item.labels)
    desk.settle()
    require(desk.item is not item, "labels of another shape are worked on")


@act(0.5)
def docks(desk, draw):
    """Closed, opened again, or a second one beside it."""
    if len(desk.docks) > 1 or draw.random() < 0.5:
        while desk.docks:
            desk.viewer.window.remove_dock_widget(desk.docks.pop().native)
        desk.pump()
    names = ["U-Net", "Correct labels"]
    for name in names[: draw.integers(3)]:
        desk.open_dock(name)
    return f"{len(desk.docks)} open"
