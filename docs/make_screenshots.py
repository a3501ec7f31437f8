"""Make the pictures of the quickstart and of the README, by doing what they show.

Run it as ``python docs/make_screenshots.py``, on Linux without a screen as
``xvfb-run -a -s "-screen 0 1366x768x24" python docs/make_screenshots.py``. It runs the demo, then
opens napari with the dock and its real worker, presses its buttons, paints, and takes pictures
on the way. Give names of pictures to make those alone: ``demo``, ``dock``.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import napari
import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray
from PIL import Image
from qtpy.QtWidgets import QAbstractButton, QApplication, QWidget

from napari_unet.sample_data import coins

IMAGES = Path(__file__).parent / "images"
PLUGIN, DOCK = "napari-unet-interactive", "U-Net"
SIZE = (1366, 768)  # a small laptop's screen
COLOURS = 256  # of the palette: a third of the bytes
LIMIT_S = 900


def main(names: list[str]) -> None:
    """Make all pictures, or those of the parts that are named."""
    IMAGES.mkdir(exist_ok=True)
    for name, make in {"demo": make_demo, "dock": make_dock}.items():
        if not names or name in names:
            make()


def make_demo() -> None:
    """The figure of ``napari-unet demo``."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "napari_unet.cli", "demo", "--out", folder]
        subprocess.run(command, check=True)
        save(Image.open(Path(folder) / "before_after.png"), "demo", width=1100)


def make_dock() -> None:
    """The loop in napari: segment, correct, teach."""
    viewer = napari.Viewer()
    try:
        Story(viewer).tell()
    finally:
        viewer.close()


class Story:
    """A user who segments coins with a model for nuclei, corrects half of them, and teaches."""

    def __init__(self, viewer: napari.Viewer) -> None:
        self._viewer = viewer
        viewer.window.resize(*SIZE)
        _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, DOCK)
        self._dock: QWidget = getattr(dock, "native", dock)

    def tell(self) -> None:
        settle(3)
        self._picture("1_empty")
        self._viewer.open_sample(PLUGIN, "coins_negative")
        settle(2)
        self._press("Segment")
        self._picture("2_segmented")
        self._correct()
        self._picture("3_corrected")
        self._press("Teach")
        self._picture("4_taught")
        self._picture("dock", in_readme=True)

    def _correct(self) -> None:
        """On the left half, delete what is no coin and draw the coins, as a user does."""
        labels = next(x for x in self._viewer.layers if isinstance(x, Labels) and x.data.any())
        _, truth = coins()
        half = truth.shape[1] // 2
        for number in np.unique(labels.data[:, :half]):
            where = labels.data == number
            if number and not is_coin(where, truth):
                self._stroke(labels, where, 0)
        for number in np.unique(truth[:, :half]):
            if number and not (truth[:, half:] == number).any():
                find_button(self._dock, "New cell").click()
                self._stroke(labels, truth == number, labels.selected_label)
        labels.mode = "pan_zoom"

    def _stroke(self, labels: Labels, where: NDArray[np.bool_], value: int) -> None:
        with labels.block_history():
            labels.data_setitem(np.nonzero(where), value)
        settle(0.2)

    def _press(self, text: str) -> None:
        """Press a button of the dock and wait until it can be pressed again."""
        button = find_button(self._dock, text)
        wait_until(button.isEnabled, f"{text} stays off: {button.toolTip()}")
        button.click()
        settle(1)
        wait_until(find_button(self._dock, text).isEnabled, f"{text} does not end")
        settle(2)

    def _picture(self, name: str, *, in_readme: bool = False) -> None:
        pixels = self._viewer.screenshot(canvas_only=False, flash=False)
        save(Image.fromarray(pixels[..., :3]), name, width=1100 if in_readme else SIZE[0])


def is_coin(where: NDArray[np.bool_], truth: NDArray[np.int32]) -> bool:
    """Whether an object covers one coin and little else."""
    most = int(np.bincount(truth[where]).argmax())
    coin = truth == most
    return most > 0 and bool(2 * (where & coin).sum() > (where | coin).sum())


def find_button(parent: QWidget, text: str) -> QAbstractButton:
    for button in parent.findChildren(QAbstractButton):
        if button.text().replace("&", "").strip() == text and button.isVisible():
            return button
    raise SystemExit(f"The dock has no button {text!r}.")


def wait_until(is_so: Callable[[], bool], complaint: str) -> None:
    end = time.monotonic() + LIMIT_S
    while not is_so():
        if time.monotonic() > end:
            raise SystemExit(complaint)
        settle(0.1)


def settle(seconds: float) -> None:
    """Let Qt draw and let events arrive."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.01)


def save(image: Image.Image, name: str, *, width: int) -> None:
    if image.width > width:
        image = image.resize((width, round(image.height * width / image.width)))
    image.convert("RGB").quantize(COLOURS).save(IMAGES / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main(sys.argv[1:])
