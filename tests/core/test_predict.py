import threading

import numpy as np
import pytest
import torch

from brightness import brightness_model
from napari_unet.core import plan, plane_run, predict
from napari_unet.core.config import ModelConfig
from napari_unet.core.errors import ComputeError, InputError, OutOfMemoryError
from napari_unet.core.inference import ReadyNetwork
from napari_unet.core.instances import probability_to_labels
from napari_unet.core.model_file import Model
from napari_unet.core.models.network import Box
from napari_unet.core.normalize import normalize
from napari_unet.core.predict import predict_plane, predict_tiles
from napari_unet.core.segmentation import segment


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def squares(shape=(40, 50), dtype=np.uint8, high=200, low=10):
    image = np.full(shape, low, dtype)
    image[5:13, 6:14] = high
    image[20:30, 25:41] = high
    return image


TRUTH = squares(dtype=np.int32, high=1, low=0)
TRUTH[20:30] *= 2
OPTIONS = {"device": "cpu", "precision": "float32"}


def test_the_model_of_these_tests_answers_with_the_normalised_brightness():
    image = np.random.default_rng(0).normal(size=(1, 32, 32))
    probability = predict_plane(image, brightness_model(), **OPTIONS)
    expected = 1 / (1 + np.exp(10 - 20 * np.maximum(normalize(image)[0], 0)))
    np.testing.assert_allclose(probability[1], expected, atol=1e-4)


@pytest.mark.parametrize(
    "dtype",
    [
        bool,
        np.uint8,
        np.int8,
        np.uint16,
        ">u2",
        np.int32,
        np.uint32,
        np.int64,
        np.float16,
        np.float32,
        ">f4",
        np.float64,
    ],
)
def test_every_real_dtype_is_segmented_alike(dtype):
    image = squares(high=1, low=0).astype(dtype)
    result = segment(image, brightness_model(), **OPTIONS)
    np.testing.assert_array_equal(result.labels, TRUTH)


def test_results_have_the_documented_shapes_and_dtypes():
    result = segment(squares(), brightness_model(classes=("background", "a", "b")), **OPTIONS)
    assert (result.labels.shape, result.labels.dtype) == ((40, 50), np.int32)
    assert (result.probability.shape, result.probability.dtype) == ((3, 40, 50), np.float32)
    np.testing.assert_allclose(result.probability.sum(axis=0), 1, atol=1e-5)


@pytest.mark.parametrize(
    ("axes", "channels", "shape"),
    [
        ("YX", 1, (40, 50)),
        ("XY", 1, (50, 40)),
        ("YXC", 3, (40, 50, 3)),
        ("CYX", 2, (2, 40, 50)),
        ("YCX", 2, (40, 2, 50)),
        ("ZYX", 1, (3, 40, 50)),
        ("YXZ", 1, (40, 50, 3)),
        ("TCYX", 2, (2, 2, 40, 50)),
        ("TZCYX", 2, (2, 3, 2, 40, 50)),
        ("tzyx", 1, (2, 1, 40, 50)),
        ("ZYXC", 1, (2, 40, 50, 1)),
    ],
)
def test_axes_are_read_and_the_labels_keep_all_but_the_channels(axes, channels, shape):
    axes_up = axes.upper()
    order = "".join(axis for axis in axes_up if axis not in "YX") + "YX"
    base = np.zeros([shape[axes_up.index(axis)] for axis in order], np.uint8)
    base[...] = squares()
    image = base.transpose([order.index(axis) for axis in axes_up])
    result = segment(image, brightness_model(channels), axes=axes, **OPTIONS)
    spatial = axes_up.replace("C", "")
    assert result.labels.shape == tuple(shape[axes_up.index(axis)] for axis in spatial)
    assert result.probability.shape == (2, *result.labels.shape)
    planes = np.moveaxis(result.labels, [spatial.index("Y"), spatial.index("X")], [-2, -1])
    for plane in planes.reshape(-1, 40, 50):
        np.testing.assert_array_equal(plane > 0, TRUTH > 0)


@pytest.mark.parametrize(
    ("shape", "channels", "spatial"),
    [
        ((20, 24), 1, (20, 24)),
        ((5, 20, 24), 1, (5, 20, 24)),
        ((1, 20, 24), 1, (1, 20, 24)),
        ((20, 24, 1), 1, (20, 24)),
        ((20, 24, 3), 3, (20, 24)),
        ((3, 20, 24), 3, (20, 24)),
        ((2, 20, 24), 2, (20, 24)),
        ((3, 20, 3), 3, (20, 3)),
        ((4, 5, 20, 24), 1, (4, 5, 20, 24)),
        ((4, 2, 20, 24), 2, (4, 20, 24)),
        ((4, 20, 24, 3), 3, (4, 20, 24)),
        ((4, 1, 20, 24), 1, (4, 20, 24)),
    ],
)
def test_axes_are_guessed_from_the_model_s_channels(shape, channels, spatial):
    image = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    assert segment(image, brightness_model(channels), **OPTIONS).labels.shape == spatial


@pytest.mark.parametrize(
    ("shape", "axes", "message"),
    [
        ((20, 24), "YXC", "fit an image"),
        ((20, 24), "ZY", "Y and X"),
        ((20, 24), "YY", "once"),
        ((20, 24), "", "fit an image"),
        ((20, 24), "Y,X", "fit an image"),
        ((3, 20, 24), "?YX", "fit an image"),
        ((20,), None, "needs its axes named"),
        ((), None, "needs its axes named"),
        ((2, 2, 2, 20, 24), None, "needs its axes named"),
        ((20, 24, 3), None, "takes 1 channel and the image has 3"),
        ((2, 20, 24), "CYX", "takes 1 channel and the image has 2"),
        ((0, 24), None, "no pixels"),
        ((20, 0), "YX", "no pixels"),
        ((0, 20, 24), "ZYX", "no pixels"),
    ],
)
def test_what_cannot_be_segmented_is_refused_before_any_work(shape, axes, message, monkeypatch):
    monkeypatch.setattr(predict, "predict_plane", None)  # calling it would fail otherwise
    with pytest.raises(InputError, match=message) as error:
        segment(np.zeros(shape), brightness_model(), axes=axes)
    assert str(error.value).endswith(".")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 1.5}, "threshold is 1.5"),
        ({"threshold": float("nan")}, "threshold"),
        ({"split": -0.1}, r"Split is -0\.1"),
        ({"diameter": 0}, "diameter is 0"),
        ({"diameter": -3.0}, "diameter"),
        ({"diameter": float("nan")}, "diameter"),
        ({"diameter": 9.0}, "does not know the size"),
        ({"device": "gpu"}, "not known"),
        ({"device": "cuda:99"}, "not there"),
        ({"precision": "int4"}, "not known"),
    ],
)
def test_wrong_options_are_named(options, message):
    calls = []
    with pytest.raises(InputError, match=message):
        segment(squares(), brightness_model(), progress=lambda *at: calls.append(at), **options)
    assert not calls


@pytest.mark.parametrize("dtype", [np.complex64, object, "datetime64[s]"])
def test_images_of_other_things_than_real_numbers_are_refused(dtype):
    with pytest.raises(InputError, match="real numbers"):
        segment(np.zeros((9, 9), dtype), brightness_model())


def test_channels_are_checked_before_a_lazy_image_is_read():
    class Lazy:
        shape, ndim, dtype = (2, 30, 30), 3, np.dtype(np.uint8)

        def __getitem__(self, index):
            raise AssertionError("read")

    with pytest.raises(InputError, match="takes 1 channel and the image has 2; choose"):
        segment(Lazy(), brightness_model(), axes="CYX")


def test_nan_and_infinite_pixels_spoil_nothing_but_themselves():
    image = squares(dtype=np.float64)
    image[0, :3] = np.nan, np.inf, -np.inf
    image[7, 8] = np.nan  # in an object: a small hole, which is filled
    result = segment(image, brightness_model(), **OPTIONS)
    assert result.probability[1, 7, 8] < 0.5
    expected = TRUTH.copy()
    np.testing.assert_array_equal(result.labels, expected)
    assert np.isfinite(result.probability).all()


@pytest.mark.parametrize("value", [0, 7.5, np.nan, np.inf])
def test_a_constant_image_has_no_objects(value):
    result = segment(np.full((30, 20), value), brightness_model(), **OPTIONS)
    assert not result.labels.any()
    assert np.isfinite(result.probability).all()


@pytest.mark.parametrize("architecture", ["unet", "unet-valid"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 17), (3, 1000), (1000, 3)])
def test_tiny_and_thin_images_are_segmented(architecture, shape):
    model = Model.fresh(ModelConfig(architecture=architecture, width=2, depth=4))
    image = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    result = segment(image, model, **OPTIONS)
    assert result.labels.shape == shape
    assert np.isfinite(result.probability).all()


def test_a_lazy_image_is_read_plane_by_plane():
    class Lazy:
        """What dask and zarr share."""

        def __init__(self, array):
            self.array, self.read = array, []
            self.shape, self.ndim, self.dtype = array.shape, array.ndim, array.dtype

        def __getitem__(self, index):
            self.read.append(self.array[index].shape)
            return self.array[index]

    stack = np.stack([squares(), squares(high=90)])
    lazy = Lazy(stack)
    result = segment(lazy, brightness_model(), axes="ZYX", **OPTIONS)
    assert lazy.read == [(40, 50)] * 2
    np.testing.assert_array_equal(result.labels, [TRUTH, TRUTH])


def test_dask_arrays_are_segmented():
    dask_array = pytest.importorskip("dask.array")
    stack = np.stack([squares(), squares(high=90)])
    lazy = dask_array.from_array(stack, chunks=(1, 16, 16))
    result = segment(lazy, brightness_model(), **OPTIONS)
    np.testing.assert_array_equal(result.labels, [TRUTH, TRUTH])
    tiles = list(predict_tiles(lazy[:1], brightness_model(), tile=16, **OPTIONS))
    assert len(tiles) == 12
    assert all(type(tile.probability) is np.ndarray for tile in tiles)


def test_nested_lists_are_images_too():
    result = segment(squares().tolist(), brightness_model(), **OPTIONS)
    np.testing.assert_array_equal(result.labels, TRUTH)


def test_each_plane_of_a_stack_is_segmented_as_if_alone():
    rng = np.random.default_rng(3)
    stack = rng.normal(size=(3, 2, 33, 40)) * [[[[1]], [[50]]]] * rng.uniform(1, 9, (3, 1, 1, 1))
    model = Model.fresh(ModelConfig(in_channels=2, width=3, depth=2, min_size=3), seed=2)
    result = segment(stack, model, axes="TCYX", **OPTIONS)
    for index, plane in enumerate(stack):
        alone = segment(plane, model, axes="CYX", **OPTIONS)
        np.testing.assert_array_equal(result.probability[:, index], alone.probability)
        np.testing.assert_array_equal(result.labels[index], alone.labels)


def test_labels_are_those_of_the_probabilities():
    image = np.random.default_rng(1).normal(size=(64, 64))
    model = brightness_model()
    wanted = {"threshold": 0.7, "min_size": 3, "split": 0.2}
    result = segment(image, model, **wanted, **OPTIONS)
    expected = probability_to_labels(1 - result.probability[0], **wanted)
    np.testing.assert_array_equal(result.labels, expected)
    assert result.labels.max() > 3


def test_threshold_and_smallest_object_are_the_model_s_unless_given():
    image = squares()
    image[35, 45] = 200
    image[20:30, 25:41] = 60
    model = brightness_model(threshold=0.4)
    assert segment(image, model, **OPTIONS).labels.max() == 2
    high = segment(image, model, min_size=80, **OPTIONS)
    assert high.labels.max() == 0
    assert segment(image, brightness_model(), min_size=10, **OPTIONS).labels.max() == 1


@pytest.mark.parametrize(("split", "objects"), [(0.0, 1), (0.5, 2)])
def test_touching_objects_are_parted_as_the_model_or_the_caller_says(split, objects):
    y, x = np.mgrid[:40, :60]
    image = ((np.hypot(y - 20, x - 20) < 12) | (np.hypot(y - 20, x - 39) < 12)).astype(np.uint8)
    assert segment(image, brightness_model(split=split), **OPTIONS).labels.max() == objects
    given = segment(image, brightness_model(split=1 - split), split=split, **OPTIONS)
    assert given.labels.max() == objects


def test_progress_counts_every_tile_of_every_plane(monkeypatch):
    monkeypatch.setattr(plan, "MOST_BYTES", 0)
    monkeypatch.setattr(plan, "LEAST_TILE", 16)
    calls = []
    segment(
        np.zeros((3, 33, 40)),
        brightness_model(),
        axes="ZYX",
        progress=lambda done, total: calls.append((done, total)),
        **OPTIONS,
    )
    assert calls == [(done, 27) for done in range(1, 28)]  # 3 planes of 3 x 3 tiles


def test_tiles_come_with_their_place_and_the_nearest_first():
    image = np.random.default_rng(0).integers(0, 255, (1, 70, 90), np.uint8)
    model = brightness_model()
    tiles = list(predict_tiles(image, model, center=(69, 89), tile=32, **OPTIONS))
    assert [tile.index for tile in tiles] == list(range(9))
    assert {tile.count for tile in tiles} == {9}
    whole = predict_plane(image, model, **OPTIONS)
    for tile in tiles:
        height, width = tile.probability.shape[1:]
        part = whole[:, tile.y : tile.y + height, tile.x : tile.x + width]
        np.testing.assert_allclose(tile.probability, part, atol=1e-5)
    assert tiles[0].y + tiles[0].probability.shape[1] == 70


def test_a_plane_needs_its_channel_axis():
    with pytest.raises(InputError, match="not one plane"):
        next(predict_tiles(np.zeros((9, 9)), brightness_model()))


@pytest.mark.parametrize("zoom", [2, 3])
def test_objects_are_brought_to_the_size_the_model_knows(zoom, monkeypatch):
    seen = []
    original = predict.predict_tiles

    def spy(image, *args, **kwargs):
        seen.append(image.shape)
        return original(image, *args, **kwargs)

    monkeypatch.setattr(predict, "predict_tiles", spy)
    large = squares().repeat(zoom, 0).repeat(zoom, 1)
    model = brightness_model(diameter=10.0)
    result = segment(large, model, diameter=10.0 * zoom, **OPTIONS)
    assert seen == [(1, 40, 50)]
    assert result.labels.shape == large.shape
    truth = TRUTH.repeat(zoom, 0).repeat(zoom, 1)
    for number in (1, 2):
        both = (result.labels == number) & (truth == number)
        assert both.sum() > 0.85 * ((result.labels == number) | (truth == number)).sum()


def test_stripes_too_fine_for_the_smaller_image_become_grey(monkeypatch):
    seen = []
    original = predict.predict_tiles
    monkeypatch.setattr(
        predict,
        "predict_tiles",
        lambda image, *a, **k: seen.append(image) or original(image, *a, **k),
    )
    stripes = np.tile(np.array([0, 0, 0, 255], np.uint8), (60, 15))
    segment(stripes, brightness_model(diameter=10.0), diameter=31.0, **OPTIONS)
    assert seen[0].shape == (1, 19, 19)
    assert np.abs(seen[0][0, :, 2:-2] - 0.25).max() < 0.15


def test_rescaling_keeps_a_faint_signal_on_a_large_offset_and_ignores_nan():
    image = squares(high=3, low=1).repeat(2, 0).repeat(2, 1) + 2.0**30
    image[0, :5] = np.nan, np.inf, -np.inf, np.nan, np.nan
    result = segment(image, brightness_model(diameter=10.0), diameter=20, **OPTIONS)
    assert result.labels.max() == 2


def test_an_absurd_enlargement_is_refused_before_any_work():
    with pytest.raises(InputError, match=r"enlarged 50\.0 times"):
        segment(np.zeros((2000, 2000), np.uint8), brightness_model(diameter=50.0), diameter=1)


@pytest.mark.parametrize("precision", ["bfloat16", "float16", "auto"])
def test_lower_precision_is_close(precision):
    model = Model.fresh(ModelConfig(width=8, depth=3), seed=1)
    image = np.random.default_rng(0).normal(size=(1, 64, 64))
    exact = predict_plane(image, model, **OPTIONS)
    close = predict_plane(image, model, device="cpu", precision=precision)
    assert close.dtype == np.float32
    assert np.abs(close - exact).max() < 0.05
    assert np.abs(close.sum(axis=0) - 1).max() < 1e-5


def test_the_model_is_left_as_it_was():
    model = Model.fresh(ModelConfig(width=2, depth=1))
    model.network.train()
    before = {name: tensor.clone() for name, tensor in model.network.state_dict().items()}
    predict_plane(np.random.default_rng(0).normal(size=(1, 16, 16)), model, precision="bfloat16")
    after = model.network.state_dict()
    assert model.network.training
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_failure_in_torch_becomes_one_sentence(monkeypatch):
    def fail(error):
        def run(*_):
            raise error

        monkeypatch.setattr(plane_run, "_run", run)
        return next(predict_tiles(np.zeros((1, 9, 9)), brightness_model(), **OPTIONS))

    with pytest.raises(ComputeError, match=r"could not be run: no luck"):
        fail(RuntimeError("no luck"))
    for error in (
        torch.OutOfMemoryError("CUDA out of memory"),
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"),
    ):
        with pytest.raises(OutOfMemoryError, match="not enough memory"):
            fail(error)


@pytest.mark.parametrize(("compress", "objects"), [(0.0, 1), (0.1, 2)])
def test_dim_objects_beside_bright_ones_are_seen_where_intensities_are_compressed(
    compress, objects
):
    image = squares()
    image[5:13, 6:14] = 10 + 190 * 0.3  # 0.3 enters as asinh(3) / asinh(10) = 0.61
    assert segment(image, brightness_model(compress=compress), **OPTIONS).labels.max() == objects


def test_a_part_of_an_image_is_normalised_and_rescaled_as_the_whole():
    image = squares()[None].repeat(2, 1).repeat(2, 2).astype(np.float32)
    model = brightness_model(diameter=10.0)
    whole = predict_plane(image, model, diameter=20.0, **OPTIONS)
    ranges = np.array([[10.0, 200.0]])
    part = predict_plane(image[:, :40], model, diameter=20.0, ranges=ranges, **OPTIONS)
    assert (whole.shape, part.shape) == ((2, 40, 50), (2, 20, 50))
    np.testing.assert_allclose(part[:, :16], whole[:, :16], atol=1e-3)


def test_mirror_images_are_averaged():
    model = Model.fresh(ModelConfig(in_channels=2, width=3, depth=2), seed=4)
    image = np.random.default_rng(5).normal(size=(2, 37, 50))
    once = [
        predict_plane(np.flip(image, axes), model, **OPTIONS) for axes in ((), (1,), (2,), (1, 2))
    ]
    expected = np.mean(
        [np.flip(p, axes) for p, axes in zip(once, ((), (1,), (2,), (1, 2)), strict=True)], axis=0
    )
    averaged = predict_plane(image, model, average="flips", **OPTIONS)
    np.testing.assert_allclose(averaged, expected, atol=1e-5)
    assert np.abs(averaged - once[0]).max() > 1e-3
    np.testing.assert_allclose(averaged.sum(axis=0), 1, atol=1e-5)
    # What is mirrored is answered mirrored.
    mirrored = predict_plane(image[:, ::-1], model, average="flips", **OPTIONS)
    np.testing.assert_allclose(mirrored[:, ::-1], averaged, atol=1e-5)


@pytest.mark.parametrize("tile", [16, None])
def test_mirror_images_are_averaged_tile_by_tile_and_at_another_size(tile):
    image = squares()[None].repeat(2, 1).repeat(2, 2)
    model = brightness_model(diameter=10.0)
    options = {"diameter": 20.0, "tile": tile, **OPTIONS}
    plain, averaged = (
        predict_plane(image, model, average=average, **options) for average in ("none", "flips")
    )
    assert averaged.shape == (2, 40, 50)
    np.testing.assert_allclose(averaged, plain, atol=1e-5)  # the model does not know directions


def test_progress_counts_the_tiles_of_every_mirror_image():
    calls = []
    predict_plane(
        np.zeros((1, 33, 40)),
        brightness_model(),
        average="flips",
        tile=16,
        progress=lambda *at: calls.append(at),
        **OPTIONS,
    )
    assert calls == [(done, 36) for done in range(1, 37)]  # four times 3 x 3 tiles


def test_segmenting_averages_mirror_images_where_it_is_asked_to():
    model = Model.fresh(ModelConfig(width=3, depth=2), seed=4)
    image = np.random.default_rng(5).normal(size=(37, 50))
    plain, averaged = (
        segment(image, model, average=average, **OPTIONS) for average in ("none", "flips")
    )
    expected = predict_plane(image[None], model, average="flips", **OPTIONS)
    np.testing.assert_allclose(averaged.probability, expected, atol=1e-6)
    assert np.abs(averaged.probability - plain.probability).max() > 1e-3


def test_of_a_lazy_image_the_next_tile_is_read_while_one_is_computed(monkeypatch):
    ahead, reads, computing = threading.Event(), [], []

    class Lazy:
        def __init__(self, array):
            self.array = array
            self.shape, self.ndim, self.dtype = array.shape, array.ndim, array.dtype

        def __getitem__(self, index):
            reads.append(index)
            if len(reads) == 3:  # for the range of intensities, for the first tile, for the second
                ahead.set()
            return self.array[index]

    run = plane_run._run

    def waits_for_the_reader(network, image, box):
        computing.append(box)
        if len(computing) == 1:
            assert ahead.wait(60)
        return run(network, image, box)

    monkeypatch.setattr(plane_run, "_run", waits_for_the_reader)
    image = np.random.default_rng(0).normal(size=(1, 40, 60))
    tiles = list(predict_tiles(Lazy(image), brightness_model(), tile=32, **OPTIONS))
    whole = predict_plane(image, brightness_model(), **OPTIONS)
    assert len(tiles) == 4
    for tile in tiles:
        height, width = tile.probability.shape[1:]
        part = whole[:, tile.y : tile.y + height, tile.x : tile.x + width]
        np.testing.assert_allclose(tile.probability, part, atol=1e-5)


def test_in_low_precision_the_first_convolution_sees_the_image_as_it_is():
    """A bfloat16 would take 1.001 for 1."""
    model = Model.fresh(ModelConfig(width=2, depth=1))
    ready = ReadyNetwork(model, "cpu", "bfloat16")
    seen = []
    first = ready._network.down[0][0]
    first.convolution.register_forward_hook(lambda _, inputs, output: seen.append(inputs[0]))
    image = np.full((1, 8, 8), 1.001, np.float32)
    ready(image, Box(0, 0, 8, 8))
    assert seen[0].dtype == torch.float32
    assert float(seen[0].min()) == np.float32(1.001)
    assert first.convolution.weight.dtype == torch.float32
    assert ready._network.head.weight.dtype == torch.bfloat16
