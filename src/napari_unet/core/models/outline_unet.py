"""A U-Net with two expanding paths: one finds, and where both agree the other draws outlines."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from napari_unet.core.models.blocks import contract, conv_block, enlarged, up_convolution
from napari_unet.core.models.expanding import Expanding
from napari_unet.core.models.network import Box
from napari_unet.core.models.unet import UNet

__all__ = ["AROUND", "CELL", "OutlineUNet"]

# Where the paths agree is told of squares of so many pixels, and of so many squares in a row around
# each (chosen: somewhat more than an object of 24 pixels and what lies beside it).
CELL, AROUND = 8, 5

# By so much their probabilities differ in the mean where each of them counts a half, and how fast
# that changes (measured: docs/measured.md, "Two expanding paths").
DIFFERENCE, POWER = 0.025, 4


class OutlineUNet(UNet):
    """A same-padded U-Net whose contracting path has a second expanding path.

    Outlines follow who drew them, and of images like those that were learnt from a network can
    know that, if it learns them as they are. But then it knows other images less than one that
    learnt them much varied. So two expanding paths share what the contracting path has learnt of
    varied images: the first has learnt with it, the second of images as they are. What both find
    is drawn by the second; where they do not agree, as on a look that neither has seen, the first
    one answers. Of 5 by 5 squares of 8 pixels (fewer poolings than three: smaller ones) the mean
    difference d of the probabilities gives the share of the second path in the logits::

        share = 1 / (1 + (d / 0.025)^4)

    What is taught answers by the first path alone, see `answer_alone`; `has_both` says which.

    Input (B, in_channels, H, W), H and W multiples of ``2**depth``; output as large. In training
    it returns the logits of both.
    """

    both: Tensor
    has_both: bool

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
        super().__init__(
            in_channels,
            classes,
            width,
            depth,
            dropout=dropout,
            valid=False,
            compress=compress,
            norm=norm,
        )
        self.second = _Second(width, depth, norm)
        self.side_heads.append(nn.Conv2d(width, classes, kernel_size=1))
        self.register_buffer("both", torch.tensor(True))
        self.has_both = True  # the same, for what decides before there are values, as exports do
        self.register_load_state_dict_post_hook(_read_paths)  # type: ignore[no-untyped-call]
        self.cell = min(CELL, 2**depth)
        self._first_is_held = False

    def answer_alone(self) -> None:
        """Let the first path answer alone, as in a U-Net: what the second knows was not taught."""
        self._answer(both=False)

    def answer_by_both(self) -> None:
        """Let the second path answer too, again."""
        self._answer(both=True)

    def go_on_from(self, network: nn.Module) -> None:
        """Take over a U-Net of this size as the first path, and let the second learn alone.

        The second begins as the first. The first, and the contracting path, stay as they are.
        """
        for name, part in self._of_the_first().items():
            part.load_state_dict(network.get_submodule(name).state_dict())
            part.requires_grad_(False)
        self.second.up.load_state_dict(self.up.state_dict())
        self.second.merge.load_state_dict(self.merge.state_dict())
        self.side_heads[0].load_state_dict(self.head.state_dict())
        self._first_is_held = True
        self.train(self.training)

    def path(self, number: int) -> OutlineUNet:
        """Return a network that answers by one path alone: 0 the first, 1 the second."""
        network = copy.deepcopy(self)
        if number:
            network.up, network.merge = network.second.up, network.second.merge
            network.head = copy.deepcopy(network.side_heads[0])  # type: ignore[assignment]
        network.answer_alone()
        return network

    def move_second(self, by: float) -> None:
        """Add to the second path's logits of all classes but background."""
        bias = self.side_heads[0].bias
        assert isinstance(bias, Tensor)
        with torch.no_grad():
            bias[1:] += by

    def train(self, mode: bool = True) -> OutlineUNet:
        """Set training; what is held keeps its statistics."""
        super().train(mode)
        if self._first_is_held:
            for part in self._of_the_first().values():
                part.eval()
        return self

    def outputs(self, features: Tensor) -> tuple[Tensor, ...]:
        """Return logits, in training those of both paths."""
        levels = contract(self.down, features, self.dropout, self.strides)
        if not self.has_both:
            return (self.expanded(levels, self.head),)
        first = self.expanded([*levels], self.head)
        second = self.second.expanded(levels, self.side_heads[0])
        return (first, second) if self.training else (self._agreed(first, second),)

    def part(self, image: Tensor, box: Box) -> Tensor:
        """Return logits of a part of the output; both expanding paths compute little else."""
        if not self.has_both:
            return super().part(image, box)
        pieces = self.is_in_pieces(image)
        levels = self.contracted(image, pieces)
        # What is near counts from whole squares on, of what lies half a square further too.
        near = (AROUND // 2 + 1) * self.cell
        seen = box.grown(near, image.shape[2:], (self.cell, self.cell))
        first = self.expanded_part([*levels], self.head, seen, pieces)
        second = self.second.expanded_part(levels, self.side_heads[0], seen, pieces)
        return box.within(seen).cut(self._agreed(first, second))

    def _agreed(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the logits of the first path, and of the second where it agrees."""
        dtype = torch.promote_types(first.dtype, torch.float32)
        first, second = first.to(dtype), second.to(dtype)
        differ = (first.softmax(dim=1) - second.softmax(dim=1)).abs().amax(dim=1, keepdim=True)
        near = nn.functional.avg_pool2d(
            nn.functional.avg_pool2d(differ, self.cell),
            AROUND,
            stride=1,
            padding=AROUND // 2,
            count_include_pad=False,
        )
        share = 1 / (1 + (enlarged(near, self.cell) / DIFFERENCE) ** POWER)
        return first + share * (second - first)

    def _answer(self, *, both: bool) -> None:
        self.both.fill_(both)
        self.has_both = both

    def _of_the_first(self) -> dict[str, nn.Module]:
        return {"down": self.down, "up": self.up, "merge": self.merge, "head": self.head}


def _read_paths(network: nn.Module, _: object) -> None:
    """Take from what was loaded whether the second path answers."""
    assert isinstance(network, OutlineUNet)
    network.has_both = bool(network.both)


class _Second(Expanding):
    """Another expanding path beside that of the network."""

    def __init__(self, width: int, depth: int, norm: str) -> None:
        super().__init__()
        channels = [width * 2**level for level in range(depth)]
        self.strides = depth * [(2, 2)]
        self.up = nn.ModuleList(up_convolution(2 * c, c) for c in channels)
        self.merge = nn.ModuleList(conv_block(2 * c, c, norm=norm) for c in channels)
