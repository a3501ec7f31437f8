"""Deep Residual U-Net of Zhang, Liu and Wang 2018 (arXiv:1711.10684)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from napari_unet.core.models.network import Network
from napari_unet.core.models.norms import normalization

__all__ = ["ResUNet", "residual_path"]


class ResUNet(Network):
    """A U-Net of residual units with full pre-activation (section II, figure 2, table I).

    A unit is norm, ReLU and convolution 3x3, twice, and its input added; the very first begins
    with its convolution. The first convolution of each encoder unit has a stride of 2 in place of
    pooling; on the way up features are enlarged and joined with the encoder's of the same level.
    Chosen: nearest-neighbour enlargement, and a convolution 1x1 on the shortcut, since a unit
    changes the number of channels; dropout on the two deepest levels.

    The paper has `depth` 3 and `width` 64, and names 7.8 million parameters (section III): those
    of the convolutions 3x3; the shortcuts add 0.4 million.

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
        channels = [width * 2**level for level in range(depth + 1)]
        self.down = residual_path(in_channels, channels, norm)
        self.merge = nn.ModuleList(_Unit(3 * c, c, norm) for c in channels[:-1])
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Conv2d(width, classes, kernel_size=1)

    def outputs(self, features: Tensor) -> tuple[Tensor, ...]:
        """Return logits."""
        skips: list[Tensor] = []
        for level, unit in enumerate(self.down):
            features = unit(features)
            if level >= len(self.down) - 2:
                features = self.dropout(features)
            skips.append(features)
        for level in reversed(range(len(self.merge))):
            larger = nn.functional.interpolate(features, scale_factor=2, mode="nearest")
            features = self.merge[level](torch.cat([skips[level], larger], dim=1))
        return (self.head(features),)


def residual_path(in_channels: int, channels: list[int], norm: str) -> nn.ModuleList:
    """Return a unit for each level; all but the first halve the size."""
    units = [_Unit(in_channels, channels[0], norm, is_first=True)]
    units += [_Unit(i, o, norm, stride=2) for i, o in pairwise(channels)]
    return nn.ModuleList(units)


class _Unit(nn.Module):
    """Two convolutions and a way around them."""

    def __init__(
        self, inputs: int, outputs: int, norm: str, *, stride: int = 1, is_first: bool = False
    ) -> None:
        super().__init__()
        has_bias = norm == "none"
        # The ReLU that comes first must not change what the shortcut reads.
        before = [] if is_first else [*normalization(norm, inputs), nn.ReLU()]
        self.layers = nn.Sequential(
            *before,
            nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=has_bias),
            *normalization(norm, outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1),
        )
        self.stride = stride
        self.shortcut = nn.Conv2d(inputs, outputs, kernel_size=1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return (B, outputs, H / stride, W / stride)."""
        # A 1x1 convolution with a stride is the same, but torch 2.13 crashes in its gradient on
        # the CPU for 6 channels of 48x48 pixels, channels last.
        kept = features[:, :, :: self.stride, :: self.stride]
        return self.layers(features) + self.shortcut(kept)  # type: ignore[no-any-return]
