"""Where to look next: what is most likely wrong, one after the other."""

from __future__ import annotations

from dataclasses import replace

from magicgui.widgets import Label

from napari_unet.bridge import corrections
from napari_unet.bridge.look import Ring
from napari_unet.bridge.open_pair import OpenPair
from napari_unet.core.uncertainty import Doubt
from napari_unet.session.image import Place
from napari_unet.session.pair import Pair
from napari_unet.widgets.parts import Note, Panel, button, follow, row, set_enabled
from napari_unet.widgets.tool_list import NEXT_KEY, with_key
from napari_unet.widgets.workbench import Workbench

__all__ = ["NextRow"]

NEXT_TIP = "Go to what is most likely wrong; correct it, or press on."
RIGHT_TIP = "What the ring is around is right as it is: check it, and go on to the next."
NOT_YET = "Segment first: then the likeliest mistakes are found."
ALL_FINE = "Nothing else looks wrong."
NONE_FOUND = (
    "There is no object here. Lower Threshold, set the right size under Objects and Segment again, "
    "or paint some cells and press Teach."
)
TAKEN_BACK = "The objects were taken back; Ctrl+Shift+Z brings them again."
NOTHING = (NONE_FOUND, TAKEN_BACK)
NO_RING = "Press Next first."


class NextRow(Panel):
    """Next, Right, and how many are left."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._ring = Ring(bench.viewer)
        self._at: tuple[OpenPair, Place, Doubt] | None = None
        self.next = button(with_key("Next", NEXT_KEY), NEXT_TIP, self.go_on)
        self.right = button("Right, next", RIGHT_TIP, self._right)
        self.left = Label(value="", label="")
        self.note = Note()
        super().__init__([row(self.next, self.right, self.left), self.note])
        self.native.layout().setContentsMargins(0, 0, 0, 0)
        follow(self.native, bench.review.changed, self._on_found)
        workspace = bench.workspace
        for signal in (workspace.corrected, workspace.chosen_changed, bench.session.state_changed):
            follow(self.native, signal, self._show)
        bench.closing.connect(self._ring.remove)
        self.native.destroyed.connect(self._ring.remove)
        self._show()

    def go_on(self) -> None:
        """Bring the next one into view."""
        item = self._bench.workspace.current
        if item is None:
            return
        found = self._bench.review.next(item.pair, self._bench.workspace.shown(item))
        if found is None:
            self._leave()
        else:
            self._at = (item, *found)
            self._ring.show(*self._at)
        self._show()

    def _right(self) -> None:
        """Check what the ring is around."""
        if self._at is not None:
            item, place, doubt = self._at
            corrections.right_there(self._bench.workspace, item, place, doubt.number, doubt.box)
        self.go_on()

    def _leave(self) -> None:
        self._at = None
        self._ring.remove()

    def _on_found(self, pair: Pair) -> None:
        """Objects have other numbers now; the ring stays while each correction is learnt."""
        if self._at is not None and self._at[0].pair is pair:
            item, place, doubt = self._at
            number = int(pair.labels[place][tuple(map(round, doubt.center))])
            if self._bench.session.is_live and bool(number) == bool(doubt.number):
                self._at = item, place, replace(doubt, number=number)
            else:
                self._leave()
        self._show()

    def _show(self) -> None:
        item = self._bench.workspace.current
        if self._at is not None and self._at[0] is not item:
            self._leave()
        count = 0 if item is None else self._bench.review.left(item.pair)
        reason = "" if count else self._why_none(item)
        set_enabled(self.next, reason, NEXT_TIP)
        set_enabled(self.right, "" if self._at else NO_RING, RIGHT_TIP)
        is_fine = reason == ALL_FINE and item is not None and not self._is_to_come(item)
        self.right.visible = self._at is not None or not is_fine
        self.left.value = f"{count} to look at" if count else ALL_FINE if is_fine else ""
        text = "" if self._at is None else self._at[2].reason
        is_empty = reason in NOTHING and item is not None and not self._is_to_come(item)
        without = reason if is_empty else ""
        self.note.say(text[:1].upper() + text[1:] + "." if text else without)

    def _why_none(self, item: OpenPair | None) -> str:
        """Why there is nothing to look at."""
        review = self._bench.review
        if item is None or not review.knows(item.pair):
            return NOT_YET
        if review.has_objects(item.pair):
            return ALL_FINE
        return TAKEN_BACK if item.pair.history.can_redo else NONE_FOUND

    def _is_to_come(self, item: OpenPair) -> bool:
        """Whether what is worth a look is not known yet."""
        review, session = self._bench.review, self._bench.session
        return review.busy or not review.knows(item.pair) or session.works_on(item.pair)
