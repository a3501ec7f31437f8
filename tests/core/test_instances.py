import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage import measure

from napari_unet.core import threads
from napari_unet.core.errors import InputError
from napari_unet.core.instances import (
    PlaneObjects,
    fill_holes,
    probability_to_labels,
)
from napari_unet.core.object_score import ObjectScore
from napari_unet.core.targets import classes_to_labels, labels_to_classes
from small_scenes import discs


def scene():
    """A 10x10 square, a 4x5 bar, a 2-pixel speck and one lone pixel."""
    probability = np.zeros((30, 40), np.float32)
    probability[3:13, 5:15] = 0.9
    probability[20:24, 8:13] = 0.6
    probability[20, 30:32] = 0.8
    probability[27, 36] = 1.0
    return probability


def blobs(seed, shape=(80, 90), sigma=3.0):
    noise = np.random.default_rng(seed).normal(size=shape)
    smooth = ndimage.gaussian_filter(noise, sigma)
    return (1 / (1 + np.exp(-3 * smooth / smooth.std()))).astype(np.float32)


def test_objects_are_the_connected_pixels_above_the_threshold():
    labels = probability_to_labels(scene(), min_size=1)
    expected = np.zeros((30, 40), int)
    expected[3:13, 5:15], expected[20:24, 8:13] = 1, 2
    expected[20, 30:32], expected[27, 36] = 3, 4
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(np.sort(np.unique(labels)), range(5))
    np.testing.assert_array_equal(labels > 0, expected > 0)
    for number in range(1, 5):
        assert len(np.unique(labels[expected == number])) == 1


@pytest.mark.parametrize(
    ("threshold", "sizes"),
    [(0.5, [100, 20, 2, 1]), (0.6, [100, 20, 2, 1]), (0.61, [100, 2, 1]), (0.85, [100, 1])],
)
def test_the_threshold_itself_is_foreground(threshold, sizes):
    probability = scene().astype(np.float64).round(3)
    labels = probability_to_labels(probability, threshold=threshold, min_size=0)
    assert sorted(np.bincount(labels.ravel())[1:], reverse=True) == sizes


@pytest.mark.parametrize(
    ("min_size", "count"), [(0, 4), (1, 4), (2, 3), (3, 2), (20, 2), (21, 1), (101, 0)]
)
@pytest.mark.parametrize("split", [0.0, 0.5])
def test_smaller_objects_are_left_out_and_the_rest_is_numbered_without_holes(
    min_size, count, split
):
    labels = probability_to_labels(scene(), min_size=min_size, split=split)
    np.testing.assert_array_equal(np.unique(labels), range(count + 1))


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.77, 1.0])
@pytest.mark.parametrize("split", [0.0, 0.5])
def test_bytes_and_floats_give_the_same_objects(threshold, split):
    quantised = np.rint(255 * blobs(1)).astype(np.uint8)
    options = {"threshold": threshold, "split": split, "min_size": 5}
    from_bytes = probability_to_labels(quantised, **options)
    as_float = probability_to_labels(quantised.astype(np.float32) / 255, **options)
    if threshold == np.rint(255 * threshold) / 255:
        np.testing.assert_array_equal(from_bytes, as_float)
    else:  # a byte stands for all that is nearest to it
        at = np.rint(255 * threshold) / 255
        np.testing.assert_array_equal(
            from_bytes,
            probability_to_labels(quantised / 255, threshold=at - 1e-9, split=split, min_size=5),
        )


def test_rounding_to_bytes_moves_no_more_than_the_rounded_pixels():
    exact = blobs(2)
    quantised = np.rint(255 * exact).astype(np.uint8)
    doubtful = np.abs(exact - 0.5) < 0.5 / 255
    differs = (probability_to_labels(exact) > 0) != (probability_to_labels(quantised) > 0)
    assert not (differs & ~ndimage.binary_dilation(doubtful, iterations=2)).any()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), split=st.sampled_from([0.0, 0.5]))
def test_foreground_plus_nothing_but_gaps(seed, split):
    """All foreground is kept; what is added is a small hole, between objects, or a nook there."""
    probability = blobs(seed, (40, 50), 1.5)
    labels = probability_to_labels(probability, min_size=1, split=split)
    foreground = fill_holes(probability >= 0.5)
    assert labels[foreground].all()
    added = np.argwhere((labels > 0) & ~foreground)
    before, after = np.pad(np.where(foreground, labels, 0), 1), np.pad(labels, 1)
    for y, x in added:
        window, now = before[y : y + 3, x : x + 3], after[y : y + 3, x : x + 3]
        is_gap = len(np.unique(window[window > 0])) >= 2
        is_nook = (now[[0, 1, 1, 2], [1, 0, 2, 1]] > 0).sum() >= 3
        assert is_gap or is_nook


@settings(max_examples=25, deadline=None)
@example(seed=1480)  # an object in a hole of another one
@given(seed=st.integers(0, 10**6))
def test_objects_are_those_of_scikit_image(seed):
    probability = blobs(seed, (40, 50), 1.5)
    labels = probability_to_labels(probability, min_size=1, split=0)
    foreground = fill_holes(probability >= 0.5)  # which joins what lies in a hole with its object
    other = measure.label(foreground, connectivity=2)
    pairs = np.unique([labels[foreground], other[foreground]], axis=1)
    assert pairs.shape[1] == other.max() == labels.max()


def test_gaps_that_were_opened_are_closed():
    truth = np.zeros((20, 30), np.int32)
    truth[4:16, 3:14], truth[4:16, 14:27] = 1, 2
    classes = labels_to_classes(truth)
    labels = probability_to_labels(classes.astype(np.float32))
    np.testing.assert_array_equal(labels, classes_to_labels(classes))
    np.testing.assert_array_equal(labels[truth > 0], truth[truth > 0])


def test_wider_gaps_stay_open():
    probability = np.zeros((20, 30), np.float32)
    probability[4:16, 3:13], probability[4:16, 15:27] = 1, 1
    assert (probability_to_labels(probability) > 0).sum() == (probability > 0).sum()


def test_dust_beside_an_object_adds_nothing_to_it():
    probability = np.zeros((20, 30), np.float32)
    probability[4:16, 3:13] = 1
    clean = probability_to_labels(probability)
    probability[8, 14] = 1
    np.testing.assert_array_equal(probability_to_labels(probability), clean)


@pytest.mark.parametrize("split", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("value", [0.0, 1.0, np.nan])
@pytest.mark.parametrize("shape", [(1, 1), (3, 100), (0, 4)])
def test_constant_and_tiny_planes(shape, value, split):
    labels = probability_to_labels(
        np.full(shape, value, np.float32), threshold=0.0, min_size=0, split=split
    )
    assert labels.shape == shape
    assert (labels == (1 if value == 1 else 0)).all()


@pytest.mark.parametrize(
    ("array", "options", "message"),
    [
        (np.zeros((4, 4)), {"threshold": -0.1}, "threshold is -0.1; it must be from 0 to 1"),
        (np.zeros((4, 4)), {"threshold": np.nan}, "threshold"),
        (np.zeros((4, 4)), {"split": 2.0}, "Split is 2.0; it must be from 0 to 1"),
        (np.zeros((4, 4, 4)), {}, "not one plane"),
        (np.zeros((4, 4), np.int32), {}, "int32; they must be float or uint8"),
    ],
)
def test_what_cannot_be_used_is_refused(array, options, message):
    with pytest.raises(InputError, match=message.replace(".", r"\.")):
        probability_to_labels(array, **options)


def test_the_plane_is_not_written_to():
    probability = scene()
    probability.flags.writeable = False
    probability_to_labels(probability, split=0.5)


def test_small_holes_are_filled_and_rings_stay_rings():
    foreground = np.zeros((30, 60), bool)
    foreground[2:18, 2:18] = True
    foreground[5:7, 5:8] = False  # 6 of 256: texture
    foreground[4:24, 30:50] = True
    foreground[8:20, 34:46] = False  # 144 of 400: a ring
    filled = fill_holes(foreground)
    assert filled[2:18, 2:18].all()
    np.testing.assert_array_equal(filled[:, 20:], foreground[:, 20:])


def test_holes_are_those_of_scikit_image():
    """Every hole of an object that is large enough for it, and nothing that reaches the border."""
    rng = np.random.default_rng(0)
    foreground = ndimage.gaussian_filter(rng.normal(size=(120, 130)), 3) > -0.06
    foreground[:, 0] = False
    expected = foreground.copy()
    objects = measure.label(foreground, connectivity=2)
    for region in measure.regionprops(objects):
        holes = measure.label(region.image_filled & ~region.image, connectivity=1)
        rows, columns = region.slice
        for hole in measure.regionprops(holes):
            # What another object takes of a hole is no part of it.
            pixels = (hole.coords[:, 0] + rows.start, hole.coords[:, 1] + columns.start)
            if not foreground[pixels].any() and hole.area <= 0.1 * region.area:
                expected[pixels] = True
    assert (expected & ~foreground).any()
    np.testing.assert_array_equal(fill_holes(foreground), expected)


def packed(apart=7.0, rows=4, columns=5, radius=9.0):
    """Discs a little apart, as truth; a whole number of pixels whichever way it is rescaled."""
    step = 2 * radius + apart
    centers = [(20 + y * step, 20 + x * step) for y in range(rows) for x in range(columns)]
    return discs(
        (round(40 + rows * step) // 4 * 4, round(40 + columns * step) // 4 * 4), centers, radius
    )


def seen_at(truth, scale, blur=0.7):
    """What a sure network would say of the rescaled image: the areas of objects, a bit soft."""
    shape = tuple(round(side * scale) for side in truth.shape)
    cells = torch.from_numpy((truth > 0).astype(np.float32))[None, None]
    shown = torch.nn.functional.interpolate(cells, size=shape, mode="area")[0, 0].numpy()
    return ndimage.gaussian_filter(shown, blur)


def worst_iou(truth, found):
    values = []
    for number in range(1, truth.max() + 1):
        one = truth == number
        other = found == np.bincount(found[one]).argmax()
        values.append((one & other).sum() / (one | other).sum())
    return min(values)


@pytest.mark.parametrize("split", [0.0, 0.5])
@pytest.mark.parametrize("scale", [0.5, 0.75, 1.5, 2.0, 4.0])
def test_objects_seen_at_another_scale_come_back_at_the_image_s(scale, split):
    truth = packed()
    found = probability_to_labels(seen_at(truth, scale), split=split, shape=truth.shape)
    assert found.dtype == np.int32
    assert found.shape == truth.shape
    assert found.max() == truth.max()
    assert worst_iou(truth, found) > 0.9


def test_at_the_image_s_own_scale_the_shape_changes_nothing():
    probability = blobs(3)
    expected = probability_to_labels(probability, split=0.3)
    same = probability_to_labels(probability, split=0.3, shape=probability.shape)
    np.testing.assert_array_equal(same, expected)


def test_outlines_are_finer_than_the_pixels_the_network_saw():
    """A disc of radius 40 seen at a quarter: blocks of 4 pixels would differ by more."""
    truth = discs((120, 120), [(60, 60)], 40)
    probability = seen_at(truth, 0.25, blur=0.3)
    found = probability_to_labels(probability, shape=truth.shape)
    blocks = np.kron(probability_to_labels(probability, min_size=1), np.ones((4, 4), int))
    assert worst_iou(truth, found) > 0.97 > worst_iou(truth, blocks) + 0.01


@pytest.mark.parametrize("gap", [1, 2])
@pytest.mark.parametrize("split", [0.0, 0.5])
def test_objects_with_a_gap_in_the_enlarged_plane_alone_stay_apart(gap, split):
    """At the image's own scale that gap is half a pixel, or one."""
    probability = np.zeros((80, 120), np.float32)
    probability[20:60, 20:60] = 1
    probability[20:60, 60 + gap : 100 + gap] = 1
    found = probability_to_labels(probability, split=split, shape=(40, 60))
    assert found.max() == 2
    left, right = found[12:28, 12:28], found[12:28, 33:48]
    assert len(np.unique(left)) == len(np.unique(right)) == 1
    assert left[0, 0] != right[0, 0]
    if gap == 1:  # it is closed, as it was opened
        assert (found[12:28, 10:50] > 0).all()


def test_touching_objects_stay_apart_when_they_are_enlarged():
    probability = np.zeros((40, 60), np.float32)
    probability[10:30, 10:30] = probability[10:30, 31:50] = 1
    found = probability_to_labels(probability, shape=(120, 180))
    assert found.max() == 2
    assert len(np.unique(found[40:80, 35:88])) == 1
    assert len(np.unique(found[40:80, 95:145])) == 1


@pytest.mark.parametrize("scale", [0.5, 2.0])
@pytest.mark.parametrize(("min_size", "count"), [(1, 3), (40, 3), (90, 2), (170, 1), (500, 0)])
def test_the_smallest_object_counts_pixels_of_the_image(scale, min_size, count):
    truth = np.zeros((60, 80), np.int32)
    truth[10:18, 10:18], truth[10:22, 40:52], truth[30:50, 20:40] = 1, 2, 3  # 64, 144, 400
    probability = seen_at(truth, scale, blur=0.3)
    found = probability_to_labels(probability, min_size=min_size, shape=truth.shape)
    np.testing.assert_array_equal(np.unique(found), range(count + 1))


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_filled_holes_stay_filled_and_rings_stay_rings(scale):
    truth = np.zeros((60, 120), np.int32)
    truth[10:50, 10:50] = 1
    truth[10:50, 70:110] = 2
    probability = seen_at(truth, scale, blur=0.3)
    at = [round(value * scale) for value in (26, 32, 22, 38, 82, 98)]
    probability[at[0] : at[1], at[0] : at[1]] = 0  # 36 of 1600 pixels
    probability[at[2] : at[3], at[4] : at[5]] = 0  # 256 of 1600
    found = probability_to_labels(probability, shape=truth.shape)
    assert (found[14:46, 14:46] == 1).all()
    assert not found[25:35, 85:95].any()
    assert found[12, 90] == 2


@pytest.mark.parametrize("scale", [0.5, 2.0])
@pytest.mark.parametrize("threshold", [0.2, 0.4, 0.6, 1.0])
def test_bytes_and_floats_give_the_same_at_another_scale(scale, threshold):
    probability = blobs(4, (round(60 * scale), round(80 * scale)), 3 * scale)
    quantised = np.rint(255 * probability).astype(np.uint8)
    options = {"threshold": threshold, "min_size": 5, "split": 0.4, "shape": (60, 80)}
    from_bytes = probability_to_labels(quantised, **options)
    from_floats = probability_to_labels(quantised / np.float32(255), **options)
    assert (from_bytes != from_floats).mean() < 0.001


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    rows=st.integers(1, 90),
    columns=st.integers(1, 90),
    split=st.sampled_from([0.0, 0.5]),
)
def test_objects_of_any_shape_are_numbered_without_holes(seed, rows, columns, split):
    probability = blobs(seed, (37, 41), 2.0)
    found = probability_to_labels(probability, min_size=3, split=split, shape=(rows, columns))
    assert found.shape == (rows, columns)
    np.testing.assert_array_equal(np.unique(found[found > 0]), range(1, found.max() + 1))


def test_an_object_between_the_pixels_of_the_image_leaves_no_hole_in_the_numbering():
    probability = np.zeros((40, 60), np.float32)
    probability[4, 4] = probability[20:36, 20:40] = 1  # the image's pixels are read at 1, 3, 5...
    found = probability_to_labels(probability, min_size=0, shape=(20, 30))
    np.testing.assert_array_equal(np.unique(found), [0, 1])
    assert found[14, 15] == 1


@pytest.mark.parametrize("old", [(1, 50), (50, 1), (1, 1), (2, 3)])
@pytest.mark.parametrize("new", [(1, 200), (200, 1), (1, 1), (7, 5)])
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_thin_planes_are_brought_to_thin_shapes(old, new, value):
    found = probability_to_labels(np.full(old, value), min_size=1, shape=new)
    assert found.shape == new
    assert (found == value).all()


def test_what_is_seen_at_another_scale_is_not_written_to():
    probability = scene()
    probability.flags.writeable = False
    probability_to_labels(probability, split=0.5, shape=(60, 80))


def test_what_was_too_small_leaves_nothing_beside_a_larger_one():
    probability = np.zeros((30, 40), np.float32)
    probability[5:25, 5:25] = 1
    probability[14:16, 26:28] = 1  # one pixel of background between
    found = probability_to_labels(probability, min_size=200, shape=(120, 160))
    assert found.max() == 1
    assert measure.label(found, connectivity=2).max() == 1


def test_no_object_is_smaller_than_asked_for_when_it_was_seen_smaller():
    """One pixel of the plane is 16 of the image: more than 10, fewer than 20."""
    probability = np.zeros((30, 40), np.float32)
    probability[5, 5] = probability[15:25, 15:25] = 1
    options = {"shape": (120, 160)}
    assert probability_to_labels(probability, min_size=10, **options).max() == 2
    assert probability_to_labels(probability, min_size=20, **options).max() == 1


def cells(shape=(90, 120), seed=3):
    """Probabilities of crowded round cells, in 8 bits, with equal heights among them."""
    rng = np.random.default_rng(seed)
    y, x = np.indices(shape)
    plane = np.zeros(shape)
    for _ in range(30):
        at, radius = rng.uniform(0, shape), rng.uniform(4, 11)
        plane = np.maximum(plane, 1.6 - np.hypot(y - at[0], x - at[1]) / radius)
    return np.rint(np.clip(plane, 0, 1) * 20).astype(np.uint8) * np.uint8(12)


SCORE = ObjectScore((0.9, -0.3, 8.2, 4.0, 0.0, -1.7, 0.3, 0.5, -1.1, 0.4, -0.5, -9.7), 16.0)


@pytest.mark.parametrize("score", [None, SCORE])
@pytest.mark.parametrize("shape", [None, (60, 80), (180, 200)])
def test_what_sliders_ask_for_one_after_the_other_is_what_is_made_anew(score, shape):
    plane = cells()
    objects = PlaneObjects(plane)
    settings = {"threshold": 0.5, "min_size": 20, "split": 0.5, "shape": shape, "score": score}
    counts = set()
    for name, value in (
        ("split", 0.9),
        ("min_size", 60),
        ("threshold", 0.7),
        ("split", 0.0),
        ("min_size", 5),
        ("threshold", 0.3),
        ("split", 0.3),
        ("threshold", 0.58),  # the upper threshold that goes with 0.3
        ("threshold", 0.3),
    ):
        settings[name] = value
        found = objects.labels(**settings)
        np.testing.assert_array_equal(found, probability_to_labels(plane, **settings))
        counts.add(found.max())
    assert len(counts) > 2


def test_threads_make_no_difference(monkeypatch):
    plane = cells((120, 150), seed=4)
    settings = {"split": 0.5, "score": SCORE}
    expected = probability_to_labels(plane, **settings)
    assert expected.max() > 5
    monkeypatch.setattr(threads, "LEAST", 0)
    np.testing.assert_array_equal(probability_to_labels(plane, **settings), expected)
