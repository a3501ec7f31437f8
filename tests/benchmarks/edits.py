"""How long each tool of the Correct step takes on a large plane with many objects.

python tests/benchmarks/edits.py            4096 x 4096 pixels, 5041 objects
python tests/benchmarks/edits.py 2048       another side

For each tool: the edit itself; a naive one that works on whole arrays, and makes the same labels;
how many times faster the edit is; the edit with all that follows it in the viewer, which is
writing it into a napari layer with its undo and growing the checked area. Medians of several runs,
in processor time of the viewer's thread: whatever else the computer does is not counted.
"""

# ruff: noqa: T201
from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from napari.components import ViewerModel
from numpy.typing import NDArray
from scipy import ndimage
from skimage.draw import polygon2mask

from napari_unet.bridge import corrections
from napari_unet.bridge.workspace import Workspace
from napari_unet.core import edits
from napari_unet.core.edits import Change
from napari_unet.core.edits.line import line_pixels
from napari_unet.engine.runner import InlineRunner
from napari_unet.session.session import Session

LIMIT_MS = 50
RUNS = 5
PITCH = 57  # 71 x 71 objects on 4096 x 4096
Labels = NDArray[np.int32]
Edit = Callable[[Labels], Change | None]
Naive = Callable[[Labels], Labels]


def objects(side: int) -> Labels:
    """Round objects on a grid, every tenth of them with a waist and every seventh with a hole."""
    labels = np.zeros((side, side), np.int32)
    rows, columns = np.ogrid[:PITCH, :PITCH]
    middle = PITCH // 2
    round_one = (rows - middle) ** 2 + (columns - middle) ** 2 <= 24**2
    waist = ((np.abs(rows - middle) > 10) & (np.abs(columns - middle) < 5)) & round_one
    hole = (rows - middle) ** 2 + (columns - middle) ** 2 <= 6**2
    per_row = side // PITCH
    for number in range(1, per_row**2 + 1):
        top, left = (PITCH * step for step in divmod(number - 1, per_row))
        shape = round_one & ~waist if number % 10 == 0 else round_one
        shape = shape & ~hole if number % 7 == 0 else shape
        labels[top : top + PITCH, left : left + PITCH][shape] = number
    return labels


def replaced(labels: Labels, where: NDArray[np.bool_], number: int) -> Labels:
    """The whole array with a number in some pixels."""
    after = labels.copy()
    after[where] = number
    return after


def reshaped(operation: Callable[..., Any], number: int, labels: Labels, **options: Any) -> Labels:
    """The whole array with one object in another shape."""
    mask = labels == number
    shape = operation(mask, **options) & (mask | (labels == 0))
    return replaced(replaced(labels, mask, 0), shape, number)


def naive_split(path: list[tuple[float, float]], number: int, new: int, labels: Labels) -> Labels:
    """Components of the whole array without the line; its pixels to the nearest, ties otherwise."""
    mask = labels == number
    line = np.zeros(labels.shape, bool)
    line[tuple(line_pixels(path, labels.shape).T)] = True
    parts = ndimage.label(mask & ~line, np.ones((3, 3)))[0]
    nearest = ndimage.distance_transform_edt(
        parts == 0, return_distances=False, return_indices=True
    )
    parts = parts[tuple(nearest)]
    smaller = 1 + np.bincount(parts[mask])[1:].argmin()
    return replaced(labels, mask & (parts == smaller), new)


def naive_outline(path: list[tuple[float, float]], new: int, labels: Labels) -> Labels:
    """A polygon over the whole array."""
    return replaced(labels, polygon2mask(labels.shape, path) & (labels == 0), new)


def naive_box(box: tuple[slice, slice], labels: Labels) -> Labels:
    """Counting all objects, and all in the box."""
    area = np.bincount(labels.ravel())
    inside = np.bincount(labels[box].ravel(), minlength=len(area))
    gone = np.flatnonzero(2 * inside > area)
    return replaced(labels, np.isin(labels, gone[gone > 0]), 0)


def table(labels: Labels) -> dict[str, tuple[Edit, Naive | None]]:
    """Each tool, on objects in the middle of the plane."""
    count = int(labels.max())
    per_row = round(count**0.5)
    number = per_row * (per_row // 2) + per_row // 2
    number += 70 - number % 70  # with a waist and a hole
    other, new = number + 1, count + 1
    top, left = (PITCH * step for step in divmod(number - 1, per_row))
    row, column = top + PITCH / 2, left + PITCH / 2
    line = [(row, left - 1.0), (row, left + PITCH - 1.0)]
    drag = [(row - 15, column), (row - 15, column + 57)]
    around = [(top + 49.0, left + 49.0), (top + 49, left + 63), (top + 63, left + 63)]
    box = (slice(top - 300, top + 300), slice(left - 300, left + 300))
    return {
        "split by a line": (
            lambda x: edits.split_along(x, line, new),
            partial(naive_split, line, number, new),
        ),
        "split at the waist": (lambda x: edits.split_touching(x, number, new), None),
        "merge two": (
            lambda x: edits.merge(x, edits.numbers_along(x, [(r, c) for r, c in drag])),
            lambda x: replaced(x, x == other, number),
        ),
        "delete one": (
            lambda x: edits.delete(x, [number]),
            lambda x: replaced(x, x == number, 0),
        ),
        "delete a box": (
            lambda x: edits.delete_in(x, box),
            partial(naive_box, box),
        ),
        "fill holes": (
            lambda x: edits.fill_holes(x, number),
            partial(reshaped, ndimage.binary_fill_holes, number),
        ),
        "smooth": (
            lambda x: edits.smooth(x, other),
            partial(reshaped, smoothed, other),
        ),
        "grow": (
            lambda x: edits.grow(x, other),
            partial(reshaped, ndimage.binary_dilation, other),
        ),
        "shrink": (
            lambda x: edits.shrink(x, other),
            partial(reshaped, ndimage.binary_erosion, other, border_value=1),
        ),
        "relabel": (
            lambda x: edits.relabel(x, number, new),
            lambda x: replaced(x, x == number, new),
        ),
        "outline": (
            lambda x: edits.new_object(x, around, new),
            partial(naive_outline, around, new),
        ),
    }


def smoothed(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """As `edits.smooth` does for objects of this size."""
    sigma = max(np.sqrt(4 / np.pi * np.count_nonzero(mask)) / 16, 1.6)
    return ndimage.gaussian_filter(mask.astype(np.float32), sigma, mode="nearest") > 0.5


def median_ms(work: Callable[[], object], runs: int = RUNS) -> float:
    """The median duration, after one run that does not count."""
    work()
    taken = []
    for _ in range(runs):
        begun = time.thread_time()
        work()
        taken.append(time.thread_time() - begun)
    return 1000 * float(np.median(taken))


class Desk:
    """A viewer without a window, whose labels are to be corrected."""

    def __init__(self, labels: Labels) -> None:
        self.viewer = ViewerModel()
        self.session = Session(InlineRunner())
        self.workspace = Workspace(self.viewer, self.session)
        self.viewer.add_image(np.zeros(labels.shape, np.uint8))
        self.item = self.workspace.open(self.viewer.add_labels(labels))

    def takes_ms(self, edit: Edit) -> float:
        """The edit with all that follows it, undone after each run."""
        taken = []
        for _ in range(RUNS):
            begun = time.thread_time()
            change = edit(self.item.pair.labels)
            corrections.apply_changes(self.workspace, self.item, [((), change)])
            self.workspace.notice()
            taken.append(time.thread_time() - begun)
            if change is not None:
                self.item.labels.undo()
            self.workspace.notice()
        return 1000 * float(np.median(taken))

    def close(self) -> None:
        """End what was begun."""
        self.workspace.close()
        self.session.close()


def compared(labels: Labels, edit: Edit, naive: Naive, ours: float) -> str:
    """How long the naive one takes, once, and whether it makes the same labels."""
    begun = time.thread_time()
    theirs = naive(labels)
    taken = 1000 * (time.thread_time() - begun)
    change = edit(labels)
    after = labels.copy()
    if change is not None:
        after[change.box] = change.after
    differ = np.count_nonzero(after != theirs)
    note = f" ({differ} pixels differ)" if differ else ""
    return f"{taken:7.0f} ms {taken / ours:6.0f}x{note}"


def main(side: int) -> None:
    """Print a line for each tool."""
    labels = objects(side)
    print(f"{side} x {side} pixels, {len(np.unique(labels)) - 1} objects, medians of {RUNS} runs")
    print(f"{'':20} {'edit':>9} {'naive':>10} {'ratio':>7}   with napari  under {LIMIT_MS} ms")
    desk = Desk(labels.copy())
    for name, (edit, naive) in table(labels).items():
        ours = median_ms(lambda edit=edit: edit(labels))
        whole = desk.takes_ms(edit)
        told = "yes" if whole < LIMIT_MS else "NO"
        against = f"{'-':>10} {'-':>7}" if naive is None else compared(labels, edit, naive, ours)
        print(f"{name:20} {ours:6.1f} ms {against}   {whole:8.1f} ms  {told}")
    desk.close()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 4096)
