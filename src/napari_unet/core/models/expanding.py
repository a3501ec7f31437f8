"""The expanding path of a U-Net: level by level up again, each joined with what it skips to."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from napari_unet.core.models.blocks import Strides
from napari_unet.core.models.network import Box
from napari_unet.core.models.pieces import in_pieces

__all__ = ["RIM", "Expanding"]

RIM = 2  # two convolutions of 3 pixels a side


class Expanding(nn.Module):
    """The way up again, of planes and of volumes.

    Attributes
    ----------
    strides : sequence of tuple of int
        By how much each pooling divides the spatial axes, the first pooling first.
    up, merge : nn.ModuleList
        For each level but the deepest its up-convolution, and its block of two convolutions.
    """

    strides: Sequence[Strides]
    up: nn.ModuleList
    merge: nn.ModuleList

    def expanded(self, levels: list[Tensor], head: nn.Module) -> Tensor:
        """Return logits of what each level of the contracting path has made.

        The list is emptied on the way, so that what is not needed any more takes no memory. The
        `head` makes logits of the features of the first level.
        """
        features = levels.pop()
        for level in reversed(range(len(levels))):
            features = self._merged(level, levels.pop(), features)
        return head(features)  # type: ignore[no-any-return]

    def expanded_part(
        self, levels: list[Tensor], head: nn.Module, box: Box, pieces: bool
    ) -> Tensor:
        """Return the logits of a part of the output, and compute little else; empties the list.

        With `pieces` the levels are computed in pieces, see `napari_unet.core.models.pieces`.
        """
        features = levels.pop()
        windows = _windows(box, [skip.shape[2:] for skip in levels], self.strides)
        here = Box(*(0 for _ in box.start), *features.shape[2:])
        for level in reversed(range(len(levels))):
            window = windows[level]
            features = window.pooled(self.strides[level]).within(here).cut(features)
            if pieces:  # what is skipped to has no name here, so that it goes as soon as it can
                last = None if level else head
                features = self._in_pieces(level, window.cut(levels.pop()), features, last)
            else:
                features = self._merged(level, window.cut(levels.pop()), features)
            here = window
        features = box.within(here).cut(features)
        return features if pieces else head(features)

    def pixel_bytes(self, level: int) -> int:
        """Return how many bytes the features of a pixel take on a level."""
        up = self.up[min(level, len(self.up) - 1)]
        channels = up.out_channels if level < len(self.up) else up.in_channels
        return int(channels * up.weight.element_size())  # type: ignore[operator]

    def _in_pieces(
        self, level: int, skip: Tensor, features: Tensor, head: nn.Module | None
    ) -> Tensor:
        """Merge in pieces; the first level makes logits at once."""

        def layers(box: Box) -> Tensor:
            below = box.pooled(self.strides[level]).cut(features)
            merged = self._merged(level, box.cut(skip), below)
            return merged if head is None else head(merged)

        size, each = (skip.shape[2], skip.shape[3]), self.pixel_bytes(level)
        return in_pieces(layers, size, each, rim=RIM, strides=self.strides[level])

    def _merged(self, level: int, skip: Tensor, features: Tensor) -> Tensor:
        features = self.up[level](features)
        features = torch.cat([_crop(skip, features), features], dim=1)
        del skip  # here it takes the most memory: what is not needed any more goes at once
        for layer in self.merge[level]:  # type: ignore[attr-defined]  # a Sequential
            features = layer(features)
        return features


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
