"""Following the layers of a viewer: which there are, and what the docks show of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from napari.layers import Layer

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["LayerWatch"]


class LayerWatch:
    """Tells of layers that come, go, change places, or get another name or scale.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    inserted, removed : callable
        Are told of the layer.
    changed : callable
        Is called after each of them, and when anything else has changed.
    """

    def __init__(
        self,
        viewer: Viewer,
        inserted: Callable[[Layer], None],
        removed: Callable[[Layer], None],
        changed: Callable[[], None],
    ) -> None:
        self._viewer = viewer
        self._inserted, self._removed, self._changed = inserted, removed, changed
        for event in self._list_events():
            event.connect(self._on_layers)
        for layer in viewer.layers:
            self._follow(layer)

    def close(self) -> None:
        """Follow them no more."""
        for event in self._list_events():
            event.disconnect(self._on_layers)
        for layer in self._viewer.layers:
            self._unfollow(layer)

    def _list_events(self) -> tuple[Any, ...]:
        events = self._viewer.layers.events
        return events.inserted, events.removed, events.reordered

    def _follow(self, layer: Layer) -> None:
        for event in _told_by(layer):
            event.connect(self._on_layers)

    def _unfollow(self, layer: Layer) -> None:
        for event in _told_by(layer):
            event.disconnect(self._on_layers)

    def _on_layers(self, event: Any) -> None:
        layer = getattr(event, "value", None)
        if event.type == "inserted" and isinstance(layer, Layer):
            self._follow(layer)
            self._inserted(layer)
        if event.type == "removed" and isinstance(layer, Layer):
            self._unfollow(layer)
            self._removed(layer)
        self._changed()


def _told_by(layer: Layer) -> list[Any]:
    """The events of what the docks show of a layer; `units` came with napari 0.5.5."""
    events = layer.events
    return [getattr(events, name) for name in ("name", "scale", "units") if hasattr(events, name)]
