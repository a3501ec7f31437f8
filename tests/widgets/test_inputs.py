"""Whatever napari can show as an image is segmented, or the dock says why not."""

import numpy as np
import pytest

from napari_unet.sample_data import nuclei
from person import settle

DRAWN = nuclei((96, 128))[0]
STACK = np.stack([DRAWN, DRAWN[::-1], DRAWN[:, ::-1]])
WITH_NAN = DRAWN.astype(np.float32)
WITH_NAN[:20, :20] = np.nan


def dask_stack():
    da = pytest.importorskip("dask.array")
    return da.from_array(STACK, chunks=(1, 96, 128))


IMAGES = {
    "uint8": ((DRAWN // 8).astype(np.uint8), {}),
    "uint16": (np.minimum(DRAWN, 1300).astype(np.uint16) * 50, {}),
    "int32": (DRAWN.astype(np.int32) - 100, {}),
    "float": (DRAWN / 255.0, {}),
    "bool": (np.percentile(DRAWN, 85) < DRAWN, {}),
    "nan": (WITH_NAN, {}),
    "constant": (np.full((70, 80), 7, np.uint8), {}),
    "one pixel": (np.ones((1, 1)), {}),
    "a line": (np.ones((3, 1000)), {}),
    "rgb": (np.repeat(DRAWN[..., None] // 8, 3, 2).astype(np.uint8), {"rgb": True}),
    "stack": (STACK, {}),
    "dask": (dask_stack(), {}),
    "multiscale": ([DRAWN, DRAWN[::2, ::2]], {"multiscale": True}),
    "scaled": (DRAWN, {"scale": (0.3, 0.3), "translate": (50, -9), "units": ("um", "um")}),
}


def test_every_kind_of_image(user):
    dock = user.dock()
    segment = dock.steps[0]
    for name, (data, how) in IMAGES.items():
        layer = user.viewer.add_image(data, name=name, **how)
        settle(0.05)
        user.press(segment.segment)
        user.wait()
        assert not dock.status.value.startswith("⚠"), (name, dock.status.value)
        item = user.bench.workspace.current
        full = layer.data[0] if layer.multiscale else layer.data
        assert item.labels.data.shape == (full.shape[:2] if layer.rgb else full.shape), name
        found = len(np.unique(item.labels.data)) - 1
        empty = name in ("constant", "one pixel", "a line")
        assert found == 0 if empty else found > 3, (name, found)
        np.testing.assert_allclose(item.labels.scale, layer.scale)
        for old in user.viewer.layers:  # removing all crashes software OpenGL in napari 0.9.2
            old.visible = False


def test_whole_stack_is_segmented_and_the_shown_slice_first(user):
    user.viewer.add_image(STACK)
    dock = user.dock()
    segment = dock.steps[0]
    user.viewer.dims.set_point(0, 2)
    user.press(segment.segment)
    user.wait()
    labels = user.bench.workspace.current.labels
    assert labels.data[2].any()
    assert not labels.data[:2].any()
    segment.scope.value = "all slices"
    user.press(segment.segment)
    user.wait()
    assert all(plane.any() for plane in labels.data)


def test_image_that_cannot_be_read_is_one_sentence(user):
    da = pytest.importorskip("dask.array")

    def fail(block_info=None):
        raise OSError("the disk is gone")

    data = da.map_blocks(fail, chunks=((64,), (64,)), dtype=float, meta=np.ones((0, 0)))
    layer = user.viewer.add_image(np.zeros((64, 64)), name="lazy")
    layer._data = data  # napari has drawn it before the disk went
    dock = user.dock()
    user.press(dock.steps[0].segment)
    user.wait()
    assert "the disk is gone" in dock.status.value
    assert dock.steps[0].segment.native.isEnabled()
