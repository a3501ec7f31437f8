import numpy as np
import pytest
from scipy import ndimage

from napari_unet.core.errors import InputError
from napari_unet.core.weight_map import touching_cell_weights


def brute_force(labels, w0=10.0, sigma=5.0, spacing=None):
    cells = np.unique(labels[labels > 0])
    distances = np.sort(
        [ndimage.distance_transform_edt(labels != cell, sampling=spacing) for cell in cells], axis=0
    )
    return 1 + w0 * np.exp(-((distances[0] + distances[1]) ** 2) / (2 * sigma**2))


def test_weight_in_a_gap_is_as_the_equation_says():
    labels = np.zeros((1, 9), int)
    labels[0, :3], labels[0, 6:] = 1, 2
    # the pixel at 4 is 2 from each cell: d1 + d2 = 4
    weights = touching_cell_weights(labels)
    assert weights[0, 4] == pytest.approx(1 + 10 * np.exp(-16 / 50), abs=1e-4)
    assert weights[0, 2] == pytest.approx(1 + 10 * np.exp(-16 / 50), abs=1e-4)  # 0 + 4
    assert weights.dtype == np.float32


@pytest.mark.parametrize(
    ("shape", "spacing"), [((64, 50), None), ((40, 40), (2.0, 0.5)), ((12, 20, 20), (3.0, 1, 1))]
)
def test_weights_equal_one_transform_a_cell(shape, spacing):
    rng = np.random.default_rng(1)
    labels = np.zeros(shape, np.int32)
    for i in range(1, 8):
        corner = [rng.integers(0, size - 5) for size in shape]
        labels[tuple(slice(c, c + 6) for c in corner)] = 10 * i
    difference = touching_cell_weights(labels, spacing=spacing) - brute_force(
        labels, spacing=spacing
    )
    assert np.abs(difference).max() < 1e-2


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_cells_add_nothing(n):
    labels = np.zeros((20, 20), int)
    labels[5:9, 5:9] = n
    np.testing.assert_array_equal(touching_cell_weights(labels), 1)


def test_class_weights_are_the_base():
    labels = np.zeros((8, 8), int)
    labels[2:4] = 1
    weights = touching_cell_weights(labels, class_weights=(0.5, 2.0))
    np.testing.assert_array_equal(weights, np.where(labels > 0, 2.0, 0.5))


def test_bad_settings_are_refused():
    with pytest.raises(InputError, match="Spacing"):
        touching_cell_weights(np.zeros((4, 4), int), spacing=(1.0,))
    with pytest.raises(InputError, match="Sigma"):
        touching_cell_weights(np.zeros((4, 4), int), sigma=0)
