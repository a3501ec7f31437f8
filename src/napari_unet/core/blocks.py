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

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol  # arrays come in any real dtype

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from napari_unet.core.config import ModelConfig
from napari_unet.core.instances import (
    components,
    foreground_of,
    objects_at,
    probability_to_labels,
)
from napari_unet.core.object_score import ObjectScore, upper_threshold

__all__ = ["BlockArray", "BlockSettings", "label_blocks"]

Slices = tuple[slice, slice]
Labels = NDArray[np.int32]


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
    rows, columns = (int(size) for size in probability.shape)
    areas = _typical_areas(probability, settings) if settings.score is not None else None
    seams = _Seams()
    for core in _blocks((rows, columns), settings.block):
        labels, seen = _seen(probability, core, settings, areas)
        out[core] = seams.join(labels, seen, core)
    number = seams.numbers()
    for core in _blocks((rows, columns), settings.block):
        out[core] = number[np.asarray(out[core])]
    return int(number.max(initial=0))


def _blocks(shape: tuple[int, int], side: int) -> Iterator[Slices]:
    """Go through the blocks row by row."""
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


def _seen(
    probability: BlockArray,
    core: Slices,
    settings: BlockSettings,
    areas: tuple[float, float] | None,
) -> tuple[Labels, Slices]:
    """Return the objects of a block with its margin, and where these lie in the image."""
    pixels, seen = _whole_foreground(probability, core, settings)
    labels = probability_to_labels(
        pixels,
        threshold=settings.threshold,
        min_size=settings.min_size,
        split=settings.split,
        score=settings.score,
        typical_areas=areas,
    )
    return labels, seen


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
    # Gaps in the block are filled between what lies beside it, and seams are compared there.
    inside = _within(_widened(core, 2, shape), seen)
    return bool(np.isin(at_edge[at_edge > 0], labels[inside]).any())


class _Seams:
    """Gives the objects of each block numbers of their own, and joins them where blocks meet."""

    def __init__(self) -> None:
        self._count = 0
        self._pairs: list[NDArray[np.int64]] = []
        self._used: list[Labels] = []
        # What blocks said of the pixels at their lower and right side, by where these are.
        self._waiting: dict[tuple[int, int, int], tuple[Slices, Labels]] = {}

    def join(self, labels: Labels, seen: Slices, core: Slices) -> Labels:
        """Return the labels of a block itself in numbers of the image."""
        numbered = np.where(labels > 0, labels + np.int32(self._count), 0).astype(np.int32)
        self._count += int(labels.max(initial=0))
        for axis in (0, 1):
            self._meet(axis, numbered, seen, core)
            self._leave(axis, numbered, seen, core)
        own = numbered[_within(core, seen)]
        self._used.append(np.unique(own[own > 0]))
        return own

    def _meet(self, axis: int, numbered: Labels, seen: Slices, core: Slices) -> None:
        left = self._waiting.pop((axis, core[0].start, core[1].start), None)
        if left is None:
            return
        place, theirs = left
        common = tuple(
            slice(max(a.start, b.start), min(a.stop, b.stop))
            for a, b in zip(place, seen, strict=True)
        )
        assert len(common) == 2
        ours = numbered[_within(common, seen)]
        theirs = theirs[_within(common, place)]
        both = (ours > 0) & (theirs > 0)
        pairs = np.stack([theirs[both], ours[both]], axis=1).astype(np.int64)
        self._pairs.append(np.unique(pairs, axis=0))

    def _leave(self, axis: int, numbered: Labels, seen: Slices, core: Slices) -> None:
        """Keep the pixels on both sides of the end of a block, and one more at the corners."""
        end = core[axis].stop
        if seen[axis].stop <= end:
            return
        strip = [slice(max(s.start, c.start - 1), c.stop + 1) for s, c in zip(seen, core)]  # noqa: B905
        strip[axis] = slice(end - 1, end + 1)
        place = tuple(slice(a.start, min(a.stop, b.stop)) for a, b in zip(strip, seen, strict=True))
        assert len(place) == 2
        start = [core[0].start, core[1].start]
        start[axis] = end
        kept = numbered[_within(place, seen)].copy()
        self._waiting[axis, start[0], start[1]] = (place, kept)

    def numbers(self) -> Labels:
        """Return the final number of each object by the number that it was given."""
        size = self._count + 1
        pairs = np.concatenate([np.zeros((0, 2), np.int64), *self._pairs])
        links = sparse.coo_array((np.ones(len(pairs), bool), tuple(pairs.T)), (size, size))
        _, group = sparse.csgraph.connected_components(links, directed=False)
        used = np.concatenate([np.zeros(0, np.int32), *self._used])
        _, index = np.unique(group[used], return_inverse=True)
        final = np.zeros(size, np.int32)
        final[used] = index + 1
        return final


def _typical_areas(probability: BlockArray, settings: BlockSettings) -> tuple[float, float]:
    """Return the median area of the image's objects at both thresholds, in pixels."""
    typical = []
    for threshold in (settings.threshold, upper_threshold(settings.threshold)):
        areas = [np.zeros(0, np.int64)]
        for core in _blocks((int(probability.shape[0]), int(probability.shape[1])), settings.block):
            pixels, seen = _whole_foreground(probability, core, settings)
            labels = objects_at(pixels, threshold, settings.min_size, settings.split)
            areas.append(_areas_of(labels, _within(core, seen)))
        every = np.concatenate(areas)
        typical.append(float(np.median(every)) if len(every) else 1.0)
    return typical[0], typical[1]


def _areas_of(labels: Labels, core: Slices) -> NDArray[np.int64]:
    """Return the areas of the objects whose first pixel is in a block: each has one such block."""
    numbers, first = np.unique(labels, return_index=True)
    rows, columns = np.divmod(first, labels.shape[1])
    is_own = (rows >= core[0].start) & (rows < core[0].stop)
    is_own &= (columns >= core[1].start) & (columns < core[1].stop)
    area: NDArray[np.int64] = np.bincount(labels.ravel())[numbers[is_own & (numbers > 0)]]
    return area
