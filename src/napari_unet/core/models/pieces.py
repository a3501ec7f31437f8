"""Layers of a network done piece by piece, so that what is between them stays in the cache.

A processor waits for memory where one layer writes a whole map of features and the next one reads
it again, and a large new array costs as much once more, as its pages are cleared first. Piece by
piece only what the layers make in the end is written. Pieces are nearly square, as their rims are
computed twice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from napari_unet.core.models.network import Box

__all__ = ["PIECE", "in_pieces", "pieces_of"]

# Bytes that a map of features has in a piece. Where two are joined it is twice as many, and of up
# to 32 MB the C library keeps memory for the next one (measured: 16 and 32 MB were slower).
PIECE = 2**23


def in_pieces(
    layers: Callable[[Box], Tensor],
    size: tuple[int, int],
    pixel_bytes: int,
    *,
    rim: int,
    strides: Sequence[int] = (1, 1),
) -> Tensor:
    """Return what layers make of a map of features, (B, C, H, W), one piece after the other.

    Parameters
    ----------
    layers : callable
        Given a box of the map it returns what the layers make of that box alone, (B, C, h, w).
    size : tuple of int
        H and W.
    pixel_bytes : int
        That the features of a pixel take.
    rim : int
        So many pixels may be wrong along an edge of a box that is no edge of the map.
    strides : sequence of int
        Boxes begin at multiples of these, and end there or at the edge.
    """
    boxes = pieces_of(size, pixel_bytes, strides)
    if len(boxes) == 1:
        return layers(boxes[0])
    out: Tensor | None = None
    for box in boxes:
        seen = box.grown(rim, size, strides)
        part = box.within(seen).cut(layers(seen))
        if out is None:  # it is known now how many channels come out
            shape = (*part.shape[:2], *size)
            order = torch.channels_last
            out = torch.empty(shape, dtype=part.dtype, device=part.device, memory_format=order)
        box.cut(out).copy_(part)
    assert out is not None
    return out


def pieces_of(
    size: tuple[int, int], pixel_bytes: int, strides: Sequence[int] = (1, 1)
) -> list[Box]:
    """Return boxes that cover a map of features, each of about `PIECE` bytes at the most."""
    rows, columns = size
    side = math.sqrt(PIECE / pixel_bytes)
    # A map that is no higher than a piece is cut across alone, into higher pieces than wide ones.
    height = min(rows, max(side, PIECE / pixel_bytes / columns))
    down = math.ceil(rows / height)
    across = math.ceil(rows * columns * pixel_bytes / (down * PIECE))
    tops, lefts = _cuts(rows, down, strides[0]), _cuts(columns, across, strides[1])
    return [
        Box(top, left, bottom, right)
        for top, bottom in pairwise(tops)
        for left, right in pairwise(lefts)
    ]


def _cuts(size: int, count: int, stride: int) -> list[int]:
    """Return where the parts of an axis begin, and where it ends."""
    step = math.ceil(size / count / stride) * stride
    return [*range(0, size, step), size]
