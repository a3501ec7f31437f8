import numpy as np
import pytest

from napari_unet.core.config import ModelConfig
from napari_unet.core.normalize import intensity_range
from napari_unet.core.rescale import to_model_size
from napari_unet.core.rescaled_plane import RescaledPlane


@pytest.mark.parametrize("diameter", [7.0, 16.0, 33.0, 121.0])
@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_each_part_is_what_it_is_in_the_whole_plane(diameter, kind):
    image = np.random.default_rng(0).integers(0, 900, (2, 97, 130)).astype(kind)
    whole, _ = to_model_size(image, ModelConfig(diameter=20.0), diameter)
    plane = RescaledPlane(image, intensity_range(image), 20 / diameter)
    assert plane.shape == whole.shape and plane.ndim == 3 and plane.dtype == whole.dtype
    height, width = whole.shape[1:]
    for rows in (slice(0, height), slice(height // 3, height // 2 + 1), slice(height - 1, height)):
        for columns in (slice(None), slice(0, 1), slice(width // 4, width)):
            part = np.s_[:, rows, columns]
            np.testing.assert_array_equal(plane[part], whole[part])
