"""COCO's run lengths: how long a mask is 0, then 1, then 0 again, column by column.

They are a list of numbers, or a string of them: the difference to the last but one (from the
third on), in groups of five bits, lowest first, the sixth bit telling that more follow, each
group as the character 48 places on.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import InputError

__all__ = ["counts_to_mask", "counts_to_text", "mask_to_counts", "text_to_counts"]


def mask_to_counts(mask: NDArray[np.bool_]) -> list[int]:
    """Return the run lengths of a mask, shape (Y, X); the first is of zeros, perhaps none."""
    flat = np.concatenate([[False], mask.ravel(order="F")])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    ends = np.concatenate([[0], changes, [mask.size]])
    counts: list[int] = np.diff(ends).tolist()
    return counts


def counts_to_mask(counts: Sequence[int], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return the mask, shape (Y, X).

    Raises
    ------
    InputError
        If the runs are not those of so many pixels.
    """
    runs = np.array(counts, np.int64)
    pixels = shape[0] * shape[1]
    if (runs < 0).any() or (runs > pixels).any() or runs.sum() != pixels:
        raise InputError(f"Run lengths do not make up {shape[0]} x {shape[1]} pixels.")
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return flat.reshape(shape, order="F")


def counts_to_text(counts: Sequence[int]) -> str:
    """Write run lengths as COCO's string."""
    out = bytearray()
    for index, count in enumerate(counts):
        value = count - counts[index - 2] if index > 2 else count
        more = True
        while more:
            group = value & 31
            value >>= 5
            more = value != (-1 if group & 16 else 0)
            out.append((group | (32 if more else 0)) + 48)
    return out.decode("ascii")


def text_to_counts(text: str) -> list[int]:
    """Read run lengths from COCO's string.

    Raises
    ------
    InputError
        If it has other characters, or ends in the middle of a number.
    """
    counts: list[int] = []
    value = shift = 0
    for character in text:
        group = ord(character) - 48
        if not 0 <= group < 64 or shift > 60:
            raise InputError("Run lengths have characters that are not COCO's.")
        value |= (group & 31) << shift
        shift += 5
        if group & 32:
            continue
        if group & 16:
            value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
        value = shift = 0
    if shift:
        raise InputError("Run lengths end in the middle of a number.")
    return counts
