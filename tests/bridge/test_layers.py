"""Reading image layers and laying labels over them, without a window."""

import numpy as np
import pytest
from napari.layers import Image as ImageLayer
from napari.layers import Labels

from napari_unet.bridge.layers import (
    axes_of,
    channel_axes,
    channel_choices,
    check_labels_fit,
    guess_channel_axis,
    image_problem,
    over_channels,
    place_of,
    read_image,
)
from napari_unet.core.errors import InputError
from napari_unet.session.image import Image

DTYPES = ["uint8", "uint16", "int32", "float32", "float64", "bool"]


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_real_dtype_is_read_as_it_is(dtype):
    data = np.arange(20).reshape(4, 5).astype(dtype)
    image = read_image(ImageLayer(data))
    assert image.read_plane(()).dtype == dtype
    np.testing.assert_array_equal(image.read_plane(())[0], data)


def test_rgb_has_its_colours_last():
    layer = ImageLayer(np.zeros((6, 7, 3), np.uint8), rgb=True)
    assert axes_of(layer) == "YXC"
    assert channel_axes(layer) == {}
    assert read_image(layer).shape == (6, 7)


def test_rgb_offers_its_mean_first():
    layer = ImageLayer(np.zeros((6, 7, 3), np.uint8), rgb=True)
    names = [name for name, _ in channel_choices(layer, None, 1)]
    assert names == ["mean of all (grey)", "red", "green", "blue"]


def test_rgb_stack_of_a_multiscale_layer_is_read_at_full_size():
    full = np.zeros((3, 16, 20, 3), np.uint8)
    layer = ImageLayer([full, full[:, ::2, ::2]], multiscale=True, rgb=True)
    image = read_image(layer, channels=())
    assert image.shape == (3, 16, 20)
    assert image.read_plane((2,)).shape == (1, 16, 20)


def test_channels_are_chosen_in_their_axis():
    data = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    image = read_image(ImageLayer(data), channels=(2, 0), channel_axis=1)
    assert image.axes == "TCYX"
    np.testing.assert_array_equal(image.read_plane((1,)), data[1, [2, 0]])


def test_axis_named_as_channels_is_found():
    layer = ImageLayer(np.zeros((2, 4, 5)), axis_labels=("c", "y", "x"))
    assert guess_channel_axis(layer) == 0
    assert guess_channel_axis(ImageLayer(np.zeros((2, 4, 5)))) is None


def test_model_of_two_channels_is_offered_each_pair():
    layer = ImageLayer(np.zeros((3, 4, 5)))
    assert [choice for _, choice in channel_choices(layer, 0, 2)] == [(0, 1), (0, 2), (1, 2)]


def test_too_few_channels_leave_nothing_to_choose():
    assert channel_choices(ImageLayer(np.zeros((4, 5))), None, 2) == []


@pytest.mark.parametrize(
    ("data", "word"),
    [(np.zeros((4, 5), complex), "complex"), (np.zeros((4, 0)), "empty")],
)
def test_images_that_cannot_be_segmented_say_why(data, word):
    layer = ImageLayer(np.zeros((4, 5)), name="odd")
    layer._data = data  # napari itself cannot show such data, it only lets them in
    assert word in image_problem(layer)
    with pytest.raises(InputError, match=word):
        read_image(layer)


def test_dask_stays_lazy_until_a_plane_is_read():
    da = pytest.importorskip("dask.array")
    read = []

    def block(block_info=None):
        read.append(1)
        return np.ones((1, 4, 5))

    data = da.map_blocks(
        block, chunks=((1, 1, 1), (4,), (5,)), dtype=float, meta=np.ones((0, 0, 0))
    )
    layer = ImageLayer(data, contrast_limits=(0, 1))
    before = len(read)
    image = read_image(layer)
    assert image.shape == (3, 4, 5)
    assert len(read) == before
    assert image.read_plane((1,)).sum() == 20
    assert len(read) == before + 1


def test_place_is_nearest_inside_the_stack():
    image = Image("a", np.zeros((4, 3, 2, 6, 7)), "TZCYX")
    assert place_of(image, (1.6, -3.0, 0.0, 5.0, 5.0)) == (2, 0)
    assert place_of(image, (99.0, 1.0, 0.0, 5.0, 5.0)) == (3, 1)


def test_labels_over_channels_share_one_memory():
    image = Image("a", np.zeros((2, 3, 4, 5)), "TCYX")
    labels = np.zeros(image.shape, np.int32)
    shown = over_channels(image, labels)
    assert shown.shape == (2, 3, 4, 5)
    shown[1, 2, 3, 4] = 7
    assert labels[1, 3, 4] == 7
    assert (shown[1, :, 3, 4] == 7).all()


def test_labels_that_do_not_fit_say_why():
    image = Image("a", np.zeros((4, 5)), "YX")
    check_labels_fit(image, Labels(np.zeros((4, 5), int)))
    with pytest.raises(InputError, match="same size"):
        check_labels_fit(image, Labels(np.zeros((4, 6), int)))
    pyramid = [np.zeros((4, 5), int), np.zeros((2, 2), int)]
    with pytest.raises(InputError, match="multiscale"):
        check_labels_fit(image, Labels(pyramid, multiscale=True))
