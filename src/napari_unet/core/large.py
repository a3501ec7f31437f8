"""An image larger than memory: read, computed and written in parts, to probabilities and labels.

The work is a row of steps. Each is done for many parts of the plane, in any order and by anybody,
as no two parts of a step write the same pixels; the next step begins when all are done::

    predict      tiles    image -> probability            on the model's grid
    areas        blocks   probability -> typical sizes    where objects are judged by their looks
    label        blocks   probability -> pieces           objects, numbered for each block
    number       blocks   pieces -> whole                 \\
    draw         blocks   whole, probability -> drawn      } where the image was rescaled
    finish       blocks   pieces or drawn -> labels       numbered for all of the plane
    coarsen      blocks   labels -> coarser labels        level by level
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol, TypeVar  # images come in any real dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.blocks import (
    BlockArray,
    BlockObjects,
    BlockSettings,
    Slices,
    blocks_of,
    join_blocks,
    typical_areas,
)
from napari_unet.core.errors import InputError
from napari_unet.core.large_plan import LargePlan, plan_large
from napari_unet.core.large_plane import DrawnObjects, LargeArrays, LargePlane, Renumbering
from napari_unet.core.model_file import Model
from napari_unet.core.smallest import large_enough
from napari_unet.core.tiling import Tile

__all__ = ["Run", "make_labels", "segment_large"]

Item = TypeVar("Item")
Result = TypeVar("Result")


class Run(Protocol):
    """Does a step of a `LargePlane` for parts of it, here or elsewhere."""

    def __call__(
        self,
        step: Callable[[LargePlane, Sequence[Item]], Iterator[tuple[Item, Result]]],
        items: Sequence[Item],
    ) -> Iterator[tuple[Item, Result]]:
        """Yield each part with its result, in any order."""
        ...


@dataclass(slots=True)
class _Count:
    """Tells how far the work is: each part of each step counts one."""

    plan: LargePlan
    levels: Sequence[tuple[int, int]]
    progress: Callable[[int, int], None] | None
    done: int = 0
    total: int = field(init=False)

    def __post_init__(self) -> None:
        steps = 1 + 2 * (self.plan.settings.score is not None) + self.plan.is_rescaled
        blocks = steps * len(self.plan.model_blocks)
        blocks += (1 + self.plan.is_rescaled) * len(self.plan.image_blocks)
        side = self.plan.settings.block
        blocks += sum(len(list(blocks_of(shape, side))) for shape in self.levels)
        self.total = len(self.plan.tiles) + blocks

    def add(self, count: int = 1) -> None:
        self.done += count
        if count and self.progress is not None:
            self.progress(min(self.done, self.total), self.total)


def make_labels(
    plan: LargePlan,
    run: Run,
    *,
    levels: Sequence[tuple[int, int]] = (),
    done: Collection[tuple[int, int]] = (),
    note: Callable[[Tile], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Do all steps; return how many objects there are.

    Parameters
    ----------
    plan : LargePlan
        Of the plane.
    run : callable
        Does a step, see `Run`.
    levels : sequence of tuple of int
        Rows and columns of the coarser labels.
    done : collection of tuple of int
        First rows and columns of tiles whose probabilities are there already.
    note : callable, optional
        Called with each tile that is written.
    progress : callable, optional
        Called with (done, total).
    """
    count = _Count(plan, levels, progress)

    def all_of(step: Any, items: Sequence[Any]) -> list[tuple[Any, Any]]:  # of any step
        found = []
        for item, result in run(step, items):
            count.add()
            found.append((item, result))
        return found

    tiles = plan.tiles
    left = [tile for tile in tiles if (tile.y, tile.x) not in done]
    count.add(len(tiles) - len(left))
    for tile, _ in run(LargePlane.predict, left):
        count.add()
        if note is not None:
            note(tile)
    typical = None
    if plan.settings.score is not None:
        typical = typical_areas([areas for _, areas in all_of(LargePlane.areas, plan.model_blocks)])
    label = partial(LargePlane.label, typical=typical)
    objects = sorted((found for _, found in all_of(label, plan.model_blocks)), key=_place)
    numbers = join_blocks(objects)
    total = max((int(number.max(initial=0)) for number in numbers), default=0)
    blocks = [
        Renumbering(one.core, one.used, number[one.used])
        for one, number in zip(objects, numbers, strict=True)
    ]
    if plan.is_rescaled:
        all_of(LargePlane.number, blocks)
        is_upper = np.zeros(total + 1, bool)
        for one, number in zip(objects, numbers, strict=True):
            is_upper[number[one.used[one.is_upper[one.used]]]] = True
        drawn = all_of(partial(LargePlane.draw, is_upper=is_upper), plan.image_blocks)
        blocks, total = _large_enough(drawn, total, plan.min_size)
    all_of(LargePlane.finish, blocks)
    for level, shape in enumerate(levels):
        parts = list(blocks_of(shape, plan.settings.block))
        all_of(partial(LargePlane.coarsen, level=level), parts)
    return total


def _place(objects: BlockObjects) -> tuple[int, int]:
    return objects.core[0].start, objects.core[1].start


def _large_enough(
    drawn: Sequence[tuple[Slices, DrawnObjects]], count: int, min_size: int
) -> tuple[list[Renumbering], int]:
    """Number those anew that are not too small in the image."""
    pixels, cut_off = np.zeros(count + 1, np.int64), np.zeros(count + 1, bool)
    for _, found in drawn:
        pixels[found.numbers] += found.pixels
        cut_off[found.numbers] |= found.cut_off
    keep = large_enough(pixels, cut_off, min_size)
    final = np.where(keep, np.cumsum(keep), 0).astype(np.int32)
    blocks = [Renumbering(core, found.numbers, final[found.numbers]) for core, found in drawn]
    return blocks, int(keep.sum())


def segment_large(
    image_cyx: NDArray[Any],
    model: Model,
    probability: BlockArray,
    labels: BlockArray,
    *,
    settings: BlockSettings | None = None,
    device: str = "auto",
    precision: str = "auto",
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Segment one image plane from array to array, in memory that does not grow with it.

    While a tile is computed the next one is read and the one before is written. Labels are those
    of `probability_to_labels` for all of it at once, see `label_blocks`.

    Parameters
    ----------
    image_cyx : array-like, shape (C, Y, X)
        Lazy (zarr, dask) or not; taken as it is, so that its objects should be about as large as
        the model knows them.
    model : Model
        One of objects.
    probability : array-like of uint8, shape (Y, X)
        Gets the probability of the foreground, 255 is 1.0.
    labels : array-like of int32, shape (Y, X)
        Gets the objects, numbered from 1; 0 is background.
    settings : BlockSettings, optional
        Of the objects; None takes the model's.
    device, precision : str
        See `napari_unet.core.device`.
    progress : callable, optional
        Called with (done, total) after each part of the work.

    Returns
    -------
    int
        How many objects there are.

    Raises
    ------
    InputError
        If shapes do not fit, or the model tells kinds of pixels rather than objects.
    """
    plan = plan_large(image_cyx, model.config)
    if settings is not None:
        plan = replace(plan, settings=settings)
    shape = plan.grids.image
    if tuple(probability.shape) != shape or tuple(labels.shape) != shape:
        raise InputError(
            f"The image is {shape}, and what is written {tuple(probability.shape)} and "
            f"{tuple(labels.shape)}; make them alike."
        )
    arrays = LargeArrays(probability, labels, labels)  # pieces are renumbered where they are
    plane = LargePlane(image_cyx, model, plan, arrays, device=device, precision=precision)
    return make_labels(plan, lambda step, items: step(plane, items), progress=progress)
