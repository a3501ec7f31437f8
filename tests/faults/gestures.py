"""Each tool with a random gesture, and what a plain reader expects of it."""

import itertools

import numpy as np
from scipy import ndimage
from skimage.draw import polygon

from faults.naive import require
from napari_unet.core.checked import check_objects, uncheck_objects
from napari_unet.widgets.tool_list import TOOLS

BY_NAME = {tool.name: tool for tool in TOOLS}
EIGHT = np.ones((3, 3), bool)
EDGE = 0.13  # of a pixel: a line that comes no further into it may pass it or not


def gesture(desk, draw):
    """Take up any tool and use it."""
    name = str(draw.choice(list(USES)))
    use_tool(desk, draw, name)
    return name


def use_tool(desk, draw, name):
    desk.bench.belt.through_stack = bool(draw.random() < 0.3)
    tool = BY_NAME[name]
    if desk.bench.belt.in_hand is not tool:
        desk.bench.belt.take(tool)
    USES[name](desk, draw)


def cell(desk, draw):
    """Row and column of a pixel of some cell in the shown plane; of any pixel if there is none."""
    pixels = np.argwhere(desk.model.labels[desk.shown])
    if not len(pixels):
        return draw.integers(0, desk.model.labels.shape[-2:])
    return pixels[draw.integers(len(pixels))]


def line(desk, draw, count=3):
    shape = np.array(desk.model.labels.shape[-2:])
    first = cell(desk, draw) + draw.integers(-8, 8, 2)
    steps = draw.integers(-12, 12, (count - 1, 2))
    return np.clip(np.cumsum([first, *steps], axis=0), 0, shape - 1)


def drag(desk, path, **more):
    """Draw in the shown plane; return its labels before and after."""
    place = desk.shown
    before = desk.model.labels.copy()
    desk.drag([(*place, *map(float, point)) for point in np.atleast_2d(path)], **more)
    after = desk.item.pair.labels.copy()
    others = [plane for plane in np.ndindex(before.shape[:-2]) if plane != place]
    if not desk.bench.belt.through_stack:
        same = all(np.array_equal(before[plane], after[plane]) for plane in others)
        require(same, "another plane was changed")
    return before, after


def number_at(desk, at):
    return int(desk.model.labels[desk.shown][tuple(at)])


def spread(desk, labels, number):
    """The planes in which a cell lies over itself, from the shown one on."""
    place = desk.shown
    if not desk.bench.belt.through_stack:
        return [place]
    found = [place]
    for steps in (range(place[0] + 1, len(labels)), range(place[0] - 1, -1, -1)):
        last = place[0]
        for plane in steps:
            if not ((labels[last] == number) & (labels[plane] == number)).any():
                break
            found.append((plane,))
            last = plane
    return found


def expect(desk, after, expected):
    count = np.count_nonzero(after != expected)
    require(not count, f"the tool left {count} pixels other than expected")
    desk.model.edited(expected)


def outline(desk, draw):
    at = cell(desk, draw) + draw.integers(-10, 10, 2)
    angles = np.linspace(0, 2 * np.pi, 7)
    path = np.rint(at + draw.uniform(3, 12) * np.column_stack([np.sin(angles), np.cos(angles)]))
    before, after = drag(desk, path)
    plane, expected = before[desk.shown], before.copy()
    inside = np.zeros(plane.shape, bool)
    inside[polygon(*path.T, plane.shape)] = True
    parts, count = ndimage.label(inside & (plane == 0), EIGHT)
    if count:
        sizes = np.bincount(parts.ravel())[1:]
        new = parts == 1 + sizes.argmax()
        number = int(after[desk.shown][new][0])
        desk.model.takes(number)
        expected[desk.shown][new] = number
    expect(desk, after, expected)


def erase(desk, draw):
    path = line(desk, draw)
    number, place = number_at(desk, path[0]), desk.shown
    desk.item.labels.brush_size = int(draw.integers(1, 12))
    desk.item.labels.n_edit_dimensions = 2
    before, after = drag(desk, path, twin=True)
    # The twin erased as napari does while labels are preserved: of the selected one, by chance.
    expected = before.copy()
    desk.twin.data[...] = before
    desk.twin.preserve_labels = False
    with desk.twin.block_history():
        mouse_again(desk, path)
    if number:
        gone = (before[place] == number) & (desk.twin.data[place] == 0)
        expected[place][gone] = 0
    desk.pump()
    expect(desk, after, expected)


def mouse_again(desk, path):
    from faults.desk import Mouse

    Mouse().drag(desk.twin, [(*desk.shown, *map(float, point)) for point in path])


def delete(desk, draw):
    if draw.random() < 0.7 or desk.bench.belt.through_stack:
        at = cell(desk, draw)
        number = number_at(desk, at)
        before, after = drag(desk, [at])
        expected = before.copy()
        for plane in spread(desk, before, number):
            expected[plane][before[plane] == number] = 0
    else:
        path = line(desk, draw, 2)
        before, after = drag(desk, path)
        expected = before.copy()
        plane = expected[desk.shown]
        if (path[0] != path[1]).any():
            (top, left), (bottom, right) = path.min(axis=0), path.max(axis=0) + 1
            inside = plane[top:bottom, left:right].copy()
            for number in np.unique(inside[inside > 0]):
                if 2 * np.count_nonzero(inside == number) > np.count_nonzero(plane == number):
                    plane[plane == number] = 0
        elif number_at(desk, path[0]):
            plane[plane == number_at(desk, path[0])] = 0
    expect(desk, after, expected)


def split(desk, draw):
    pixels = line(desk, draw, 2)
    middle = cell(desk, draw)
    step = pixels[1] - pixels[0]
    path = np.array([middle - 2 * step, middle + 2 * step])
    before, after = drag(desk, path)
    only_splits(desk, before, after)


def waist(desk, draw):
    before, after = drag(desk, [cell(desk, draw)])
    only_splits(desk, before, after)


def only_splits(desk, before, after):
    """No pixel is lost or won; what changed its number has one that is free, from one cell."""
    require(np.array_equal(before > 0, after > 0), "a split lost pixels, or made some")
    for number in np.unique(after[before != after]):
        parts = np.unique(before[after == number])
        require(len(parts) == 1, "a piece is made of two cells")
        require((after == parts[0]).any(), "a cell that was split has lost its number")
        desk.model.takes(int(number))
    desk.model.edited(after)


def merge(desk, draw):
    path = line(desk, draw)
    before, after = drag(desk, path)
    plane = before[desk.shown]
    parts = itertools.pairwise(path)
    steps = [a + (b - a) * t for a, b in parts for t in np.linspace(0, 1, 60)]
    inside = [step for step in steps if (np.abs(step - np.floor(step + 0.5)) < 0.5 - EDGE).all()]
    under = [int(plane[tuple(np.floor(step + 0.5).astype(int))]) for step in inside]
    along = [number for number in dict.fromkeys(under) if number]
    changed = before != after
    merged = {int(number) for number in np.unique(before[changed])}
    if len(along) > 1:
        require(set(along[1:]) <= merged | {along[0]}, "a cell under the line was not merged")
    if changed.any():
        [into] = np.unique(after[changed])
        near = ndimage.binary_dilation(np.isin(plane, along), iterations=2) if along else plane > 0
        require(into in plane and 0 not in merged and near.any(), "cells became something else")
        expected = before.copy()
        for number in merged:
            for there in spread(desk, before, number):
                expected[there][before[there] == number] = into
        expect(desk, after, expected)


def relabel(desk, draw):
    at, with_shift = cell(desk, draw), bool(draw.random() < 0.3)
    number, chosen = number_at(desk, at), int(desk.item.labels.selected_label)
    before, after = drag(desk, [at], shift=with_shift)
    if not number:
        return expect(desk, after, before)
    new = int(after[desk.shown][tuple(at)])
    expected = before.copy()
    if with_shift:
        require(new == (chosen or number), "not the number that was chosen")
    else:
        desk.model.takes(new)
    for plane in spread(desk, before, number):
        expected[plane][before[plane] == number] = new
    return expect(desk, after, expected)


def fill(desk, draw):
    at = cell(desk, draw)
    number = number_at(desk, at)
    before, after = drag(desk, [at])
    expected = before.copy()
    for place in spread(desk, before, number) if number else ():
        plane = expected[place]
        plane[ndimage.binary_fill_holes(plane == number) & (plane == 0)] = number
    expect(desk, after, expected)


def smooth(desk, draw):
    at = cell(desk, draw)
    number = number_at(desk, at)
    before, after = drag(desk, [at])
    where = before != after
    require(np.isin(before[where], [0, number]).all(), "another cell was smoothed")
    require(np.isin(after[where], [0, number]).all(), "smoothing made another number")
    require(not number or (after[desk.shown] == number).any(), "smoothing removed the cell")
    desk.model.edited(after)


def grow(desk, draw):
    at = cell(desk, draw)
    number = number_at(desk, at)
    before, after = drag(desk, [at])
    expected = before.copy()
    plane = expected[desk.shown]
    if number:
        plane[ndimage.binary_dilation(plane == number) & (plane == 0)] = number
    expect(desk, after, expected)


def shrink(desk, draw):
    at = cell(desk, draw)
    number = number_at(desk, at)
    before, after = drag(desk, [at])
    expected = before.copy()
    plane = expected[desk.shown]
    left = ndimage.binary_erosion(plane == number, border_value=1)
    if number and left.any():
        plane[(plane == number) & ~left] = 0
    expect(desk, after, expected)


def right(desk, draw):
    check(desk, draw, check_objects, 1)


def unsure(desk, draw):
    check(desk, draw, uncheck_objects, 0)


def check(desk, draw, objects, value):
    """By a click or a box; the labels stay."""
    path = line(desk, draw, 2)
    if draw.random() < 0.6 or (path[0] == path[1]).all():
        path = [cell(desk, draw)]
    before, after = drag(desk, path)
    require(np.array_equal(before, after), "the labels were changed")
    model, place = desk.model, desk.shown
    checked = model.checked.copy()
    if len(path) == 1:
        numbers = np.array([number_at(desk, path[0])])
        objects(checked[place], model.labels[place], numbers, usual=model.usual)
    else:
        (top, left), (bottom, right) = path.min(axis=0), path.max(axis=0) + 1
        checked[place][top:bottom, left:right] = value
    model.checked_by_hand(checked)


USES = {
    "outline": outline,
    "erase": erase,
    "delete": delete,
    "split": split,
    "waist": waist,
    "merge": merge,
    "relabel": relabel,
    "fill": fill,
    "smooth": smooth,
    "grow": grow,
    "shrink": shrink,
    "right": right,
    "unsure": unsure,
}
