"""Noticing what the user paints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_unet.bridge.open_pair import OpenPair
from napari_unet.bridge.view import shown_place
from napari_unet.session.image import Place

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["StrokeWatch"]


class StrokeWatch:
    """Follows the labels of pairs; what was painted is read when `notice` is called.

    napari may tell of a stroke before it is in the data, and tells of undo and redo only by
    drawing the layer anew.
    """

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self._items: list[OpenPair] = []
        self._painted: dict[OpenPair, set[Place]] = {}
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
        for known in (self._painted, self._edits):
            known.pop(item, None)
        self._drawn.discard(item)

    def notice(self) -> list[OpenPair]:
        """Grow checked areas by what was painted since the last call; return whose."""
        painted, self._painted = self._painted, {}
        drawn, self._drawn = self._drawn - painted.keys(), set()
        for item, places in painted.items():
            for place in places:
                item.pair.absorb(place)
            if item.pair.edits == self._edits.get(item, 0):
                item.pair.absorb_visited()  # a script may paint where nobody looks
            self._edits[item] = item.pair.edits
        undone = [item for item in drawn if item.pair.absorb(self._shown(item)) is not None]
        return [*painted, *undone]

    def _shown(self, item: OpenPair) -> Place:
        return shown_place(self._viewer, item.image, item.pair.image)

    def _of(self, event: Any) -> list[OpenPair]:
        source = event.source.unique_id
        return [item for item in self._items if item.labels.unique_id == source]

    def _on_paint(self, event: Any) -> None:
        for item in self._of(event):
            in_depth = item.labels.n_edit_dimensions > 2
            places = item.pair.image.places() if in_depth else [self._shown(item)]
            self._painted.setdefault(item, set()).update(places)

    def _on_drawn(self, event: Any) -> None:
        self._drawn.update(self._of(event))
