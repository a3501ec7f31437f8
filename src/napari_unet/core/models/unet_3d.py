"""The 3D U-Net of Cicek, Abdulkadir, Lienkamp, Brox and Ronneberger 2016 (arXiv:1606.06650)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from torch import nn

from napari_unet.core.models.blocks import Strides, contracting_path, conv_layers, up_convolution
from napari_unet.core.models.unet import UNetPath

__all__ = ["UNet3D"]


class UNet3D(UNetPath):
    """A U-Net of volumes (section 2, figure 2): otherwise as `UNet`.

    Convolutions are 3x3x3. The second one of a level doubles the channels before the pooling, so
    that there is no bottleneck, and an up-convolution keeps them: with a `width` of 32, a depth
    of 3, three channels and three classes it has the 19,069,955 parameters that the paper names,
    which count neither the factors of batch norm nor the biases of up-convolutions.

    Chosen: convolutions are same-padded, where those of the paper are valid; norm takes the place
    of a convolution's bias; and a pooling leaves out the axis Z where planes lie so far apart that
    features are wide enough along it already, see `ModelConfig.strides`.

    Input (B, in_channels, D, H, W), each side a multiple of what its poolings divide it by; output
    as large.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        width: int,
        depth: int,
        *,
        strides: Sequence[Strides] | None = None,
        dropout: float = 0.0,
        compress: float = 0.0,
        norm: str = "batch",
    ) -> None:
        super().__init__(compress)
        self.valid = False
        self.strides = depth * [(2, 2, 2)] if strides is None else list(strides)
        channels = [2 * width * 2**level for level in range(depth + 1)]
        self.down = contracting_path(in_channels, channels, partial(_widening, norm=norm))
        self.up = nn.ModuleList(
            up_convolution(2 * c, 2 * c, steps)
            for c, steps in zip(channels[:-1], self.strides, strict=True)
        )
        self.merge = nn.ModuleList(_block(3 * c, c, c, norm=norm) for c in channels[:-1])
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Conv3d(channels[0], classes, kernel_size=1)


def _widening(in_channels: int, out_channels: int, *, norm: str) -> nn.Sequential:
    """Two convolutions, of which the second has twice the channels of the first."""
    return _block(in_channels, out_channels // 2, out_channels, norm=norm)


def _block(inputs: int, between: int, outputs: int, *, norm: str) -> nn.Sequential:
    return nn.Sequential(
        *conv_layers(inputs, between, norm=norm, axes=3),
        *conv_layers(between, outputs, norm=norm, axes=3),
    )
