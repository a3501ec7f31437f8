"""Group images by look: those of one experiment resemble each other, whatever cells they show.

A score on images held out at random flatters where other images of the same field of view are
learnt from. Held out by whole groups it says how well a model does on what it never saw.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any  # images and labels come in any real dtype

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist, squareform
from skimage.measure import regionprops_table

from napari_unet.core.errors import InputError

__all__ = ["FEATURES", "LookGroup", "group_looks", "look_of"]

# Of the plane, of its light, of its noise, and of its objects.
FEATURES = (
    *("side", "aspect", "density"),
    *("background", "foreground", "contrast", "ratio", "brightest"),
    *("noise", "sharpness", "unevenness", "texture", "spread of light"),
    *("diameter", "spread of diameters", "eccentricity", "solidity"),
)

DARK = 4.0  # grey levels added before a logarithm: below them lies noise (chosen for 8 bits)
SMALL = 0.02  # added before the logarithm of a ratio
FAR = 3.0  # standard deviations beyond which a feature is odd, and no odder (chosen)

# "side" and "aspect" count twice: the frame of a camera is the surest sign of an experiment.
FRAME = 2.0

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LookGroup:
    """Images that look alike.

    Attributes
    ----------
    members : tuple of int
        Which images, by their place among those that were grouped.
    unlikeness : float
        Median over the members of the distance to the nearest image of another group, in
        standard deviations of the features.
    nearest : float
        The smallest of these distances.
    """

    members: tuple[int, ...]
    unlikeness: float
    nearest: float


def look_of(image: NDArray[Any], labels: NDArray[Any]) -> Floats:
    """Describe the look of one plane by `FEATURES`, logarithms where ratios count.

    Parameters
    ----------
    image : ndarray, shape (Y, X)
        Raw intensities, above or around 0.
    labels : ndarray of int, shape (Y, X)
        Its objects; 0 is background.

    Returns
    -------
    ndarray of float64, shape (len(FEATURES),)
        NaN where an image without objects, or without background, has no answer.
    """
    if image.shape != labels.shape or image.ndim != 2:
        raise InputError(
            f"The image has shape {image.shape}, the labels {labels.shape}; "
            "both must be of the same plane."
        )
    light, cells = image.astype(np.float64), labels > 0
    plane = (np.log(light.size) / 2, np.log(light.shape[1] / light.shape[0]), cells.mean() ** 0.5)
    return np.array([*plane, *_light(light, cells), *_detail(light, labels), *_shapes(labels)])


def group_looks(looks: Floats, count: int) -> list[LookGroup]:
    """Put images that look alike together, the group most unlike all others first.

    Ward's method on features brought to a common scale; a feature that is not known counts as
    the usual one.

    Parameters
    ----------
    looks : ndarray, shape (N, len(FEATURES))
        See `look_of`.
    count : int
        How many groups. Few, and near twins are in one group; many, and experiments are parted.

    Raises
    ------
    InputError
        If there are not at least two groups and as many images.
    """
    if not 2 <= count <= len(looks):
        raise InputError(f"{len(looks)} images cannot be put into {count} groups.")
    distances = pdist(_common_scale(looks))
    number = fcluster(linkage(distances, "ward"), count, "maxclust")
    between = squareform(distances)
    groups = []
    for one in np.unique(number):
        elsewhere = between[number == one][:, number != one].min(axis=1)
        members = tuple(np.flatnonzero(number == one).tolist())
        groups.append(LookGroup(members, float(np.median(elsewhere)), float(elsewhere.min())))
    return sorted(groups, key=lambda group: (-group.unlikeness, group.members))


def _common_scale(looks: Floats) -> Floats:
    """Features in standard deviations from the median, odd ones drawn in, the frame ahead."""
    middle = np.nanmedian(looks, axis=0)
    robust = 1.4826 * np.nanmedian(np.abs(looks - middle), axis=0)
    scale = np.maximum(robust, np.nanstd(looks, axis=0))
    scaled: Floats = (looks - middle) / np.where(scale > 0, scale, 1)
    near = np.clip(np.nan_to_num(scaled), -FAR, FAR)
    near[:, :2] *= FRAME
    return near


def _light(light: Floats, cells: NDArray[np.bool_]) -> tuple[float, ...]:
    """How dark the background is, how bright the objects."""
    background, foreground = _median(light[~cells]), _median(light[cells])
    contrast = max(foreground - background, 1.0)
    return (
        _log(background),
        _log(foreground),
        float(np.log(contrast)),
        _log(foreground) - _log(background),
        _log(float(np.percentile(light, 99.8))),
    )


def _detail(light: Floats, labels: NDArray[Any]) -> tuple[float, ...]:
    """Noise, how sharp edges are, and how light varies in the background and within objects."""
    cells = labels > 0
    contrast = max(_median(light[cells]) - _median(light[~cells]), 1.0)
    bends = ndimage.laplace(light)
    noise = 1.4826 * float(np.median(np.abs(bends - np.median(bends)))) / np.sqrt(20)
    edges = cells & ~ndimage.binary_erosion(cells)
    slope = _median(ndimage.gaussian_gradient_magnitude(light, 1.0)[edges])
    names = np.unique(labels[cells])
    with np.errstate(invalid="ignore"):  # scipy divides by the pixels of label 0, of which it
        grain = np.asarray(ndimage.standard_deviation(light, labels, names))  # may find none
    levels = np.asarray(ndimage.median(light, labels, names))
    return (
        float(np.log(noise + 0.3)),
        float(np.log(slope / contrast + SMALL)),
        float(np.log(_span(light[~cells], 5, 95) / contrast + SMALL)),
        float(np.log(grain.mean() / contrast + SMALL)) if len(names) else np.nan,
        float(np.log(_ratio(levels + DARK))),
    )


def _shapes(labels: NDArray[Any]) -> tuple[float, ...]:
    """Size and form of the objects."""
    if not labels.any():
        return (np.nan,) * 4
    shapes = regionprops_table(  # type: ignore[no-untyped-call]
        labels.astype(np.int32), properties=("area", "eccentricity", "solidity")
    )
    diameters = np.sqrt(4 / np.pi * shapes["area"])
    return (
        float(np.log(np.median(diameters))),
        float(np.log(_ratio(diameters))),
        float(np.median(shapes["eccentricity"])),
        float(np.median(shapes["solidity"])),
    )


def _median(values: Floats) -> float:
    return float(np.median(values)) if values.size else np.nan


def _log(value: float) -> float:
    return float(np.log(max(value, 0.0) + DARK)) if np.isfinite(value) else np.nan


def _span(values: Floats, low: float, high: float) -> float:
    return float(np.subtract(*np.percentile(values, (high, low)))) if values.size else np.nan


def _ratio(values: Floats) -> float:
    """How many times larger the large ones are than the small ones."""
    if not values.size:
        return np.nan
    low, high = np.percentile(values, (10, 90))
    return float(high / max(low, 1e-9))
