"""The warping error of the ISBI 2012 challenge: what is wrong besides the place of borders."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

__all__ = ["simple_points", "warping_error"]

BoolArray = npt.NDArray[np.bool_]

# The neighbours of a pixel, once around it; neighbour k is bit k of a neighbourhood's code.
#   0 1 2
#   7 . 3
#   6 5 4
AROUND = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))
SIDES = (1, 3, 5, 7)


def warping_error(truth: BoolArray, prediction: BoolArray) -> float:
    """Share of pixels that stay wrong after the truth was warped towards a prediction.

    Jain et al. 2010 ("Boundary learning by optimization with topological constraints", section 3).
    Wrong pixels of the truth are flipped as long as that parts, joins, makes or fills nothing; what
    is left are places where a cell was split, merged, made or lost. Cells are connected by sides
    and corners of pixels, as everywhere here, the ground by sides alone. The order of flips is
    fixed, so the same two masks have the same error; the least one over all orders may be lower.

    Parameters
    ----------
    truth, prediction
        Masks of cells, (Y, X) or (Z, Y, X); of a stack the mean of its planes counts.

    Returns
    -------
    float
        0 where they differ in the place of borders alone.
    """
    if truth.ndim > 2:
        planes = [warping_error(*pair) for pair in zip(truth, prediction, strict=True)]
        return float(np.mean(planes)) if planes else 0.0
    warped, target = np.pad(truth, 1), np.pad(prediction, 1)
    wrong = np.argwhere(warped != target)
    flips = 1
    while flips and len(wrong):
        flips = 0
        # Pixels two apart are no neighbours: flipping all of them at once is flipping one by one.
        for parity in ((0, 0), (0, 1), (1, 0), (1, 1)):
            some = wrong[((wrong % 2) == parity).all(axis=1)]
            may = some[simple_points()[_codes(warped, some)]]
            warped[tuple(may.T)] ^= True
            flips += len(may)
        wrong = wrong[warped[tuple(wrong.T)] != target[tuple(wrong.T)]]
    return len(wrong) / truth.size if truth.size else 0.0


@cache
def simple_points() -> BoolArray:
    """Tell for each of the 256 neighbourhoods whether flipping its middle changes no topology.

    It does not where exactly one group of cell neighbours touches it at all, and exactly one group
    of ground neighbours touches its sides.
    """
    table = np.zeros(256, bool)
    for code in range(256):
        is_cell = [bool(code >> bit & 1) for bit in range(8)]
        cells = _groups([k for k in range(8) if is_cell[k]], by_sides=False)
        grounds = _groups([k for k in range(8) if not is_cell[k]], by_sides=True)
        at_sides = [group for group in grounds if group & set(SIDES)]
        table[code] = len(cells) == 1 and len(at_sides) == 1
    return table


def _groups(members: list[int], *, by_sides: bool) -> list[set[int]]:
    """Connect neighbours of a pixel without going through it."""
    groups: list[set[int]] = []
    for member in members:
        joined = {member}
        for group in [group for group in groups if _touches(member, group, by_sides)]:
            groups.remove(group)
            joined |= group
        groups.append(joined)
    return groups


def _touches(member: int, group: set[int], by_sides: bool) -> bool:
    y, x = AROUND[member]
    steps = ((abs(y - AROUND[other][0]), abs(x - AROUND[other][1])) for other in group)
    return any(sum(step) == 1 if by_sides else max(step) == 1 for step in steps)


def _codes(mask: BoolArray, points: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Return which neighbours of each point (N, 2) are cell."""
    y, x = points.T
    codes = np.zeros(len(points), np.intp)
    for bit, (down, right) in enumerate(AROUND):
        codes |= mask[y + down, x + right].astype(np.intp) << bit
    return codes
