"""At which size an image is taught: another than was measured where cells say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.example import Example
from napari_unet.core.kept_aside import checked_cells
from napari_unet.core.knowing import Knowledge, with_believed
from napari_unet.core.measure import OTHER_SIZE, measure_diameter
from napari_unet.core.model_file import Model
from napari_unet.core.size import diameter_of, median_diameter

__all__ = ["at_drawn_size", "at_found_size", "at_right_size", "new_sizes"]

# Where what is believed and corrected is wider or narrower than was measured by more than this, the
# measurement is wrong (as in the dock of what is checked, see `checked_diameter`).
FAR_OFF = 1.5

# On images of a kind that is not known so many whole cells tell their size better than the model
# does, where it is off by more than this (chosen).
ENOUGH_WHOLE, LIKE_DRAWN = 3, 1.25
MOSTLY_CHECKED = 0.5  # of an image: then the whole cells drawn there are the cells of the image


def at_right_size(
    examples: Sequence[Example],
    knowledge: Knowledge,
    model: Model,
    *,
    device: str = "auto",
    precision: str = "auto",
) -> list[Example]:
    """Name the size of objects anew where it was measured wrong.

    Parameters
    ----------
    examples : sequence of Example
        Those that were looked at come first, in the same order.
    knowledge : Knowledge
        Of these images: of a known kind see `at_found_size`, of another `at_drawn_size`.
    model, device, precision
        See `at_drawn_size`.
    """
    if knowledge.is_known:
        return at_found_size(examples, knowledge)
    return at_drawn_size(examples, model, device=device, precision=precision)


def new_sizes(examples: Sequence[Example], resized: Sequence[Example]) -> tuple[float | None, ...]:
    """Return the diameter of each image where it is another now, else None; empty if none is."""
    pairs = zip(examples, resized, strict=True)
    new = tuple(now.diameter if now is not before else None for before, now in pairs)
    return new if any(new) else ()


def at_found_size(
    examples: Sequence[Example], knowledge: Knowledge, *, far_off: float = FAR_OFF
) -> list[Example]:
    """Name the size of objects anew where what is found and corrected says that it is another.

    Of an image with nuclei of 49 px 26 had been measured. Most of what was found looked right, and
    taught at that size the model found other sizes on other images: AP at IoU 0.5 fell from 0.67 to
    0.65. Taught at the size of all that was found and corrected it rose to 0.70.

    Parameters
    ----------
    examples : sequence of Example
        Those that were looked at come first, in the same order.
    knowledge : Knowledge
        Of these images.
    far_off : float
        By more than this factor. With 1, as what a taught model remembers of their size: where 35
        px had been measured of 49, AP at IoU 0.5 of other images is 0.79 if it begins to look at
        49, and 0.76 at 35.
    """
    seen = zip(examples, with_believed(examples, knowledge), strict=True)
    return [_at_size_of(own, joined, far_off) for own, joined in seen]


def at_drawn_size(
    examples: Sequence[Example], model: Model, *, device: str = "auto", precision: str = "auto"
) -> list[Example]:
    """Measure anew what was measured far off all that was drawn.

    Of an image of a kind that is not known, with nuclei of 22 px, 288 had been measured. Taught at
    that size the model found nothing any more: AP at IoU 0.5 fell from 0.51 to 0. Three whole cells
    that a person has drawn say more than the model does: of cells of 70 px in phase contrast 111
    had been measured, and AP 0.5 on other images was 0.18 to 0.35 instead of 0.46 after five of
    them. Fewer may be crumbs among others, but bound what is measured; unless half of the image is
    checked, as where each shows one cell.

    Parameters
    ----------
    examples : sequence of Example
        Of a kind that is not known: what is known says more than a few cells, see `at_found_size`.
    model : Model
        It measures again, within a factor of the smallest and the largest cell that was drawn.
        Where it finds nothing there, the size is theirs.
    device, precision : str
        See `napari_unet.core.device`.
    """
    if model.config.diameter is None or model.config.semantic:
        return list(examples)
    return [_as_drawn(example, model, device, precision) for example in examples]


def _at_size_of(own: Example, joined: Example, far_off: float) -> Example:
    found = median_diameter([np.where(joined.mask, joined.labels, 0)])
    if own.diameter is None or own.sized or found is None or joined is own:
        return own
    is_other = max(found / own.diameter, own.diameter / found) > far_off
    return replace(own, diameter=found) if is_other else own


def _as_drawn(example: Example, model: Model, device: str, precision: str) -> Example:
    if example.diameter is None or example.sized:
        return example
    whole = _areas(example, whole=True)
    is_seen = len(whole) > 0 and example.mask.mean() >= MOSTLY_CHECKED
    if len(whole) >= ENOUGH_WHOLE or is_seen:
        drawn = diameter_of(whole) or example.diameter
        is_other = max(drawn / example.diameter, example.diameter / drawn) > LIKE_DRAWN
        return replace(example, diameter=max(1.0, drawn)) if is_other else example
    areas = _areas(example)
    widths = [width for width in (diameter_of(areas[:1]), diameter_of(areas[-1:])) if width]
    if not widths:
        return example
    low, high = widths[0] / OTHER_SIZE, widths[-1] * OTHER_SIZE
    if low <= example.diameter <= high:
        return example
    found = measure_diameter(
        example.image_cyx, model, within=(low, high), device=device, precision=precision
    )
    return replace(example, diameter=found or max(1.0, diameter_of(areas) or 1.0))


def _areas(example: Example, *, whole: bool = False) -> NDArray[np.intp]:
    """Areas of the checked cells in pixels, the smallest first; of whole ones alone if asked."""
    labels = np.asarray(example.labels)
    numbers, areas = np.unique(labels, return_counts=True)
    counts = np.isin(numbers, checked_cells(example))
    if whole:
        rim = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
        counts &= ~np.isin(numbers, rim)
    checked: NDArray[np.intp] = np.sort(areas[counts])
    return checked
