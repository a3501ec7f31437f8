"""How strongly training patches are varied."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any  # values of settings

from napari_unet.core.errors import InputError

__all__ = ["AugmentConfig"]

AMOUNTS = (
    "elastic_sigma",
    "elastic_alpha",
    "brightness",
    "noise",
    "shot_noise",
    "blur",
    "shade",
)
PARTS = ("window", "channel_drop", "haze", "rim", "spots", "plain")


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
        Largest standard deviation of uneven light: of the logarithm of a smooth factor; also the
        bias field of magnetic resonance.
    elastic_alpha, elastic_smooth : float
        The other elastic deformation (Simard et al. 2003, section 2): every pixel is moved by noise
        from -1 to 1 that a Gaussian of standard deviation `elastic_smooth` pixels has smoothed,
        times `elastic_alpha`; 0 for none. It bends more finely than the coarse grid does.
    window : float
        Largest part of the intensities that a drawn window and level cut off, as when a CT is
        shown: what lies above or below becomes all white or black, the rest is stretched.
    shot_noise : float
        Largest standard deviation, at intensity 1, of the noise of counted photons, which grows
        with the root of the intensity; `noise` is that of a camera's electronics.
    channel_drop : float
        Probability that a channel is empty; one always stays.
    haze : float
        Largest part of the light that comes from out of focus, as in thick samples: of the objects
        themselves, blurred by far, and of others, a smooth random ground. The rest is the image.
    rim : float
        Largest part of the light that is lost at the rim of objects, as of a ball; less within.
    spots : float
        Largest part of the light that lies in bright spots within each object, as chromatin does.
    plain : float
        Part of the patches that are only mirrored. From these outlines are learnt as they were
        drawn, while the others teach what else objects may look like.
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
    elastic_alpha: float = 0.0
    elastic_smooth: float = 8.0
    window: float = 0.0
    shot_noise: float = 0.0
    channel_drop: float = 0.0
    haze: float = 0.0
    rim: float = 0.0
    spots: float = 0.0
    plain: float = 0.0

    def __post_init__(self) -> None:
        for name in PARTS:
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}; it must be from 0 to below 1.")
        if not 0 < self.elastic_smooth < float("inf"):
            raise InputError(f"elastic_smooth is {self.elastic_smooth}; it must be above 0.")
        for name in AMOUNTS:
            if not 0 <= getattr(self, name) < float("inf"):
                raise InputError(f"{name} is {getattr(self, name)}; it must be 0 or more.")
        if self.elastic_grid < 2:
            raise InputError(f"elastic_grid is {self.elastic_grid}; it must be 2 or more.")
        for name in ("scale", "contrast", "gamma"):
            low, high = getattr(self, name)
            if not 0 < low <= high < float("inf"):
                raise InputError(f"{name} is {low} to {high}; it must rise from above 0.")

    @classmethod
    def unvaried(cls, *, flip: bool = False) -> AugmentConfig:
        """Return the settings that leave patches as they are, or only mirror them."""
        return cls(
            elastic_sigma=0.0,
            rotate=False,
            flip=flip,
            scale=(1.0, 1.0),
            brightness=0.0,
            contrast=(1.0, 1.0),
            gamma=(1.0, 1.0),
            noise=0.0,
            blur=0.0,
        )

    def changed(self, text: str) -> AugmentConfig:
        """Return a copy with what a text says, such as ``noise=0.2, scale=0.8-1.2, flip=no``.

        Raises
        ------
        InputError
            If a name is not known, or a value cannot be read or is out of its bounds.
        """
        known = {item.name: getattr(self, item.name) for item in fields(self)}
        values: dict[str, Any] = {}
        for part in filter(None, map(str.strip, text.split(","))):
            name, _, value = (word.strip() for word in part.partition("="))
            if name not in known:
                raise InputError(f"Variation {name!r} is not known; use {', '.join(known)}.")
            try:
                values[name] = _read(value, like=known[name])
            except ValueError:
                raise InputError(
                    f"{name}={value} cannot be read; write noise=0.2, scale=0.8-1.2 or flip=no."
                ) from None
        return replace(self, **values)


def _read(text: str, like: bool | int | float | tuple[float, float]) -> object:
    """Read a value of the kind that another one has."""
    if isinstance(like, bool):
        if text not in ("yes", "no"):
            raise ValueError(text)
        return text == "yes"
    if isinstance(like, tuple):
        low, high = text.split("-")
        return float(low), float(high)
    return int(text) if isinstance(like, int) else float(text)
