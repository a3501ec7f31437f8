"""How strongly training patches are varied."""

from __future__ import annotations

from dataclasses import dataclass

from napari_unet.core.errors import InputError

__all__ = ["AugmentConfig"]


@dataclass(frozen=True)
class AugmentConfig:
    """Ranges of the random variations of a training patch.

    Attributes
    ----------
    elastic_sigma : float
        Standard deviation in pixels of the displacements on the coarse grid (10 in Ronneberger
        et al. 2015, section 3.1).
    elastic_grid : int
        Points a side of the coarse grid (3 in the paper).
    rotate, flip : bool
        Any angle; mirror images.
    scale : tuple of float
        Smallest and largest zoom, drawn evenly on a logarithmic scale.
    brightness : float
        Largest shift of normalised intensities.
    contrast, gamma : tuple of float
        Factor around the mean; exponent of intensities between 0 and 1.
    noise, blur : float
        Largest standard deviations of added noise (normalised intensities) and of a Gaussian
        blur (pixels).
    shade : float
        Largest standard deviation of uneven light: of the logarithm of a smooth factor.
    """

    elastic_sigma: float = 10.0
    elastic_grid: int = 3
    rotate: bool = True
    flip: bool = True
    scale: tuple[float, float] = (0.7, 1.4)
    brightness: float = 0.1
    contrast: tuple[float, float] = (0.7, 1.4)
    gamma: tuple[float, float] = (0.6, 1.6)
    noise: float = 0.1
    blur: float = 1.2
    shade: float = 0.0

    def __post_init__(self) -> None:
        for name in ("elastic_sigma", "brightness", "noise", "blur", "shade"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise InputError(f"{name} is {getattr(self, name)}; it must be 0 or more.")
        if self.elastic_grid < 2:
            raise InputError(f"elastic_grid is {self.elastic_grid}; it must be 2 or more.")
        for name in ("scale", "contrast", "gamma"):
            low, high = getattr(self, name)
            if not 0 < low <= high < float("inf"):
                raise InputError(f"{name} is {low} to {high}; it must rise from above 0.")
