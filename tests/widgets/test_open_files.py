"""Files that are dropped on napari, and layers that are saved from it."""

import numpy as np
import pytest

import zoo_packages as zoo
from napari_unet.core.config import ModelConfig
from napari_unet.core.errors import InputError
from napari_unet.core.model_file import Model
from napari_unet.widgets.open_files import open_models, open_outlines
from person import PLUGIN, settle

LABELS = np.zeros((40, 50), np.int32)
LABELS[5:15, 5:20] = 3
LABELS[20:30, 25:45] = 8
LABELS[23:26, 30:35] = 0  # a hole


def test_a_model_that_is_dropped_is_the_current_one(user, tmp_path):
    model = Model.fresh(ModelConfig(width=4, depth=2), "dropped").save(tmp_path / "d.safetensors")
    user.viewer.open(tmp_path / "d.safetensors", plugin=None)
    settle(0.2)
    assert user.bench.session.model_path == model.card.path
    assert len(user.viewer.layers) == 0 and user.bench.has_docks
    assert user.bench.status == "dropped is the current model; press Segment to use it."
    user.viewer.open(tmp_path / "d.safetensors", plugin=None)  # the dock is there already
    assert len(user.bench._docks) == 1


def test_a_file_that_is_no_model_says_so(user, tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"no model")
    with pytest.raises(Exception, match="cannot be read as a model"):
        user.viewer.open(tmp_path / "x.safetensors", plugin=None)
    assert not user.bench.has_docks


def test_a_package_of_the_zoo_that_is_dropped_segments(user, tmp_path, home):
    files = zoo.files_of()
    path = zoo.write(tmp_path / "blobs.zip", files, zoo.described(files))
    user.viewer.add_image(zoo.image(), name="blobs")
    user.viewer.open(path, plugin=None)
    user.wait()
    assert user.bench.status.startswith("Friendly Blobs is the current model"), user.bench.status
    assert user.bench.session.model_path == str(home / "models" / "Friendly-Blobs.safetensors")
    item = user.bench.workspace.open()
    user.bench.session.segment(item.pair, [()])
    user.wait()
    assert item.labels.data.max() == 4
    with pytest.raises(InputError, match="cannot be taught"):
        user.bench.session.teach([item.pair], seconds=1, keep=0.5)


@pytest.mark.parametrize("ending", [".zip", ".geojson"])
def test_labels_go_out_and_come_back_over_their_image(user, tmp_path, ending):
    image = user.viewer.add_image(np.zeros((40, 50)), scale=(0.5, 0.5), units="um")
    layer = user.viewer.add_labels(LABELS, features={"index": [3, 8], "class": ["a", "b"]})
    path = tmp_path / f"cells{ending}"
    assert layer.save(str(path), plugin=PLUGIN) == [str(path)]
    (back,) = user.viewer.open(path, plugin=None)
    assert np.array_equal(back.data, LABELS)
    assert np.array_equal(back.scale, image.scale) and back.name == "cells"
    assert back.features["class"].tolist() == ["a", "b"]


def test_ome_zarr_is_read_where_it_is_seen(user, tmp_path):
    pytest.importorskip("zarr")
    from napari_unet.formats.ome_zarr import open_ome_zarr
    from napari_unet.formats.ome_zarr_labels import LabelsWriter
    from zarr_images import ramp, write_image

    path = write_image(
        tmp_path / "x.zarr", ramp(2, 2, 40, 50), "czyx", scale=[1, 2, 0.5, 0.5], levels=2
    )
    writer = LabelsWriter(path / "labels" / "cells", open_ome_zarr(path))
    image, labels = user.viewer.open(path, plugin=PLUGIN)  # napari itself reads some, too
    assert image.multiscale and image.axis_labels == ("c", "z", "y", "x")
    assert [str(unit) for unit in image.units[1:]] == ["micrometer"] * 3
    assert np.array_equal(labels.scale, (2, 0.5, 0.5)) and labels.name == "cells"
    writer.write((0,), LABELS, 2)
    user.viewer.dims.set_point(1, 0)
    labels.refresh()
    assert labels.get_value((0, 0, 3, 3), world=True) == 3  # it was written meanwhile
    item = user.bench.workspace.open()
    assert item.pair.image.shape == (2, 40, 50)
    assert (item.pair.image.read_plane((1,)) == ramp(2, 2, 40, 50)[:1, 1]).all()


def test_coco_is_written(user, tmp_path):
    layer = user.viewer.add_labels(LABELS)
    layer.save(str(tmp_path / "cells.json"), plugin=PLUGIN)
    from napari_unet.formats.labels import read_labels

    assert np.array_equal(read_labels(tmp_path / "cells.json").labels, LABELS)


def test_outlines_need_an_image_and_a_viewer(user, tmp_path):
    with pytest.raises(InputError, match="open the image first"):
        open_outlines(str(tmp_path / "x.geojson"))
    user.viewer.close()
    with pytest.raises(InputError, match="Open napari first"):
        open_models(str(tmp_path / "x.safetensors"))


def test_labels_over_channels_go_out_without_them(user, tmp_path):
    user.viewer.add_image(np.zeros((2, 40, 50)), axis_labels=("c", "y", "x"), name="two")
    item = user.bench.workspace.open()
    item.pair.labels[...] = LABELS
    item.labels.save(str(tmp_path / "cells.zip"), plugin=PLUGIN)
    (back,) = user.viewer.open(tmp_path / "cells.zip", plugin=None)
    assert back.data.shape == (2, 40, 50) and np.array_equal(back.data[1], LABELS)
