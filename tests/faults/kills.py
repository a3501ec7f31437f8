"""A process that corrects labels is killed again and again: what of its work is left?

    python tests/faults/kills.py [--kills 100] [--seed 0]

A forked process does random actions of a user on a pair that is kept in a journal, and tells each
through a pipe when it is done. At a random moment it is killed with SIGKILL. What its journal holds
must be what the labels and the checked area were after some action; an action counts as lost if it
was told more than a second before the kill and is not in the journal. It ends with 1 if any is.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from napari_unet.core.events import TileResult
from napari_unet.session.compact import kept_planes
from napari_unet.session.identity import identify
from napari_unet.session.image import Image
from napari_unet.session.journal import Journal
from napari_unet.session.pair import Pair
from napari_unet.session.proposal import ObjectSettings
from napari_unet.session.recovery import find_kept

SHAPE = (3, 256, 256)
LONGEST_S = 2.5
SETTLED_S = 1.0  # what is older has to be on disk
ANY_SIZE = ObjectSettings(min_size=1)


class Hand:
    """Random actions, the same for the same seed."""

    def __init__(self, seed):
        self._generator = np.random.default_rng(seed)
        pixels = self._generator.integers(0, 255, SHAPE, np.uint8)
        image = Image("cells", pixels, "ZYX")
        self.pair = Pair(image, np.zeros(SHAPE, np.int32), np.zeros(SHAPE, np.uint8))

    def act(self):
        draw, pair = self._generator, self.pair
        place = (int(draw.integers(SHAPE[0])),)
        y, x = draw.integers(0, SHAPE[1] - 30, 2)
        height, width = draw.integers(3, 30, 2)
        box = slice(y, y + height), slice(x, x + width)
        kind = draw.choice(
            ["paint", "erase", "right", "box", "uncheck", "undo", "redo", "segment", "through"],
            p=[0.4, 0.12, 0.1, 0.05, 0.02, 0.12, 0.06, 0.08, 0.05],
        )
        if kind == "paint":
            pair.labels[place][box] = pair.next_number()
            pair.absorb(place, box)
        elif kind == "erase":
            pair.labels[place][box] = 0
            pair.absorb(place, box)
        elif kind == "right":
            pair.looks_right(place, np.unique(pair.labels[place])[:3])
        elif kind == "box":
            pair.check_box(place, box)
        elif kind == "uncheck":
            pair.uncheck(place)
        elif kind == "undo":
            pair.undo()
        elif kind == "redo":
            pair.redo()
        elif kind == "segment":
            pair.remade_by = int(draw.integers(2**31))
            background = np.full(SHAPE[1:], 255, np.uint8)
            background[box] = 0
            pair.place_tile(place, TileResult(0, 0, background[None], 0, 1))
            pair.accept(place, pair.propose(place, ANY_SIZE))
        else:
            with pair.one_step():
                for plane in range(SHAPE[0]):
                    pair.labels[plane][box] = 7
                    pair.absorb((plane,), box)


class Model:
    """What is to be on disk after each action: a plane as it was when a person edited it last."""

    def __init__(self, seed):
        self._hand = Hand(seed)
        self._hand.pair.ledger.keep = self._keep
        self._kept = np.zeros((2, *SHAPE), np.int32)
        self.states = [self._kept.copy()]

    def _keep(self, edit, strokes):
        if edit.by_person:
            pair = self._hand.pair
            self._kept[0][edit.place] = pair.labels[edit.place]
            self._kept[1][edit.place] = pair.checked[edit.place]

    def go_to(self, count):
        while len(self.states) <= count:
            self._hand.act()
            self.states.append(self._kept.copy())


def work(seed, folder, pipe):
    """Act until killed."""
    hand = Hand(seed)
    journal = Journal(folder, hand.pair.image)
    hand.pair.ledger.keep = journal.append
    pause = np.random.default_rng(seed + 1)
    while True:
        hand.act()
        os.write(pipe, b".")
        time.sleep(pause.uniform(0, 0.03))


def kill_once(seed, folder, generator):
    """Return how many actions were done, told in good time, and found; and ms missing at most."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            work(seed, folder, writing)
        finally:
            os._exit(1)
    os.close(writing)
    end = time.monotonic() + generator.uniform(0.02, LONGEST_S)
    told = []
    while (left := end - time.monotonic()) > 0:
        if select.select([reading], [], [], left)[0]:
            told += [time.monotonic()] * len(os.read(reading, 4096))
    killed = time.monotonic()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    rest = b"".join(iter(lambda: os.read(reading, 4096), b""))
    os.close(reading)
    told += [killed] * len(rest)
    settled = sum(killed - at > SETTLED_S for at in told)
    model = Model(seed)
    model.go_to(len(told) + 1)  # it may have been killed before it could tell
    found = find_state(model, folder)
    missing = 1000 * (killed - told[found]) if found < len(told) else 0.0
    return len(told), settled, found, missing


def find_state(model, folder):
    """Return after which action the labels were as the journal has them, the last if several."""
    image = model._hand.pair.image
    kept = find_kept(folder, identify(image))
    held = np.zeros((2, *SHAPE), np.int32)
    for plane in kept_planes(kept[0].path) if kept else ():
        held[0][plane.place], held[1][plane.place] = plane.labels, plane.checked
    same = [index for index, state in enumerate(model.states) if np.array_equal(state, held)]
    return same[-1] if same else -1


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    generator = np.random.default_rng(wanted.seed)
    actions = lost = odd = 0
    longest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for kill in range(wanted.kills):
            seed = 1000 * wanted.seed + kill
            done, settled, found, missing = kill_once(seed, Path(folder) / str(kill), generator)
            actions += done
            lost += max(0, settled - found)
            odd += found < 0
            longest = max(longest, missing)
    sys.stdout.write(
        f"actions tried {actions}, kills survived {wanted.kills - odd} of {wanted.kills}, "
        f"edits lost {lost}; oldest edit that was not on disk at a kill: {longest:.0f} ms\n"
    )
    return int(lost > 0 or odd > 0)


if __name__ == "__main__":
    sys.exit(main())
