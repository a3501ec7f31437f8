"""The dock for many images, on a real napari."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from brightness import brightness_model
from napari_unet.core.library import user_models_dir
from napari_unet.session import batch_run
from napari_unet.widgets import batch_panel
from person import settle, wait_until
from small_scenes import discs, photograph


@pytest.mark.slow
def test_a_folder_is_segmented_in_the_background(user, tmp_path):
    (tmp_path / "in").mkdir()
    for number in range(2):
        image = photograph(discs((64, 64), [(14, 14), (40, 40)]), number)
        tifffile.imwrite(tmp_path / "in" / f"{number}.tif", image)
    (tmp_path / "in" / "bad.tif").write_bytes(b"no image")
    brightness_model(diameter=20.0, min_size=20).save(user_models_dir() / "bright.safetensors")
    panel = user.dock("Segment many images").panel
    assert not panel.start.native.isEnabled() and "Choose the images" in panel.start.tooltip
    panel.source.value = tmp_path / "in"
    assert Path(panel.out.value) == tmp_path / "in_labels"
    user.bench.session.load_model_file(str(user_models_dir() / "bright.safetensors"))
    assert panel.model.value.endswith("bright.safetensors")
    user.press(panel.start)
    assert panel.stop.native.isEnabled() and not panel.start.native.isEnabled()
    wait_until(lambda: panel.start.native.isEnabled(), 200)
    settle(0.1)
    assert "2 images segmented. 1 of 3 images could not be" in panel.note.value
    assert panel.problems.value.startswith("bad.tif cannot be read")
    assert "could not be segmented" not in panel.problems.value  # that is said above
    assert tifffile.imread(tmp_path / "in_labels" / "1_labels.tif").max() == 2


def waits(words):
    """A run that tells of one image of two and waits to be stopped."""
    return (
        "import sys, time; sys.stderr.write('Segmenting:  50%|## | 1/2 images, 00:07 left, a.tif'"
        "'\\n'); sys.stderr.flush(); time.sleep(300)"
    )


def test_a_run_goes_on_when_its_dock_is_closed_and_is_shown_by_the_next(
    user, tmp_path, monkeypatch
):
    monkeypatch.setattr(batch_run, "BEGIN", waits([]))
    dock = user.dock("Segment many images")
    dock.panel.source.value = tmp_path
    user.press(dock.panel.start)
    wait_until(lambda: "1 of 2 images" in dock.panel.note.value)
    run = user.bench.batch
    user.viewer.window.remove_dock_widget(dock.native)
    settle(0.3)
    assert not run.finished and not run.cancelled
    again = user.dock("Segment many images").panel
    assert again is not dock.panel
    assert "1 of 2 images" in again.note.value and not again.start.native.isEnabled()
    user.press(again.stop)
    wait_until(lambda: run.finished)
    assert "Stopped; the same run goes on where it was." in again.note.value
    assert again.start.native.isEnabled() is False  # nothing is chosen in the new dock


def test_the_viewer_ends_a_run(user, tmp_path, monkeypatch):
    monkeypatch.setattr(batch_run, "BEGIN", waits([]))
    dock = user.dock("Segment many images")
    dock.panel.source.value = tmp_path
    user.press(dock.panel.start)
    run = user.bench.batch
    user.bench.close()
    assert run.cancelled and run._process.poll() is not None


def test_a_size_that_was_typed_is_offered_and_given_to_the_run(user, tmp_path, monkeypatch):
    words = []
    monkeypatch.setattr(batch_panel, "BatchRun", lambda given: words.extend(given) or Ended())
    layer = user.viewer.add_image(np.zeros((64, 64), np.uint8))
    panel = user.dock("Segment many images").panel
    assert panel.size.value == 0 and panel.size.native.text() == "measured in each image"
    panel.source.value = tmp_path
    user.press(panel.start)
    assert "--diameter" not in words
    user.viewer.window.remove_dock_widget("all")
    settle(0.3)
    user.bench.workspace.size(layer).type(31.5)
    panel = user.dock("Segment many images").panel
    panel.source.value = tmp_path
    user.press(panel.start)
    assert words[words.index("--diameter") + 1] == "31.5"


class Ended:
    """A run that is over."""

    finished, problems, sentence = True, [], "1 image segmented."

    def close(self):
        pass
