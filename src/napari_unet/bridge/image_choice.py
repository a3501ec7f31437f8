"""Which image layer of the viewer is worked on, and which of its channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.layers import Image as ImageLayer
from psygnal import Signal

from napari_unet.bridge.layers import COMPARED, guess_channel_axis, read_image
from napari_unet.core.errors import InputError
from napari_unet.session.image import Image

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["ImageChoice"]


class ImageChoice:
    """The image layers of a viewer, and the one that is worked on.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    """

    chosen_changed = Signal()
    """Another image, or other channels of it, are worked on."""

    def __init__(self, viewer: Viewer) -> None:
        self.viewer = viewer
        self._chosen = ""
        self.channel_axis: int | None = None
        self.channels: tuple[int, ...] = (0,)

    def images(self) -> list[ImageLayer]:
        """Return the image layers of the viewer, topmost first; not those that we made."""
        return [
            layer
            for layer in reversed(self.viewer.layers)
            if isinstance(layer, ImageLayer) and COMPARED not in layer.metadata
        ]

    @property
    def chosen(self) -> ImageLayer | None:
        """The image layer that is worked on."""
        return next(
            (layer for layer in self.images() if str(layer.unique_id) == self._chosen), None
        )

    def choose(self, layer: ImageLayer | None) -> None:
        """Work on another image layer."""
        chosen = "" if layer is None else str(layer.unique_id)
        if chosen == self._chosen:
            return
        self._chosen = chosen
        self.channel_axis = None if layer is None else guess_channel_axis(layer)
        self.channels = () if layer is not None and layer.rgb else (0,)
        self.chosen_changed.emit()

    def choose_channels(self, axis: int | None, channels: tuple[int, ...]) -> None:
        """Say which axis holds the channels, and which of them to use; none for their mean."""
        if (axis, channels) != (self.channel_axis, self.channels):
            self.channel_axis, self.channels = axis, channels
            self.chosen_changed.emit()

    def _choose_any(self) -> None:
        if self.chosen is None:
            images = self.images()
            self.choose(images[0] if images else None)

    def image(self) -> Image:
        """Return the image that is worked on, with its chosen channels.

        Raises
        ------
        InputError
            If none is open, or it cannot be segmented.
        """
        layer = self.chosen
        if layer is None:
            raise InputError("Open an image first.")
        return read_image(layer, self.channels, self.channel_axis)
