"""Correct a wrong segmentation of a photograph by mouse and keys, and make pictures on the way.

python docs/make_walkthrough.py

It drives napari as a hand does, with the events that Qt sends for a mouse and a keyboard, and
needs a display (Linux: xvfb-run -s "-screen 0 1366x768x24" python docs/make_walkthrough.py). The
size of the objects is typed wrong, so that coins come out in pieces; one drag of Merge goes too far
and is undone; two coins are outlined as one and split. Where a gesture is due is told by the
outlines of the coins, which the program does not see. Printed is how right the labels are after
each tool.
"""

from __future__ import annotations

import sys
from pathlib import Path

import napari
import numpy as np
from make_screenshots import PLUGIN, SIZE, Story, settle
from napari.layers import Labels
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import approximate_polygon, find_contours

from napari_unet.core import score
from napari_unet.sample_data import coins

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from hand import CONTROL, Hand

WRONG = 14  # px: the coins are about 45 wide

SHOWN = ("segmented", "merge", "outline", "accept")  # in the quickstart

Mask = NDArray[np.bool_]


def main() -> None:
    """Segment, then merge, fill, delete, outline, split and accept."""
    viewer = napari.Viewer()
    try:
        viewer.window.resize(*SIZE)
        viewer.open_sample(PLUGIN, "coins")
        walk = Walk(viewer)
        walk.say("segmented")
        for tool in (walk.merge, walk.fill, walk.delete, walk.outline, walk.split, walk.accept):
            count = tool()
            walk.say(f"{tool.__name__}, {count} gestures")
    finally:
        viewer.close()


class Walk:
    """A hand that knows the coins."""

    def __init__(self, viewer: napari.Viewer) -> None:
        self._story = Story(viewer)
        settle(2)
        self._story.type_size(WRONG)
        self._story.press("Segment")
        self._layer = next(x for x in viewer.layers if isinstance(x, Labels))
        viewer.reset_view()  # all coins are in view: a hand reaches no further
        settle(0.5)
        self._hand = Hand(viewer)
        self._truth = coins()[1]
        self._steps = 0
        self._tool = ""

    def _take(self, key: str) -> None:
        """Take a tool; its key pressed again would lay it down."""
        if self._tool != key:
            self._hand.key(key)
            self._tool = key

    def say(self, what: str) -> None:
        """Print how right the labels are, and make a picture for the quickstart."""
        self._steps += 1
        scores = score(self._truth, np.asarray(self._layer.data))
        found = scores.average_precision
        print(f"{what}: AP at IoU 0.5 {found[0.5]:.2f}, at 0.7 {found[0.7]:.2f}")  # noqa: T201
        name = what.split(",")[0]
        if name in SHOWN:
            self._story.picture(f"correct_{self._steps}_{name}")

    def delete(self) -> int:
        """Click on objects that are no part of a coin, and on those that are little of one."""
        self._take("D")
        doomed = [n for n in self._numbers() if not self._coins_under(n) and not self._coin_of(n)]
        for number in doomed:
            self._hand.click(self._layer, self._inside(self._layer.data == number))
        return len(doomed)

    def split(self) -> int:
        """Draw a line between each two coins that are one object."""
        self._take("S")
        lines = 0
        while True:
            fused = [c for n in self._numbers() if len(c := self._coins_under(n)) > 1]
            if not fused or lines > 50:
                return lines
            first, second = (np.argwhere(self._truth == coin).mean(axis=0) for coin in fused[0][:2])
            middle, along = (first + second) / 2, second - first
            across = np.array([-along[1], along[0]]) * 0.8
            self._hand.drag(self._layer, [middle - across, middle + across])
            lines += 1

    def merge(self) -> int:
        """Drag across the pieces of each coin."""
        self._take("J")
        drags = 0
        for coin in 2 * self._all_coins():  # a first drag may miss a piece
            pieces = [n for n in self._numbers() if self._coin_of(n) == coin]
            if len(pieces) > 1:
                way = [self._inside(self._layer.data == piece) for piece in pieces]
                if not drags:
                    beyond = self._inside(self._truth == self._nearest(coin, self._all_coins()))
                    self._hand.drag(self._layer, [*way, beyond])
                    self._hand.key("Z", held=CONTROL)  # that was one coin too many
                self._hand.drag(self._layer, way)
                drags += 1
        return drags

    def fill(self) -> int:
        """Click on each object with holes."""
        self._take("H")
        holed = [n for n in self._numbers() if self._has_holes(self._layer.data == n)]
        for number in holed:
            self._hand.click(self._layer, self._inside(self._layer.data == number))
        return len(holed)

    def _has_holes(self, where: Mask) -> bool:
        return bool((ndimage.binary_fill_holes(where) != where).any())

    def _nearest(self, coin: int, coins: list[int]) -> int:
        others = [one for one in coins if one != coin]
        return min(others, key=lambda one: self._distance(coin, one))

    def _distance(self, first: int, second: int) -> float:
        ends = (np.argwhere(self._truth == coin).mean(axis=0) for coin in (first, second))
        return float(np.linalg.norm(np.subtract(*ends)))

    def outline(self) -> int:
        """Drag around each coin that has no object, or a bad one, which is deleted before.

        The first two are outlined as one.
        """
        missed = [coin for coin in self._all_coins() if self._best_iou(coin) < 0.7]
        if missed:
            neighbour = self._nearest(missed[0], self._all_coins())
            missed = [missed[0], neighbour, *(c for c in missed[1:] if c != neighbour)]
        bad = [n for coin in missed for n in self._numbers() if self._coin_of(n) == coin]
        self._take("D")
        for number in dict.fromkeys(bad):
            self._hand.click(self._layer, self._inside(self._layer.data == number))
        self._take("O")
        for coins_there in [missed[:2], *([coin] for coin in missed[2:])] if missed else []:
            there = np.pad(np.isin(self._truth, coins_there), 20)
            there = ndimage.binary_closing(there, iterations=8)
            around = find_contours(there.astype(float), 0.5)[0] - 20
            self._hand.drag(self._layer, list(approximate_polygon(around, 0.7)))
        return len(missed) - 1 + len(bad)

    def accept(self) -> int:
        """Drag a box around all: what is in it is right now."""
        self._take("A")
        height, width = self._truth.shape
        self._hand.drag(self._layer, [(2, 2), (height - 3, width - 3)])
        return 1

    def _all_coins(self) -> list[int]:
        return [int(coin) for coin in np.unique(self._truth) if coin]

    def _numbers(self) -> list[int]:
        return [int(number) for number in np.unique(self._layer.data) if number]

    def _coins_under(self, number: int) -> list[int]:
        """The coins of which an object covers more than half."""
        covered = np.bincount(self._truth[self._layer.data == number], minlength=2)
        sizes = np.bincount(self._truth.ravel(), minlength=len(covered))[: len(covered)]
        return [int(coin) for coin in np.flatnonzero(2 * covered > sizes) if coin]

    def _coin_of(self, number: int) -> int:
        """The coin in which most of an object lies; 0 for none."""
        return int(np.bincount(self._truth[self._layer.data == number]).argmax())

    def _best_iou(self, coin: int) -> float:
        there = self._truth == coin
        ious = [0.0]
        for number in np.unique(self._layer.data[there]):
            where = self._layer.data == number
            if number:
                ious.append((where & there).sum() / (where | there).sum())
        return float(max(ious))

    def _inside(self, where: Mask) -> tuple[int, int]:
        """A pixel well inside of an object."""
        deep = ndimage.distance_transform_edt(np.pad(where, 1))[1:-1, 1:-1]
        row, column = np.unravel_index(int(deep.argmax()), where.shape)
        return int(row), int(column)


if __name__ == "__main__":
    main()
