"""Pairs of an image and its labels: they are opened, put aside for others, and taken up again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image as ImageLayer
from napari.layers import Labels, Layer
from psygnal import Signal

from napari_unet.bridge.layers import (
    CLASSES,
    add_classes,
    add_labels,
    check_labels_fit,
    colour_classes,
    has_room,
    over_channels,
)
from napari_unet.bridge.open_images import OpenImages, id_of
from napari_unet.bridge.open_pair import OpenPair
from napari_unet.bridge.redraw import Redraw
from napari_unet.bridge.strokes import StrokeWatch
from napari_unet.bridge.undo import UndoKeys
from napari_unet.core.errors import InputError
from napari_unet.session.class_pair import ClassPair
from napari_unet.session.image import Image
from napari_unet.session.keeper import Keeper
from napari_unet.session.pair import Pair
from napari_unet.session.session import Session

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["Pairing"]


class Pairing(OpenImages):
    """The pairs of a viewer, and whatever is painted in them.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    session : Session
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
        self.keeper = Keeper()
        self._leftover: list[Labels] = []
        self._strokes = StrokeWatch(viewer)
        self._keys = UndoKeys(viewer, self)
        self._redraw = Redraw(viewer, self._follow_checked, self.classes_changed.emit)

    def close(self) -> None:
        """Stop following the layers of pairs; what was painted last is kept."""
        self.notice()
        for item in self._open.values():
            self._unfollow(item)
        self._keys.close()
        self.keeper.close()
        self._open.clear()

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
        if labels is not None and (item is None or id_of(item.labels) != id_of(labels)):
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
        item = self._shelf.get(id_of(labels))
        if item is None or id_of(item.image) != self._chosen:
            return None
        return item if item.pair.image.shape == image.shape else None

    # Following them

    def _take_up(self, item: OpenPair) -> None:
        self._shelf.pop(id_of(item.labels), None)
        self._open[id_of(item.image)] = item
        self._redraw.labels(item)
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

    def _follow_checked(self, layer: Labels) -> None:
        self._strokes.follow_checked(layer)
        self._keys.follow(layer)

    def _unfollow_checked(self, item: OpenPair) -> None:
        if item.checked is not None:
            self._strokes.unfollow_checked(item.checked)
            self._keys.unfollow(item.checked)

    def _drop(self, item: OpenPair) -> None:
        """Put a pair aside; the labels stay, the checked area goes when napari has finished."""
        self.notice()  # what was painted last is kept
        self._unfollow(item)
        self._redraw.forget(item)
        self._open = {key: other for key, other in self._open.items() if other is not item}
        if self.session.works_on(item.pair):
            self.session.stop()
        if item.checked is not None:
            self._leftover.append(item.checked)
            item.checked = None
        self._shelf[id_of(item.labels)] = item

    def _remove_leftover(self) -> None:
        """Not while napari tells of a removal: it would remove within removing."""
        leftover, self._leftover = self._leftover, []
        for layer in leftover:
            if layer in self.viewer.layers:
                self.viewer.layers.remove(layer)

    def _on_data(self, event: Any) -> None:
        """The array of a labels layer was replaced: go on with the new one where it fits."""
        for item in list(self._open.values()):
            if id_of(item.labels) != id_of(event.source):
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

    def _forget_shelved(self, labels: Layer) -> None:
        """Labels that were put aside are gone; what was corrected in them can be restored."""
        item = self._shelf.pop(id_of(labels), None)
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

    def _look_for_kept(self) -> None:
        try:
            self.keeper.look(None if self.chosen is None else self.image())
        except InputError:  # it cannot be worked on: nothing was corrected in it
            self.keeper.look(None)

    # What is painted

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
        self._redraw.checked(item)
        self.corrected.emit()

    def labels_changed(self, item: OpenPair) -> None:
        """Draw labels and checked area of a pair anew, and tell of it."""
        self._redraw.labels(item)
        self.corrected.emit()
