"""What the gates of an Attention U-Net let through: maps of where it looks, one for each gate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any  # images come in any real dtype

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_unet.core.errors import InputError
from napari_unet.core.measure import measure_stack
from napari_unet.core.model_file import Model
from napari_unet.core.models.attention_unet import AttentionUNet
from napari_unet.core.models.network import Network
from napari_unet.core.neighbours import channels_needed, reader_for
from napari_unet.core.planes import check_image, name_axes, plane_places
from napari_unet.core.predict import predict_plane
from napari_unet.core.rescale import resize_image

__all__ = ["attention_maps", "gate_names"]

SURE = 1e-6  # so near to 0 and 1 maps come: logits stay finite


def gate_names(model: Model) -> list[str]:
    """Name the gates, the finest first: "level 2" is of skip connections at half the resolution.

    Raises
    ------
    InputError
        If the model is no Attention U-Net, or has too few levels for gates.
    """
    if not isinstance(model.network, AttentionUNet):
        raise InputError(
            f"{model.card.title or model.card.name} is a {model.config.architecture} and has no "
            "attention gates; choose a model whose architecture is attention-unet."
        )
    if model.config.depth < 2:
        raise InputError("A model of depth 1 has no attention gates; train one of depth 2 or more.")
    return [f"level {level}" for level in range(2, model.config.depth + 1)]


def attention_maps(
    image: NDArray[Any],
    model: Model,
    *,
    axes: str | None = None,
    diameter: float | None = None,
    device: str = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.float32]:
    """Return what each gate of an Attention U-Net lets through at each pixel.

    Tiled as `segment` does it: the maps of a large image are those of the whole.

    Parameters
    ----------
    image : array-like
        Any real dtype.
    model : Model
        Of the architecture attention-unet.
    axes, diameter, device
        See `segment`.
    progress : callable, optional
        Called with (done, total) after each tile of a plane.

    Returns
    -------
    ndarray of float32, shape (gates, *image without channels), within 0 to 1
        In the order of `gate_names`; the other axes in their order, then Y and X.

    Raises
    ------
    InputError
        If the model has no gates, or the image does not fit it.
    """
    gates = gate_names(model)
    config = model.config
    if not hasattr(image, "dtype"):
        image = np.asarray(image)
    channels = channels_needed(image.shape, axes, config)
    axes = name_axes(image.shape, axes, channels)
    check_image(image.shape, image.dtype, axes, channels)
    read = reader_for(config, image, axes)
    if diameter is None:
        diameter = measure_stack(image, axes, model, device=device, precision="float32")
    seen = _seen(model, len(gates))
    sizes = dict(zip(axes, image.shape, strict=True))
    stack = tuple(size for axis, size in sizes.items() if axis not in "CYX")
    shape_yx = sizes["Y"], sizes["X"]
    out = np.zeros((len(gates), *stack, *shape_yx), np.float32)
    each = np.moveaxis(out, 0, -3)
    for place in plane_places(image.shape, axes):
        found = predict_plane(
            read(place), seen, diameter=diameter, device=device, precision="float32",
            progress=progress,
        )  # fmt: skip
        maps = np.clip(found[1:] * len(gates), 0, 1)
        each[place] = resize_image(maps, shape_yx)
    return out


def _seen(model: Model, gates: int) -> Model:
    """Return a model whose classes are what the gates let through."""
    network = model.network
    assert isinstance(network, AttentionUNet)
    names = ("none", *(f"gate {number}" for number in range(gates)))
    config = replace(model.config, classes=names, semantic=False, object_score=())
    return replace(model, config=config, network=_Gates(network))


class _Gates(Network):
    """The gates as classes: their softmax is each map by their number, and the rest before them."""

    def __init__(self, network: AttentionUNet) -> None:
        super().__init__(network.compress)
        self.network = network
        self.down, self.head = network.down, network.head

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (B, 1 + gates, H, W)."""
        maps = torch.cat(self.network.attention(image), dim=1)
        rest = 1 - maps.mean(dim=1, keepdim=True)
        shares = torch.cat([rest, maps / maps.shape[1]], dim=1)
        return shares.clamp(min=SURE).log()
