"""The command line where a model sees neighbouring slices too: it learns, is taught, segments."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
import torch

from brightness import brightness_model
from napari_unet import cli
from napari_unet.core.model_file import load_model
from napari_unet.core.segmentation import segment
from napari_unet.formats.images import read_labels, write_labels
from napari_unet.formats.ome_zarr import open_ome_zarr
from small_volumes import balls, volume_example

CPU = ("--device", "cpu", "--precision", "float32")
SMALL = ("--width", 4, "--depth", 1, "--patch", 16, "--batch", 2, "--diameter", 0, *CPU)


def _run(capsys, *words):
    torch.set_num_threads(1)
    code = cli.main([str(word) for word in words])
    out, err = capsys.readouterr()
    sentences = [line for line in err.splitlines() if line.startswith("napari-unet: ")]
    return code, out, "\n".join(sentences)


@pytest.fixture
def data(tmp_path):
    """A folder with two stacks of three balls."""
    folder = tmp_path / "data"
    (folder / "images").mkdir(parents=True)
    for seed in range(2):
        example = volume_example(seed=seed)
        tifffile.imwrite(
            folder / "images" / f"v{seed}.tif", example.image, metadata={"axes": "ZYX"}
        )
        write_labels(folder / "labels" / f"v{seed}.tif", example.labels, "ZYX")
    return folder


def test_a_model_of_three_slices_goes_the_whole_way(capsys, tmp_path, data):
    model, taught = tmp_path / "deep.safetensors", tmp_path / "taught.safetensors"
    words = ("train", data, "-o", model, "--slices", 3, "--steps", 120, "--learning-rate", 0.02)
    code, said, _ = _run(capsys, *words, "--held-out", "v1", "--average", 0.5, *SMALL)
    assert code == 0 and "AP 0.50 on 1 images held out" in said
    config = load_model(model).config
    assert (config.slices, config.in_channels, config.image_channels) == (3, 3, 1)
    code, said, _ = _run(capsys, "models", "show", model)
    assert "1 channel of 3 neighbouring slices" in said

    words = ("finetune", model, data, "-o", taught, "--steps", 5, "--patch", 16, *CPU)
    assert _run(capsys, *words)[0] in (0, 1)  # 1: it scored worse, and was not kept

    image, found = data / "images" / "v1.tif", tmp_path / "found.tif"
    code, said, _ = _run(capsys, "segment", image, "-o", found, "--model", model, *CPU)
    assert code == 0
    labels, axes = read_labels(found)
    assert axes == "ZYX" and labels.shape == balls().shape
    is_right = (labels > 0) == (balls() > 0)
    assert is_right.mean() > 0.95

    plane = tmp_path / "plane.tif"
    tifffile.imwrite(plane, np.zeros((20, 20), np.uint8))
    code, _, told = _run(capsys, "segment", plane, "-o", found, "--model", model, *CPU)
    assert code == 2 and "plane.tif is a single plane" in told


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--slices", 2), "2 is not odd"),
        (("--slices", 3, "--volumes"), "Volumes cannot be learnt with --slices"),
    ],
)
def test_what_cannot_be_is_told(capsys, tmp_path, data, words, sentence):
    target = tmp_path / "m.safetensors"
    try:
        code, _, told = _run(capsys, "train", data, "-o", target, "--steps", 1, *words, *SMALL)
    except SystemExit as end:
        code, told = end.code, capsys.readouterr().err
    assert code == 2 and sentence in told


def test_an_ome_zarr_gives_the_labels_it_gives_in_memory(capsys, tmp_path):
    pytest.importorskip("zarr")
    from zarr_images import write_image  # needs zarr

    image = volume_example().image
    model = tmp_path / "deep.safetensors"
    brightness_model(channels=3, slices=3, diameter=8.0, min_size=5).save(model)
    path = write_image(tmp_path / "s.ome.zarr", image, "zyx")
    words = ("segment", path, "-o", tmp_path / "out", "--model", model, *CPU)
    assert _run(capsys, *words)[0] == 0
    found = open_ome_zarr(tmp_path / "out" / "s_labels.ome.zarr").data[...]
    expected = segment(image, load_model(model), axes="ZYX", device="cpu", precision="float32")
    assert np.array_equal(found, expected.labels) and expected.labels.any()

    flat = write_image(tmp_path / "flat.ome.zarr", image[0], "yx")
    code, _, told = _run(capsys, "segment", flat, "-o", tmp_path / "none", "--model", model, *CPU)
    assert code == 2 and "single plane" in told


def test_a_small_model_learns_from_a_large_one_of_as_many_slices(capsys, tmp_path, data):
    large, small = tmp_path / "large.safetensors", tmp_path / "small.safetensors"
    words = ("train", data, "-o", large, "--slices", 3, "--steps", 2, *SMALL)
    assert _run(capsys, *words)[0] == 0
    words = ("models", "distill", large, data, "-o", small, "--steps", 2, *SMALL, "--width", 2)
    code, _, told = _run(capsys, *words)
    assert code == 0, told
    config = load_model(small).config
    assert (config.slices, config.in_channels, config.width) == (3, 3, 2)
    words = ("models", "export", small, "-o", tmp_path / "m.pt", "--format", "torchscript")
    assert _run(capsys, *words)[0] == 0 and (tmp_path / "m.pt").is_file()
