"""Objects of a movie followed by their motion: they may move far, be missed, and divide.

The assignment is that of Jaqaman et al. 2008 (Nature Methods 5:695), by the library laptrack, which
is an optional part. `napari_unet.core.linking` follows by overlap and needs nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any  # labels come in any integer dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import InputError
from napari_unet.core.linking import check_series, series_order

__all__ = ["Tracked", "centres", "track_by_motion"]


@dataclass(frozen=True, eq=False)
class Tracked:
    """A movie in which each object keeps its number.

    Attributes
    ----------
    labels : ndarray of int32
        Of the shape that was given; numbered in the order in which objects appear.
    parents : dict of int to int
        Of each object that came from a division, which one divided.
    """

    labels: NDArray[np.int32]
    parents: dict[int, int] = field(default_factory=dict)


def track_by_motion(
    labels: NDArray[Any],
    axes: str,
    *,
    distance: float,
    along: str | None = None,
    gap: int = 1,
    divisions: bool = False,
) -> Tracked:
    """Follow objects through the frames of a movie, so that all of them move least.

    Parameters
    ----------
    labels : ndarray of int
        One series of planes or volumes, each numbered by itself.
    axes : str
        One letter a dimension.
    distance : float
        How far the middle of an object may move from one frame to the next in which it is found,
        in pixels.
    along : str, optional
        The axis of time; None takes T, or else what `link_by_overlap` takes.
    gap : int
        In so many frames an object may be missed.
    divisions : bool
        Whether objects may divide.

    Raises
    ------
    InputError
        If laptrack is not there, there is more than one series, or a setting is out of its bounds.
    """
    check_series(labels, axes)
    if not 0 < distance <= 1e6:
        raise InputError(f"The distance is {distance}; it must be above 0 pixels.")
    if gap < 0:
        raise InputError(f"gap is {gap}; it must be 0 or more.")
    if along is None and "T" in axes:
        along = "T"
    order, of_one = series_order(axes, along)
    if of_one != len(axes):
        raise InputError(
            f"Labels with the axes {axes} are more than one series; give one at a time."
        )
    series = labels.transpose([axes.index(letter) for letter in order])
    points = centres(series)
    number, parents = _followed(points, distance, gap, divisions=divisions)
    out = np.zeros(series.shape, np.int32)
    for at, step in enumerate(series):
        here = points[:, 0] == at
        names, becomes = points[here, 1].astype(np.int64), number[here]
        place = np.searchsorted(names, step)
        place[step == 0] = 0
        out[at] = np.where(step != 0, becomes[place] if len(becomes) else 0, 0)
    return Tracked(out.transpose([order.index(letter) for letter in axes]), parents)


def centres(series: NDArray[Any]) -> NDArray[np.float64]:
    """Return a row for each object of each step: step, number, and the middle of its pixels.

    Parameters
    ----------
    series : ndarray of int, shape (T, [Z,] Y, X)

    Returns
    -------
    ndarray of float64, shape (objects, 2 + spatial axes)
        Ordered by step, and by number within it.
    """
    rows: list[NDArray[np.float64]] = [np.zeros((0, 1 + series.ndim))]
    for at, step in enumerate(series):
        where = np.nonzero(step)
        names, inverse = np.unique(step[where], return_inverse=True)
        if not len(names):
            continue
        count = np.bincount(inverse)
        middles = [np.bincount(inverse, axis) / count for axis in where]
        rows.append(np.column_stack([np.full(len(names), at), names, *middles]))
    return np.concatenate(rows)


def _followed(
    points: NDArray[np.float64], distance: float, gap: int, *, divisions: bool
) -> tuple[NDArray[np.int64], dict[int, int]]:
    """Return the number of the track of each point, from 1, and which track divided into which."""
    try:
        import pandas as pd  # comes with laptrack
        from laptrack import LapTrack  # optional part
    except ImportError as error:
        raise InputError(
            "Following objects by their motion needs laptrack; follow them by overlap, or install "
            'it with: pip install "napari-unet-interactive[tracking]".'
        ) from error
    if not len(points):
        return np.zeros(0, np.int64), {}
    axes = [f"axis{number}" for number in range(points.shape[1] - 2)]
    table = pd.DataFrame(points, columns=["step", "name", *axes])
    table["step"] = table["step"].astype(int)
    most = distance**2 * (1 + 1e-9)  # its metric is the squared distance, which must be below
    follower = LapTrack(  # type: ignore[call-arg]  # mypy does not see its defaults
        cutoff=most,
        gap_closing_cutoff=most if gap else False,
        gap_closing_max_frame_count=gap + 1,  # it counts steps, not the frames between
        splitting_cutoff=most if divisions else False,
        merging_cutoff=False,
    )
    found, splits, _ = follower.predict_dataframe(
        table, coordinate_cols=axes, frame_col="step", only_coordinate_cols=False
    )
    track = found.sort_values(["step", "name"])["track_id"]
    names, first, inverse = np.unique(track.to_numpy(), return_index=True, return_inverse=True)
    by_appearance = np.empty(len(names), np.int64)
    by_appearance[np.argsort(first)] = 1 + np.arange(len(names))
    number = dict(zip(names.tolist(), by_appearance.tolist(), strict=True))
    parents = {
        number[int(row.child_track_id)]: number[int(row.parent_track_id)]
        for row in splits.itertuples()
    }
    return by_appearance[inverse], parents
