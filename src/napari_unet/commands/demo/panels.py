"""The picture of the demo: image, before, corrections and after, side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any  # images come in any real dtype

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from napari_unet.commands.demo.lesson import Correction
from napari_unet.core.metrics import match_objects
from napari_unet.core.normalize import normalize

__all__ = ["Panel", "compose", "draw_correction", "draw_found", "draw_image", "text_font"]

RGB = NDArray[np.uint8]
Mask = NDArray[np.bool_]

PANEL_WIDTH = 720  # pixels
EDGE, GAP, TITLE, HEADER, LEGEND = 32, 28, 74, 112, 64
INK, GREY, PAPER = (25, 25, 30), (95, 95, 105), (255, 255, 255)

# Apart in hue and in lightness; missed is also dashed and false also filled, for eyes that
# do not tell the hues apart.
HIT, MISSED, FALSE = (60, 230, 190), (255, 190, 40), (255, 60, 160)
CHECKED, DRAWN = (70, 150, 255), (255, 255, 255)
LEGEND_ENTRIES = (
    (HIT, "line", "found"),
    (MISSED, "dashes", "missed"),
    (FALSE, "fill", "false"),
    (CHECKED, "fill", "checked area: all that was taught"),
    (DRAWN, "line", "corrected by hand"),
)


@dataclass(frozen=True, eq=False)
class Panel:
    """One picture with a title and a line below it."""

    title: str
    note: str
    picture: RGB


def draw_image(image: NDArray[Any]) -> RGB:
    """Return an image plane in grey, at the size of a panel."""
    bright = np.clip(normalize(image[None], (0.5, 99.8))[0], 0, 1)
    grey = Image.fromarray(np.rint(255 * bright).astype(np.uint8))
    size = (PANEL_WIDTH, round(PANEL_WIDTH * image.shape[0] / image.shape[1]))
    return np.asarray(grey.resize(size, Image.Resampling.BICUBIC).convert("RGB"))


def draw_found(image: NDArray[Any], truth: NDArray[Any], prediction: NDArray[Any]) -> RGB:
    """Outline predicted objects, found or false, and the true ones that were missed."""
    picture = draw_image(image)
    matches = match_objects(truth, prediction)
    truth, prediction = _enlarged(truth, picture), _enlarged(prediction, picture)
    false = np.isin(prediction, matches.extra)
    picture = _tinted(picture, false, FALSE, 0.35)
    lines = _outlines(prediction)
    picture = _painted(picture, lines & false, FALSE)
    missed = np.where(np.isin(truth, matches.missed), truth, 0)
    picture = _painted(picture, _outlines(missed) & _dashes(missed.shape), MISSED)
    return _painted(picture, lines & np.isin(prediction, matches.predicted), HIT)


def draw_correction(image: NDArray[Any], truth: NDArray[Any], correction: Correction) -> RGB:
    """Outline what was corrected and tint the checked area; the rest, unknown, is dimmed."""
    picture = draw_image(image)
    checked = _enlarged(correction.checked, picture)
    picture = _tinted(picture, ~checked, (0, 0, 0), 0.55)
    picture = _tinted(picture, checked, CHECKED, 0.22)
    picture = _painted(picture, _outlines(checked.astype(np.int32)), CHECKED)
    corrected = np.where(np.isin(truth, correction.corrected), truth, 0)
    return _painted(picture, _outlines(_enlarged(corrected, picture)), DRAWN)


def compose(heading: str, line: str, panels: list[Panel]) -> Image.Image:
    """Lay panels out two a row below a heading, with the legend at the foot."""
    height, width = panels[0].picture.shape[:2]
    rows = -(-len(panels) // 2)
    size = (
        2 * EDGE + 2 * width + GAP,
        HEADER + rows * (TITLE + height + GAP) + LEGEND,
    )
    page = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(page)
    draw.text((EDGE, 22), heading, INK, text_font(34))
    draw.text((EDGE, 68), line, GREY, text_font(24))
    for index, panel in enumerate(panels):
        x = EDGE + (index % 2) * (width + GAP)
        y = HEADER + (index // 2) * (TITLE + height + GAP)
        draw.text((x, y + 6), panel.title, INK, text_font(26))
        draw.text((x, y + 40), panel.note, GREY, text_font(20))
        page.paste(Image.fromarray(panel.picture), (x, y + TITLE))
    _draw_legend(draw, size[1] - LEGEND)
    return page


def text_font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return Pillow's own font: there is no other that every computer has."""
    return ImageFont.load_default(size)


def _draw_legend(draw: ImageDraw.ImageDraw, y: int) -> None:
    x, font = EDGE, text_font(20)
    for colour, kind, text in LEGEND_ENTRIES:
        box = (x, y + 8, x + 34, y + 30)
        draw.rectangle(box, fill=(120, 120, 125))
        if kind == "fill":
            draw.rectangle(box, fill=tuple((c + 110) // 2 for c in colour))
        if kind == "dashes":
            for start in (x + 3, x + 14, x + 25):
                draw.line((start, y + 19, start + 6, y + 19), colour, 3)
        else:
            draw.rectangle((x + 3, y + 11, x + 31, y + 27), outline=colour, width=3)
        draw.text((x + 44, y + 5), text, INK, font)
        x += 44 + round(draw.textlength(text, font)) + 40


def _enlarged(plane: NDArray[Any], picture: RGB) -> NDArray[Any]:
    """Scale labels or a mask to the size of a picture; no label is mixed."""
    y, x = (
        np.arange(new) * old // new for new, old in zip(picture.shape[:2], plane.shape, strict=True)
    )
    enlarged: NDArray[Any] = plane[y[:, None], x]
    return enlarged


def _outlines(labels: NDArray[Any]) -> Mask:
    """Return the outermost three pixels of each object."""
    high = ndimage.grey_dilation(labels, size=3)
    low = ndimage.grey_erosion(labels, size=3)
    edge: Mask = ndimage.binary_dilation((high != low) & (labels > 0)) & (labels > 0)
    return edge


def _dashes(shape: tuple[int, ...]) -> Mask:
    y, x = np.ogrid[: shape[0], : shape[1]]
    dashes: Mask = (y // 7 + x // 7) % 2 == 0
    return dashes


def _tinted(picture: RGB, mask: Mask, colour: tuple[int, int, int], share: float) -> RGB:
    mixed = np.rint((1 - share) * picture + share * np.array(colour)).astype(np.uint8)
    return np.where(mask[..., None], mixed, picture)


def _painted(picture: RGB, mask: Mask, colour: tuple[int, int, int]) -> RGB:
    return np.where(mask[..., None], np.array(colour, np.uint8), picture)
