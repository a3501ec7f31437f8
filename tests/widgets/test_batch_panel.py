"""The dock for many images, on a real napari."""

from pathlib import Path

import pytest
import tifffile

from brightness import brightness_model
from napari_unet.core.library import user_models_dir
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
    assert "bad.tif cannot be read" in panel.problems.value
    assert tifffile.imread(tmp_path / "in_labels" / "1_labels.tif").max() == 2
