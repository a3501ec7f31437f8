"""Which networks there are: name, paper, and how far each of them sees.

The one list that the model's settings, the command line, the tiles and the documents read. It
knows nothing of torch; `napari_unet.core.models.build` has the network of each name.

How far a network sees is counted as `reach`: the number of pixels, from an edge of its input on,
in which zero padding at that edge can be felt. A 3x3 convolution adds one pixel, pooling halves
them and rounds up, an up-convolution of stride 2 doubles them, and where two ways meet the
longer one counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["ARCHITECTURES", "NORMS", "OF_PLANES", "WINDOW", "Architecture", "unet_reach"]

NORMS = {
    "auto": "what the architecture has by itself",
    "batch": "statistics of the training images, kept",
    "group": "statistics of the image, of eight groups of channels",
    "instance": "statistics of the image, of each channel",
    "none": "no normalisation in the network",
}

WINDOW = 4  # side of the windows of attention, in pixels of the deepest level (chosen)
ATTENTION_LAYERS = 4  # every second one has its windows shifted by half of one (chosen)


@dataclass(frozen=True, slots=True)
class Architecture:
    """One network of the list.

    Attributes
    ----------
    name : str
        What a user calls it; `ModelConfig.architecture`.
    sentence : str
        What it is, in a few words.
    paper : str
        Where it comes from.
    reach : callable
        From the depth to how far padding at the edge of the input is felt, in pixels; of valid
        convolutions, what the output is smaller by on each side.
    depth : int
        Poolings it has in its paper.
    norm : str
        The normalisation that "auto" means, one of `NORMS`.
    window : int
        Side of what must not be cut at the deepest level, in its pixels.
    is_valid : bool
        Whether its convolutions are valid ones.
    pixel_bytes : int
        Memory of a float32 run, in bytes a pixel and channel of the first level, as
        tests/benchmarks/memory.py measures it.
    piece_bytes : int or None
        The same on a processor, where levels are computed in pieces, see
        `napari_unet.core.models.pieces`; None where they are not.
    pixel_flops : int
        Floating-point operations of a run, for a pixel and squared number of channels of the
        first level: about, see docs/networks.md, for how long a tile takes.
    axes : int
        Spatial axes: 2 of planes, 3 of volumes. Of volumes `reach` is that along Y and X, and a
        pixel is a voxel.
    """

    name: str
    sentence: str
    paper: str
    reach: Callable[[int], int]
    depth: int = 4
    norm: str = "batch"
    window: int = 1
    is_valid: bool = False
    pixel_bytes: int = 32
    piece_bytes: int | None = None
    pixel_flops: int = 360
    axes: int = 2


def unet_reach(strides: Sequence[int]) -> int:
    """Return how far a U-Net sees along an axis that its poolings divide by these strides.

    Two convolutions of 3 pixels on each level, and up-convolutions; a stride of 1 is a pooling
    that leaves the axis as it is.
    """
    reach = [2]
    for stride in strides:
        reach.append(-(-reach[-1] // stride) + 2)
    here = reach[-1]
    for stride, skip in zip(reversed(strides), reversed(reach[:-1]), strict=True):
        here = max(stride * here, skip) + 2
    return here


def _half(pixels: int) -> int:
    return -(-pixels // 2)


def _enlarged(pixels: int, scale: int) -> int:
    """Bilinear interpolation between pixel centres looks half a pixel to each side."""
    return scale * pixels + scale // 2


def _contracted(depth: int) -> list[int]:
    """Two 3x3 convolutions on each level and poolings between, as all U-Nets begin."""
    reach = [2]
    for _ in range(depth):
        reach.append(_half(reach[-1]) + 2)
    return reach


def _expanded(reach: list[int]) -> int:
    """Up-convolution, skip connection and two 3x3 convolutions, level by level."""
    here = reach[-1]
    for skip in reversed(reach[:-1]):
        here = max(2 * here, skip) + 2
    return here


def _unet(depth: int) -> int:
    return unet_reach(depth * [2])


def _unet_valid(depth: int) -> int:
    # Two 3x3 convolutions a level, down to the bottom and up again.
    grid: int = 2**depth
    return 2 * (2 * grid - 1) + 2 * (grid - 1)


def _unet_outlines(depth: int) -> int:
    # Both paths, then the mean of 5 squares of 8 pixels, interpolated between their centres.
    cell = min(8, 1 << depth)
    return _enlarged(-(-_unet(depth) // cell) + 2, cell)


def _unet_3_plus(depth: int) -> int:
    encoder = _contracted(depth)
    decoder = {depth: encoder[depth]}
    for level in reversed(range(depth)):
        finer = [-(-encoder[other] // 2 ** (level - other)) for other in range(level)]
        coarser = [_enlarged(decoder[o], 2 ** (o - level)) for o in range(level + 1, depth + 1)]
        decoder[level] = max(*finer, encoder[level], *coarser) + 2
    return decoder[0] + 1  # the output layer is a 3x3 convolution too


def _attention_unet(depth: int) -> int:
    reach = _contracted(depth)
    here = reach[depth]
    for level in reversed(range(depth)):
        gated = reach[level]
        if level:
            gated = max(gated, _enlarged(max(_half(gated), here), 2))
        here = max(2 * here, gated) + 2
    return here


def _residual(depth: int) -> list[int]:
    reach = [2]
    for _ in range(depth):
        reach.append(_half(reach[-1] + 1) + 1)  # the first of two convolutions has a stride of 2
    return reach


def _resunet(depth: int) -> int:
    return _expanded(_residual(depth))


def _unet_transformer(depth: int) -> int:
    reach = _contracted(depth)
    for layer in range(ATTENTION_LAYERS):
        shift = WINDOW // 2 * (layer % 2)
        reach[depth] = -(-(reach[depth] + shift) // WINDOW) * WINDOW - shift
    return _expanded(reach)


def _vgg(depth: int) -> tuple[list[int], list[int]]:
    """Before and after each pooling: two 3x3 convolutions on two levels, three on the others."""
    before, after, here = [], [], 0
    for level in range(depth):
        before.append(here + (2 if level < 2 else 3))
        here = _half(before[-1])
        after.append(here)
    return before, after


def _fcn(depth: int) -> int:
    _, pooled = _vgg(depth)
    here = pooled[-1] + 3  # the convolution 7x7 in place of the fully connected layer
    fused = pooled[-3:-1] if depth > 2 else pooled[:-1]
    for skip in reversed(fused):
        here = max(_enlarged(here, 2), skip)
    return _enlarged(here, 2 ** (depth - len(fused)))


def _segnet(depth: int) -> int:
    _, after = _vgg(depth)
    here = after[-1]
    for level in reversed(range(depth)):
        here = max(2 * here, 2 * after[level]) + (2 if level < 2 else 3)
    return here


def _deeplab(depth: int) -> int:
    reach, low = _residual(depth), min(2, depth - 1)
    context = _enlarged(reach[depth] + 18, 1 << (depth - low))  # 18 is the largest of its holes
    return _enlarged(max(context, reach[low]) + 2, 1 << low)


_LIST = (
    Architecture(
        "unet",
        "same-padded U-Net, batch norm after each convolution",
        "Ronneberger, Fischer and Brox 2015, arXiv:1505.04597",
        _unet,
        pixel_bytes=28,
        piece_bytes=16,
    ),
    Architecture(
        "unet-valid",
        "as in the paper of 2015: valid convolutions, no normalisation",
        "Ronneberger, Fischer and Brox 2015, arXiv:1505.04597",
        _unet_valid,
        norm="none",
        is_valid=True,
    ),
    Architecture(
        "unet-outlines",
        "a second expanding path draws outlines where both agree",
        "ours, after Ronneberger, Fischer and Brox 2015, arXiv:1505.04597",
        _unet_outlines,
        pixel_bytes=30,
        piece_bytes=18,
        pixel_flops=580,
    ),
    Architecture(
        "unet++",
        "U-Nets of every depth in one, nested, which can be cut to a shallower one",
        "Zhou, Rahman Siddiquee, Tajbakhsh and Liang 2018, arXiv:1807.10165",
        _unet,  # its longest way is that of the deepest U-Net in it
        pixel_bytes=80,
        pixel_flops=890,
    ),
    Architecture(
        "unet3+",
        "each level of the expanding path sees all scales",
        "Huang et al. 2020, arXiv:2004.08790",
        _unet_3_plus,
        pixel_bytes=112,
        pixel_flops=1480,
    ),
    Architecture(
        "attention-unet",
        "gates on the skip connections let through where to look",
        "Oktay et al. 2018, arXiv:1804.03999",
        _attention_unet,
    ),
    Architecture(
        "resunet",
        "residual units in place of plain convolutions",
        "Zhang, Liu and Wang 2018, arXiv:1711.10684",
        _resunet,
        depth=3,
        pixel_bytes=72,
    ),
    Architecture(
        "unet-light",
        "depthwise separable convolutions: a fraction of the weights",
        "Howard et al. 2017, arXiv:1704.04861, section 3.1, in a U-Net",
        _unet,
        pixel_bytes=40,
        pixel_flops=50,
    ),
    Architecture(
        "unet-transformer",
        "attention between the pixels of the deepest level, in windows",
        "Chen et al. 2021, arXiv:2102.04306, with the windows of Liu et al. 2021, arXiv:2103.14030",
        _unet_transformer,
        window=WINDOW,
        pixel_flops=460,
    ),
    Architecture(
        "unet-3d",
        "of volumes: convolutions 3x3x3, poolings also along Z",
        "Cicek, Abdulkadir, Lienkamp, Brox and Ronneberger 2016, arXiv:1606.06650",
        _unet,
        depth=3,
        pixel_bytes=64,
        pixel_flops=1820,
        axes=3,
    ),
    Architecture(
        "fcn-8s",
        "a yardstick: the first fully convolutional network",
        "Long, Shelhamer and Darrell 2015, arXiv:1411.4038",
        _fcn,
        depth=5,
    ),
    Architecture(
        "segnet",
        "a yardstick: pixels go back to where pooling took them from",
        "Badrinarayanan, Kendall and Cipolla 2015, arXiv:1511.00561",
        _segnet,
        depth=5,
    ),
    Architecture(
        "deeplabv3+",
        "a yardstick: convolutions with holes see far, and a small decoder",
        "Chen, Zhu, Papandreou, Schroff and Adam 2018, arXiv:1802.02611",
        _deeplab,
    ),
)

ARCHITECTURES = {architecture.name: architecture for architecture in _LIST}
OF_PLANES = tuple(name for name, architecture in ARCHITECTURES.items() if architecture.axes == 2)
