"""How large the objects of an image are, by looking at it coarsely with the model itself."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any  # images come in any real dtype

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_unet.core.config import ModelConfig
from napari_unet.core.instances import probability_to_labels
from napari_unet.core.model_file import Model
from napari_unet.core.neighbours import reader_for
from napari_unet.core.normalize import apply_range, intensity_range
from napari_unet.core.object_looks import looks_of
from napari_unet.core.planes import plane_places
from napari_unet.core.predict import predict_plane
from napari_unet.core.rescale import rescale_image, usable_diameter
from napari_unet.core.size import areas_of, diameter_of

__all__ = ["OTHER_SIZE", "measure_diameter", "measure_large", "measure_stack"]

# What may be measured, in pixels: what is smaller shows no shape (chosen).
SMALLEST, LARGEST = 4.0, 500.0

# Diameters at which the first looks are taken, in pixels. Objects of half to twice the size that
# a look expects come out within a quarter of their size (tests/benchmarks/diameter.py).
# The last one is for dense tissue, which from further off is one haze and from closer is blobs.
FIRST_LOOKS = (160.0, 40.0, 10.0, 20.0)

# A look shows at most this many pixels a side of the rescaled image.
WINDOW = 384

# Where none of these is sure, the best few are taken again, of so many times as much of the image a
# side: an embryo has nuclei of many sizes, and in a part of it others than elsewhere (chosen).
WIDER, AGAIN = 3, 3

# Of an image larger than memory a part of this side is looked at (chosen: it holds the window of
# the farthest look).
PART = 4096

# A look is believed when it finds objects within this factor of the size that it expects.
CLOSE = 1.25
FAR = 1.6

# Objects that are off the size that was taught by more are other objects (chosen).
OTHER_SIZE = 2.5

# What a look loses of its certainty for each factor of two that it is off (chosen).
DOUBT = 0.3

# A look of this value is believed without any closer one (chosen).
SURE = 0.7

# A look that is not sure itself counts against one at the size that was taught if its value is so
# many times as high (measured: up to 1.6 times on what was taught, 8 times on a nucleus of 11 px
# where 94 were taught; chosen).
SURER = 2.0

# One object alone loses half (chosen).
LONELY = 1.0

# Of looks that are not sure one counts the more, by the logarithm, the more likely objects it
# finds, and so many besides, and by its value to this power: with 1 hundreds of specks, the grain
# of large nuclei, won over the nuclei (both chosen on looks held out: docs/measured.md).
BESIDES = 4.0
POWER = 2.5

# Of objects of a kind that is known those that are likely so far say how large they are, where
# there are so many (chosen; of embryos fused groups are half of the area: docs/measured.md).
LIKELY, SOME = 0.5, 3

# So many times as wide as looked for is a blob where it is no more than one of ten (chosen).
BLOB, BLOBS = 3.0, 0.1

ROUNDS = 4


@dataclass(frozen=True, slots=True)
class _Look:
    """What is seen when objects of ``expected`` pixels are looked for."""

    expected: float
    diameter: float
    certainty: float
    objects: int
    likely: float  # how many of the objects are to be expected to be true ones

    @property
    def error(self) -> float:
        """By which factor objects are off the expected size."""
        return _factor(self.diameter, self.expected)

    @property
    def value(self) -> float:
        """How far it is to be believed: sure, of the size that it expects, and not alone.

        Seen from far, a whole embryo is one nucleus.
        """
        return self.lonely_value * self.objects / (self.objects + LONELY)

    @property
    def lonely_value(self) -> float:
        """How far it is to be believed where objects may be alone."""
        return self.certainty * (1 - DOUBT * math.log2(self.error))

    @property
    def is_sure(self) -> bool:
        """Whether it is believed without any other look."""
        return self.error < CLOSE and self.value > SURE

    @property
    def weight(self) -> tuple[bool, float]:
        """By what it is chosen among others: sure ones first.

        Of an embryo seen from far twenty blobs of haze look like nuclei as much as hundreds of
        small ones do from near; that there are so many of these speaks for them.
        """
        if self.is_sure:
            return True, self.value
        return False, math.log(BESIDES + self.likely) * max(0.0, self.value) ** POWER

    def is_surer_than(self, taught: _Look) -> bool:
        """Whether it counts against a look at the size that was taught."""
        margin = 1.0 if self.is_sure else SURER
        return self.value > margin * taught.lonely_value


def measure_diameter(
    image_cyx: NDArray[Any],
    model: Model,
    *,
    device: str = "auto",
    precision: str = "auto",
    ranges: NDArray[np.float64] | None = None,
    within: tuple[float, float] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> float | None:
    """Measure the median diameter of the objects in an image plane.

    The model looks at a part of the image at several scales. Where what it finds has another
    size than the scale expects, it looks again at that size; the look with the surest
    foreground is believed. Where none is sure the best few are taken again of more of the image,
    and the one that finds many likely objects is believed.

    Parameters
    ----------
    image_cyx : ndarray, shape (C, Y, X)
        Any real dtype; its objects may be 6 to 300 px across.
    model : Model
        Its ``config.diameter`` is the size that it knows.
    device, precision : str
        See `napari_unet.core.device`.
    ranges : ndarray, shape (C, 2), optional
        See `intensity_range`; give it where `image_cyx` is a part of an image.
    within : tuple of float, optional
        The smallest and the largest diameter that is believed, in pixels.
    cancelled : callable, optional
        Polled between looks; when it returns True, None is returned.

    Returns
    -------
    float or None
        See `median_diameter`, in pixels, to the tenth of one; larger where the image is too large
        to be enlarged as far. None if nothing is found or the
        model does not know the size of its objects.
    """
    if model.config.diameter is None:
        return None
    if ranges is None:
        ranges = intensity_range(image_cyx, model.config.percentiles)
    viewer = _Viewer(apply_range(image_cyx, ranges), model, device, precision)
    low, high = within or (0.0, math.inf)
    smallest, largest = max(SMALLEST, low), min(LARGEST, high)
    taught = _as_taught(viewer, model.config)
    if taught is not None and not low <= taught.diameter <= high:
        taught = None
    if taught is not None and taught.value > SURE:
        return usable_diameter(model.config, round(taught.diameter, 1), image_cyx.shape[1:])
    looks: list[_Look] = []
    for first in FIRST_LOOKS:
        expected = first
        for _ in range(ROUNDS):
            if cancelled is not None and cancelled():
                return None
            if any(_factor(expected, look.expected) < 1.1 for look in looks):
                break
            look = viewer.look(expected)
            if look is None:
                break
            looks.append(look)
            if look.error < CLOSE:
                break
            expected = look.diameter
            if not SMALLEST <= expected <= LARGEST:
                break
        if any(smallest <= look.diameter <= largest for look in looks if look.is_sure):
            break
    if taught is None and not any(look.is_sure for look in looks):
        wider = _look_wider(viewer, looks, cancelled)
        if wider is None:
            return None
        looks = wider
    looks = [look for look in looks if smallest <= look.diameter <= largest]
    if taught is not None:
        looks = [look for look in looks if look.is_surer_than(taught)] or [taught]
    believed = [look for look in looks if look.error < FAR] or looks
    if not believed:
        return None
    best = round(max(believed, key=lambda look: look.weight).diameter, 1)
    return usable_diameter(model.config, best, image_cyx.shape[1:])


def _look_wider(
    viewer: _Viewer, looks: Sequence[_Look], cancelled: Callable[[], bool] | None
) -> list[_Look] | None:
    """Take the best looks again, of more of the image if there is more; None when cancelled."""
    wider: list[_Look] = []
    seen: list[float] = []
    for look in sorted(looks, key=lambda look: look.weight, reverse=True):
        if len(seen) == AGAIN:
            break
        if any(_factor(look.diameter, other) < CLOSE for other in seen):
            continue
        if cancelled is not None and cancelled():
            return None
        seen.append(look.diameter)
        all_was_seen = viewer.sees_all(look.diameter)
        again = None if all_was_seen else viewer.look(look.diameter, sides=WIDER * WINDOW)
        wider.append(again or look)
    return wider


def _as_taught(viewer: _Viewer, config: ModelConfig) -> _Look | None:
    """Look once, where objects are of about the size that was taught last.

    None if they are not, or the model was not taught. It counts unless another look is surer; that
    its objects are alone is no matter then: white blood cells are, and the red ones many. Of
    nuclei, by a model that was taught phase contrast at 74 px after them, the surest looks have
    values of 0.7 to 0.85, of phase contrast of 0.65 at the most.

    A model that has just begun to know a kind of image finds pieces of its objects at other scales,
    and is surer of these: on phase contrast taught at 75 px this one look said 48, 44, 56, 75 and
    48 px of 47, 37, 42, 70 and 49, and closer ones up to a third less. One that knew it before
    looks again at what it found, until that is what it looked for: nuclei of 30 px, where such of
    16 were taught, were 24 px at one look. What it finds and does not look like an object says
    nothing then: beside such of 20 px it saw groups.
    """
    taught, known = config.taught_diameter, config.taught_known
    look = None if taught is None else viewer.look(taught, likely=known)
    for _ in range(ROUNDS if known else 0):
        if look is None or look.error < CLOSE:
            break
        look = viewer.look(look.diameter, likely=True) if look.error < OTHER_SIZE else None
    far = CLOSE if known else OTHER_SIZE
    if look is None or taught is None or look.error >= far:
        return None
    return look if _factor(look.diameter, taught) < OTHER_SIZE else None


def measure_stack(
    image: Any, axes: str, model: Model, *, device: str = "auto", precision: str = "auto"
) -> float | None:
    """Measure objects on the first, the middle and the last plane; the middle value counts.

    Parameters
    ----------
    image : array-like
        With the model's channels; a lazy one is read plane by plane.
    axes : str
        One letter a dimension.
    model, device, precision
        See `measure_diameter`.
    """
    if model.config.diameter is None:
        return None
    places = list(plane_places(image.shape, axes))
    some = {0: None, len(places) // 2: None, len(places) - 1: None}
    read = reader_for(model.config, image, axes)
    found = [
        measure_diameter(read(places[index]), model, device=device, precision=precision)
        for index in some
    ]
    known = [diameter for diameter in found if diameter is not None]
    return float(np.median(known)) if known else None


def measure_large(
    image_cyx: Any, model: Model, *, device: str = "auto", precision: str = "auto"
) -> float | None:
    """Measure objects of a plane that is larger than memory on the part where most is to be seen.

    Parameters
    ----------
    image_cyx : array-like, shape (C, Y, X)
        Lazy; a coarse look at all of it and one part are read.
    model, device, precision
        See `measure_diameter`.
    """
    ranges = intensity_range(image_cyx, model.config.percentiles)
    shape = image_cyx.shape[1:]
    steps = [max(1, round(size / WINDOW)) for size in shape]
    coarse = apply_range(np.asarray(image_cyx[:, :: steps[0], :: steps[1]]), ranges)
    rows, columns = _most_to_see(_contrast(coarse), shape, [min(PART, size) for size in shape])
    part = np.asarray(image_cyx[:, rows, columns])
    return measure_diameter(part, model, device=device, precision=precision, ranges=ranges)


def _without_blobs(areas: NDArray[np.intp], known: float) -> NDArray[np.intp]:
    """Leave out what is far larger than is looked for, where that is a few of many.

    Half of the area may lie in haze that took a group of nuclei for one.
    """
    is_blob = areas > math.pi / 4 * (BLOB * known) ** 2
    return areas if is_blob.sum() > BLOBS * len(areas) else areas[~is_blob]


def _factor(one: float, other: float) -> float:
    return max(one / other, other / one)


class _Viewer:
    """Looks at one normalised image through a model."""

    def __init__(
        self, image_cyx: NDArray[np.float32], model: Model, device: str, precision: str
    ) -> None:
        self._image = image_cyx
        self._model = model
        self._device = device
        self._precision = precision
        self._is_seen_whole = False
        self._interest = _contrast(image_cyx)  # where there is something to see, coarsely

    def sees_all(self, expected: float) -> bool:
        """Whether a look for objects of that diameter sees all of the image."""
        assert self._model.config.diameter is not None
        scale = self._model.config.diameter / expected
        return bool(max(self._image.shape[1:]) * scale <= WINDOW)

    def look(self, expected: float, *, likely: bool = False, sides: int = WINDOW) -> _Look | None:
        """Look for objects of that diameter, likely ones alone if asked; None if there are none.

        At the most so many pixels a side of the rescaled image are seen.
        """
        known = self._model.config.diameter
        assert known is not None
        scale = known / expected
        if max(self._image.shape[1:]) * scale < 8:
            return None
        window = self._window(scale, sides)
        scaled = rescale_image(self._image[:, window[0], window[1]], scale)
        unit = np.array([[0.0, 1.0]] * len(scaled))
        probability = predict_plane(
            scaled, self._model, ranges=unit, device=self._device, precision=self._precision
        )
        foreground = 1 - probability[0]
        config = self._model.config
        labels = probability_to_labels(
            foreground, threshold=config.threshold, min_size=config.min_size, split=config.split
        )
        self._remember(foreground, window)
        if labels.max() == 1 and labels[0].any() and labels[-1].any():
            return None  # one object fills the window: it is larger than can be seen
        diameter = diameter_of(_without_blobs(areas_of(labels), known))
        if diameter is None:
            return None
        inside = labels > 0
        certainty = float(np.abs(2 * foreground[inside] - 1).mean())
        expected_true = float(labels.max())
        if config.score is not None:
            # Haze and fused groups are foreground as surely as nuclei, but do not look like them.
            scores = config.score.score(looks_of(labels, foreground, config.score.diameter))
            expected_true = float(scores.sum())
            areas = np.bincount(labels.ravel())[1:]
            certainty = math.sqrt(certainty * float(scores @ areas / areas.sum()))
            believed = _without_blobs(areas[scores >= LIKELY], known)
            if likely and len(believed) >= SOME:
                diameter = diameter_of(believed) or diameter
        return _Look(expected, diameter / scale, certainty, int(labels.max()), expected_true)

    def _remember(self, foreground: NDArray[np.float32], window: tuple[slice, slice]) -> None:
        """The first look at all of the image says where objects are."""
        sides = tuple(part.stop - part.start for part in window)
        if sides == self._image.shape[1:] and not self._is_seen_whole and (foreground > 0.5).any():
            self._is_seen_whole, self._interest = True, foreground

    def _window(self, scale: float, sides: int) -> tuple[slice, slice]:
        """Return the part to look at: where there is most to see."""
        shape = self._image.shape[1:]
        return _most_to_see(
            self._interest, shape, [min(size, round(sides / scale)) for size in shape]
        )


def _most_to_see(
    interest: NDArray[np.float32], shape: Sequence[int], sides: Sequence[int]
) -> tuple[slice, slice]:
    """Return the part of an image, of given sides, in which a coarser map has most."""
    steps = [new / old for new, old in zip(interest.shape, shape, strict=True)]
    reach = [max(1, round(side * step)) for side, step in zip(sides, steps, strict=True)]
    amount = ndimage.uniform_filter(interest, reach, mode="constant")
    at = np.unravel_index(int(np.argmax(amount)), amount.shape)
    centers = [(int(i) + 0.5) / step for i, step in zip(at, steps, strict=True)]
    starts = [
        int(np.clip(round(center - side / 2), 0, size - side))
        for center, side, size in zip(centers, sides, shape, strict=True)
    ]
    rows, columns = (slice(a, a + side) for a, side in zip(starts, sides, strict=True))
    return rows, columns


def _contrast(image_cyx: NDArray[np.float32]) -> NDArray[np.float32]:
    """How far pixels are from those around, at no more than some hundred pixels a side."""
    steps = [max(1, round(size / WINDOW)) for size in image_cyx.shape[1:]]
    coarse = image_cyx[:, :: steps[0], :: steps[1]].clip(0, 1).mean(axis=0)
    contrast: NDArray[np.float32] = np.abs(coarse - ndimage.uniform_filter(coarse, WINDOW // 8))
    return contrast
