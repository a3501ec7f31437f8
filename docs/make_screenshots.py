"""Make the pictures of the quickstart and of the README, by doing what they show.

Run it as ``python docs/make_screenshots.py``, on Linux without a screen as
``xvfb-run -a -s "-screen 0 1366x768x24" python docs/make_screenshots.py``. It runs the demo, then
opens napari with the dock and its real worker, presses its buttons, paints, and takes pictures
on the way. Give names of pictures to make those alone: ``demo``, ``dock``, ``classes``,
``measure``, ``evaluate``, ``vary``, ``batch``.
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
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QAbstractButton, QApplication, QComboBox, QWidget
from scipy import ndimage
from skimage import data
from skimage.filters import gaussian, sato, threshold_otsu

from napari_unet.core.verdicts import Verdict
from napari_unet.formats.images import write_image
from napari_unet.sample_data import coins, nuclei
from napari_unet.session.class_pair import BACKGROUND
from napari_unet.widgets import class_row
from napari_unet.widgets.correct_panel import NEW_CLASSES

IMAGES = Path(__file__).parent / "images"
PLUGIN, DOCK = "napari-unet-interactive", "U-Net"
SIZE = (1366, 768)  # a small laptop's screen
COLOURS = 256  # of the palette: a third of the bytes
LIMIT_S = 900
STROKES = 40  # of each class
LESSON_S = 120.0  # "normal": on a busy computer less does not show what teaching does


def main(names: list[str]) -> None:
    """Make all pictures, or those of the parts that are named."""
    IMAGES.mkdir(exist_ok=True)
    makers = {
        "demo": make_demo,
        "dock": make_dock,
        "classes": make_classes,
        "measure": make_measure,
        "evaluate": make_evaluate,
        "vary": make_vary,
        "batch": make_batch,
    }
    for name, make in makers.items():
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


def make_classes() -> None:
    """Vessels and the bright disc of a retina, from a few strokes of each."""
    retina = data.retina()[300:812, 120:760, 1]
    bright = gaussian(retina, 12) > 0.62
    ridges = sato(gaussian(retina, 1.5), sigmas=[3, 5], black_ridges=True)
    ridges[gaussian(retina, 12) > 0.5] = 0
    vessel = ridges > np.quantile(ridges, 0.93)
    ground = ~ndimage.binary_dilation(ridges > np.quantile(ridges, 0.75), iterations=4)
    ground &= ~ndimage.binary_dilation(bright, iterations=20)
    viewer = napari.Viewer()
    try:
        viewer.add_image(retina, name="retina")
        story = Story(viewer)
        settle(3)
        story.paint_classes({"vessel": vessel, "disc": bright}, ground)
        story.picture("classes_1")
        story.press("Teach")
        story.picture("classes_2")
    finally:
        viewer.close()


def make_measure() -> None:
    """A table of nuclei, sorted and coloured by their area, and one of them pointed at."""
    image, labels = nuclei()
    viewer = napari.Viewer()
    try:
        viewer.window.resize(*SIZE)
        where = {"scale": (0.5, 0.5), "units": "um"}
        viewer.add_image(image, name="nuclei", **where)
        viewer.add_labels(labels, name="cells", **where)
        _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "Measure cells")
        panel = dock.panel
        wait_until(lambda: panel.measuring.table and not panel.measuring.is_stale, "no table")
        panel.colour.value = "area"
        table = panel.table
        table.sortByColumn(table.model().names.index("area"), Qt.SortOrder.DescendingOrder)
        table.selectRow(3)
        table.clicked.emit(table.model().index(3, 0))
        settle(2)
        pixels = viewer.screenshot(canvas_only=False, flash=False)
        save(Image.fromarray(pixels[..., :3]), "measure", width=SIZE[0])
    finally:
        viewer.close()


def make_evaluate() -> None:
    """What a threshold makes of nuclei, compared with the truth; a merged one is pointed at."""
    image, labels = nuclei()
    smooth = gaussian(image.astype(float), 2)
    found = ndimage.label(smooth > threshold_otsu(smooth))[0]
    viewer = napari.Viewer()
    try:
        viewer.window.resize(*SIZE)
        viewer.add_image(image, name="nuclei")
        viewer.add_labels(labels, name="truth", visible=False)
        viewer.add_labels(found, name="threshold", visible=False)
        _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "Evaluate labels")
        settle(1)
        dock.evaluate.native.click()
        wait_until(lambda: dock.objects.model().rowCount(), "no table")
        settle(1)
        table, middle = dock.objects, np.array(image.shape) / 2
        columns = dock.result.objects
        far = np.abs(columns.center - middle).max(axis=1)
        far[columns.verdict != Verdict.MERGED] = np.inf
        row = table.model().place_of(int(far.argmin()))
        table.selectRow(row)
        table.clicked.emit(table.model().index(row, 0))
        settle(2)
        pixels = viewer.screenshot(canvas_only=False, flash=False)
        save(Image.fromarray(pixels[..., :3]), "evaluate", width=SIZE[0])
    finally:
        viewer.close()


def make_vary() -> None:
    """Nuclei with dark rims, light in spots, and haze, as training may draw them."""
    image, labels = nuclei((240, 240))
    viewer = napari.Viewer()
    try:
        viewer.window.resize(*SIZE)
        viewer.add_image(image, name="nuclei")
        _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "See how training varies images")
        dock.bench.workspace.open().pair.labels[:] = labels
        before = dock.picture.pixmap().cacheKey()
        for name, amount in {"rim": 0.9, "spots": 0.9, "haze": 0.8}.items():
            dock.sliders[name].value = amount
        wait_until(lambda: dock.picture.pixmap().cacheKey() != before, "no variants")
        settle(5)
        pixels = viewer.screenshot(canvas_only=False, flash=False)
        save(Image.fromarray(pixels[..., :3]), "vary", width=SIZE[0])
    finally:
        viewer.close()


def make_batch() -> None:
    """A folder of drawn nuclei, some of them done."""
    with tempfile.TemporaryDirectory() as folder:
        images = Path(folder) / "experiment"
        images.mkdir()
        for number in range(12):
            write_image(images / f"field_{number:02d}.tif", nuclei(seed=number)[0], "YX")
        viewer = napari.Viewer()
        try:
            viewer.window.resize(*SIZE)
            viewer.add_image(nuclei()[0], name="field_00")
            _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "Segment many images")
            panel = dock.panel
            panel.source.value = images
            panel.press()
            wait_until(lambda: panel.progress.value > 300, "it does not go on")
            settle(1)
            pixels = viewer.screenshot(canvas_only=False, flash=False)
            save(Image.fromarray(pixels[..., :3]), "batch", width=SIZE[0])
            panel.cancel()
            wait_until(panel.start.native.isEnabled, "it does not stop")
        finally:
            viewer.close()


class Story:
    """A user who segments coins with a model for nuclei, corrects half of them, and teaches."""

    def __init__(self, viewer: napari.Viewer) -> None:
        self._viewer = viewer
        viewer.window.resize(*SIZE)
        _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, DOCK)
        self._dock_widget = dock
        self._dock: QWidget = getattr(dock, "native", dock)

    def tell(self) -> None:
        settle(3)
        self.picture("1_empty")
        self._viewer.open_sample(PLUGIN, "coins_negative")
        settle(2)
        self.press("Segment")
        self.picture("2_segmented")
        self._correct()
        self._dock_widget.steps[2].time.value = LESSON_S
        self.picture("3_corrected")
        self.press("Teach")
        self.picture("4_taught")
        self.picture("dock", in_readme=True)

    def paint_classes(
        self, classes: dict[str, NDArray[np.bool_]], ground: NDArray[np.bool_]
    ) -> None:
        """Make a layer of classes, and paint short strokes of each."""
        class_row.QInputDialog.getText = lambda *_, **__: (", ".join(classes), True)
        choice = next(
            box for box in self._dock.findChildren(QComboBox) if box.findText(NEW_CLASSES) >= 0
        )
        choice.setCurrentText(NEW_CLASSES)
        settle(1)
        labels = next(x for x in self._viewer.layers if isinstance(x, Labels))
        rng = np.random.default_rng(0)
        for label, where in [*enumerate(classes.values(), 1), (BACKGROUND, ground)]:
            there = ndimage.binary_erosion(where, iterations=1)
            places = np.argwhere(there)
            stroke = np.zeros(where.shape, bool)
            for y, x in places[rng.choice(len(places), STROKES, replace=False)]:
                stroke[max(0, y - 6) : y + 7, max(0, x - 6) : x + 7] = True
            self._stroke(labels, stroke & where, label)
        labels.mode = "pan_zoom"

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
                find_button(self._dock, "New  N").click()
                self._stroke(labels, truth == number, labels.selected_label)
        labels.mode = "pan_zoom"

    def _stroke(self, labels: Labels, where: NDArray[np.bool_], value: int) -> None:
        with labels.block_history():
            labels.data_setitem(np.nonzero(where), value)
        settle(0.2)

    def type_size(self, diameter: float) -> None:
        """Type how wide the objects are."""
        self._dock_widget.header.size.box.value = diameter
        settle(0.5)

    def press(self, text: str) -> None:
        """Press a button of the dock and wait until it can be pressed again."""
        button = find_button(self._dock, text)
        wait_until(button.isEnabled, f"{text} stays off: {button.toolTip()}")
        button.click()
        settle(1)
        wait_until(find_button(self._dock, text).isEnabled, f"{text} does not end")
        settle(2)

    def picture(self, name: str, *, in_readme: bool = False) -> None:
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
