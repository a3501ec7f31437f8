"""Objects of an image that is larger than memory, block by block: none is cut, none is doubled.

Each block is made into objects together with a margin around it, and keeps what lies in the block
itself. Where two blocks meet both have seen the same pixels: objects that share pixels there are
one object::

        block A           margin of A
    |............. A A A|A A ...|
                |... B B|B B B .............|       A and B share pixels at the seam: one object
                 margin of B          block B

What reaches from the block to the edge of its margin might be more than was seen. Then the margin
is doubled, until all that is connected is seen as a whole, or the margin is as large as allowed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol  # arrays come in any real dtype

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from napari_unet.core.belief import foreground_of
from napari_unet.core.config import ModelConfig
from napari_unet.core.instances import (
    components,
    objects_at,
    scored_objects,
)
from napari_unet.core.object_score import ObjectScore, upper_threshold

__all__ = [
    "BlockArray",
    "BlockObjects",
    "BlockSettings",
    "Slices",
    "areas_of_block",
    "blocks_of",
    "join_blocks",
    "label_block",
    "label_blocks",
    "label_part",
    "typical_areas",
]

Slices = tuple[slice, slice]
Labels = NDArray[np.int32]
Areas = tuple[NDArray[np.int64], NDArray[np.int64]]


class BlockArray(Protocol):
    """What numpy, zarr and others share: an array of which parts are read and written."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Rows and columns."""
        ...

    def __getitem__(self, index: Any) -> Any:
        """Read a part."""
        ...

    def __setitem__(self, index: Any, value: Any) -> None:
        """Write a part."""
        ...


@dataclass(frozen=True, slots=True)
class BlockSettings:
    """How objects are made, as `probability_to_labels` takes it, and how large the blocks are.

    Attributes
    ----------
    block, margin, most_margin : int
        Sides in pixels: of a block; of what is seen around it at first; and at the most. What a
        pixel takes while objects are made is about 100 bytes (chosen: 2 GB at the most).
    """

    threshold: float = 0.5
    min_size: int = 20
    split: float = 0.0
    score: ObjectScore | None = None
    block: int = 2048
    margin: int = 128
    most_margin: int = 1024

    @classmethod
    def of(cls, config: ModelConfig, **others: Any) -> BlockSettings:
        """Return those of a model; `others` are fields by name."""
        own = {name: getattr(config, name) for name in ("threshold", "min_size", "split", "score")}
        return cls(**own | others)


def label_blocks(probability: BlockArray, out: BlockArray, settings: BlockSettings) -> int:
    """Make objects of the probability of the foreground, in bounded memory.

    They are those of `probability_to_labels` for the whole image, numbered in another order, as
    long as nothing that is connected is wider than `most_margin`; parts of what is wider are joined
    all the same.

    Parameters
    ----------
    probability : array-like of uint8 or float, shape (Y, X)
        Read in parts: numpy, zarr or the like.
    out : array-like of int32, shape (Y, X)
        Written in parts; 0 is background, objects are numbered from 1 without holes.
    settings : BlockSettings
        How.

    Returns
    -------
    int
        How many objects there are.
    """
    cores = list(blocks_of(probability.shape, settings.block))
    typical = None
    if settings.score is not None:
        typical = typical_areas([areas_of_block(probability, core, settings) for core in cores])
    found = []
    for core in cores:
        out[core], objects = label_block(probability, core, settings, typical)
        found.append(objects)
    count = 0
    for objects, number in zip(found, join_blocks(found), strict=True):
        out[objects.core] = number[np.asarray(out[objects.core])]
        count = max(count, int(number.max(initial=0)))
    return count


def blocks_of(shape: Sequence[int], side: int) -> Iterator[Slices]:
    """Go through the blocks of a plane row by row."""
    for y in range(0, shape[0], side):
        for x in range(0, shape[1], side):
            yield slice(y, min(y + side, shape[0])), slice(x, min(x + side, shape[1]))


def _within(part: Slices, whole: Slices) -> Slices:
    """Return the same part, counted from the corner of another."""
    y, x = (slice(p.start - w.start, p.stop - w.start) for p, w in zip(part, whole, strict=True))
    return y, x


def _widened(core: Slices, by: int, shape: tuple[int, ...]) -> Slices:
    y, x = (
        slice(max(0, part.start - by), min(size, part.stop + by))
        for part, size in zip(core, shape, strict=True)
    )
    return y, x


@dataclass(frozen=True, slots=True, eq=False)
class Seam:
    """What a block says of the pixels along one of its sides: those on both sides of it.

    Attributes
    ----------
    key : tuple of int
        What both blocks call it: the axis across, where it lies, and where it begins.
    place : tuple of slice
        The pixels, one more at corners where they were seen.
    labels : ndarray of int32
        Numbers of the block that says it.
    """

    key: tuple[int, int, int]
    place: Slices
    labels: Labels


@dataclass(frozen=True, slots=True, eq=False)
class BlockObjects:
    """What is to be known of a block's objects to join them to those of other blocks.

    Attributes
    ----------
    core : tuple of slice
        The block.
    count : int
        Objects of the block with its margin are numbered from 1 to this.
    used : ndarray of int32
        Numbers of those that reach into the block itself.
    is_upper : ndarray of bool
        By number, whether an object was made at the upper threshold, see `ObjectScore`.
    seams : tuple of Seam
        Of the sides that are not the image's border.
    """

    core: Slices
    count: int
    used: Labels
    is_upper: NDArray[np.bool_]
    seams: tuple[Seam, ...]


def label_block(
    probability: BlockArray,
    core: Slices,
    settings: BlockSettings,
    areas: tuple[float, float] | None = None,
) -> tuple[Labels, BlockObjects]:
    """Make the objects of one block, numbered for itself.

    Parameters
    ----------
    probability, settings
        See `label_blocks`.
    core : tuple of slice
        One of `blocks_of`.
    areas : tuple of float, optional
        Of `typical_areas`, where objects are judged by their looks.

    Returns
    -------
    labels : ndarray of int32, the block's shape
    objects : BlockObjects
        For `join_blocks`.
    """
    pixels, seen = _whole_foreground(probability, core, settings)
    labels, is_upper = scored_objects(
        pixels, settings.threshold, settings.min_size, settings.split, settings.score, areas
    )
    own = labels[_within(core, seen)]
    seams = tuple(_seams(labels, seen, core))
    count = int(labels.max(initial=0))
    return own, BlockObjects(core, count, np.unique(own[own > 0]), is_upper, seams)


def label_part(
    probability: BlockArray,
    part: Slices,
    settings: BlockSettings,
    areas: tuple[float, float] | None = None,
) -> tuple[Labels, NDArray[np.bool_]]:
    """Make the objects of one part for itself; see `label_block` for the parameters.

    Returns
    -------
    labels : ndarray of int32, the part's shape
        Numbered from 1, with holes in the numbering.
    is_upper : ndarray of bool
        By number, whether an object was made at the upper threshold.
    """
    pixels, seen = _whole_foreground(probability, part, settings)
    labels, is_upper = scored_objects(
        pixels, settings.threshold, settings.min_size, settings.split, settings.score, areas
    )
    return labels[_within(part, seen)], is_upper


def _whole_foreground(
    probability: BlockArray, core: Slices, settings: BlockSettings
) -> tuple[NDArray[Any], Slices]:
    """Read a block with a margin that holds all of what is connected to the block, if any does.

    How touching objects are parted depends on all that they are connected to.
    """
    margin = settings.margin
    while True:
        seen = _widened(core, margin, probability.shape)
        pixels = np.asarray(probability[seen])
        if margin >= settings.most_margin:
            return pixels, seen
        labels = components(foreground_of(pixels, settings.threshold))
        if not _is_cut(labels, seen, core, probability.shape):
            return pixels, seen
        margin = min(2 * margin, settings.most_margin)


def _is_cut(labels: Labels, seen: Slices, core: Slices, shape: tuple[int, ...]) -> bool:
    """Whether something of the block reaches where nothing more was seen."""
    edges = []
    for axis in (0, 1):
        along = np.moveaxis(labels, axis, 0)
        if seen[axis].start > 0:
            edges.append(along[0])
        if seen[axis].stop < shape[axis]:
            edges.append(along[-1])
    if not edges:
        return False
    at_edge = np.unique(np.concatenate(edges))
    # Gaps in the block, and nooks beside them, are filled between what lies beside it, and seams
    # are compared there.
    inside = _within(_widened(core, 4, shape), seen)
    return bool(np.isin(at_edge[at_edge > 0], labels[inside]).any())


def _seams(labels: Labels, seen: Slices, core: Slices) -> Iterator[Seam]:
    """Yield what a block, of which more was seen, says of its sides."""
    strip = [slice(max(s.start, c.start - 1), c.stop + 1) for s, c in zip(seen, core, strict=True)]
    for axis in (0, 1):
        for at in (core[axis].start, core[axis].stop):
            if not seen[axis].start < at < seen[axis].stop:
                continue  # the border of the image
            sides = list(strip)
            sides[axis] = slice(at - 1, at + 1)
            y, x = (slice(a.start, min(a.stop, b.stop)) for a, b in zip(sides, seen, strict=True))
            key = (axis, at, core[1 - axis].start)
            yield Seam(key, (y, x), labels[_within((y, x), seen)].copy())


def join_blocks(blocks: Sequence[BlockObjects]) -> list[Labels]:
    """Return for each block the final number of each of its objects by the block's own number.

    Objects of different blocks that share pixels at a seam are one. Numbers run from 1 without
    holes; what does not reach into its block has 0.
    """
    first = np.cumsum([0, *(block.count for block in blocks)])
    size = int(first[-1]) + 1
    pairs = np.concatenate([np.zeros((0, 2), np.int64), *_shared(blocks, first)])
    links = sparse.coo_array((np.ones(len(pairs), bool), tuple(pairs.T)), (size, size))
    _, group = sparse.csgraph.connected_components(links, directed=False)
    used = [block.used + start for block, start in zip(blocks, first, strict=False)]
    every = np.concatenate([np.zeros(0, np.int64), *used])
    _, index = np.unique(group[every], return_inverse=True)
    final = np.zeros(size, np.int32)
    final[every] = index + 1
    return [
        np.concatenate([np.zeros(1, np.int32), final[start + 1 : start + 1 + block.count]])
        for block, start in zip(blocks, first, strict=False)
    ]


def _shared(blocks: Sequence[BlockObjects], first: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return pairs of objects of two blocks that have pixels in common where these meet."""
    pairs = []
    waiting: dict[tuple[int, int, int], tuple[Slices, NDArray[np.int64]]] = {}
    for block, start in zip(blocks, first, strict=False):
        for seam in block.seams:
            numbers = np.where(seam.labels > 0, seam.labels + start, 0)
            if seam.key not in waiting:
                waiting[seam.key] = seam.place, numbers
                continue
            place, theirs = waiting.pop(seam.key)
            y, x = (
                slice(max(a.start, b.start), min(a.stop, b.stop))
                for a, b in zip(seam.place, place, strict=True)
            )
            ours, theirs = numbers[_within((y, x), seam.place)], theirs[_within((y, x), place)]
            both = (ours > 0) & (theirs > 0)
            pairs.append(np.unique(np.stack([theirs[both], ours[both]], axis=1), axis=0))
    return pairs


def areas_of_block(probability: BlockArray, core: Slices, settings: BlockSettings) -> Areas:
    """Return the areas of the objects that begin in a block, at both thresholds, in pixels."""
    pixels, seen = _whole_foreground(probability, core, settings)
    lower, upper = (
        _areas_of(
            objects_at(pixels, threshold, settings.min_size, settings.split), _within(core, seen)
        )
        for threshold in (settings.threshold, upper_threshold(settings.threshold))
    )
    return lower, upper


def typical_areas(blocks: Sequence[Areas]) -> tuple[float, float]:
    """Return the median area of the image's objects at both thresholds, in pixels."""
    lower, upper = (
        np.concatenate([np.zeros(0, np.int64), *each]) for each in zip(*blocks, strict=True)
    )
    return _median(lower), _median(upper)


def _median(areas: NDArray[np.int64]) -> float:
    return float(np.median(areas)) if len(areas) else 1.0


def _areas_of(labels: Labels, core: Slices) -> NDArray[np.int64]:
    """Return the areas of the objects whose first pixel is in a block: each has one such block."""
    numbers, first = np.unique(labels, return_index=True)
    rows, columns = np.divmod(first, labels.shape[1])
    is_own = (rows >= core[0].start) & (rows < core[0].stop)
    is_own &= (columns >= core[1].start) & (columns < core[1].stop)
    area: NDArray[np.int64] = np.bincount(labels.ravel())[numbers[is_own & (numbers > 0)]]
    return area
