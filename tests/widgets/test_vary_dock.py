"""Sliders show what training would make of the image, in a real napari with a real worker."""

import pytest
from qtpy.QtWidgets import QApplication

from napari_unet.core.train_settings import TRAIN_SETTINGS
from napari_unet.sample_data import nuclei
from napari_unet.widgets.vary_dock import FIRST, SLIDERS
from person import wait_until

NAME = "See how training varies images"


def test_variants_are_shown_and_follow_the_sliders(user):
    user.viewer.add_image(nuclei((200, 220))[0])
    dock = user.dock(NAME)
    wait_until(lambda: dock.picture.pixmap().width() > 0, 120)
    before = dock.picture.pixmap().cacheKey()
    dock.sliders["noise"].value = 0.5
    wait_until(lambda: dock.picture.pixmap().cacheKey() != before, 120)
    assert "noise=0.5" in dock.text.value
    user.press(dock.copy)
    assert QApplication.clipboard().text() == dock.settings
    user.press(dock.again)
    last = dock.picture.pixmap().cacheKey()
    wait_until(lambda: dock.picture.pixmap().cacheKey() != last, 120)


def test_what_varies_objects_needs_them(user):
    image, labels = nuclei((200, 220))
    user.viewer.add_image(image)
    dock = user.dock(NAME)
    wait_until(lambda: dock.picture.pixmap().width() > 0, 120)
    assert dock.note.value == FIRST
    dock.sliders["spots"].value = 0.9
    wait_until(lambda: "press Segment" in dock.note.value, 120)
    pair = dock.bench.workspace.open().pair
    pair.labels[:] = labels
    user.press(dock.again)
    wait_until(lambda: dock.note.value == FIRST, 120)


def test_without_an_image_it_says_so(user):
    dock = user.dock(NAME)
    wait_until(lambda: "Open an image" in dock.note.value)


def test_sliders_begin_as_training_does(user):
    settings = TRAIN_SETTINGS.augment
    read = settings.changed(user.dock(NAME).settings)
    for name, *_ in SLIDERS:
        assert getattr(read, name) == pytest.approx(getattr(settings, name), rel=0.03)
