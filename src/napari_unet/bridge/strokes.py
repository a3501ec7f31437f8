"""Noticing what the user paints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Labels

from napari_unet.bridge.open_pair import OpenPair
from napari_unet.bridge.painted import Painted, painted_in
from napari_unet.bridge.view import shown_place
from napari_unet.core.boxes import Box
from napari_unet.core.edit import joined_box
from napari_unet.session.image import Place

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["StrokeWatch"]


class StrokeWatch:
    """Follows the layers of pairs; what was painted is read when `notice` is called.

    napari may tell of a stroke before it is in the data, and tells of its own undo and redo only
    by drawing the layer anew.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._items: list[OpenPair] = []
        self._painted: dict[OpenPair, dict[Place, Box | None]] = {}  # None: anywhere in the plane
        self._checked: dict[OpenPair, set[Place]] = {}
        self._drawn: set[OpenPair] = set()
        self._edits: dict[OpenPair, int] = {}  # known at the last stroke

    def follow(self, item: OpenPair) -> None:
        """Watch the labels of a pair."""
        self._items.append(item)
        item.labels.events.paint.connect(self._on_paint)
        item.labels.events.set_data.connect(self._on_drawn)

    def unfollow(self, item: OpenPair) -> None:
        """Watch them no more."""
        item.labels.events.paint.disconnect(self._on_paint)
        item.labels.events.set_data.disconnect(self._on_drawn)
        self._items.remove(item)
        for known in (self._painted, self._edits, self._checked):
            known.pop(item, None)
        self._drawn.discard(item)

    def follow_checked(self, layer: Labels) -> None:
        """Watch the layer of a pair's checked area too."""
        layer.events.paint.connect(self._on_paint_checked)

    def unfollow_checked(self, layer: Labels) -> None:
        """Watch it no more."""
        layer.events.paint.disconnect(self._on_paint_checked)

    def notice(self) -> list[OpenPair]:
        """Grow checked areas by what was painted since the last call; return whose."""
        painted, self._painted = self._painted, {}
        checked, self._checked = self._checked, {}
        drawn, self._drawn = self._drawn, set()
        for item, planes in painted.items():
            with item.pair.one_step():
                self._absorb(item, planes)
        for item, places in checked.items():
            with item.pair.one_step():
                for place in places:
                    item.pair.checked_was_edited(place)
        # A stroke does not draw the layer anew: what did may have written beside the stroke.
        undone = [item for item in drawn if item.pair.absorb(self._shown(item)) is not None]
        return list(dict.fromkeys([*painted, *checked, *undone]))

    def _absorb(self, item: OpenPair, planes: dict[Place, Box | None]) -> None:
        for place, box in planes.items():
            if item.pair.absorb(place, box) is None and box is not None:
                item.pair.absorb(place)
        if item.pair.edits == self._edits.get(item, 0):
            item.pair.absorb_visited()  # a script may paint where nobody looks
        self._edits[item] = item.pair.edits

    def _shown(self, item: OpenPair) -> Place:
        return shown_place(self._viewer, item.image, item.pair.image)

    def _of(self, event: Any) -> list[OpenPair]:
        source = event.source.unique_id
        return [item for item in self._items if item.labels.unique_id == source]

    def _on_paint(self, event: Any) -> None:
        for item in self._of(event):
            known = self._painted.setdefault(item, {})
            for place, box in self._told(item, event).items():
                before = known.get(place, box)
                known[place] = None if box is None or before is None else joined_box([before, box])

    def _told(self, item: OpenPair, event: Any) -> Painted | dict[Place, None]:
        """Where it was painted; any place of a plane where napari does not say."""
        painted = painted_in(item.pair.image, getattr(event, "value", ()))
        if painted:
            return painted
        in_depth = item.labels.n_edit_dimensions > 2
        return dict.fromkeys(item.pair.image.places() if in_depth else [self._shown(item)])

    def _on_paint_checked(self, event: Any) -> None:
        source = event.source.unique_id
        for item in self._items:
            if item.checked is not None and item.checked.unique_id == source:
                self._checked.setdefault(item, set()).add(self._shown(item))

    def _on_drawn(self, event: Any) -> None:
        self._drawn.update(self._of(event))
