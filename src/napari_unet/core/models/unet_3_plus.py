"""UNet 3+ of Huang et al. 2020 (arXiv:2004.08790): skip connections over all scales."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from napari_unet.core.models.blocks import (
    contract,
    contracting_path,
    conv_block,
    conv_layers,
    enlarged,
)
from napari_unet.core.models.network import Network

__all__ = ["UNet3Plus"]


class UNet3Plus(Network):
    """A U-Net each of whose decoder levels sees all scales (section 2.1, figure 2).

    A decoder level joins the encoder's finer levels, max-pooled; the encoder's own level; and the
    decoder's coarser levels, interpolated: each through one convolution 3x3 to `width` channels,
    all then through one more. Every decoder level and the bottom of the encoder have an output
    of a convolution 3x3, interpolated to the size of the image (deep supervision, section 2.2):
    that of the finest level is the network's answer, the others are side heads in training.

    Chosen: the classification-guided module (section 2.3) is left out. It says for an image as a
    whole whether there is an organ, which an image of cells seen in tiles has no answer to.

    At width 64 and depth 4, for 3 channels and one class, without the side heads, it has the
    paper's 26.97 million parameters (table 1).

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
        joined = width * (depth + 1)
        self.down = contracting_path(
            in_channels, channels, lambda i, o: conv_block(i, o, norm=norm)
        )
        # Decoder levels are `joined` wide, the bottom of the encoder stands in for the deepest.
        decoder = [joined] * depth + [channels[depth]]
        self.branches = nn.ModuleList(
            _Branches([*channels[: level + 1], *decoder[level + 1 :]], width, norm)
            for level in range(depth)
        )
        self.fuse = nn.ModuleList(
            nn.Sequential(*conv_layers(joined, joined, norm=norm)) for _ in range(depth)
        )
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Conv2d(joined, classes, 3, padding=1)
        self.side_heads = nn.ModuleList(
            nn.Conv2d(wide, classes, 3, padding=1) for wide in decoder[1:]
        )

    def outputs(self, features: Tensor) -> tuple[Tensor, ...]:
        """Return logits, and in training those of the coarser levels, the finest first."""
        levels = contract(self.down, features, self.dropout)
        for level in reversed(range(len(self.fuse))):
            # From here on a level holds what the decoder has made of it.
            levels[level] = self.fuse[level](self.branches[level](levels, level))
        if not self.training:
            return (self.head(levels[0]),)
        sides = enumerate(zip(self.side_heads, levels[1:], strict=True), start=1)
        return (self.head(levels[0]), *(_scaled(head(f), level) for level, (head, f) in sides))


class _Branches(nn.Module):
    """Every level at the size of one, each through a convolution of its own, then joined."""

    def __init__(self, inputs: list[int], width: int, norm: str) -> None:
        super().__init__()
        self.each = nn.ModuleList(
            nn.Sequential(*conv_layers(source, width, norm=norm)) for source in inputs
        )

    def forward(self, levels: list[Tensor], level: int) -> Tensor:
        """Return (B, width * levels, H, W) of the size of one level."""
        # One at a time: the coarsest has, once enlarged, the most channels of all.
        pairs = enumerate(zip(self.each, levels, strict=True))
        return torch.cat(
            [branch(_scaled(source, other - level)) for other, (branch, source) in pairs], dim=1
        )


def _scaled(features: Tensor, levels_up: int) -> Tensor:
    """Bring features so many levels up by interpolation, or down by pooling."""
    if levels_up > 0:
        return enlarged(features, 2**levels_up)
    return nn.functional.max_pool2d(features, 2**-levels_up) if levels_up < 0 else features
