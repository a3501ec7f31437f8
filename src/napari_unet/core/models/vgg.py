"""The encoder of VGG-16, which the historical yardsticks share."""

from __future__ import annotations

from torch import nn

from napari_unet.core.models.blocks import conv_layers

__all__ = ["vgg_channels", "vgg_convolutions", "vgg_levels"]


def vgg_channels(width: int, depth: int) -> list[int]:
    """Return the channels of each level: they double three times and then stay."""
    return [width * min(2**level, 8) for level in range(depth)]


def vgg_convolutions(level: int) -> int:
    """Return how many convolutions 3x3 a level has: 2, 2, and then 3."""
    return 2 if level < 2 else 3


def vgg_levels(in_channels: int, width: int, depth: int, norm: str) -> nn.ModuleList:
    """Return the convolutions before each pooling.

    Simonyan and Zisserman 2015 (arXiv:1409.1556), table 1, column D; at width 64 and depth 5 the
    13 convolutions of VGG-16.
    """
    levels, before = nn.ModuleList(), in_channels
    for level, channels in enumerate(vgg_channels(width, depth)):
        layers: list[nn.Module] = []
        for _ in range(vgg_convolutions(level)):
            layers += conv_layers(before, channels, norm=norm)
            before = channels
        levels.append(nn.Sequential(*layers))
    return levels
