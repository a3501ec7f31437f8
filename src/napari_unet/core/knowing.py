"""Whether a model knows a kind of image, by how its objects look where nobody has corrected them.

What a person corrects is what was worst: on a few such cells a model that finds nine of ten looks
as if it knew nothing. How likely objects are true ones, by their looks (`core/object_score.py`), is
said of all that it finds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any  # images come in any real dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.example import Example
from napari_unet.core.instances import probability_to_labels
from napari_unet.core.model_file import Model
from napari_unet.core.normalize import intensity_range
from napari_unet.core.object_looks import looks_of
from napari_unet.core.predict import predict_plane
from napari_unet.core.rescale import usual_area

__all__ = ["knows_kind"]

MOST = 4  # images that are looked at
SIDE = 512  # of what is looked at around the corrections, in pixels of the model
FEWEST = 10  # objects that say anything (chosen)

# So much of what it finds must have such a likely IoU (measured of models for nuclei: 0.26 to 0.33
# in phase contrast, 0.64 to 0.84 on nuclei of a look never seen, 0.35 to 0.55 on crowded embryos).
LIKELY, PART = 0.6, 0.5


def knows_kind(
    model: Model, examples: Sequence[Example], *, device: str = "auto", precision: str = "auto"
) -> bool:
    """Whether most of what a model finds in images looks like true objects.

    Parameters
    ----------
    model : Model
        One without a score of objects knows nothing of how they look, and is not believed.
    examples : sequence of Example
        With their diameter, if the model works at one; what is near their checked areas counts.
    device, precision : str
        See `napari_unet.core.device`.
    """
    score = model.config.score
    if score is None or model.config.semantic:
        return False
    likely: list[NDArray[np.float64]] = []
    for example in examples[:MOST]:
        diameter = None if model.config.diameter is None else example.diameter
        probability = predict_plane(
            _near_checked(example, usual_area(model.config, diameter) ** 0.5),
            model,
            diameter=diameter,
            device=device,
            precision=precision,
            ranges=intensity_range(example.image_cyx, model.config.percentiles),
        )
        foreground = 1 - probability[0]
        labels = probability_to_labels(
            foreground,
            threshold=model.config.threshold,
            min_size=model.config.min_size,
            split=model.config.split,
            score=score,
        )
        likely.append(score.score(looks_of(labels, foreground, score.diameter)))
    each = np.concatenate(likely) if likely else np.zeros(0)
    return len(each) >= FEWEST and float((each >= LIKELY).mean()) >= PART


def _near_checked(example: Example, zoom: float) -> NDArray[Any]:
    """Return the part of an image (C, Y, X) around the middle of what is checked."""
    image = example.image_cyx
    side = max(1, round(SIDE * zoom))
    parts = []
    for places, size in zip(np.nonzero(example.mask), image.shape[1:], strict=True):
        middle = int(np.median(places)) if len(places) else size // 2
        start = max(0, min(middle - side // 2, size - side))
        parts.append(slice(start, start + side))
    return image[:, parts[0], parts[1]]
