"""What is open in a viewer: each image with its labels, and where it is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.layers import Image as ImageLayer
from napari.layers import Labels, Layer

from napari_unet.bridge.image_choice import ImageChoice
from napari_unet.bridge.layers import COMPARED
from napari_unet.bridge.open_pair import OpenPair
from napari_unet.bridge.view import shown_place, visible_box, visible_center
from napari_unet.core.boxes import Box
from napari_unet.session.image import Place
from napari_unet.session.object_size import ObjectSize
from napari_unet.session.pair import Pair

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["OpenImages", "id_of"]


def id_of(layer: Layer) -> str:
    """Return what tells a layer from all others, whatever it is called."""
    return str(layer.unique_id)


class OpenImages(ImageChoice):
    """The pairs of a viewer, to be asked for.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    """

    def __init__(self, viewer: Viewer) -> None:
        super().__init__(viewer)
        self._open: dict[str, OpenPair] = {}
        self._shelf: dict[str, OpenPair] = {}  # by their labels, while other labels are chosen
        self._sizes: dict[str, ObjectSize] = {}  # by image

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
        return None if layer is None else self._open.get(id_of(layer))

    def of_labels(self, layer: Labels) -> OpenPair | None:
        """Return the pair whose labels, or whose checked area, a layer shows."""
        of = (
            item
            for item in self._open.values()
            for shown in (item.labels, item.checked)
            if shown is not None and id_of(shown) == id_of(layer)
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
        return self._sizes.setdefault(id_of(layer), ObjectSize())
