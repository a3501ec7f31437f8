"""Labels of an image as the product makes them, or from probabilities that are kept on disk."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any  # keyword arguments of segment

import numpy as np
from numpy.typing import NDArray
from pictures import Picture

from napari_unet.core.instances import probability_to_labels
from napari_unet.core.measure import measure_diameter
from napari_unet.core.model_file import Model
from napari_unet.core.predict import predict_plane
from napari_unet.core.rescale import usual_min_size
from napari_unet.core.segmentation import segment

__all__ = ["MODES", "Making", "Segmenter"]

MODES = ("measured", "true", "off")


@dataclass(frozen=True, slots=True)
class Making:
    """How objects are made from probabilities; None takes what the model says.

    `scored` is whether they are judged by their looks, where the model knows how.
    """

    threshold: float | None = None
    min_size: int | None = None
    split: float | None = None
    scored: bool = True

    def __str__(self) -> str:
        values = (self.threshold, self.min_size, self.split, "yes" if self.scored else "no")
        return "  ".join(f"{'model' if value is None else value:>9}" for value in values)


@dataclass(frozen=True, eq=False)
class Segmenter:
    """Segments pictures with one model.

    Attributes
    ----------
    model : Model
        Its name and weights, not how it is run, tell what is kept on disk: empty the folder
        after a change of the prediction or of the measurement.
    mode : {"measured", "true", "off"}
        The diameter of the objects is measured as the product does, taken from the truth, or
        the image is left as it is.
    cache : Path, optional
        Folder for probabilities.
    run : dict
        Further options of `segment` and `predict_plane`: device, precision, average.
    """

    model: Model
    mode: str = "measured"
    cache: Path | None = None
    run: dict[str, Any] = field(default_factory=dict)

    def segment(self, picture: Picture) -> tuple[NDArray[np.int32], float | None]:
        """Return the labels that a user gets, and the diameter taken."""
        given = self._given(picture)
        found = segment(picture.image, self.model, axes="YX", diameter=given, **self.run)
        return found.labels, found.diameter

    def make(self, picture: Picture, making: Making) -> tuple[NDArray[np.int32], float | None]:
        """Return the labels made in another way, and the diameter taken."""
        probability, diameter = self._plane(picture)
        config = self.model.config
        usual = usual_min_size(config, diameter)
        labels = probability_to_labels(
            probability,
            threshold=config.threshold if making.threshold is None else making.threshold,
            min_size=usual if making.min_size is None else making.min_size,
            split=config.split if making.split is None else making.split,
            shape=picture.truth.shape,
            score=config.score if making.scored else None,
        )
        return labels, diameter

    def _given(self, picture: Picture) -> float | None:
        """The diameter that is told beforehand; None leaves it to be measured."""
        if self.mode == "measured":
            return None
        as_it_is = self.model.config.diameter
        if self.mode == "off" or as_it_is is None:
            return as_it_is
        return picture.diameter or as_it_is

    def _plane(self, picture: Picture) -> tuple[NDArray[np.float32], float | None]:
        """Return the foreground probability of the rescaled image, and the diameter taken."""
        file = self._file(picture)
        if file is not None and file.is_file():
            with np.load(file) as kept:
                diameter = float(kept["diameter"])
                probability = kept["probability"].astype(np.float32)
            return probability, diameter if diameter > 0 else None
        diameter, image = self._given(picture), picture.image[None]
        if diameter is None:
            settings = {key: self.run[key] for key in ("device", "precision") if key in self.run}
            diameter = measure_diameter(image, self.model, **settings)
        probability = 1 - predict_plane(image, self.model, diameter=diameter, **self.run)[0]
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            kept_as = probability.astype(np.float16)
            np.savez_compressed(file, probability=kept_as, diameter=diameter or 0.0)
        return probability, diameter

    def _file(self, picture: Picture) -> Path | None:
        if self.cache is None:
            return None
        weights = self.model.network.state_dict().values()
        digest = hashlib.sha256(b"".join(w.cpu().numpy().tobytes() for w in weights))
        average = f"-{self.run['average']}" if "average" in self.run else ""
        folder = (
            self.cache / f"{self.model.card.name}-{digest.hexdigest()[:8]}-{self.mode}{average}"
        )
        return folder / f"{picture.name}.npz"
