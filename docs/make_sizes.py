"""Draw docs/images/sizes.png: the same nuclei at three sizes, measured and found.

Run it as ``python docs/make_sizes.py``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from skimage.segmentation import find_boundaries

from napari_unet.core import load_model, segment
from napari_unet.core.rescale import rescale_image
from napari_unet.sample_data import nuclei

TARGET = Path(__file__).parent / "images" / "sizes.png"
MODEL = "nuclei-fluorescence"
SCALES = (0.4, 1.0, 3.0)
SIDE = 320
OUTLINE = (255, 170, 0)


def main() -> None:
    """Write the picture."""
    image = nuclei((SIDE, SIDE))[0].astype(np.float32)[None]
    model = load_model(MODEL)
    parts = []
    for scale in SCALES:
        shown = rescale_image(image, scale)[0]
        found = segment(shown, model, axes="YX")
        parts.append(panel(shown, found.labels, f"{shown.shape[0]} px, measured {found.diameter}"))
    Image.fromarray(np.concatenate(parts, axis=1)).quantize(128).save(TARGET, optimize=True)


def panel(image: NDArray[np.float32], labels: NDArray[np.int32], text: str) -> NDArray[np.uint8]:
    """Draw the middle of an image, at its own size, with outlines and a caption."""
    grey = np.clip(image / np.percentile(image, 99.8), 0, 1)
    colours = np.repeat((255 * grey)[..., None], 3, axis=2).astype(np.uint8)
    colours[find_boundaries(labels, mode="inner")] = OUTLINE
    canvas = Image.new("RGB", (SIDE + 8, SIDE + 24), "white")
    top, left = (max(0, (size - SIDE) // 2) for size in image.shape)
    canvas.paste(Image.fromarray(colours[top : top + SIDE, left : left + SIDE]), (4, 4))
    ImageDraw.Draw(canvas).text((6, SIDE + 8), text, fill="black")
    return np.asarray(canvas)


if __name__ == "__main__":
    main()
