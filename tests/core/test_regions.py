"""Measurements: against hand calculations and scikit-image, with the size of pixels honoured."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.measure import regionprops_table

from napari_unet import sample_data
from napari_unet.core.errors import InputError
from napari_unet.core.regions import measure_planes, measure_regions

# By scikit-image's name, which agrees in definition.
SAME = {
    "area": "area",
    "centroid_y": "centroid-0",
    "centroid_x": "centroid-1",
    "equivalent_diameter": "equivalent_diameter_area",
    "major_axis": "axis_major_length",
    "minor_axis": "axis_minor_length",
    "eccentricity": "eccentricity",
    "mean_0": "mean_intensity",
    "min_0": "min_intensity",
    "max_0": "max_intensity",
}
THEIRS = [
    "area",
    "centroid",
    "equivalent_diameter_area",
    "axis_major_length",
    "axis_minor_length",
    "eccentricity",
    "orientation",
    "mean_intensity",
    "min_intensity",
    "max_intensity",
]


def one(mask, image=None, **options):
    table = measure_regions(np.array(mask, int), image, **options)
    return {name: column[0] for name, column in table.items()}


@pytest.fixture(scope="module")
def nuclei():
    image, labels = sample_data.nuclei((128, 128), 2)
    return image.astype(float), labels


def test_a_rectangle_by_hand():
    mask = np.zeros((20, 30))
    mask[4:10, 5:13] = 1  # 6 rows, 8 columns
    found = one(mask)
    assert (found["label"], found["area"]) == (1, 48)
    assert (found["centroid_y"], found["centroid_x"]) == (6.5, 8.5)
    assert found["feret_max"] == pytest.approx(10)  # 6, 8, 10
    assert found["feret_min"] == pytest.approx(6)
    assert found["solidity"] == pytest.approx(1)
    # a row of n pixels has the variance (n^2 - 1) / 12, an ellipse a fourth of its half axis^2
    assert found["major_axis"] == pytest.approx(4 * math.sqrt(63 / 12))
    assert found["minor_axis"] == pytest.approx(4 * math.sqrt(35 / 12))
    assert found["eccentricity"] == pytest.approx(math.sqrt(1 - 35 / 63))
    assert found["orientation"] == pytest.approx(0)
    # lines that cross it twice: 6 rows, 8 columns, 13 diagonals either way, 1/sqrt 2 apart
    assert found["perimeter"] == pytest.approx(
        0.5 * math.pi / 4 * 2 * (6 + 8 + 2 * 13 / math.sqrt(2))
    )
    assert found["equivalent_diameter"] == pytest.approx(math.sqrt(4 * 48 / math.pi))
    assert not found["touches_border"]


def test_the_same_rectangle_of_pixels_that_are_not_square():
    mask = np.zeros((20, 30))
    mask[4:10, 5:13] = 1
    found = one(mask, spacing=(2.0, 0.5))  # 12 high, 4 wide
    assert found["area"] == 48
    assert (found["centroid_y"], found["centroid_x"]) == (13, 4.25)
    assert found["feret_max"] == pytest.approx(math.hypot(12, 4))
    assert found["feret_min"] == pytest.approx(4)
    assert found["solidity"] == pytest.approx(1)
    assert found["major_axis"] == pytest.approx(2 * 4 * math.sqrt(35 / 12))
    assert abs(found["orientation"]) == pytest.approx(90)


@pytest.mark.parametrize(
    ("spacing", "off"), [((1, 1), 0.02), ((0.25, 0.25), 0.02), ((0.5, 0.25), 0.02), ((1, 3), 0.06)]
)
def test_a_disc_has_the_perimeter_of_a_circle(spacing, off):
    y, x = np.mgrid[-60:61, -60:61]
    found = one(np.hypot(y * spacing[0], x * spacing[1]) < 15, spacing=spacing)
    assert found["perimeter"] == pytest.approx(2 * math.pi * 15, rel=off)
    assert found["circularity"] == pytest.approx(1, rel=2.2 * off)
    assert found["feret_max"] == pytest.approx(30, rel=0.1)


def test_a_slope_to_the_upper_right_is_45_degrees():
    mask = np.eye(9)[::-1]
    assert one(mask)["orientation"] == pytest.approx(45)
    assert one(mask[::-1])["orientation"] == pytest.approx(-45)


def test_intensities_of_channels_by_hand():
    mask = np.array([[1, 1, 0], [1, 0, 0]])
    image = np.array([[[1, 2, 9], [6, 9, 9]], [[5, 5, 0], [5, 0, 0]]], np.uint8)
    found = one(mask, image, channels=("dapi", "gfp"))
    assert (found["mean_dapi"], found["min_dapi"], found["max_dapi"]) == (3, 1, 6)
    assert found["sum_dapi"] == 9
    assert found["std_dapi"] == pytest.approx(math.sqrt((4 + 1 + 9) / 3))
    assert (found["mean_gfp"], found["std_gfp"]) == (5, 0)


@pytest.mark.parametrize("spacing", [(1, 1), (0.5, 0.25)])
def test_values_are_those_of_scikit_image(nuclei, spacing):
    image, labels = nuclei
    ours = measure_regions(labels, image[None], spacing=spacing)
    theirs = regionprops_table(labels, image, properties=THEIRS, spacing=spacing)
    for mine, name in SAME.items():
        assert np.allclose(ours[mine], theirs[name], rtol=1e-9, atol=1e-9), mine
    turned = np.degrees(theirs["orientation"]) - 90 - ours["orientation"]
    assert np.allclose(np.abs((turned + 90) % 180 - 90), 0, atol=1e-6)


def test_perimeters_are_those_of_scikit_image(nuclei):
    theirs = regionprops_table(nuclei[1], properties=["perimeter_crofton"])["perimeter_crofton"]
    assert np.allclose(measure_regions(nuclei[1])["perimeter"], theirs)


def test_hulls_are_near_those_of_scikit_image(nuclei):
    """They take the middles of pixel edges for corners, so theirs are a little smaller."""
    names = ["feret_diameter_max", "solidity"]
    theirs = regionprops_table(nuclei[1], properties=names)
    ours = measure_regions(nuclei[1])
    assert np.allclose(ours["feret_max"], theirs["feret_diameter_max"], rtol=0.06)
    assert np.allclose(ours["solidity"], theirs["solidity"], rtol=0.06)


def test_a_box_in_a_volume_by_hand():
    mask = np.zeros((8, 9, 10))
    mask[1:4, 2:6, 3:8] = 1  # 3 x 4 x 5
    found = one(mask, mask[None] * 2, spacing=(2, 1, 1))
    assert found["volume"] == 2 * 60
    assert (found["centroid_z"], found["centroid_y"], found["centroid_x"]) == (4, 3.5, 5)
    assert found["feret_max"] == pytest.approx(math.sqrt(6**2 + 4**2 + 5**2))
    assert found["solidity"] == pytest.approx(1)
    assert found["major_axis"] == pytest.approx(2 * math.sqrt(5 * 4 * 8 / 12))  # along z
    assert found["equivalent_diameter"] == pytest.approx((6 * 120 / math.pi) ** (1 / 3))
    assert found["sum_0"] == 120
    assert "perimeter" not in found


def test_a_single_pixel_has_sizes_that_are_numbers():
    found = one([[0, 0], [0, 1]])
    assert (found["area"], found["major_axis"], found["eccentricity"]) == (1, 0, 0)
    assert found["feret_max"] == pytest.approx(math.sqrt(2))
    assert found["touches_border"]
    assert all(np.isfinite(value) for value in found.values())


def test_labels_keep_their_numbers_and_pieces_are_one_object():
    labels = np.array([[70_000, 0, 5], [0, 0, 0], [5, 0, 9]])
    table = measure_regions(labels)
    assert table["label"].tolist() == [5, 9, 70_000]
    assert table["area"].tolist() == [2, 1, 1]


def test_no_objects_give_empty_columns():
    empty = measure_regions(np.zeros((4, 4), int), np.zeros((1, 4, 4)))
    some = measure_regions(np.ones((4, 4), int), np.zeros((1, 4, 4)))
    assert list(empty) == list(some)
    assert {len(column) for column in empty.values()} == {0}


def test_planes_are_measured_one_by_one_and_volumes_as_a_whole():
    labels = np.zeros((2, 3, 5, 6), int)  # TZYX
    labels[1, 1:, 1:3, 1:3] = 4
    image = np.arange(2 * 2 * 3 * 5 * 6.0).reshape(2, 2, 3, 5, 6)
    axes = {"axes": "TZYX", "image": image, "image_axes": "TCZYX"}
    planes = measure_planes(labels, spacing={"Y": 0.5, "X": 0.5, "Z": 2.0}, **axes)
    assert planes["t"].tolist() == [1, 1]
    assert planes["z"].tolist() == [1, 2]
    assert planes["area"].tolist() == [1.0, 1.0]
    assert planes["mean_1"][0] == image[1, 1, 1, 1:3, 1:3].mean()
    (volume,) = measure_planes(
        labels, spacing={"Y": 0.5, "X": 0.5, "Z": 2.0}, volumes=True, **axes
    )["volume"]
    assert volume == 8 * 0.5


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"spacing": (1, 0)}, "must be above 0"),
        ({"spacing": (1, 1, 1)}, "does not fit labels of 2 dimensions"),
        ({"spacing": (1, math.nan)}, "must be above 0"),
        ({"image_cyx": np.zeros((4, 4))}, "and its labels"),
        ({"image_cyx": np.zeros((1, 4, 5))}, "and its labels"),
        ({"image_cyx": np.zeros((2, 4, 4)), "channels": ["a"]}, "1 channels are named"),
    ],
)
def test_what_does_not_fit_is_refused(options, sentence):
    with pytest.raises(InputError, match=sentence):
        measure_regions(np.ones((4, 4), int), **options)
