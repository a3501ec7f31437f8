"""A stack and a model of volumes in the dock: objects reach through slices."""

import numpy as np
import pytest

from brightness import brightness_model
from napari_unet.engine.runner import InlineRunner
from person import SCREEN, Shared, User, settle
from small_volumes import BALLS, balls, volume_example


@pytest.fixture
def at_desk(make_napari_viewer, tmp_path):
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(*SCREEN)
    user = User(viewer, Shared(InlineRunner()))
    path = tmp_path / "bright.safetensors"
    brightness_model(architecture="unet-3d", min_size=20, split=0.3).save(path)
    user.bench.session.load_model_file(str(path))
    yield user
    user.bench.close()
    user.__dict__.clear()


def test_one_press_finds_objects_through_all_slices_and_what_is_checked_is_taught(at_desk):
    at_desk.viewer.add_image(volume_example().image, name="balls", scale=(2, 1, 1))
    dock = at_desk.dock()
    segment, _, teach = dock.steps
    assert not segment.scope.visible  # there is nothing to choose
    at_desk.press(segment.segment)
    at_desk.wait()
    labels = at_desk.bench.workspace.current.labels
    found = [labels.data[center] for center in BALLS]
    assert len(set(found)) == labels.data.max() == len(BALLS) and 0 not in found
    np.testing.assert_array_equal(labels.data > 0, balls() > 0)
    assert "Segmented in" in dock.status.value

    at_desk.paint(labels, np.indices(labels.data.shape).max(axis=0) < 3, 9)
    at_desk.press(segment.segment)
    at_desk.wait()
    assert (labels.data[:3, :3, :3] == 9).all()
    assert teach.teach.native.isEnabled()
    session = at_desk.bench.session
    session.teach([at_desk.bench.workspace.current.pair], seconds=1.0, keep=0.0)
    at_desk.wait()
    assert "Learnt from" in dock.status.value or "did not help" in dock.status.value
    assert not teach.live.enabled and "does not learn while you correct" in teach.live.tooltip


def test_a_model_of_volumes_looks_once_and_the_list_says_why(at_desk, tmp_path):
    at_desk.viewer.add_image(volume_example().image)
    session = at_desk.bench.session
    session.average = "flips"
    look = at_desk.dock().steps[0].look
    assert not look.enabled and look.native.currentText() == "once"
    assert "looks once" in look.tooltip
    path = tmp_path / "flat.safetensors"
    brightness_model().save(path)
    session.load_model_file(str(path))
    settle(0.1)
    assert look.enabled and look.native.currentText() == "4 times, mirrored"
    assert session.average == "flips"  # it was never forgotten


def test_a_single_plane_is_told_to_be_none(at_desk):
    at_desk.viewer.add_image(volume_example().image[5])
    dock = at_desk.dock()
    segment = dock.steps[0]
    at_desk.press(segment.segment)
    settle(0.2)
    assert "is a single plane; open a stack" in segment.note.value
