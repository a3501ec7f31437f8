"""A light U-Net of depthwise separable convolutions."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from napari_unet.core.models.blocks import contract, contracting_path, conv_layers
from napari_unet.core.models.network import Network

__all__ = ["LightUNet"]


class LightUNet(Network):
    """The same-padded U-Net with the convolutions of MobileNets.

    A depthwise separable convolution (Howard et al. 2017, arXiv:1704.04861, section 3.1) is a
    3x3 on each channel alone and a 1x1 across channels, norm and ReLU after both: 9 C + C C'
    weights in place of 9 C C'. As there, the very first convolution is a full one (table 1).
    Chosen: on the way up a 1x1 halves the channels and nearest neighbours double the size, which
    is a quarter of an up-convolution's weights.

    Input (B, in_channels, H, W), H and W multiples of ``2**depth``; output as large.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        width: int,
        depth: int,
        *,
        dropout: float = 0.0,
        compress: float = 0.0,
        norm: str = "batch",
    ) -> None:
        super().__init__(compress)
        block = partial(_separable_block, norm=norm)
        channels = [width * 2**level for level in range(depth + 1)]
        self.down = contracting_path(in_channels, channels, block)
        self.down[0] = nn.Sequential(
            *conv_layers(in_channels, width, norm=norm), *_separable(width, width, norm)
        )
        self.up = nn.ModuleList(nn.Conv2d(2 * c, c, kernel_size=1) for c in channels[:-1])
        self.merge = nn.ModuleList(block(2 * c, c) for c in channels[:-1])
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Conv2d(width, classes, kernel_size=1)

    def outputs(self, features: Tensor) -> tuple[Tensor, ...]:
        """Return logits."""
        *skips, features = contract(self.down, features, self.dropout)
        for level in reversed(range(len(skips))):
            fewer = self.up[level](features)
            larger = nn.functional.interpolate(fewer, scale_factor=2, mode="nearest")
            features = self.merge[level](torch.cat([skips[level], larger], dim=1))
        return (self.head(features),)


def _separable_block(in_channels: int, out_channels: int, *, norm: str) -> nn.Sequential:
    return nn.Sequential(
        *_separable(in_channels, out_channels, norm), *_separable(out_channels, out_channels, norm)
    )


def _separable(in_channels: int, out_channels: int, norm: str) -> list[nn.Module]:
    return [
        *conv_layers(in_channels, in_channels, norm=norm, groups=in_channels),
        *conv_layers(in_channels, out_channels, norm=norm, kernel=1),
    ]
