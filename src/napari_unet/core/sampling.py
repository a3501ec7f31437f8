"""Batches of varied patches for training, with their targets and weights."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any  # labels come in any integer dtype

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from napari_unet.core.augment import (
    AugmentConfig,
    apply_intensity,
    apply_texture,
    apply_warp,
    draw_config,
    draw_intensity,
    draw_texture,
    draw_warp,
)
from napari_unet.core.errors import InputError
from napari_unet.core.example import Example
from napari_unet.core.interest import Interest
from napari_unet.core.normalize import normalize
from napari_unet.core.rescale import rescale_image, resize_labels, scaled_shape
from napari_unet.core.targets import labels_to_classes
from napari_unet.core.tiling import mirrored
from napari_unet.core.weight_map import touching_cell_weights

__all__ = ["Batch", "PatchSampler", "WeightSettings", "prefetched"]

# Examples of earlier rounds give at the most this part of the patches (chosen).
REPLAYED = 0.35

# Of the patches, this many are centred on an object, or a class; the rest lie anywhere in what is
# checked.
ON_OBJECT = 0.75


MOST_BALANCE = 5.0  # chosen

# No class weighs less or more than this, however common or rare it is (chosen).
CLASS_WEIGHTS = (0.2, 5.0)

# The checked area is parted into squares of so many pixels of the model's: places, beside objects,
# of which some are harder than others (chosen: half of a patch of teaching).
PLACE = 64

TRIAL = 32  # patches from which the rarity of classes, or of background, is measured (chosen)


@dataclass(frozen=True, slots=True)
class WeightSettings:
    """Of the weight map: see `touching_cell_weights`.

    ``on_cells`` weights cell pixels near another cell too, as the equation stands. Teaching is
    better without: a gap is one pixel wide and is outvoted by what lies beside it. Of pairs
    pressed together, 60 steps on six corrected ones then left 61 % of the others fused, without
    it none (tests/benchmarks/teaching.py). Long training on many images is not: see
    docs/measured.md.

    ``balance`` lets background weigh as much as cells do in all, or as so many pixels of weight 1
    where more of it is checked, by up to `MOST_BALANCE` times more or less. Who corrects cells
    checks little between them, and without it all becomes cell; between long cells that lie close
    the equation gives background ten times as much, and all becomes background.
    """

    w0: float = 10.0
    sigma: float = 5.0
    class_weights: tuple[float, float] | None = None
    on_cells: bool = True
    balance: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Tensors of one training step.

    Attributes
    ----------
    image : Tensor of float32, shape (B, C, H, W), of volumes (B, C, D, H, W)
        Normalised and varied.
    target : Tensor of int64, shape (B, H, W) or (B, D, H, W)
        Class of each pixel.
    weight : Tensor of float32, shape (B, H, W) or (B, D, H, W)
        Touching-cell weight, 0 outside the checked area.
    number : int
        Of the batch.
    places : tuple of int
        For which place each patch was drawn; see `PatchSampler.note`.
    """

    image: Tensor
    target: Tensor
    weight: Tensor
    number: int = 0
    places: tuple[int, ...] = ()

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        image, target, weight = (x.to(device) for x in (self.image, self.target, self.weight))
        return replace(self, image=image, target=target, weight=weight)


@dataclass(frozen=True, eq=False)
class _Source:
    """An example made ready: tensors, and where patches may be centred."""

    image: Tensor
    labels: Tensor
    mask: Tensor
    zoom: float  # that the model's size of objects asks for still
    objects: list[Tensor]  # of each checked object, or class, its pixels (n, axes)
    squares: list[Tensor]  # of each square of the checked area, its checked pixels (n, axes)
    recent: Tensor  # of objects, then of squares: whether most was corrected since the last round
    area: float  # checked pixels
    replayed: bool
    semantic: bool


class PatchSampler:
    """Draws batches from examples; the same seed, and the same notes, give the same batches.

    Patches are drawn for places: checked objects, and squares of the checked area. What was
    corrected since the last round is drawn more often, and so is what `note` says is hard.

    Parameters
    ----------
    examples : sequence of Example
        At least one must have something checked.
    side : int or tuple of int
        Side of the patches in pixels, or their shape: of volumes Z, Y and X.
    batch : int
        Patches a batch.
    percentiles : tuple of float
        Of the normalisation.
    augment : AugmentConfig
        How patches are varied.
    weights : WeightSettings
        Of the weight map.
    diameter : float, optional
        Of the objects that the model knows: an example that names its own is rescaled to it.
    spacing : sequence of float, optional
        How far pixels lie apart along each axis, by default 1: distances between cells are
        measured so.
    seed : int
        Of all that is random.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        *,
        side: int | tuple[int, ...],
        batch: int,
        percentiles: tuple[float, float],
        augment: AugmentConfig,
        weights: WeightSettings,
        diameter: float | None = None,
        spacing: Sequence[float] | None = None,
        seed: int = 0,
    ) -> None:
        sources = [
            _prepare(example, percentiles, diameter) for example in examples if example.mask.any()
        ]
        sources = [source for source in sources if source.squares]  # shrunk to nothing
        if not sources:
            raise InputError("Nothing is checked, so there is nothing to learn from.")
        self._sources = sources
        # Large images hold more than small ones, but not in proportion: their cells are alike.
        areas = torch.tensor([source.area * source.zoom**2 for source in sources])
        self._chance = _with_replay(areas.sqrt(), [source.replayed for source in sources])
        self._interest = Interest(torch.cat([source.recent for source in sources]).numpy())
        counts = [len(source.recent) for source in sources]
        self._places = np.split(np.arange(sum(counts)), np.cumsum(counts)[:-1])
        self._background = 1.0
        self._shape = (side, side) if isinstance(side, int) else side
        self._spacing = spacing
        self._batch = batch
        self._augment = augment
        self._weights = weights
        self._seed = seed
        self._generator = torch.Generator()
        self._class_weights = np.ones(256, np.float32)
        if any(source.semantic for source in sources):
            self._class_weights = self._weigh_classes()
        elif weights.balance:
            self._background = self._weigh_background()

    def __iter__(self) -> Generator[Batch, None, None]:
        return self.batches()

    def batches(self, first: int = 0, step: int = 1) -> Generator[Batch, None, None]:
        """Yield batches from number `first` on, all or every so many of them.

        Without notes each depends on its number alone.
        """
        for number in itertools.count(first, step):
            mixed = np.random.SeedSequence([self._seed, number]).generate_state(1)
            self._generator.manual_seed(int(mixed[0]))
            drawn = self._places_of_batch(number)
            patches = [self._patch(source, pixels) for source, pixels, _ in drawn]
            images, targets, weights = (torch.stack(part) for part in zip(*patches, strict=True))
            yield Batch(images, targets, weights, number, tuple(place for *_, place in drawn))

    def note(self, batch: Batch, errors: Sequence[float]) -> None:
        """Take note of how wrong the network is at each place of a batch; see `Interest.note`."""
        self._interest.note(batch.number, batch.places, errors)

    def _patch(self, source: _Source, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        generator = self._generator
        *slow, row, column = self._center(source, pixels)
        y, x = float(row), float(column)
        height, width = self._shape[-2:]
        augment = draw_config(self._augment, generator)
        if slow or not augment.rotate:  # whole pixels stay whole: an even side's middle is between
            y, x = y + 0.5 * (1 - height % 2), x + 0.5 * (1 - width % 2)
        warp = draw_warp((height, width), augment, generator, zoom=source.zoom)
        whole = source if not slow else self._planes(source, slow[0])
        image = apply_warp(whole.image, warp, (y, x))
        light = draw_intensity(augment, generator)
        labels = apply_warp(whole.labels, warp, (y, x), nearest=True)[0]
        mask = apply_warp(whole.mask, warp, (y, x), nearest=True)[0]
        warped = labels.numpy().astype(np.int32)
        if source.semantic:
            image = apply_intensity(image, light)
            weight = self._class_weights[warped] * (mask.numpy() > 0)
            return image, torch.from_numpy(warped.astype(np.int64)), torch.from_numpy(weight)
        # Gaps are opened and weights computed after the warp: it would lose a gap of one pixel.
        classes = labels_to_classes(warped)
        image = apply_texture(image, classes, draw_texture(augment, generator))
        image = apply_intensity(image, light)
        settings = self._weights
        weight = touching_cell_weights(
            warped,
            w0=settings.w0,
            sigma=settings.sigma,
            class_weights=settings.class_weights,
            spacing=self._spacing,
        )
        if not settings.on_cells:
            weight[classes > 0] = settings.class_weights[1] if settings.class_weights else 1.0
        weight[classes == 0] *= self._background
        weight *= _with_gaps(mask.numpy() > 0, warped, classes)
        target = torch.from_numpy(classes.astype(np.int64))
        return image, target, torch.from_numpy(weight)

    def _planes(self, source: _Source, z: int) -> _Source:
        """Return the planes of a patch, mirrored beyond the volume, in half of them upside down."""
        first = z - self._shape[0] // 2
        planes = mirrored(first, first + self._shape[0], source.image.shape[1])
        if self._augment.flip and self._random(2):
            planes = planes[::-1].copy()
        image, labels, mask = (a[:, planes] for a in (source.image, source.labels, source.mask))
        return replace(source, image=image, labels=labels, mask=mask)

    def _weigh_classes(self) -> NDArray[np.float32]:
        """Let a class that is rare in what will be seen weigh more: by the root of its rarity."""
        pixels = np.zeros(256)
        for target, weight in self._trial():
            pixels += np.bincount(target[weight > 0].numpy(), minlength=256)
        occurring = pixels > 0
        weights = np.ones(256, np.float32)
        if occurring.any():
            part = pixels[occurring] / pixels.sum()
            rarity = 1 / np.sqrt(part * occurring.sum())
            weights[occurring] = np.clip(rarity / (rarity * part).sum(), *CLASS_WEIGHTS)
        return weights

    def _weigh_background(self) -> float:
        """Return what background has to be weighed by; see `WeightSettings`."""
        cells = ground = pixels = 0.0
        for target, weight in self._trial():
            is_ground = (target == 0) & (weight > 0)
            cells += float(weight[target > 0].sum())
            ground += float(weight[is_ground].sum())
            pixels += float(is_ground.sum())
        wanted = max(cells, pixels) / max(1.0, ground)
        return float(np.clip(wanted, 1 / MOST_BALANCE, MOST_BALANCE))

    def _trial(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield target and weight of some patches as they will be seen."""
        self._generator.manual_seed(self._seed)
        for source, pixels, _ in [self._places_of_batch(0)[0] for _ in range(TRIAL)]:
            _, target, weight = self._patch(source, pixels)
            yield target, weight

    def _places_of_batch(self, number: int) -> list[tuple[_Source, Tensor, int]]:
        """Draw for each patch of a batch the image, the pixels of a place in it, and its number."""
        interest = self._interest.chances(number)
        means = torch.tensor([interest[places].mean() for places in self._places])
        return [self._place(interest, self._chance * means) for _ in range(self._batch)]

    def _place(self, interest: NDArray[np.float64], chance: Tensor) -> tuple[_Source, Tensor, int]:
        which = self._drawn(chance)
        source, places = self._sources[which], self._places[which]
        count = len(source.objects)
        if count and self._random(100) < 100 * ON_OBJECT:
            number = self._drawn(torch.from_numpy(interest[places[:count]]))
            return source, source.objects[number], int(places[number])
        sizes = torch.tensor([float(len(pixels)) for pixels in source.squares])
        number = self._drawn(sizes * torch.from_numpy(interest[places[count:]]))
        return source, source.squares[number], int(places[count + number])

    def _center(self, source: _Source, pixels: Tensor) -> list[int]:
        center = pixels[self._random(len(pixels))].tolist()
        jitters = [max(1, round(side / source.zoom / 4)) for side in self._shape]
        return [at + self._random(2 * j) - j for at, j in zip(center, jitters, strict=True)]

    def _drawn(self, chances: Tensor) -> int:
        return int(torch.multinomial(chances, 1, generator=self._generator))

    def _random(self, below: int) -> int:
        return int(torch.randint(below, (), generator=self._generator))


def _prepare(example: Example, percentiles: tuple[float, float], diameter: float | None) -> _Source:
    image = normalize(example.image_cyx, percentiles)
    mask = example.mask
    recent = np.zeros(mask.shape, bool) if example.recent is None else example.recent
    labels = example.labels.astype(np.int32) if example.semantic else _renumbered(example.labels)
    zoom = diameter / example.diameter if diameter and example.diameter else 1.0
    if zoom < 1:  # enlarging is left to the warp, shrinking asks for smoothing
        shape = scaled_shape(mask.shape, zoom)
        image = rescale_image(image, zoom)
        mask, recent = (resize_labels(x.astype(np.int32), shape) > 0 for x in (mask, recent))
        labels = resize_labels(labels, shape)
        zoom = 1.0
    # Background is a class like others; between objects it is seen beside them.
    objects = _parted(mask if example.semantic else mask & (labels > 0), labels)
    squares = _parted(mask, _squares(labels.shape, max(1, round(PLACE / zoom))))
    return _Source(
        image=torch.from_numpy(image),
        labels=torch.from_numpy(labels.astype(np.float32))[None],
        mask=torch.from_numpy(mask.astype(np.float32))[None],
        zoom=zoom,
        objects=[torch.from_numpy(pixels) for pixels in objects],
        squares=[torch.from_numpy(pixels) for pixels in squares],
        recent=torch.tensor([recent[tuple(p.T)].mean() > 0.5 for p in (*objects, *squares)]),
        area=float(np.count_nonzero(mask)),
        replayed=example.replayed,
        semantic=example.semantic,
    )


def _parted(mask: NDArray[np.bool_], names: NDArray[np.int32]) -> list[NDArray[np.intp]]:
    """Return where the pixels of a mask are, shape (n, axes), for each name."""
    there = np.nonzero(mask)
    order = np.argsort(names[there], kind="stable")
    pixels = np.stack([at[order] for at in there], axis=1)
    named = names[there][order]
    starts = np.flatnonzero(np.diff(named)) + 1
    return [part for part in np.split(pixels, starts) if len(part)]


def _squares(shape: tuple[int, ...], side: int) -> NDArray[np.int32]:
    """Number the squares of a plane, or the cubes of a volume."""
    steps = np.ix_(*(np.arange(size, dtype=np.int32) // side for size in shape))
    number: NDArray[np.int32] = steps[0]
    for along in steps[1:]:
        number = number * (along.max() + 1) + along
    return number


def _with_replay(chance: Tensor, replayed: Sequence[bool]) -> Tensor:
    """Let examples of earlier rounds have no more than their part."""
    old = torch.tensor(replayed)
    now, before = chance[~old].sum(), chance[old].sum()
    most = now * REPLAYED / (1 - REPLAYED)
    if now > 0 and before > most:
        chance = torch.where(old, chance * most / before, chance)
    return chance


def _with_gaps(
    checked: NDArray[np.bool_], labels: NDArray[np.int32], classes: NDArray[np.uint8]
) -> NDArray[np.bool_]:
    """Add opened gaps beside a checked object: which of the two gave way is chance."""
    checked_cells = np.where(checked, classes, 0)
    beside = ndimage.binary_dilation(checked_cells, np.ones(labels.ndim * (3,), bool))
    gaps: NDArray[np.bool_] = (labels > 0) & (classes == 0) & beside
    return checked | gaps


def _renumbered(labels: NDArray[Any]) -> NDArray[np.int32]:
    """Number objects from 1: float32 holds whole numbers up to 2**24 only."""
    values, inverse = np.unique(labels, return_inverse=True)
    numbers = np.zeros(len(values), np.int32)
    numbers[values != 0] = np.arange(1, np.count_nonzero(values) + 1)
    return numbers[inverse].reshape(labels.shape)


def prefetched(batches: Iterator[Batch]) -> Generator[Batch, None, None]:
    """Make the next batch in another thread while this one is used."""
    with ThreadPoolExecutor(1, thread_name_prefix="patches") as pool:
        coming = pool.submit(next, batches)
        while True:
            ready = coming.result()
            coming = pool.submit(next, batches)
            yield ready
