"""DeepLabv3+ of Chen et al. 2018 (arXiv:1802.02611), a historical yardstick."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_unet.core.models.blocks import conv_layers, enlarged
from napari_unet.core.models.network import Network
from napari_unet.core.models.norms import normalization
from napari_unet.core.models.resunet import residual_path

__all__ = ["DeepLabV3Plus"]

RATES = (6, 12, 18)  # section 3.1 by way of DeepLabv3, at an output stride of 16
LOW = 2  # the level whose features the decoder takes along: a quarter of the size


class DeepLabV3Plus(Network):
    """Convolutions with holes on the deepest level, and a small decoder (section 3.1, figure 2).

    The pyramid is a convolution 1x1 and three 3x3 with holes of rate 6, 12 and 18, joined by a
    1x1; the decoder enlarges it bilinearly to a quarter of the image, joins it with features of
    the encoder there, reduced to few channels, and passes two convolutions 3x3. At `width` 64
    these have 256 and 48 channels, and at `depth` 4 the output stride is 16, as in the paper.

    Chosen: the encoder is one of residual units, as in `ResUNet` (theirs is a pretrained ResNet-101
    or Xception); the pooling over the whole image is left out of the pyramid, since what it says
    would depend on where an image is cut into tiles; networks of fewer than three poolings take
    along the level above the deepest.

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
        self.low = min(LOW, depth - 1)
        wide, few = 4 * width, max(1, 3 * width // 4)
        self.down = residual_path(in_channels, channels, norm)
        self.encoded = nn.Sequential(*normalization(norm, channels[-1]), nn.ReLU())
        self.pyramid = nn.ModuleList(
            nn.Sequential(*conv_layers(channels[-1], wide, norm=norm, kernel=kernel, dilation=rate))
            for kernel, rate in ((1, 1), *((3, rate) for rate in RATES))
        )
        self.join = nn.Sequential(
            *conv_layers(wide * (1 + len(RATES)), wide, norm=norm, kernel=1), nn.Dropout(dropout)
        )
        self.reduce = nn.Sequential(*conv_layers(channels[self.low], few, norm=norm, kernel=1))
        self.refine = nn.Sequential(
            *conv_layers(wide + few, wide, norm=norm), *conv_layers(wide, wide, norm=norm)
        )
        self.head = nn.Conv2d(wide, classes, kernel_size=1)

    def outputs(self, features: Tensor) -> tuple[Tensor, ...]:
        """Return logits."""
        levels: list[Tensor] = []
        for unit in self.down:
            features = unit(features)
            levels.append(features)
        encoded = self.encoded(features)
        context = self.join(torch.cat([branch(encoded) for branch in self.pyramid], dim=1))
        context = enlarged(context, 2 ** (len(levels) - 1 - self.low))
        features = self.refine(torch.cat([context, self.reduce(levels[self.low])], dim=1))
        return (enlarged(self.head(features), 2**self.low),)
