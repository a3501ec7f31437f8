"""How a network that other programs have made is called, and what its answer means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any  # JSON values: their types are checked here

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.errors import ModelFileError
from napari_unet.core.normalize import intensity_range

__all__ = ["WIDE", "GraphConfig"]

# Ranges are so many times as wide as what the graph calls 1: then nothing that it is to see is
# cut off, see `napari_unet.core.normalize.HIGHEST`. The graph's input is multiplied by it again.
WIDE = 1e5

CHOICES = {
    "kind": ("torchscript", "onnx"),
    "normalisation": ("none", "percentiles", "mean"),
    "activation": ("none", "sigmoid", "softmax"),
    "output": ("foreground", "foreground and boundary", "classes"),
}


@dataclass(frozen=True)
class GraphConfig:
    """What is not told by the weights.

    Attributes
    ----------
    kind : {"torchscript", "onnx"}
        What runs it.
    normalisation : {"none", "percentiles", "mean"}
        Values enter as they are; with two percentiles, those of `ModelConfig`, mapped to 0 and 1;
        or with mean 0 and standard deviation 1. Of the whole image, never of a tile.
    together : bool
        All channels are normalised by the same numbers.
    gain, offset : float
        Normalised values are multiplied by the one, and then the other is added.
    lowest, highest : float or None
        Where they are cut off after that.
    activation : {"none", "sigmoid", "softmax"}
        What makes probabilities of the graph's output.
    output : {"foreground", "foreground and boundary", "classes"}
        What its channels are; of classes the first is background.
    """

    kind: str
    normalisation: str = "none"
    together: bool = False
    gain: float = 1.0
    offset: float = 0.0
    lowest: float | None = None
    highest: float | None = None
    activation: str = "none"
    output: str = "foreground"

    def __post_init__(self) -> None:
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ModelFileError(
                    f"The network's {name} is {getattr(self, name)!r}, which is not known; "
                    "update napari-unet."
                )
        for name in ("gain", "offset", "lowest", "highest"):
            value = getattr(self, name)
            if value is not None and not np.isfinite(value):
                raise ModelFileError(f"The network's {name} is {value}; it must be a number.")

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> GraphConfig:
        """Build from the dict of a model file.

        Raises
        ------
        ModelFileError
            If a key or a value is not known.
        """
        unknown = sorted(set(values) - {item.name for item in fields(cls)})
        if unknown:
            raise ModelFileError(
                f"The network has settings this version does not know ({', '.join(unknown)}); "
                "update napari-unet."
            )
        return cls(**values)

    def range_of(
        self, image_cyx: NDArray[Any], percentiles: tuple[float, float]
    ) -> NDArray[np.float64]:
        """Return what `intensity_range` would, for this graph; shape (C, 2)."""
        if self.normalisation == "none":
            low, width = np.zeros(len(image_cyx)), np.ones(len(image_cyx))
        elif self.together:
            low, width = self._spread(image_cyx.reshape(1, 1, -1), percentiles)
        else:
            low, width = self._spread(image_cyx, percentiles)
        low, width = (np.broadcast_to(values, len(image_cyx)) for values in (low, width))
        return np.stack([low, low + WIDE * width], axis=1)

    def _spread(
        self, image_cyx: NDArray[Any], percentiles: tuple[float, float]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What becomes 0 in each channel, and how far from it 1 is."""
        if self.normalisation == "percentiles":
            low, high = intensity_range(image_cyx, percentiles).T
            return low, np.maximum(high - low, 1e-6)
        values = image_cyx.reshape(len(image_cyx), -1).astype(np.float64)
        return values.mean(axis=1), values.std(axis=1) + 1e-6
