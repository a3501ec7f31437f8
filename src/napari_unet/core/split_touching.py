"""Cut objects at their waists: watershed of the smoothed distance to the background."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.morphology import h_maxima
from skimage.segmentation import watershed

__all__ = ["cut_waists"]

# The distance is smoothed by this many pixels: its ridge is ragged where outlines are.
SMOOTHING = 1.0


def cut_waists(foreground: NDArray[np.bool_], eagerness: float) -> NDArray[np.bool_]:
    """Return the foreground with a one-pixel line of background through each waist.

    Two halves are cut apart if each is deeper than the waist between them by more than a part
    of its own depth: a half at eagerness 0, nothing at 1.

    Parameters
    ----------
    foreground : ndarray of bool, shape (Y, X)
        Where there are objects.
    eagerness : float
        0 to 1.
    """
    if not foreground.any():
        return foreground
    distance = ndimage.distance_transform_edt(foreground).astype(np.float32)
    smooth = ndimage.gaussian_filter(distance, SMOOTHING)
    # On the logarithm, a constant height is a constant ratio of depth to waist.
    height = max(0.01, 0.7 * (1 - eagerness))
    relief = np.log(np.maximum(smooth, 0.5))
    relief[~foreground] = np.log(0.5)
    tops = h_maxima(relief, height) > 0  # type: ignore[no-untyped-call]  # scikit-image
    seeds, _ = ndimage.label(tops & foreground, structure=np.ones((3, 3)))
    basins = watershed(  # type: ignore[no-untyped-call]  # scikit-image
        -smooth, seeds, connectivity=2, mask=foreground, watershed_line=True
    )
    # An object too flat to hold a seed is kept whole.
    pieces, _ = ndimage.label(foreground, structure=np.ones((3, 3)))
    seeded = np.zeros(int(pieces.max()) + 1, bool)
    seeded[pieces[seeds > 0]] = True
    cut: NDArray[np.bool_] = foreground & ((basins > 0) | ~seeded[pieces])
    return cut
