"""The U-Net of Ronneberger, Fischer and Brox 2015 (arXiv:1505.04597), valid and same-padded."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn

from napari_unet.core.models.blocks import (
    contract,
    contracting_path,
    conv_block,
    pooled,
    up_convolution,
)
from napari_unet.core.models.expanding import RIM, Expanding
from napari_unet.core.models.network import Box, Network, compressed
from napari_unet.core.models.pieces import in_pieces

__all__ = ["UNet", "UNetPath"]


class UNetPath(Expanding, Network):
    """The way down and up again, of planes and of volumes; a U-Net brings the layers.

    Attributes
    ----------
    valid : bool
        Whether convolutions are valid ones.
    dropout : nn.Dropout
    """

    valid: bool
    dropout: nn.Dropout

    def outputs(self, features: Tensor) -> tuple[Tensor, ...]:
        """Return logits."""
        levels = contract(self.down, features, self.dropout, self.strides)
        return (self.expanded(levels, self.head),)

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
        pieces = self.is_in_pieces(image)
        return self.expanded_part(self.contracted(image, pieces), self.head, box, pieces)

    def is_in_pieces(self, image: Tensor) -> bool:
        """Whether levels are computed in pieces: of planes, on a processor, not in training."""
        return image.device.type == "cpu" and image.ndim == 4 and not self.training

    def contracted(self, image: Tensor, pieces: bool) -> list[Tensor]:
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
            levels.append(in_pieces(layers, size, self.pixel_bytes(level), rim=RIM))
        return levels


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
