"""The U-Net of Ronneberger, Fischer and Brox 2015 (arXiv:1505.04597), valid and same-padded."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from napari_unet.core.models.blocks import conv_block

__all__ = ["UNet"]


class UNet(nn.Module):
    """A U-Net with `depth` poolings and `width` channels at the first level.

    With ``valid=True`` it is the network of the paper (section 2, figure 1): valid
    convolutions, no batch norm, dropout at the end of the contracting path (on the two
    deepest levels, as in the authors' released network); 572x572 in, 388x388 out, and
    31.0 million parameters at width 64 and depth 4. With ``valid=False`` the convolutions are
    same-padded with batch norm after each, and the output has the size of the input.

    With `compress` above 0 intensities pass through an arcus sinus hyperbolicus first, see
    `ModelConfig`.

    Input (B, in_channels, H, W), output logits (B, classes, h, w). Same-padded: H and W are
    multiples of ``2**depth``. Valid: H and W are ``2**depth * (n + 4) + 4 * (2**depth - 1)``.
    """

    def __init__(
        self,
        in_channels: int = 1,
        classes: int = 2,
        width: int = 64,
        depth: int = 4,
        *,
        dropout: float = 0.5,
        valid: bool = True,
        compress: float = 0.0,
    ) -> None:
        super().__init__()
        self.compress = compress
        channels = [width * 2**level for level in range(depth + 1)]
        inputs = [in_channels, *channels[:-1]]
        self.down = nn.ModuleList(
            conv_block(i, o, valid=valid) for i, o in zip(inputs, channels, strict=True)
        )
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(2 * c, c, kernel_size=2, stride=2) for c in channels[:-1]
        )
        self.merge = nn.ModuleList(conv_block(2 * c, c, valid=valid) for c in channels[:-1])
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Conv2d(width, classes, kernel_size=1)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits, see the class."""
        skips: list[Tensor] = []
        features = _compressed(image, self.compress)
        depth = len(self.up)
        for level, block in enumerate(self.down):
            features = block(features)
            if level >= depth - 1:
                features = self.dropout(features)
            if level < depth:
                skips.append(features)
                features = nn.functional.max_pool2d(features, 2)
        for level in reversed(range(depth)):
            features = self.up[level](features)
            skip = _crop(skips[level], features)
            features = self.merge[level](torch.cat([skip, features], dim=1))
        return self.head(features)  # type: ignore[no-any-return]  # torch types modules as Any


def _compressed(image: Tensor, knee: float) -> Tensor:
    """Linear below the knee, logarithmic above it; 0 and 1 stay."""
    return torch.asinh(image / knee) / math.asinh(1 / knee) if knee > 0 else image


def _crop(skip: Tensor, like: Tensor) -> Tensor:
    """Cut the middle of a skip connection to the size of what comes up from below."""
    y = (skip.shape[2] - like.shape[2]) // 2
    x = (skip.shape[3] - like.shape[3]) // 2
    return skip[:, :, y : y + like.shape[2], x : x + like.shape[3]]
