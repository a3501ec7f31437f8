"""Groups of images that look alike, on drawn nuclei."""

import numpy as np
import pytest

from napari_unet.core.errors import InputError
from napari_unet.core.looks import FEATURES, group_looks, look_of
from napari_unet.sample_data import nuclei

IMAGE, TRUTH = nuclei((512, 384), seed=3)


def drawn(number):
    """One of twelve fields of view."""
    part = np.s_[number // 3 * 128 :, number % 3 * 128 :]
    return IMAGE[part][:128, :128] / 8, TRUTH[part][:128, :128]


@pytest.fixture(scope="module")
def looks():
    """Five images as drawn, four dim ones on a bright ground, three of every second pixel."""
    plain = [look_of(*drawn(seed)) for seed in range(5)]
    dim = [look_of(80 + image / 10, truth) for image, truth in map(drawn, range(5, 9))]
    small = [look_of(image[::2, ::2], truth[::2, ::2]) for image, truth in map(drawn, range(9, 12))]
    return np.array([*plain, *dim, *small])


def test_images_that_were_changed_alike_are_one_group(looks):
    groups = group_looks(looks, 3)
    assert sorted(group.members for group in groups) == [
        (0, 1, 2, 3, 4),
        (5, 6, 7, 8),
        (9, 10, 11),
    ]


def test_the_group_most_unlike_the_others_comes_first(looks):
    groups = group_looks(looks, 3)
    assert [group.unlikeness for group in groups] == sorted(
        (group.unlikeness for group in groups), reverse=True
    )
    assert all(group.nearest <= group.unlikeness for group in groups)


def test_twins_are_never_parted(looks):
    twins = np.concatenate([looks, looks + 1e-6])
    for group in group_looks(twins, 6):
        assert {(member + 12) % 24 for member in group.members} == set(group.members)


def test_enlarging_changes_side_and_diameter_and_little_else():
    image, truth = drawn(0)
    twice = look_of(np.kron(image, np.ones((2, 2))), np.kron(truth, np.ones((2, 2), int)))
    change = dict(zip(FEATURES, twice - look_of(image, truth), strict=True))
    assert change["side"] == pytest.approx(np.log(2))
    assert change["diameter"] == pytest.approx(np.log(2))
    for same in ("aspect", "density", "background", "foreground", "contrast", "ratio"):
        assert change[same] == pytest.approx(0, abs=0.01)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("fill", [0, 1])
def test_an_image_without_objects_or_background_is_usual_in_what_it_does_not_tell(looks, fill):
    plane = look_of(np.full((64, 64), 7.0), np.full((64, 64), fill))
    assert np.isnan(plane).any()
    groups = group_looks(np.vstack([looks, plane]), 3)
    assert sum(len(group.members) for group in groups) == 13


def test_what_cannot_be_grouped_is_refused(looks):
    with pytest.raises(InputError, match="12 images cannot be put into 13 groups"):
        group_looks(looks, 13)
    with pytest.raises(InputError, match="same plane"):
        look_of(np.zeros((4, 4)), np.zeros((4, 5), int))
