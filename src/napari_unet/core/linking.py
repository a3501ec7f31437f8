"""Objects of planes that are one object: linked through slices, or frames, by overlap.

A model of planes numbers each plane by itself. Here what lies over each other in planes that follow
one another gets one number; each object has one partner in the next plane at the most, the one with
which it shares most::

    slice 0   1 1 . . 2 2          1 1 . . 2 2
    slice 1   . 1 1 . . .    ->    . 1 1 . . .
    slice 2   . 2 2 . 1 1          . 1 1 . 3 3      with gap=1: 2 2, the slice between is bridged
"""

from __future__ import annotations

from typing import Any  # labels come in any integer dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import InputError
from napari_unet.core.matching import overlap_of

__all__ = ["LEAST", "check_series", "link_by_overlap", "series_axis", "series_order"]

# Of the smaller of two objects that much must lie over the other (chosen: at the ends of an object
# its sections are much smaller than the next ones, and lie within them).
LEAST = 0.5

Labels = NDArray[np.int32]


def series_axis(axes: str, along: str | None = None) -> int:
    """Return which axis is gone along: the one named, else Z, else the last that is not Y or X.

    Raises
    ------
    InputError
        If there is none.
    """
    stack = [axis for axis in axes if axis not in "YX"]
    if along is None:
        if not stack:
            raise InputError("The labels are a single plane; give those of a stack or a movie.")
        along = "Z" if "Z" in stack else stack[-1]
    if along not in stack:
        raise InputError(
            f"The labels have the axes {axes}, and none along which planes follow one another is "
            f"{along}; choose one of {', '.join(stack) or 'another file'}."
        )
    return axes.index(along)


def check_series(labels: NDArray[Any], axes: str) -> None:
    """Refuse what cannot be linked.

    Raises
    ------
    InputError
        If the axes do not fit, or labels are no whole numbers.
    """
    if len(axes) != labels.ndim or len(set(axes)) != len(axes) or not {"Y", "X"} <= set(axes):
        raise InputError(
            f"Axes {axes!r} do not fit labels of shape {labels.shape}; name each dimension once, "
            "Y and X among them."
        )
    if labels.dtype.kind not in "iu":
        raise InputError(f"Labels are {labels.dtype}; they must be whole numbers.")


def link_by_overlap(
    labels: NDArray[Any],
    axes: str,
    *,
    along: str | None = None,
    least: float = LEAST,
    gap: int = 0,
) -> Labels:
    """Give objects that lie over each other in neighbouring planes one number.

    Parameters
    ----------
    labels : ndarray of int
        Each plane numbered by itself; along T each volume, if there is a Z too and it is not the
        axis that is gone along.
    axes : str
        One letter a dimension.
    along : str, optional
        The axis; None takes Z, or else the last one that is not Y or X.
    least : float
        Share of the smaller of two objects that must lie over the other, above 0 to 1.
    gap : int
        In so many planes an object may be missed.

    Returns
    -------
    ndarray of int32, shape of `labels`
        Numbered in the order in which they appear; where there are other axes, each series by
        itself.

    Raises
    ------
    InputError
        If the axes do not fit, there is nothing to go along, or a setting is out of its bounds.
    """
    check_series(labels, axes)
    if not 0 < least <= 1:
        raise InputError(f"least is {least}; it must be above 0, and at the most 1.")
    if gap < 0:
        raise InputError(f"gap is {gap}; it must be 0 or more.")
    order, of_one = series_order(axes, along)
    series = labels.transpose([axes.index(letter) for letter in order])
    out = np.empty(series.shape, np.int32)
    steps = series.shape[-of_one:]
    for one, linked in zip(series.reshape(-1, *steps), out.reshape(-1, *steps), strict=True):
        _link(one, linked, least, gap)
    return out.transpose([order.index(letter) for letter in axes])


def series_order(axes: str, along: str | None = None) -> tuple[str, int]:
    """Return the axes so that what is gone along comes right before those of one step of it.

    And how many of the last ones are one series: what is gone along, and the axes of a step.

    Raises
    ------
    InputError
        See `series_axis`.
    """
    letter = axes[series_axis(axes, along)]
    step = "ZYX" if letter != "Z" and "Z" in axes else "YX"
    order = "".join(one for one in axes if one not in letter + step) + letter + step
    return order, 1 + len(step)


def _link(series: NDArray[Any], out: Labels, least: float, gap: int) -> None:
    """Number the steps of one series, in place."""
    count = 0
    free: list[NDArray[np.int64]] = []  # of the last steps, the numbers that have not gone on
    for at, step in enumerate(series):
        numbers = np.unique(step)
        numbers = numbers[numbers != 0]
        becomes = np.zeros(len(numbers), np.int64)
        for back in range(1, min(gap + 1, at) + 1):
            before = out[at - back]
            gone_on = _partners(before, free[-back], step, numbers[becomes == 0], least)
            for old, new in gone_on:
                becomes[np.searchsorted(numbers, new)] = old
            for one in range(1, len(free) + 1):
                free[-one] = np.setdiff1d(free[-one], [old for old, _ in gone_on])
        new_ones = becomes == 0
        becomes[new_ones] = count + 1 + np.arange(np.count_nonzero(new_ones))
        count += int(np.count_nonzero(new_ones))
        free = [*free[-gap:], becomes] if gap else [becomes]
        table = np.concatenate([[0], becomes])
        place = np.searchsorted(numbers, step) + 1
        out[at] = np.where(step != 0, table[np.where(step != 0, place, 0)], 0)


def _partners(
    before: Labels,
    old: NDArray[np.int64],
    step: NDArray[Any],
    new: NDArray[Any],
    least: float,
) -> list[tuple[int, int]]:
    """Return which old number goes on as which new one; those that share most choose first."""
    if not len(old) or not len(new):
        return []
    overlap = overlap_of(
        np.where(np.isin(before, old), before, 0), np.where(np.isin(step, new), step, 0)
    )
    first, second, ious = overlap.iou_pairs()
    sizes = overlap.truth_sizes[first], overlap.predicted_sizes[second]
    shared = ious * (sizes[0] + sizes[1]) / (1 + ious)
    is_enough = shared >= least * np.minimum(*sizes) - 1e-9
    first, second, ious = first[is_enough], second[is_enough], ious[is_enough]
    pairs: list[tuple[int, int]] = []
    taken_first: set[int] = set()
    taken_second: set[int] = set()
    for at in np.argsort(-ious, kind="stable"):
        one, other = int(first[at]), int(second[at])
        if one not in taken_first and other not in taken_second:
            taken_first.add(one)
            taken_second.add(other)
            pairs.append((int(overlap.truth_names[one]), int(overlap.predicted_names[other])))
    return pairs
