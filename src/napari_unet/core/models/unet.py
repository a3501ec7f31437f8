"""The U-Net of Ronneberger, Fischer and Brox 2015 (arXiv:1505.04597), valid and same-padded."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from napari_unet.core.models.blocks import contract, contracting_path, conv_block, up_convolution
from napari_unet.core.models.network import Network

__all__ = ["UNet"]


class UNet(Network):
    """A U-Net with `depth` poolings and `width` channels at the first level.

    With ``valid=True`` it is the network of the paper (section 2, figure 1): valid
    convolutions, no batch norm, dropout at the end of the contracting path (on the two
    deepest levels, as in the authors' released network); 572x572 in, 388x388 out, and
    31.0 million parameters at width 64 and depth 4. With ``valid=False`` the convolutions are
    same-padded with batch norm after each, and the output has the size of the input; it has
    31.0 million too. The 34.5 million that are often named belong to a variant that this is not:
    nearest-neighbour enlargement and a 3x3 convolution in place of each up-convolution 2x2.

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
        norm: str | None = None,
    ) -> None:
        super().__init__(compress)
        block = partial(conv_block, valid=valid, norm=norm)
        channels = [width * 2**level for level in range(depth + 1)]
        self.down = contracting_path(in_channels, channels, block)
        self.up = nn.ModuleList(up_convolution(2 * c, c) for c in channels[:-1])
        self.merge = nn.ModuleList(block(2 * c, c) for c in channels[:-1])
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Conv2d(width, classes, kernel_size=1)

    def outputs(self, features: Tensor) -> tuple[Tensor, ...]:
        """Return logits, see the class."""
        *skips, features = contract(self.down, features, self.dropout)
        for level in reversed(range(len(skips))):
            features = self.up[level](features)
            skip = _crop(skips[level], features)
            features = self.merge[level](torch.cat([skip, features], dim=1))
        return (self.head(features),)


def _crop(skip: Tensor, like: Tensor) -> Tensor:
    """Cut the middle of a skip connection to the size of what comes up from below."""
    y = (skip.shape[2] - like.shape[2]) // 2
    x = (skip.shape[3] - like.shape[3]) // 2
    return skip[:, :, y : y + like.shape[2], x : x + like.shape[3]]
