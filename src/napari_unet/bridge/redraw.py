"""Drawing labels and checked areas anew, ten times a second at the most."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from napari.layers import Labels

from napari_unet.bridge.layers import add_checked, colour_classes
from napari_unet.bridge.open_pair import OpenPair
from napari_unet.session.class_pair import ClassPair

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["Redraw"]

REFRESH_EVERY_S = 0.1


class Redraw:
    """Keeps what is to be drawn, and draws it when it is asked to.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    checked_added : callable
        Is told of the layer of a checked area that was added.
    classes_coloured : callable
        Is called when classes have got their colours.
    """

    def __init__(
        self,
        viewer: Viewer,
        checked_added: Callable[[Labels], None],
        classes_coloured: Callable[[], None],
    ) -> None:
        self._viewer = viewer
        self._checked_added = checked_added
        self._classes_coloured = classes_coloured
        self._labels: set[OpenPair] = set()
        self._checked: set[OpenPair] = set()
        self._drawn_at = 0.0
        self.shows_checked = True

    def labels(self, item: OpenPair) -> None:
        """Draw labels and checked area of a pair next time."""
        self._labels.add(item)

    def checked(self, item: OpenPair) -> None:
        """Draw the checked area of a pair next time."""
        self._checked.add(item)

    def forget(self, item: OpenPair) -> None:
        """Draw nothing of a pair."""
        self._labels.discard(item)
        self._checked.discard(item)

    def show_checked(self, items: list[OpenPair], visible: bool) -> None:
        """Show or hide checked areas, and those that are added from now on."""
        self.shows_checked = visible
        for item in items:
            if item.checked is not None:
                item.checked.visible = visible

    def draw(self, *, thumbnail: bool) -> None:
        """Draw what has changed, unless something was drawn a moment ago."""
        stale = self._labels | self._checked
        if not stale or time.monotonic() - self._drawn_at < REFRESH_EVERY_S:
            return
        for item in stale:
            self._draw(item, has_new_labels=item in self._labels, thumbnail=thumbnail)
        self._labels.clear()
        self._checked.clear()
        self._drawn_at = time.monotonic()

    def _draw(self, item: OpenPair, *, has_new_labels: bool, thumbnail: bool) -> None:
        if isinstance(item.pair, ClassPair) and len(item.labels.colormap.color_dict) != (
            len(item.pair.names) + 3  # None, 0 and strokes of background
        ):
            colour_classes(item.labels)
            self._classes_coloured()
        if has_new_labels:
            item.labels.refresh(extent=False, thumbnail=thumbnail)
        if item.checked is not None:
            item.checked.refresh(extent=False, thumbnail=False)
        elif item.pair.has_checked:
            pair = item.pair
            overlay = add_checked(self._viewer, item.image, pair.image, pair.checked, item.labels)
            overlay.visible = self.shows_checked
            self._checked_added(overlay)
            item.checked = overlay
