"""What can be undone and redone: edits of all planes and tools in the order in which they came."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field, replace

from napari_unet.core.boxes import Box
from napari_unet.core.edit import BeforeAfter, Edit

__all__ = ["MOST_BYTES", "History", "Step"]

# A stroke takes some kilobytes, the labels of a plane of 4096 x 4096 pixels 2 MB: a hundred
# segmentations of such planes fit, or tens of thousands of strokes.
MOST_BYTES = 256 * 2**20


@dataclass(eq=False)
class Step:
    """What one Ctrl+Z takes back.

    Attributes
    ----------
    number : int
        Its edits carry it.
    join : hashable or None
        What comes with an equal one, and nothing else between, belongs to this step.
    edits : list of Edit
        In the order in which they were made.
    """

    number: int
    join: Hashable
    edits: list[Edit] = field(default_factory=list)

    @property
    def n_bytes(self) -> int:
        """How much memory it holds."""
        return sum(edit.n_bytes for edit in self.edits)

    @property
    def by_person(self) -> bool:
        """Whether a person had a hand in it."""
        return any(edit.by_person for edit in self.edits)

    def add(self, edit: Edit) -> None:
        """Add an edit; of what the network makes of a plane again and again the last counts.

        A part of the plane may have been made in between, for the eye.
        """
        for at, earlier in reversed(list(enumerate(self.edits))):
            if earlier.place != edit.place:
                continue
            if earlier.by_person or edit.by_person:
                break
            if earlier.box == edit.box:
                between = [one for one in self.edits[at + 1 :] if one.place != edit.place]
                joined = replace(edit, labels=_joined(earlier.labels, edit.labels))
                self.edits[at:] = [joined, *between]
                return
            if not _is_within(earlier.box, edit.box):
                break
        self.edits.append(edit)


def _is_within(part: Box, whole: Box) -> bool:
    return all(
        whole_side.start <= side.start and side.stop <= whole_side.stop
        for side, whole_side in zip(part, whole, strict=True)
    )


def _joined(first: BeforeAfter | None, last: BeforeAfter | None) -> BeforeAfter | None:
    if first is None or last is None:
        return first or last
    return BeforeAfter(first.before, last.after)


class History:
    """Steps that were done, and those that were undone and can be redone.

    Parameters
    ----------
    most_bytes : int
        Of memory; where steps need more, the oldest are forgotten. The last one always stays.
    """

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most_bytes = most_bytes
        self._done: list[Step] = []
        self._undone: list[Step] = []
        self._last_number = 0
        self._n_bytes = 0
        self._forgotten = 0
        """Steps of a person that were done and can no more be undone."""

    @property
    def can_undo(self) -> bool:
        """Whether there is a step to take back."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """Whether there is a step to do again."""
        return bool(self._undone)

    @property
    def n_bytes(self) -> int:
        """How much memory the steps hold."""
        return self._n_bytes

    @property
    def strokes(self) -> int:
        """How many steps of a person are in what there is now, the forgotten ones included."""
        return self._forgotten + sum(step.by_person for step in self._done)

    @property
    def next_undo(self) -> Step | None:
        """What `undo` would take back."""
        return self._done[-1] if self._done else None

    @property
    def next_redo(self) -> Step | None:
        """What `redo` would do again."""
        return self._undone[-1] if self._undone else None

    def number_for(self, join: Hashable = None) -> int:
        """Return the number of the step that an edit recorded now would belong to."""
        joins = self._joins(join)
        return joins.number if joins is not None else self._last_number + 1

    def _joins(self, join: Hashable) -> Step | None:
        last = self.next_undo
        return last if last is not None and join is not None and last.join == join else None

    def record(self, edit: Edit, join: Hashable = None) -> None:
        """Take note of an edit that was made; what was undone before cannot be redone any more.

        Parameters
        ----------
        edit : Edit
        join : hashable, optional
            Edits that come one after the other with an equal one are one step; None joins none.
        """
        self._drop(self._undone)
        self._n_bytes -= 0 if (step := self._joins(join)) is None else step.n_bytes
        if step is None:
            self._last_number += 1
            step = Step(self._last_number, join)
            self._done.append(step)
        step.add(edit)
        self._n_bytes += step.n_bytes
        self._forget_oldest()

    def fold(self, edit: Edit) -> None:
        """Add an edit to the last step, whatever that was; redoing stays possible."""
        step = self.next_undo
        if step is None:
            self.record(edit)
            return
        self._n_bytes -= step.n_bytes
        step.add(edit)
        self._n_bytes += step.n_bytes
        self._forget_oldest()

    def undo(self) -> list[Edit]:
        """Return the edits that take back the last step, in the order to apply them."""
        if not self._done:
            return []
        step = self._done.pop()
        self._undone.append(step)
        return [edit.reversed() for edit in reversed(step.edits)]

    def redo(self) -> list[Edit]:
        """Return the edits of the step that was undone last, in the order to apply them."""
        if not self._undone:
            return []
        step = self._undone.pop()
        self._done.append(step)
        return list(step.edits)

    def clear(self) -> None:
        """Forget all steps, since they are of another array; `strokes` goes on."""
        self._forgotten = self.strokes
        self._drop(self._done)
        self._drop(self._undone)

    def _drop(self, steps: list[Step]) -> None:
        self._n_bytes -= sum(step.n_bytes for step in steps)
        steps.clear()

    def _forget_oldest(self) -> None:
        while self._n_bytes > self._most_bytes and len(self._done) > 1:
            oldest = self._done.pop(0)
            self._forgotten += oldest.by_person
            self._n_bytes -= oldest.n_bytes
