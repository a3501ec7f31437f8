"""The viewer's layers and the session's pairs, kept in step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.layers import Layer

from napari_unet.bridge.layer_watch import LayerWatch
from napari_unet.bridge.layers import COMPARED
from napari_unet.bridge.open_images import id_of
from napari_unet.bridge.open_pair import OpenPair
from napari_unet.bridge.pairing import Pairing
from napari_unet.session.image import Place
from napari_unet.session.pair import Pair
from napari_unet.session.session import Session

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["COMPARED", "Workspace"]


class Workspace(Pairing):
    """Binds a viewer to a session.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    session : Session
        Its signals are followed; whoever owns both calls `flush` after each `Session.pump`.
    """

    def __init__(self, viewer: Viewer, session: Session) -> None:
        super().__init__(viewer, session)
        session.labels_changed.connect(self._on_labels_changed)
        self.keeper.said.connect(session.said.emit)
        self.keeper.restored.connect(self._on_restored)
        self.chosen_changed.connect(self._look_for_kept)
        self._layers = LayerWatch(
            viewer, self._on_inserted, self._on_removed, self.layers_changed.emit
        )
        self._choose_any()

    def close(self) -> None:
        """Stop following the viewer and its layers; what was painted last is kept."""
        super().close()
        self._layers.close()
        self.session.labels_changed.disconnect(self._on_labels_changed)

    # What the user does

    def select(self, item: OpenPair) -> None:
        """Make the labels the layer that napari's tools act on."""
        self.viewer.layers.selection.active = item.labels

    def show_checked(self, visible: bool) -> None:
        """Show or hide every checked area."""
        self._redraw.show_checked(list(self._open.values()), visible)

    def _on_inserted(self, layer: Layer) -> None:
        if layer in self.images() and not self.session.busy:
            self.choose(layer)

    def _on_removed(self, layer: Layer) -> None:
        self._forget(layer)
        self._choose_any()

    def _forget(self, layer: Layer) -> None:
        """A layer was removed by the user."""
        self._sizes.pop(id_of(layer), None)
        self._forget_shelved(layer)
        for item in list(self._open.values()):
            if item.checked is not None and id_of(layer) == id_of(item.checked):
                self._clear_checked(item)
            elif id_of(layer) in (id_of(item.image), id_of(item.labels)):
                self._drop(item)
                self._forget_shelved(layer)
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

    def _on_restored(self, pair: Pair) -> None:
        for item in self._open.values():
            if item.pair is pair:
                self.labels_changed(item)

    # What the session does

    def _on_labels_changed(self, pair: Pair, place: Place) -> None:
        for item in self._open.values():
            if item.pair is pair:
                self._redraw.labels(item)

    def flush(self) -> None:
        """Notice strokes, and draw what has changed, ten times a second at the most."""
        self.notice()
        self.keeper.pump()
        self._remove_leftover()
        self._redraw.draw(thumbnail=not self.session.busy)
