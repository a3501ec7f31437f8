"""Write the card and the picture beside each bundled model, from what its file says.

Run it as ``python docs/make_cards.py`` after a model was replaced. The picture shows what the
model finds in a drawn sample: images of the training sets are not passed on.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage.segmentation import find_boundaries

from napari_unet import sample_data
from napari_unet.cli import main as command
from napari_unet.core import load_model, segment
from napari_unet.core.library import bundled_models_dir

SIDE = 240
SAMPLES: dict[str, Callable[[], NDArray[np.generic]]] = {
    "nuclei-fluorescence": lambda: sample_data.nuclei((SIDE, SIDE))[0],
    "cells-phase-contrast": lambda: sample_data.cells((SIDE, SIDE))[0],
}
OUTLINE = (255, 170, 0)


def main() -> None:
    """Write `NAME.md` and, where there is a sample, `NAME.png`."""
    for path in sorted(bundled_models_dir().glob("*.safetensors")):
        path.with_suffix(".md").write_text(card(path.stem), encoding="utf-8")
        if path.stem in SAMPLES:
            picture(path.stem).save(path.with_suffix(".png"), optimize=True)


def card(name: str) -> str:
    """Return what `napari-unet models show` prints, without where the file lies."""
    text = StringIO()
    with redirect_stdout(text):
        command(["models", "show", name])
    lines = [line for line in text.getvalue().splitlines() if not line.startswith("File:")]
    return "\n".join([f"# {name}", "", "```text", *lines, "```", ""])


def picture(name: str) -> Image.Image:
    """Show the sample, and beside it the outlines of what is found."""
    image = SAMPLES[name]()
    labels = segment(image, load_model(name), axes="YX").labels
    dark, bright = np.percentile(image, (0.2, 99.8))
    grey = np.clip((image - dark) / (bright - dark), 0, 1)
    left = np.repeat((255 * grey)[..., None], 3, axis=2).astype(np.uint8)
    right = left.copy()
    right[find_boundaries(labels, mode="outer")] = OUTLINE
    return Image.fromarray(np.concatenate([left, right], axis=1)).quantize(128)


if __name__ == "__main__":
    main()
