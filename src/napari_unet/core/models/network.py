"""What all networks have in common, so that training, teaching and tiling need not ask which."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["Box", "Network", "compressed"]


class Box:
    """A part of a map of features: rows and columns, of a volume planes before them.

    Parameters
    ----------
    *corners : int
        Where it begins along each axis, and then where it ends: ``top, left, bottom, right``.
    """

    def __init__(self, *corners: int) -> None:
        axes = len(corners) // 2
        self.start, self.stop = corners[:axes], corners[axes:]

    def __repr__(self) -> str:
        return f"Box{(*self.start, *self.stop)}"

    def cut(self, features: Tensor) -> Tensor:
        """Return the view of (B, C, [D,] H, W) that lies in the box."""
        sides = [slice(a, b) for a, b in zip(self.start, self.stop, strict=True)]
        return features[(slice(None), slice(None), *sides)]

    def within(self, other: Box) -> Box:
        """Return the same box, counted from the corner of another one."""
        corners = (*self.start, *self.stop)
        return Box(*(c - o for c, o in zip(corners, 2 * other.start, strict=True)))

    def grown(self, by: int, size: Sequence[int], strides: Sequence[int]) -> Box:
        """Return it larger on each side, multiples of the strides, within a map of such a size."""
        starts = (max(0, (a - by) // s * s) for a, s in zip(self.start, strides, strict=True))
        stops = (
            min(most, -(-(b + by) // s) * s)
            for b, s, most in zip(self.stop, strides, size, strict=True)
        )
        return Box(*starts, *stops)

    def pooled(self, strides: Sequence[int]) -> Box:
        """Return the box on the next coarser level; its numbers are multiples of the strides."""
        corners = (*self.start, *self.stop)
        return Box(*(c // s for c, s in zip(corners, 2 * tuple(strides), strict=True)))

    def unpooled(self, strides: Sequence[int]) -> Box:
        """Return the box on the next finer level."""
        corners = (*self.start, *self.stop)
        return Box(*(c * s for c, s in zip(corners, 2 * tuple(strides), strict=True)))


class Network(nn.Module):
    """A network that answers each pixel of an image with one logit a class.

    An architecture sets the modules below and writes `outputs`.

    Attributes
    ----------
    down : nn.ModuleList
        The levels of the contracting path, from the image on: what `TrainSettings.frozen` counts.
    head : nn.Conv2d or nn.Conv3d
        Makes the output; it has a row for each class.
    side_heads : nn.ModuleList of nn.Conv2d
        Others that have a row for each class; empty for most.
    compress : float
        See `ModelConfig`.
    """

    down: nn.ModuleList
    head: nn.Conv2d | nn.Conv3d
    side_heads: nn.ModuleList

    def __init__(self, compress: float = 0.0) -> None:
        super().__init__()
        self.compress = compress
        self.side_heads = nn.ModuleList()

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Return logits (B, classes, [D,] H, W) of an image (B, in_channels, [D,] H, W).

        A network with deep supervision returns in training a tuple of them: its one output, and
        then those of its side heads, of the same shape.
        """
        outputs = self.outputs(compressed(image, self.compress))
        return outputs if len(outputs) > 1 else outputs[0]

    def part(self, image: Tensor, box: Box) -> Tensor:
        """Return the logits (B, classes, [d,] h, w) of a part of the output, to rounding.

        What is around it may be left out; here it is computed too.

        Parameters
        ----------
        image : Tensor, shape (B, in_channels, [D,] H, W)
            Of a legal size.
        box : Box
            In pixels of the output.
        """
        return box.cut(self(image))

    def answer_alone(self) -> None:
        """Leave out from now on what is not taught along; most networks have nothing such."""

    def outputs(self, features: Tensor) -> tuple[Tensor, ...]:
        """Return the logits of the output, and in training those of the side heads."""
        raise NotImplementedError


def compressed(image: Tensor, knee: float) -> Tensor:
    """Linear below the knee, logarithmic above it; 0 and 1 stay."""
    return torch.asinh(image / knee) / math.asinh(1 / knee) if knee > 0 else image
