"""A U-Net with transformer layers at its deepest level, in the manner of TransUNet."""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor, nn

from napari_unet.core.architectures import ATTENTION_LAYERS, WINDOW
from napari_unet.core.models.blocks import contract, contracting_path, conv_block, up_convolution
from napari_unet.core.models.network import Network

__all__ = ["TransformerUNet"]

CHANNELS_A_HEAD = 64  # Dosovitskiy et al. 2021, table 1: 768 channels, 12 heads
MLP_RATIO = 4  # the same


class TransformerUNet(Network):
    """The same-padded U-Net with transformer layers between its two paths.

    Chen et al. 2021 (TransUNet, arXiv:2102.04306, section 3.2) put the features of a convolutional
    encoder through transformer layers and then up again over skip connections. There every place
    attends to every other, so that the answer for a tile would depend on where it is cut. Here
    attention is within windows of `WINDOW` by `WINDOW` pixels of the deepest level, which every
    second layer shifts by half of one, with a learnt bias for each relative place (Liu et al. 2021,
    arXiv:2103.14030, section 3.2 and equation 4). Windows stand on a grid that tiles keep to, so
    tiled equals untiled. A layer is that of Dosovitskiy et al. 2021: norm, attention, norm, a
    perceptron, both with a way around. Chosen: 4 layers (theirs has 12), and an encoder that is the
    U-Net's own (theirs is a pretrained ResNet-50).

    Input (B, in_channels, H, W), H and W multiples of ``WINDOW * 2**depth``; output as large.
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
        self.layers = nn.ModuleList(
            _Layer(channels[-1], shift=WINDOW // 2 * (number % 2))
            for number in range(ATTENTION_LAYERS)
        )
        self.up = nn.ModuleList(up_convolution(2 * c, c) for c in channels[:-1])
        self.merge = nn.ModuleList(block(2 * c, c) for c in channels[:-1])
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Conv2d(width, classes, kernel_size=1)

    def outputs(self, features: Tensor) -> tuple[Tensor, ...]:
        """Return logits."""
        *skips, features = contract(self.down, features, self.dropout)
        features = features.movedim(1, -1)
        for layer in self.layers:
            features = layer(features)
        features = features.movedim(-1, 1)
        for level in reversed(range(len(skips))):
            features = torch.cat([skips[level], self.up[level](features)], dim=1)
            features = self.merge[level](features)
        return (self.head(features),)


class _Layer(nn.Module):
    """Attention within windows, then a perceptron on each pixel; features are (B, H, W, C)."""

    def __init__(self, channels: int, shift: int) -> None:
        super().__init__()
        self.heads = math.gcd(channels, max(1, channels // CHANNELS_A_HEAD))
        self.shift = shift
        self.norm = nn.LayerNorm(channels)
        self.query_key_value = nn.Linear(channels, 3 * channels)
        self.project = nn.Linear(channels, channels)
        self.bias = nn.Parameter(torch.zeros(self.heads, (2 * WINDOW - 1) ** 2))
        self.perceptron = nn.Sequential(
            nn.LayerNorm(channels),
            nn.Linear(channels, MLP_RATIO * channels),
            nn.GELU(),
            nn.Linear(MLP_RATIO * channels, channels),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return features of the same shape."""
        features = features + self._attended(self.norm(features))
        return features + self.perceptron(features)  # type: ignore[no-any-return]

    def _attended(self, features: Tensor) -> Tensor:
        height, width, channels = features.shape[1:]
        around = (0, 0, self.shift, self.shift, self.shift, self.shift)
        windows = _windows(nn.functional.pad(features, around))  # (B, windows, pixels, C)
        parts = self.query_key_value(windows).unflatten(-1, (3, self.heads, -1))
        # Each (B, windows, heads, pixels, c)
        query, key, value = parts.movedim(3, 0).transpose(3, 4).unbind(0)
        bias = self.bias[:, _relative_places(features.device)].to(query.dtype)
        if self.shift:  # nobody looks at what was put around
            inside = nn.functional.pad(features.new_ones(1, height, width, 1), around)
            hidden = _windows(inside)[0, :, None, None, :, 0] == 0  # (windows, 1, 1, pixels)
            bias = bias.masked_fill(hidden, -math.inf)
        mask = bias.expand(*query.shape[:-1], WINDOW * WINDOW)
        # Windows are taken for images, since ONNX knows attention of four axes alone.
        out = nn.functional.scaled_dot_product_attention(
            query.flatten(0, 1), key.flatten(0, 1), value.flatten(0, 1), mask.flatten(0, 1)
        ).reshape(query.shape)
        whole = _joined(
            self.project(out.transpose(2, 3).flatten(-2)), height + 2 * self.shift, channels
        )
        return whole[:, self.shift : self.shift + height, self.shift : self.shift + width]


def _windows(features: Tensor) -> Tensor:
    """Part (B, H, W, C) into (B, windows, WINDOW * WINDOW, C)."""
    batch, height, width, channels = features.shape
    parts = features.reshape(batch, height // WINDOW, WINDOW, width // WINDOW, WINDOW, channels)
    return parts.transpose(2, 3).reshape(batch, -1, WINDOW * WINDOW, channels)


def _joined(windows: Tensor, height: int, channels: int) -> Tensor:
    """Undo `_windows`."""
    batch = windows.shape[0]
    parts = windows.reshape(batch, height // WINDOW, -1, WINDOW, WINDOW, channels)
    return parts.transpose(2, 3).reshape(batch, height, -1, channels)


def _relative_places(device: torch.device) -> Tensor:
    """Number the place of each pixel of a window as seen from each other: (pixels, pixels)."""
    along = torch.arange(WINDOW, device=device)
    y, x = along.repeat_interleave(WINDOW), along.repeat(WINDOW)
    span = 2 * WINDOW - 1
    return (y[:, None] - y + WINDOW - 1) * span + (x[:, None] - x + WINDOW - 1)
