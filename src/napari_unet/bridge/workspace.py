"""The viewer's layers and the session's pairs, kept in step."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image as ImageLayer
from napari.layers import Labels, Layer
from psygnal import Signal

from napari_unet.bridge.image_choice import ImageChoice
from napari_unet.bridge.layers import (
    CLASSES,
    COMPARED,
    add_checked,
    add_classes,
    add_labels,
    check_labels_fit,
    colour_classes,
    has_room,
    over_channels,
)
from napari_unet.bridge.open_pair import OpenPair
from napari_unet.bridge.strokes import StrokeWatch
from napari_unet.bridge.undo import UndoKeys
from napari_unet.bridge.view import shown_place, visible_box, visible_center
from napari_unet.core.boxes import Box
from napari_unet.core.errors import InputError
from napari_unet.session.class_pair import ClassPair
from napari_unet.session.image import Image, Place
from napari_unet.session.keeper import Keeper
from napari_unet.session.object_size import ObjectSize
from napari_unet.session.pair import Pair
from napari_unet.session.session import Session

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["COMPARED", "Workspace"]

REFRESH_EVERY_S = 0.1


class Workspace(ImageChoice):
    """Binds a viewer to a session.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    session : Session
        Its signals are followed; whoever owns both calls `flush` after each `Session.pump`.
    """

    layers_changed = Signal()
    """An image or labels layer was added, removed, renamed, or given another scale."""
    corrected = Signal()
    """The user has corrected something, or the checked area changed otherwise."""
    classes_changed = Signal()
    """There are more classes in what is worked on."""

    def __init__(self, viewer: Viewer, session: Session) -> None:
        super().__init__(viewer)
        self.session = session
        self._open: dict[str, OpenPair] = {}
        self._stale: set[str] = set()
        self._stale_checked: set[str] = set()
        self._leftover: list[Labels] = []
        self._sizes: dict[str, ObjectSize] = {}  # by image
        self._shelf: dict[str, OpenPair] = {}  # by their labels, while other labels are chosen
        self._strokes = StrokeWatch(viewer)
        self._keys = UndoKeys(viewer, self)
        self.keeper = Keeper()
        self._refreshed_at = 0.0
        self._show_checked = True
        session.labels_changed.connect(self._on_labels_changed)
        self.keeper.said.connect(session.said.emit)
        self.keeper.restored.connect(self._on_restored)
        self.chosen_changed.connect(self._look_for_kept)
        for event in self._layer_events():
            event.connect(self._on_layers)
        for layer in viewer.layers:
            self._follow_layer(layer)
        self._choose_any()

    def close(self) -> None:
        """Stop following the viewer and its layers; what was painted last is kept."""
        self.notice()
        for event in self._layer_events():
            event.disconnect(self._on_layers)
        for layer in self.viewer.layers:
            self._unfollow_layer(layer)
        for item in self._open.values():
            self._unfollow(item)
        self._keys.close()
        self.keeper.close()
        self._open.clear()
        self.session.labels_changed.disconnect(self._on_labels_changed)

    def _layer_events(self) -> tuple[Any, ...]:
        events = self.viewer.layers.events
        return events.inserted, events.removed, events.reordered

    def _follow_layer(self, layer: Layer) -> None:
        for event in _told_by(layer):
            event.connect(self._on_layers)

    def _unfollow_layer(self, layer: Layer) -> None:
        for event in _told_by(layer):
            event.disconnect(self._on_layers)

    # What is open

    def labels_layers(self) -> list[Labels]:
        """Return the labels layers that can be corrected, topmost first."""
        checked = {item.checked.unique_id for item in self._open.values() if item.checked}
        return [
            layer
            for layer in reversed(self.viewer.layers)
            if isinstance(layer, Labels)
            and layer.unique_id not in checked
            and COMPARED not in layer.metadata
        ]

    def pairs(self) -> list[Pair]:
        """Return all that is open."""
        return [item.pair for item in self._open.values()]

    def items(self) -> list[OpenPair]:
        """Return all that is open, and then what was put aside for other labels."""
        return [*self._open.values(), *self._shelf.values()]

    @property
    def current(self) -> OpenPair | None:
        """What is known of the image that is worked on."""
        return self.find(self.chosen)

    def visited(self) -> tuple[Pair, list[Place]] | None:
        """Return the current pair and its planes that were worked on, the shown one first."""
        item = self.current
        if item is None:
            return None
        shown = self.shown(item)
        return item.pair, [shown, *(place for place in item.pair.visited if place != shown)]

    def find(self, layer: ImageLayer | None) -> OpenPair | None:
        """Return what is known of an image layer."""
        return None if layer is None else self._open.get(_id(layer))

    def of_labels(self, layer: Labels) -> OpenPair | None:
        """Return the pair whose labels, or whose checked area, a layer shows."""
        of = (
            item
            for item in self._open.values()
            for shown in (item.labels, item.checked)
            if shown is not None and _id(shown) == _id(layer)
        )
        return next(of, None)

    def shown(self, item: OpenPair) -> Place:
        """Return the plane of a stack that the viewer shows."""
        return shown_place(self.viewer, item.image, item.pair.image)

    def center(self, item: OpenPair) -> tuple[float, float]:
        """Return the row and column in the middle of what is seen."""
        return visible_center(self.viewer, item.image, item.pair.image)

    def seen(self, item: OpenPair) -> Box:
        """Return the rows and columns that are seen."""
        return visible_box(self.viewer, item.image, item.pair.image)

    def size(self, layer: ImageLayer) -> ObjectSize:
        """Return what is known of how wide the objects of an image layer are."""
        return self._sizes.setdefault(_id(layer), ObjectSize())

    # Opening pairs

    def open(self, labels: Labels | None = None) -> OpenPair:
        """Return the pair of the chosen image; it is made, with its layers, if there is none.

        Parameters
        ----------
        labels : napari.layers.Labels, optional
            The user's own labels to correct and to teach from.

        Raises
        ------
        InputError
            If the image cannot be segmented, or the labels do not fit it.
        """
        image, layer = self.image(), self.chosen
        assert layer is not None  # image() has said so otherwise
        item = self.current
        if labels is not None and (item is None or _id(item.labels) != _id(labels)):
            known = self._shelved(labels, image)
            if known is None:
                check_labels_fit(image, labels)
            if item is not None:
                self._drop(item)
            item = known
            if item is not None:
                self._take_up(item)
        if item is not None and item.pair.image.shape != image.shape:
            item.labels.visible = False  # they stay, but not under the new ones
            self._drop(item)
            item = None
        if item is None:
            item = self._make(layer, image, labels)
        item.pair.image = image
        return item

    def open_classes(self, names: Sequence[str]) -> OpenPair:
        """Return a pair of the chosen image in which labels are classes, in a layer of its own.

        Raises
        ------
        InputError
            As `open`.
        """
        image, layer = self.image(), self.chosen
        assert layer is not None  # image() has said so otherwise
        return self.open(add_classes(self.viewer, layer, image, list(names)))

    def open_for(self, names: Sequence[str]) -> OpenPair:
        """Return a pair of the chosen image with these classes, of objects where there are none.

        Labels of the other kind stay, beside those of the pair.

        Raises
        ------
        InputError
            As `open`.
        """
        item = self.current
        if item is not None and bool(item.pair.classes) != bool(names):
            self._drop(item)
            item = None
        item = self.open_classes(names) if item is None and names else self.open()
        if isinstance(item.pair, ClassPair):
            for name in names[len(item.pair.names) :]:
                item.pair.add_class(name)
        return item

    def add_class(self, item: OpenPair, name: str) -> int:
        """Add a class to a pair of classes, and return its label; see `ClassPair.add_class`."""
        assert isinstance(item.pair, ClassPair)
        if self.session.is_live:
            raise InputError("Stop learning as you correct first; then add the class.")
        label = item.pair.add_class(name)
        colour_classes(item.labels)
        self.classes_changed.emit()
        return label

    def _make(self, layer: ImageLayer, image: Image, labels: Labels | None) -> OpenPair:
        if labels is None:
            array = np.zeros(image.shape, np.int32)
            shown = add_labels(self.viewer, layer, image, array)
        else:
            if labels.data.dtype != np.int32:
                labels.data = labels.data.astype(np.int32)
            array, shown = labels.data, labels
        checked = np.zeros(image.shape, np.uint8)
        size, names = self.size(layer), shown.metadata.get(CLASSES)
        if names is None:
            pair = Pair(image, array, checked, size)
        else:
            pair = ClassPair(image, array, checked, size, names=names)
        self.keeper.follow(pair)
        pair.begin()
        item = OpenPair(pair, layer, shown)
        self._take_up(item)
        return item

    def _shelved(self, labels: Labels, image: Image) -> OpenPair | None:
        """Return what was known of these labels before others were chosen for the image."""
        item = self._shelf.get(_id(labels))
        if item is None or _id(item.image) != self._chosen or item.pair.image.shape != image.shape:
            return None
        return item

    def _take_up(self, item: OpenPair) -> None:
        self._shelf.pop(_id(item.labels), None)
        self._open[_id(item.image)] = item
        self._stale.add(_id(item.image))
        self._strokes.follow(item)
        self._keys.follow(item.labels)
        item.labels.mouse_drag_callbacks.insert(0, self._on_press)
        item.labels.events.data.connect(self._on_data)
        self.layers_changed.emit()
        self.corrected.emit()

    def _unfollow(self, item: OpenPair) -> None:
        self._strokes.unfollow(item)
        self._keys.unfollow(item.labels)
        if self._on_press in item.labels.mouse_drag_callbacks:
            item.labels.mouse_drag_callbacks.remove(self._on_press)
        item.labels.events.data.disconnect(self._on_data)
        self._unfollow_checked(item)

    def _unfollow_checked(self, item: OpenPair) -> None:
        if item.checked is not None:
            self._strokes.unfollow_checked(item.checked)
            self._keys.unfollow(item.checked)

    def _drop(self, item: OpenPair) -> None:
        """Put a pair aside; the labels stay, the checked area goes when napari has finished."""
        self.notice()  # what was painted last is kept
        self._unfollow(item)
        self._open = {key: other for key, other in self._open.items() if other is not item}
        if self.session.works_on(item.pair):
            self.session.stop()
        if item.checked is not None:
            self._leftover.append(item.checked)
            item.checked = None
        self._shelf[_id(item.labels)] = item

    def _remove_leftover(self) -> None:
        """Not while napari tells of a removal: it would remove within removing."""
        leftover, self._leftover = self._leftover, []
        for layer in leftover:
            if layer in self.viewer.layers:
                self.viewer.layers.remove(layer)

    # What the user does

    def select(self, item: OpenPair) -> None:
        """Make the labels the layer that napari's tools act on."""
        self.viewer.layers.selection.active = item.labels

    def show_checked(self, visible: bool) -> None:
        """Show or hide every checked area."""
        self._show_checked = visible
        for item in self._open.values():
            if item.checked is not None:
                item.checked.visible = visible

    def notice(self) -> None:
        """Grow the checked areas by what was painted since the last call."""
        for item in self._strokes.notice():
            if item.pair.classes:  # a stroke of background is no label any more
                self.labels_changed(item)
            else:
                self.checked_grew(item)

    def _on_press(self, layer: Labels, event: Any) -> None:
        """Two strokes are two edits, however soon the next one begins."""
        self.session.guarded(self.notice)

    def checked_grew(self, item: OpenPair) -> None:
        """Draw the checked area of a pair anew, and tell of it.

        Its labels are as napari has drawn them: on a large plane that would take a while.
        """
        self._stale_checked.add(_id(item.image))
        self.corrected.emit()

    def labels_changed(self, item: OpenPair) -> None:
        """Draw labels and checked area of a pair anew, and tell of it."""
        self._stale.add(_id(item.image))
        self.corrected.emit()

    def _on_data(self, event: Any) -> None:
        """The array of a labels layer was replaced: go on with the new one where it fits."""
        for item in list(self._open.values()):
            if _id(item.labels) != _id(event.source):
                continue
            data = item.labels.data
            expected = over_channels(item.pair.image, item.pair.labels)
            if data is item.pair.labels or np.shares_memory(data, item.pair.labels):
                continue
            fits = isinstance(data, np.ndarray) and data.shape == expected.shape and has_room(data)
            if fits and data.shape == item.pair.labels.shape and data.dtype != np.int32:
                item.labels.data = data.astype(np.int32)  # room for more numbers; comes back here
            elif fits and data.shape == item.pair.labels.shape:
                item.pair.go_on_with(data)
                self.labels_changed(item)
            else:
                self._drop(item)
                self.layers_changed.emit()

    def _on_layers(self, event: Any) -> None:
        layer = getattr(event, "value", None)
        if event.type == "inserted" and isinstance(layer, Layer):
            self._follow_layer(layer)
            if layer in self.images() and not self.session.busy:
                self.choose(layer)
        if event.type == "removed" and isinstance(layer, Layer):
            self._unfollow_layer(layer)
            self._forget(layer)
            self._choose_any()
        self.layers_changed.emit()

    def _forget(self, layer: Layer) -> None:
        """A layer was removed by the user."""
        self._sizes.pop(_id(layer), None)
        self._forget_shelved(layer)
        for item in list(self._open.values()):
            if item.checked is not None and _id(layer) == _id(item.checked):
                self._clear_checked(item)
            elif _id(layer) in (_id(item.image), _id(item.labels)):
                self._drop(item)
                self._forget_shelved(layer)
                self.corrected.emit()

    def _forget_shelved(self, labels: Layer) -> None:
        """Labels that were put aside are gone; what was corrected in them can be restored."""
        item = self._shelf.pop(_id(labels), None)
        if item is not None:
            self.keeper.let_go(item.pair)
            self._look_for_kept()

    def _clear_checked(self, item: OpenPair) -> None:
        """The user removed the layer of the checked area: nothing is checked any more."""
        self.notice()  # what was painted before is a step of its own
        self._unfollow_checked(item)
        item.checked = None
        with item.pair.one_step():
            for place in item.pair.visited:
                item.pair.uncheck(place)
        self.corrected.emit()

    # What was kept of earlier days

    def restore(self) -> None:
        """Restore what the keeper offers, in the labels of the chosen image.

        Raises
        ------
        InputError
            As `open`, or if it cannot be restored.
        """
        if not self.keeper.kept:
            return
        self.keeper.must_fit(self.image())
        item = self.open_for(self.keeper.kept[0].classes)
        self.notice()
        self.keeper.restore(item.pair)

    def _look_for_kept(self) -> None:
        try:
            self.keeper.look(None if self.chosen is None else self.image())
        except InputError:  # it cannot be worked on: nothing was corrected in it
            self.keeper.look(None)

    def _on_restored(self, pair: Pair) -> None:
        for item in self._open.values():
            if item.pair is pair:
                self.labels_changed(item)

    # What the session does

    def _on_labels_changed(self, pair: Pair, place: Place) -> None:
        for key, item in self._open.items():
            if item.pair is pair:
                self._stale.add(key)

    def flush(self) -> None:
        """Notice strokes, and draw what has changed, ten times a second at the most."""
        self.notice()
        self.keeper.pump()
        self._remove_leftover()
        now = time.monotonic()
        stale = self._stale | self._stale_checked
        if not stale or now - self._refreshed_at < REFRESH_EVERY_S:
            return
        for key in stale & self._open.keys():
            self._draw(self._open[key], has_new_labels=key in self._stale)
        self._stale.clear()
        self._stale_checked.clear()
        self._refreshed_at = time.monotonic()

    def _draw(self, item: OpenPair, *, has_new_labels: bool) -> None:
        if isinstance(item.pair, ClassPair) and len(item.labels.colormap.color_dict) != (
            len(item.pair.names) + 3  # None, 0 and strokes of background
        ):
            colour_classes(item.labels)
            self.classes_changed.emit()
        if has_new_labels:
            item.labels.refresh(extent=False, thumbnail=not self.session.busy)
        if item.checked is not None:
            item.checked.refresh(extent=False, thumbnail=False)
        elif item.pair.has_checked:
            pair = item.pair
            overlay = add_checked(self.viewer, item.image, pair.image, pair.checked, item.labels)
            overlay.visible = self._show_checked
            self._strokes.follow_checked(overlay)
            self._keys.follow(overlay)
            item.checked = overlay


def _told_by(layer: Layer) -> list[Any]:
    """The events of what the docks show of a layer; `units` came with napari 0.5.5."""
    events = layer.events
    return [getattr(events, name) for name in ("name", "scale", "units") if hasattr(events, name)]


def _id(layer: Layer) -> str:
    return str(layer.unique_id)
