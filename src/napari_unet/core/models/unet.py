"""The U-Net of Ronneberger, Fischer and Brox 2015 (arXiv:1505.04597), valid and same-padded."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from napari_unet.core.models.blocks import contract, contracting_path, conv_block, up_convolution
from napari_unet.core.models.network import Box, Network, compressed

__all__ = ["UNet"]

RIM = 2  # two convolutions 3x3


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
        self.valid = valid
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
            features = self._merged(level, skips.pop(), features)
        return (self.head(features),)

    def part(self, image: Tensor, box: Box) -> Tensor:
        """Return logits of a part of the output; the expanding path computes little else.

        Only the contracting path needs all of the halo around a tile::

            contracting path  |<- halo ->|<- box ->|<- halo ->|
            expanding path          2 px |<- box ->| 2 px           on the first level
        """
        if self.valid:
            return super().part(image, box)
        *skips, features = contract(self.down, compressed(image, self.compress), self.dropout)
        windows = _windows(box, [(skip.shape[2], skip.shape[3]) for skip in skips])
        here = Box(0, 0, features.shape[2], features.shape[3])
        for level in reversed(range(len(skips))):
            window = windows[level]
            features = window.halved().within(here).cut(features)
            features = self._merged(level, window.cut(skips.pop()), features)
            here = window
        return self.head(box.within(here).cut(features))  # type: ignore[no-any-return]

    def _merged(self, level: int, skip: Tensor, features: Tensor) -> Tensor:
        features = self.up[level](features)
        features = torch.cat([_crop(skip, features), features], dim=1)
        del skip  # here it takes the most memory: what is not needed any more goes at once
        for layer in self.merge[level]:  # type: ignore[attr-defined]  # a Sequential
            features = layer(features)
        return features


def _windows(box: Box, sizes: list[tuple[int, int]]) -> list[Box]:
    """Return what each level of the expanding path must compute so that a box comes out right.

    Its two convolutions look `RIM` pixels to each side; beyond the edge is what they pad with,
    and where a window is cut they are wrong by as much.
    """
    windows = []
    for size in sizes:
        box = box.grown(RIM, size)
        windows.append(box)
        box = box.halved()
    return windows


def _crop(skip: Tensor, like: Tensor) -> Tensor:
    """Cut the middle of a skip connection to the size of what comes up from below."""
    y = (skip.shape[2] - like.shape[2]) // 2
    x = (skip.shape[3] - like.shape[3]) // 2
    return skip[:, :, y : y + like.shape[2], x : x + like.shape[3]]
