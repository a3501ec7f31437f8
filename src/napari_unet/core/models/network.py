"""What all networks have in common, so that training, teaching and tiling need not ask which."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["Box", "Network", "compressed"]


@dataclass(frozen=True, slots=True)
class Box:
    """Rows and columns of a map of features, ``top:bottom, left:right``."""

    top: int
    left: int
    bottom: int
    right: int

    def cut(self, features: Tensor) -> Tensor:
        """Return the view of (B, C, H, W) that lies in the box."""
        return features[:, :, self.top : self.bottom, self.left : self.right]

    def within(self, other: Box) -> Box:
        """Return the same box, counted from the corner of another one."""
        y, x = other.top, other.left
        return Box(self.top - y, self.left - x, self.bottom - y, self.right - x)

    def grown(self, by: int, size_yx: tuple[int, int]) -> Box:
        """Return it larger on each side, even numbers, within a map of an even size."""
        return Box(
            max(0, (self.top - by) // 2 * 2),
            max(0, (self.left - by) // 2 * 2),
            min(size_yx[0], -(-(self.bottom + by) // 2) * 2),
            min(size_yx[1], -(-(self.right + by) // 2) * 2),
        )

    def halved(self) -> Box:
        """Return the box on the next coarser level; its numbers are even."""
        return Box(self.top // 2, self.left // 2, self.bottom // 2, self.right // 2)


class Network(nn.Module):
    """A network that answers each pixel of an image with one logit a class.

    An architecture sets the modules below and writes `outputs`.

    Attributes
    ----------
    down : nn.ModuleList
        The levels of the contracting path, from the image on: what `TrainSettings.frozen` counts.
    head : nn.Conv2d
        Makes the output; it has a row for each class.
    side_heads : nn.ModuleList of nn.Conv2d
        Others that have a row for each class; empty for most.
    compress : float
        See `ModelConfig`.
    """

    down: nn.ModuleList
    head: nn.Conv2d
    side_heads: nn.ModuleList

    def __init__(self, compress: float = 0.0) -> None:
        super().__init__()
        self.compress = compress
        self.side_heads = nn.ModuleList()

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Return logits (B, classes, H, W) of an image (B, in_channels, H, W).

        A network with deep supervision returns in training a tuple of them: its one output, and
        then those of its side heads, of the same shape.
        """
        outputs = self.outputs(compressed(image, self.compress))
        return outputs if len(outputs) > 1 else outputs[0]

    def part(self, image: Tensor, box: Box) -> Tensor:
        """Return the logits (B, classes, h, w) of a part of the output, to rounding.

        What is around it may be left out; here it is computed too.

        Parameters
        ----------
        image : Tensor, shape (B, in_channels, H, W)
            Of a legal size.
        box : Box
            In pixels of the output.
        """
        return box.cut(self(image))

    def outputs(self, features: Tensor) -> tuple[Tensor, ...]:
        """Return the logits of the output, and in training those of the side heads."""
        raise NotImplementedError


def compressed(image: Tensor, knee: float) -> Tensor:
    """Linear below the knee, logarithmic above it; 0 and 1 stay."""
    return torch.asinh(image / knee) / math.asinh(1 / knee) if knee > 0 else image
