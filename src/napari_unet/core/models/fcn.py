"""FCN-8s of Long, Shelhamer and Darrell 2015 (arXiv:1411.4038), a historical yardstick."""

from __future__ import annotations

from torch import Tensor, nn

from napari_unet.core.models.blocks import conv_layers, enlarged
from napari_unet.core.models.network import Network
from napari_unet.core.models.vgg import vgg_channels, vgg_levels

__all__ = ["FCN8s"]

FUSED = 2  # poolings before the last whose scores are added (section 4.2: pool4 and pool3)


class FCN8s(Network):
    """VGG-16 made fully convolutional, with the scores of its last poolings added (section 4).

    Its two fully connected layers become a convolution 7x7 and one 1x1 of ``64 * width``
    channels; the scores of the last pooling are doubled in size and added to those of the one
    before, twice, and then enlarged to the image. At `width` 64 and `depth` 5 without norm it has
    the 134 million parameters of the paper (table 1: FCN-VGG16); with fewer poolings the last
    enlargement is by less than 8.

    Chosen: all enlargement is bilinear and not learnt (there the last one is so, and the others
    begin so); convolutions are same-padded (there the image is padded by 100 px and the score
    cropped); batch norm, since there is no pretrained VGG-16 to begin from.

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
        self.connected = nn.Sequential(
            *conv_layers(channels[-1], 64 * width, norm=norm, kernel=7),
            nn.Dropout(dropout),
            *conv_layers(64 * width, 64 * width, norm=norm, kernel=1),
            nn.Dropout(dropout),
        )
        self.head = nn.Conv2d(64 * width, classes, kernel_size=1)
        # Of the poolings before the last, the coarsest first: their scores are added.
        self.side_heads = nn.ModuleList(
            nn.Conv2d(c, classes, kernel_size=1) for c in channels[:-1][-FUSED:][::-1]
        )

    def outputs(self, features: Tensor) -> tuple[Tensor, ...]:
        """Return logits."""
        pooled: list[Tensor] = []
        for level in self.down:
            features = nn.functional.max_pool2d(level(features), 2)
            pooled.append(features)
        scores = self.head(self.connected(features))
        for head, skip in zip(self.side_heads, pooled[-2::-1], strict=False):  # not all are added
            scores = enlarged(scores, 2) + head(skip)
        return (enlarged(scores, 2 ** (len(self.down) - len(self.side_heads))),)
