"""The U-Net of Ronneberger, Fischer and Brox 2015 (arXiv:1505.04597), valid and same-padded."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from napari_unet.core.models.blocks import (
    Strides,
    contract,
    contracting_path,
    conv_block,
    pooled,
    up_convolution,
)
from napari_unet.core.models.network import Box, Network, compressed
from napari_unet.core.models.pieces import in_pieces

__all__ = ["UNet", "UNetPath"]

RIM = 2  # two convolutions of 3 pixels a side


class UNetPath(Network):
    """The way down and up again, of planes and of volumes; a U-Net brings the layers.

    Attributes
    ----------
    strides : sequence of tuple of int
        By how much each pooling divides the spatial axes, the first pooling first.
    valid : bool
        Whether convolutions are valid ones.
    up, merge : nn.ModuleList
        For each level but the deepest its up-convolution, and its block of two convolutions.
    dropout : nn.Dropout
    """

    strides: Sequence[Strides]
    valid: bool
    up: nn.ModuleList
    merge: nn.ModuleList
    dropout: nn.Dropout

    def outputs(self, features: Tensor) -> tuple[Tensor, ...]:
        """Return logits."""
        *skips, features = contract(self.down, features, self.dropout, self.strides)
        for level in reversed(range(len(skips))):
            features = self._merged(level, skips.pop(), features)
        return (self.head(features),)

    def part(self, image: Tensor, box: Box) -> Tensor:
        """Return logits of a part of the output; the expanding path computes little else.

        Only the contracting path needs all of the halo around a tile::

            contracting path  |<- halo ->|<- box ->|<- halo ->|
            expanding path          2 px |<- box ->| 2 px           on the first level

        On a processor the levels of a network of planes are computed in pieces, see
        `napari_unet.core.models.pieces`.
        """
        if self.valid:
            return super().part(image, box)
        pieces = image.device.type == "cpu" and image.ndim == 4 and not self.training
        *skips, features = self._contracted(image, pieces)
        windows = _windows(box, [skip.shape[2:] for skip in skips], self.strides)
        here = Box(*(0 for _ in box.start), *features.shape[2:])
        for level in reversed(range(len(skips))):
            window = windows[level]
            features = window.pooled(self.strides[level]).within(here).cut(features)
            expand = self._expanded if pieces else self._merged
            features = expand(level, window.cut(skips.pop()), features)
            here = window
        features = box.within(here).cut(features)
        return features if pieces else self.head(features)

    def _contracted(self, image: Tensor, pieces: bool) -> list[Tensor]:
        """Return what each level makes of an image."""
        if not pieces:
            image = compressed(image, self.compress)
            return contract(self.down, image, self.dropout, self.strides)
        levels: list[Tensor] = []
        for level, block in enumerate(self.down):

            def layers(box: Box, level: int = level, block: nn.Module = block) -> Tensor:
                if level == 0:
                    return block(compressed(box.cut(image), self.compress))  # type: ignore[no-any-return]
                strides = self.strides[level - 1]
                return block(pooled(box.unpooled(strides).cut(levels[-1]), strides))  # type: ignore[no-any-return]

            y, x = self.strides[level - 1] if level else (1, 1)
            above = levels[-1] if level else image
            size = above.shape[2] // y, above.shape[3] // x
            levels.append(in_pieces(layers, size, self._pixel_bytes(level), rim=RIM))
        return levels

    def _expanded(self, level: int, skip: Tensor, features: Tensor) -> Tensor:
        """Merge in pieces; the first level makes logits at once."""

        def layers(box: Box) -> Tensor:
            below = box.pooled(self.strides[level]).cut(features)
            merged = self._merged(level, box.cut(skip), below)
            return merged if level else self.head(merged)

        size, each = (skip.shape[2], skip.shape[3]), self._pixel_bytes(level)
        return in_pieces(layers, size, each, rim=RIM, strides=self.strides[level])

    def _pixel_bytes(self, level: int) -> int:
        """Return how many bytes the features of a pixel take on a level."""
        up = self.up[min(level, len(self.up) - 1)]
        channels = up.out_channels if level < len(self.up) else up.in_channels
        return int(channels * up.weight.element_size())  # type: ignore[operator]

    def _merged(self, level: int, skip: Tensor, features: Tensor) -> Tensor:
        features = self.up[level](features)
        features = torch.cat([_crop(skip, features), features], dim=1)
        del skip  # here it takes the most memory: what is not needed any more goes at once
        for layer in self.merge[level]:  # type: ignore[attr-defined]  # a Sequential
            features = layer(features)
        return features


class UNet(UNetPath):
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
        self.strides = depth * [(2, 2)]
        self.down = contracting_path(in_channels, channels, block)
        self.up = nn.ModuleList(up_convolution(2 * c, c) for c in channels[:-1])
        self.merge = nn.ModuleList(block(2 * c, c) for c in channels[:-1])
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Conv2d(width, classes, kernel_size=1)


def _windows(box: Box, sizes: Sequence[torch.Size], strides: Sequence[Strides]) -> list[Box]:
    """Return what each level of the expanding path must compute so that a box comes out right.

    Its two convolutions look `RIM` pixels to each side; beyond the edge is what they pad with,
    and where a window is cut they are wrong by as much.
    """
    windows = []
    for size, steps in zip(sizes, strides, strict=True):
        box = box.grown(RIM, size, steps)
        windows.append(box)
        box = box.pooled(steps)
    return windows


def _crop(skip: Tensor, like: Tensor) -> Tensor:
    """Cut the middle of a skip connection to the size of what comes up from below."""
    sizes = list(zip(skip.shape[2:], like.shape[2:], strict=True))
    starts = [(large - small) // 2 for large, small in sizes]
    stops = [start + small for start, (_, small) in zip(starts, sizes, strict=True)]
    return Box(*starts, *stops).cut(skip)
