"""How objects look."""

import numpy as np
import pytest
from scipy import ndimage
from skimage.measure import regionprops

from napari_unet.core import object_looks
from napari_unet.core.object_looks import looks_of
from napari_unet.core.object_score import LOOKS
from small_scenes import discs

DIAMETER = 10.0


def look(looks, name):
    return looks[:, LOOKS.index(name)]


@pytest.fixture
def scene():
    """Shapes of several kinds, and a probability that is uneven."""
    labels = discs((60, 80), [(12, 12), (12, 40)], radius=7).astype(np.int32)
    labels[30:36, 5:35] = 3
    labels[42:56, 5:9] = labels[52:56, 5:25] = 4  # an L
    labels[30:40, 50:60] = 5
    labels[30:40, 60:70] = 6
    labels[50:60, 70:80] = 7
    rng = np.random.default_rng(0)
    probability = ndimage.gaussian_filter(rng.random(labels.shape), 2).astype(np.float32)
    return labels, probability


def test_shapes_are_as_scikit_image_measures_them(scene):
    labels, probability = scene
    looks = looks_of(labels, probability, DIAMETER)
    regions = regionprops(labels, probability)
    size = [np.log(r.area / (np.pi / 4 * DIAMETER**2)) for r in regions]
    np.testing.assert_allclose(look(looks, "size"), size)
    mean = [r.intensity_mean for r in regions]
    np.testing.assert_allclose(look(looks, "probability"), mean, rtol=1e-5)
    # Principal axes of pixels that are squares, not points.
    axes = [
        np.linalg.eigvalsh(
            np.array([[m[2, 0], m[1, 1]], [m[1, 1], m[0, 2]]]) / m[0, 0] + np.eye(2) / 12
        )
        for m in (r.moments_central for r in regions)
    ]
    short, long = np.transpose(axes)
    area = np.array([r.area for r in regions])
    np.testing.assert_allclose(
        look(looks, "fill of the ellipse"), area / (4 * np.pi * np.sqrt(short * long))
    )
    np.testing.assert_allclose(
        look(looks, "elongation"), (long - short) / (long + short), atol=1e-9
    )
    usual = np.median([r.area for r in regions])
    np.testing.assert_allclose(
        look(looks, "size against the others"), [np.log(r.area / usual) for r in regions]
    )


def test_rims_by_hand(scene):
    labels, _ = scene
    probability = np.zeros(labels.shape, np.float32)
    probability += np.linspace(0, 0.79, 80, dtype=np.float32)  # 0.01 a column
    looks = looks_of(labels, probability, DIAMETER)
    # A square of 10 pixels has a rim of 36, of which 10 touch the square beside it.
    np.testing.assert_allclose(look(looks, "rim shared with others")[4:6], 10 / 36)
    assert (look(looks, "rim shared with others")[[0, 1, 2, 3, 6]] == 0).all()
    np.testing.assert_allclose(look(looks, "steepness of the rim")[:6], 0.01, rtol=1e-4)
    np.testing.assert_allclose(look(looks, "probability of the rim")[4], 0.545, rtol=1e-4)
    # Two pixels out: left of the first column and of the second one, above and below the two
    # rows at each end; on the right lies the other square.
    columns = np.arange(50, 60)
    sides = [48] * 10 + [49] * 2
    ends = [*columns, *columns, 50, 59, 50, 59][:22]
    expected = (np.sum(sides) + np.sum(ends)) / (len(sides) + len(ends)) * 0.01
    np.testing.assert_allclose(look(looks, "probability around")[4], expected, rtol=1e-2)
    assert look(looks, "is cut by the border").tolist() == [0, 0, 0, 0, 0, 0, 1]


def test_nothing_has_no_looks():
    nothing = np.zeros((5, 6), np.int32)
    assert looks_of(nothing, nothing.astype(np.float32), DIAMETER).shape == (0, len(LOOKS))


@pytest.mark.parametrize("band", [1, 2, 7])
def test_looks_do_not_depend_on_how_many_rows_are_gone_through_at_a_time(scene, band, monkeypatch):
    labels, probability = scene
    expected = looks_of(labels, probability, DIAMETER)
    monkeypatch.setattr(object_looks, "BAND", band)
    np.testing.assert_array_equal(looks_of(labels, probability, DIAMETER), expected)
