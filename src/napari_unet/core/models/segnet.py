"""SegNet of Badrinarayanan, Kendall and Cipolla 2015 (arXiv:1511.00561), a historical yardstick."""

from __future__ import annotations

from torch import Tensor, nn

from napari_unet.core.models.blocks import conv_layers
from napari_unet.core.models.network import Network
from napari_unet.core.models.vgg import vgg_channels, vgg_convolutions, vgg_levels

__all__ = ["SegNet"]


class SegNet(Network):
    """VGG-16's convolutions, and the same mirrored (section 3, figure 2).

    A pooling remembers where each of its maxima was, and the decoder puts values back there, all
    else zero (figure 3); convolutions then fill in. Nothing else crosses from encoder to decoder.
    The output is a convolution 3x3 in the place of the decoder's last one, as in the authors'
    released network. At `width` 64 and `depth` 5 the encoder has the 14.7 million parameters that
    the paper names (section 3). Chosen: dropout on the two deepest levels.

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
        channels = vgg_channels(width, depth)
        self.down = vgg_levels(in_channels, width, depth, norm)
        self.up = nn.ModuleList(_decoder_level(level, channels, norm) for level in range(depth))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Conv2d(width, classes, 3, padding=1)

    def outputs(self, features: Tensor) -> tuple[Tensor, ...]:
        """Return logits."""
        places: list[Tensor] = []
        for level, convolutions in enumerate(self.down):
            features = convolutions(features)
            if level >= len(self.down) - 2:
                features = self.dropout(features)
            features, where = nn.functional.max_pool2d(features, 2, return_indices=True)
            places.append(where)
        for level in reversed(range(len(self.up))):
            features = _unpooled(features, places[level])
            features = self.up[level](features)
        return (self.head(features),)


def _unpooled(features: Tensor, places: Tensor) -> Tensor:
    """Put values back where pooling 2x2 took them from: torch's max_unpool2d, untraceable."""
    batch, channels, height, width = features.shape
    empty = features.new_zeros(batch, channels, 4 * height * width)
    filled = empty.scatter(2, places.flatten(2), features.flatten(2))
    return filled.reshape(batch, channels, 2 * height, 2 * width)


def _decoder_level(level: int, channels: list[int], norm: str) -> nn.Sequential:
    """As many convolutions as the encoder has; of the first level the output layer is the last."""
    here = channels[level]
    layers: list[nn.Module] = []
    for _ in range(vgg_convolutions(level) - 1):
        layers += conv_layers(here, here, norm=norm)
    if level:
        layers += conv_layers(here, channels[level - 1], norm=norm)
    return nn.Sequential(*layers)
