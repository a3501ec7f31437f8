"""Turn a ModelConfig into a network."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from napari_unet.core.config import ModelConfig
from napari_unet.core.models.attention_unet import AttentionUNet
from napari_unet.core.models.blocks import initialize
from napari_unet.core.models.deeplab import DeepLabV3Plus
from napari_unet.core.models.fcn import FCN8s
from napari_unet.core.models.light_unet import LightUNet
from napari_unet.core.models.network import Network
from napari_unet.core.models.outline_unet import OutlineUNet
from napari_unet.core.models.resunet import ResUNet
from napari_unet.core.models.segnet import SegNet
from napari_unet.core.models.transformer_unet import TransformerUNet
from napari_unet.core.models.unet import UNet
from napari_unet.core.models.unet_3_plus import UNet3Plus
from napari_unet.core.models.unet_3d import UNet3D
from napari_unet.core.models.unet_plus_plus import UNetPlusPlus

__all__ = ["NETWORKS", "build_network"]

# The network of each name of `napari_unet.core.architectures`.
NETWORKS: dict[str, Callable[..., Network]] = {
    "unet": partial(UNet, valid=False),
    "unet-valid": partial(UNet, valid=True),
    "unet-outlines": OutlineUNet,
    "unet++": UNetPlusPlus,
    "unet3+": UNet3Plus,
    "attention-unet": AttentionUNet,
    "resunet": ResUNet,
    "unet-light": LightUNet,
    "unet-transformer": TransformerUNet,
    "unet-3d": UNet3D,
    "fcn-8s": FCN8s,
    "segnet": SegNet,
    "deeplabv3+": DeepLabV3Plus,
}


def build_network(config: ModelConfig, generator: torch.Generator | None = None) -> Network:
    """Return a freshly initialised network in training mode, on the CPU.

    Parameters
    ----------
    config : ModelConfig
        Architecture and sizes.
    generator : torch.Generator, optional
        Source of the initial weights; the same seed gives the same weights.
    """
    of_volumes = {"strides": config.strides} if config.is_volumetric else {}
    network = NETWORKS[config.architecture](
        config.in_channels,
        len(config.classes),
        config.width,
        config.depth,
        dropout=config.dropout,
        compress=config.compress,
        norm=config.network_norm,
        **of_volumes,
    )
    if not next(network.parameters()).is_meta:
        # What has shapes alone has no values; to draw some, torch would load its compiler first,
        # which takes a second.
        initialize(network, generator)
    return network
