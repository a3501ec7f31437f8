"""A stack and a model of three slices in the dock: it segments and is taught with neighbours."""

import numpy as np
import pytest

from brightness import brightness_model
from napari_unet.core.model_file import load_model
from napari_unet.engine.runner import InlineRunner
from person import SCREEN, Shared, User, settle


@pytest.fixture
def user(make_napari_viewer, tmp_path):
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(*SCREEN)
    user = User(viewer, Shared(InlineRunner()))
    path = tmp_path / "deep.safetensors"
    brightness_model(channels=3, slices=3, min_size=10).save(path)
    user.bench.session.load_model_file(str(path))
    yield user
    user.bench.close()
    user.__dict__.clear()


def stack():
    """Five planes of 48 x 48; two squares in another place of each."""
    image = np.random.default_rng(0).normal(0, 0.02, (5, 48, 48)).astype(np.float32)
    for z, plane in enumerate(image):
        plane[6:16, 4 + 6 * z : 14 + 6 * z] += 1
        plane[28:38, 30 - 5 * z : 40 - 5 * z] += 1
    return image


def test_each_slice_is_seen_with_its_neighbours_and_taught_so(user):
    image = stack()
    user.viewer.add_image(image, name="stack")
    user.viewer.dims.set_current_step(0, 2)
    dock = user.dock()
    assert not dock.header.problem.value
    user.press(dock.steps[0].segment)
    user.wait()
    labels = user.bench.workspace.current.labels
    # The network copies its first channel: the plane before.
    np.testing.assert_array_equal(labels.data[2] > 0, image[1] > 0.5)

    examples = []
    truth = np.zeros(image.shape, bool)
    truth[2] = image[2] > 0.5
    user.paint(labels, truth, 7)
    pair = user.bench.workspace.current.pair
    for plane in pair.taught_planes():
        examples.append(pair.read_example(*plane, None, 3))
    (example,) = examples
    np.testing.assert_array_equal(example.image_cyx, image[1:4])

    session = user.bench.session
    session.teach([pair], seconds=1.0, keep=0.0)
    user.wait()
    assert "Learnt from" in dock.status.value or "stays" in dock.status.value, dock.status.value


def test_a_single_plane_is_told_to_be_none(user):
    user.viewer.add_image(stack()[0], name="plane")
    dock = user.dock()
    settle(0.2)
    assert "plane is a single plane, and the model looks at neighbouring" in (
        dock.header.problem.value
    )
    assert not dock.steps[0].segment.native.isEnabled()


def test_the_card_says_how_many_slices_it_sees(user):
    assert load_model(user.bench.session.model_path).config.takes == (
        "1 channel of 3 neighbouring slices"
    )
