"""What labels and checked area must be after each act of a user: plain arrays, whole copies."""

import numpy as np

from napari_unet.core.checked import grow_checked
from napari_unet.core.lay_around import count_checked


class Wrong(Exception):
    """The labels are not what they must be."""


def require(is_so, what):
    if not is_so:
        raise Wrong(what)


class Naive:
    """One pair of arrays and all of its states; a step is a state that differs from the last.

    Parameters
    ----------
    labels, checked : ndarray of int, shape (..., Y, X)
        How they begin.
    """

    def __init__(self, labels, checked):
        self.labels, self.checked = labels.copy(), checked.copy()
        self.usual = None  # the diameter of the objects, as the network has told it
        self.join = None  # what the network makes with an equal one is one step
        self.given = set()  # numbers that were given to new cells
        self.begin()

    def begin(self):
        """Nothing that was before can be undone any more."""
        self._states, self._joins, self.at = [self._state()], [None], 0

    def _state(self):
        return self.labels.copy(), self.checked.copy()

    def _did(self, join=None):
        if all(map(np.array_equal, self._state(), self._states[self.at])):
            return
        if join is None or self._joins[self.at] != join:
            self.at += 1
        del self._states[self.at :], self._joins[self.at :]
        self._states.append(self._state())
        self._joins.append(join)

    @property
    def can_undo(self):
        return self.at > 0

    @property
    def can_redo(self):
        return self.at + 1 < len(self._states)

    @property
    def checked_cells(self):
        planes = np.ndindex(self.labels.shape[:-2])
        return sum(count_checked(self.labels[place], self.checked[place]) for place in planes)

    def edited(self, after):
        """A stroke or a tool: what was touched is checked."""
        for place in np.ndindex(after.shape[:-2]):
            grow_checked(self.checked[place], self.labels[place], after[place], usual=self.usual)
        self.labels = after.copy()
        self._did()

    def replaced(self, after):
        """The array was replaced: what differs is checked, and nothing can be undone."""
        self.edited(after)
        self.begin()

    def checked_by_hand(self, checked):
        self.checked = checked.copy()
        self._did()

    def restored(self, labels, checked):
        self.labels, self.checked = labels.copy(), checked.copy()
        self._did()

    def remade(self, place, after):
        """The network made labels of a plane: what is checked must be as it was."""
        before, checked = self.labels[place], self.checked[place] != 0
        for number in np.unique(before[checked & (before > 0)]):
            is_object = before == number
            if 2 * np.count_nonzero(checked & is_object) >= np.count_nonzero(is_object):
                same = np.array_equal(is_object, after == number)
                require(same, f"checked object {number} was changed by the network")
        is_empty = not after[checked & (before == 0)].any()
        require(is_empty, "the network put an object on checked background")
        self.labels[place] = after
        self._did(self.join)

    def step(self, by):
        """Undo, -1, or redo, 1; nothing if there is nothing."""
        if 0 <= self.at + by < len(self._states):
            self.at += by
            labels, checked = self._states[self.at]
            self.labels, self.checked = labels.copy(), checked.copy()

    def takes(self, number):
        """A new cell has this number."""
        is_free = number > 0 and number not in self.given and not (self.labels == number).any()
        require(is_free, f"the number {number} of a new cell is not free")
        self.given.add(number)
