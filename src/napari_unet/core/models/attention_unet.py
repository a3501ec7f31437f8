"""Attention U-Net of Oktay et al. 2018 (arXiv:1804.03999)."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from napari_unet.core.models.blocks import (
    contract,
    contracting_path,
    conv_block,
    enlarged,
    up_convolution,
)
from napari_unet.core.models.network import Network, compressed
from napari_unet.core.models.norms import normalization

__all__ = ["AttentionUNet"]

# The gates begin open (section 2: they "pass through feature vectors at all spatial locations"):
# an untrained one lets pass sigmoid(3) = 0.95 (chosen).
OPEN = 3.0


class AttentionUNet(Network):
    """A U-Net whose skip connections pass additive attention gates (section 2, figures 1 and 2).

    A gate weighs each place of a skip connection by a number within 0 and 1, from what the skip
    connection and the coarser decoder level below it say there (equations 1 and 2). The first
    level has none, as in the paper ("the first skip connections are not used in the gating
    function"). Chosen: in 2D, as many channels within a gate as the skip connection has, as in
    the authors' released network; without its deep supervision.

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
        block = partial(conv_block, norm=norm)
        channels = [width * 2**level for level in range(depth + 1)]
        self.down = contracting_path(in_channels, channels, block)
        self.gates = nn.ModuleList(_Gate(c, 2 * c, norm) for c in channels[1:-1])
        self.up = nn.ModuleList(up_convolution(2 * c, c) for c in channels[:-1])
        self.merge = nn.ModuleList(block(2 * c, c) for c in channels[:-1])
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Conv2d(width, classes, kernel_size=1)

    def outputs(self, features: Tensor) -> tuple[Tensor, ...]:
        """Return logits."""
        return (self._decode(features)[0],)

    def attention(self, image: Tensor) -> list[Tensor]:
        """Return what each gate lets pass, (B, 1, H, W) within 0 to 1, the finest first."""
        maps = self._decode(compressed(image, self.compress))[1]
        return [enlarged(each, image.shape[-1] // each.shape[-1]) for each in reversed(maps)]

    def _decode(self, features: Tensor) -> tuple[Tensor, list[Tensor]]:
        *skips, features = contract(self.down, features, self.dropout)
        maps: list[Tensor] = []
        for level in reversed(range(len(skips))):
            skip = skips[level]
            if level:
                skip, passed = self.gates[level - 1](skip, features)
                maps.append(passed)
            features = torch.cat([skip, self.up[level](features)], dim=1)
            features = self.merge[level](features)
        return self.head(features), maps


class _Gate(nn.Module):
    """Equation 1 and 2: q = psi(relu(W_x x + W_g g + b_g)) + b_psi, alpha = sigmoid(q)."""

    def __init__(self, skip: int, gating: int, norm: str) -> None:
        super().__init__()
        self.of_skip = nn.Conv2d(skip, skip, kernel_size=2, stride=2, bias=False)
        self.of_gating = nn.Conv2d(gating, skip, kernel_size=1)
        self.psi = nn.Conv2d(skip, 1, kernel_size=1)
        self.out = nn.Sequential(
            nn.Conv2d(skip, skip, kernel_size=1, bias=norm == "none"), *normalization(norm, skip)
        )

    def forward(self, skip: Tensor, gating: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gated skip connection, and what it was weighed with."""
        joint = torch.relu(self.of_skip(skip) + self.of_gating(gating))
        passed = enlarged(torch.sigmoid(self.psi(joint) + OPEN), 2)
        return self.out(skip * passed), passed
