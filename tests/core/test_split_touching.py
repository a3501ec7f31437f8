import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage import measure

from napari_unet.core.metrics import match_objects
from napari_unet.core.split_touching import find_hills, smoothed, split_objects


def discs(*centres_radii, shape=(60, 90)):
    """Draw discs that may overlap; each pixel is that of the deeper disc."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    depth = np.array([r - np.hypot(y - cy, x - cx) for cy, cx, r in centres_radii])
    return np.where(depth.max(axis=0) > 0, depth.argmax(axis=0) + 1, 0)


def split(truth, eagerness=0.5, probability=None, **options):
    if probability is None:
        probability = (truth > 0).astype(np.float32)
    return split_objects(truth > 0, probability, eagerness, **options)


@pytest.mark.parametrize(
    "truth",
    [
        discs((30, 25, 14), (30, 48, 14)),
        discs((30, 25, 14), (30, 45, 9)),
        discs((15, 20, 12), (15, 41, 12), (35, 30, 13)),
        discs((30, 12, 9), (30, 28, 9), (30, 44, 9), (30, 60, 9)),
    ],
)
def test_overlapping_discs_come_apart_where_they_meet(truth):
    found = split(truth)
    assert found.max() == truth.max()
    assert len(match_objects(truth, found, 0.9).truth) == truth.max()


def test_discs_that_touch_on_a_diagonal_come_apart():
    truth = discs((20, 20, 12), (36, 36, 12))
    assert len(match_objects(truth, split(truth), 0.9).truth) == 2


@pytest.mark.parametrize(
    "shape",
    [
        discs((30, 45, 25)) > 0,
        ((np.mgrid[:60, :90][0] - 30) / 10) ** 2 + ((np.mgrid[:60, :90][1] - 45) / 40) ** 2 < 1,
        np.pad(np.ones((30, 50), bool), 15),
        np.pad(np.ones((1, 60), bool), 10),
        np.pad(np.eye(40, dtype=bool), 5),
        np.pad(np.ones((2, 2), bool), 3),
    ],
    ids=["disc", "ellipse", "rectangle", "line", "diagonal", "dot"],
)
@pytest.mark.parametrize("eagerness", [0.1, 0.5])
def test_convex_objects_stay_whole(shape, eagerness):
    assert split(shape, eagerness).max() == 1


def test_a_larger_eagerness_cuts_shallower_waists():
    """Two discs of radius 12 at a growing distance: the waist gets deeper."""
    cuts = {}
    for eagerness in (0.2, 0.5, 0.9):
        counts = [
            split(discs((30, 30, 12), (30, 30 + distance, 12)), eagerness).max()
            for distance in range(4, 24)
        ]
        assert counts == sorted(counts)  # once it is cut it stays cut
        cuts[eagerness] = counts.index(2)
    assert cuts[0.2] > cuts[0.5] > cuts[0.9]


def test_the_same_waist_is_cut_at_every_size():
    for factor in (1, 2, 4):
        truth = discs(
            (15 * factor, 14 * factor, 8 * factor),
            (15 * factor, 28 * factor, 8 * factor),
            shape=(30 * factor, 43 * factor),
        )
        assert split(truth).max() == 2


def test_doubt_of_the_network_cuts_what_has_no_waist():
    bar = np.pad(np.ones((20, 60), bool), 10)
    probability = bar.astype(np.float32)
    assert split(bar, probability=probability).max() == 1
    probability[:, 39:41] = 0.55
    found = split(bar, probability=probability)
    assert found.max() == 2
    np.testing.assert_array_equal(np.unique(found[:, :38]), [0, 1])
    np.testing.assert_array_equal(np.unique(found[:, 42:]), [0, 2])


def test_a_bulb_is_compared_with_its_own_stalk_not_with_what_that_grows_on():
    shape = discs((30, 25, 20), (30, 75, 8), shape=(60, 100)) > 0
    shape[24:37, 25:75] = True  # nearly as wide as the bulb, far narrower than the disc
    assert split(shape).max() == 1
    shape[:28, 40:66] = shape[33:, 40:66] = False
    assert split(shape).max() == 2


def test_pieces_below_the_smallest_size_are_not_cut_off():
    truth = discs((30, 30, 16), (30, 53, 9))
    assert split(truth).max() == 2
    assert split(truth, min_size=(truth == 2).sum() + 20).max() == 1


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), eagerness=st.floats(0.01, 1))
def test_every_object_is_connected_and_no_pixel_is_lost(seed, eagerness):
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(40, 50)), 1.5)
    probability = (1 / (1 + np.exp(-20 * noise))).astype(np.float32)
    foreground = probability >= 0.5
    found = split_objects(foreground, probability, eagerness)
    np.testing.assert_array_equal(found > 0, foreground)
    np.testing.assert_array_equal(np.unique(found[foreground]), range(1, found.max() + 1))
    # scikit-image counts as many connected parts of equal number as there are numbers.
    assert measure.label(found, connectivity=2).max() == found.max()
    whole = measure.label(foreground, connectivity=2)
    pairs = np.unique([whole[foreground], found[foreground]], axis=1)
    assert pairs.shape[1] == found.max()  # none reaches over two objects


def test_mirrored_scenes_are_cut_alike():
    truth = discs((20, 20, 12), (30, 38, 10), (22, 56, 11))
    for flipped in (truth[::-1], truth[:, ::-1], truth.T):
        back = split(flipped)
        assert back.max() == 3
        assert len(match_objects(flipped, back, 0.9).truth) == 3


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (1, 1), (4, 6)])
def test_no_foreground_has_no_objects(shape):
    nothing = np.zeros(shape, bool)
    assert not split_objects(nothing, nothing.astype(np.float32), 0.5).any()


@pytest.mark.parametrize("levels", [6, 1000])  # few: many pixels are equally high
def test_every_pixel_belongs_to_the_hill_that_steepest_ascent_ends_on(levels):
    shape = (140, 37)  # more rows than are gone through at a time
    noise = ndimage.gaussian_filter(np.random.default_rng(2).normal(size=shape), 2.5)
    belief = (np.round((noise - noise.min()) / np.ptp(noise) * levels) / levels).astype(np.float32)
    foreground = belief > 0.45
    depth = ndimage.distance_transform_edt(foreground).astype(np.float32)
    height = np.maximum(ndimage.gaussian_filter(depth, 1.5), 0.5)
    height *= np.maximum(ndimage.gaussian_filter(belief, 1.0), 0.01) ** 1.5

    def top(y, x):
        around = [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
        inside = [at for at in around if at[0] in range(shape[0]) and at[1] in range(shape[1])]
        best = max((at for at in inside if foreground[at]), key=lambda at: (height[at], at))
        return best if best == (y, x) else top(*best)

    tops = [top(y, x) for y, x in np.argwhere(foreground).tolist()]
    names = sorted(set(tops))
    hills = find_hills(foreground, smoothed(belief))
    np.testing.assert_array_equal(hills.hill, [names.index(at) for at in tops])
    np.testing.assert_array_equal(hills.size, np.bincount(hills.hill))
    np.testing.assert_allclose(hills.peak, [height[at] for at in names], rtol=1e-6)
