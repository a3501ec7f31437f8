"""The command line where a model of volumes learns and segments."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import tifffile
import torch

from napari_unet import cli
from napari_unet.core.config import ModelConfig
from napari_unet.core.model_file import Model, load_model
from napari_unet.formats.images import read_labels, write_labels
from small_volumes import balls, volume_example

CPU = ("--device", "cpu", "--precision", "float32")
SMALL = ("--width", 2, "--depth", 1, "--patch", 16, "--batch", 1, *CPU)


def _run(capsys, *words):
    """Run the command; return its exit code, what it printed, and the sentence it ended with."""
    torch.set_num_threads(1)
    code = cli.main([str(word) for word in words])
    out, err = capsys.readouterr()
    sentences = [line for line in err.splitlines() if line.startswith("napari-unet: ")]
    return code, out, "\n".join(sentences)


def _write(path, image, spacing=None):
    """As ImageJ writes a stack, with its size of voxels in micrometres if it is given."""
    if spacing is None:
        tifffile.imwrite(path, image)
        return
    z, y, x = spacing
    metadata = {"axes": "ZYX", "unit": "um", "spacing": z}
    tifffile.imwrite(path, image, imagej=True, resolution=(1 / x, 1 / y), metadata=metadata)


@pytest.fixture
def data(tmp_path):
    """A folder with two volumes of three balls whose voxels are twice as high as wide."""
    folder = tmp_path / "data"
    (folder / "images").mkdir(parents=True)
    for seed in range(2):
        example = volume_example(seed=seed)
        _write(folder / "images" / f"v{seed}.tif", example.image, (1.0, 0.5, 0.5))
        write_labels(folder / "labels" / f"v{seed}.tif", example.labels, "ZYX")
    return folder


def test_volumes_are_learnt_tested_and_segmented_into_objects_that_go_through_slices(
    capsys, tmp_path, data
):
    out = tmp_path / "balls.safetensors"
    words = ("train", data, "-o", out, "--volumes", "--steps", 30, "--learning-rate", 0.02)
    code, said, _ = _run(capsys, *words, "--held-out", "v1", "--average", 0.5, *SMALL)
    assert code == 0
    assert "Learnt from 1 volume; written to" in said and "AP 0.50 on 1 images held out" in said
    config = load_model(out).config
    assert (config.architecture, config.anisotropy) == ("unet-3d", pytest.approx(2.0))
    assert config.diameter is None
    assert config.min_size == 90  # half of the 179 voxels that each ball has

    image = data / "images" / "v1.tif"
    found = tmp_path / "found.tif"
    code, said, _ = _run(capsys, "segment", image, "-o", found, "--model", out, *CPU)
    assert code == 0
    labels, axes = read_labels(found)
    assert axes == "ZYX" and labels.shape == balls().shape
    assert f"v1.tif: {labels.max()} object" in said and labels.max() > 0
    planes = [set(np.unique(plane[plane > 0])) for plane in labels]
    assert any(first & second for first, second in pairwise(planes))


def test_the_spacing_is_that_of_the_command_before_that_of_the_files(capsys, tmp_path, data):
    out = tmp_path / "balls.safetensors"
    words = ("train", data, "-o", out, "--architecture", "unet-3d", "--spacing", "4,0.5,0.5")
    assert _run(capsys, *words, "--steps", 1, *SMALL)[0] == 0
    assert load_model(out).config.anisotropy == pytest.approx(8.0)
    assert load_model(out).config.strides == ((1, 2, 2),)


def test_volumes_that_are_not_alike_are_told(capsys, tmp_path, data):
    example = volume_example(seed=7)
    _write(data / "images" / "other.tif", example.image, (3.0, 0.5, 0.5))
    write_labels(data / "labels" / "other.tif", example.labels, "ZYX")
    words = ("train", data, "-o", tmp_path / "m.safetensors", "--volumes", "--steps", 1)
    code, _, sentence = _run(capsys, *words, *SMALL)
    assert code == 2 and "train on volumes that are alike, or say --spacing" in sentence


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--volumes", "--classes", "a,b"), "with --classes yet"),
        (("--volumes", "--diameter", "20"), "with --diameter yet"),
        (("--volumes", "--architecture", "unet++"), "unet++ is a network of planes"),
        (("--volumes", "--spacing", "0.5,0.5"), "Volumes need three numbers"),
        (("--volumes", "--norm", "group"), "cannot have the norm group"),
    ],
)
def test_what_volumes_have_not_is_told(capsys, tmp_path, data, words, sentence):
    target = tmp_path / "m.safetensors"
    code, _, said = _run(capsys, "train", data, "-o", target, "--steps", 1, *words, *SMALL)
    assert code == 2 and sentence in said
    assert not target.exists()


def test_planes_for_a_model_of_volumes_are_told(capsys, tmp_path):
    model = tmp_path / "balls.safetensors"
    Model.fresh(ModelConfig("unet-3d", width=2, depth=1), "balls").save(model)
    tifffile.imwrite(tmp_path / "plane.tif", np.zeros((20, 20), np.uint8))
    words = ("segment", tmp_path / "plane.tif", "-o", tmp_path / "found.tif", "--model", model)
    code, _, said = _run(capsys, *words, *CPU)
    assert code == 2 and "The model is of volumes, and of the axes YX none is Z" in said


def test_a_model_of_volumes_is_taught_and_exported(capsys, tmp_path, data):
    model, more = tmp_path / "balls.safetensors", tmp_path / "more.safetensors"
    words = ("train", data, "-o", model, "--volumes", "--steps", 10, *SMALL, "--width", 4)
    words = (*words, "--batch", 2, "--learning-rate", "2e-2", "--average", 0.5)
    assert _run(capsys, *words)[0] == 0
    words = ("finetune", model, data, "-o", more, "--steps", 40, "--patch", 16, "--average", 0.9)
    words = (*words, "--learning-rate", "2e-2", *CPU)
    code, said, told = _run(capsys, *words)
    assert code == 0, told
    assert "kept aside: before" in said
    card = load_model(more).card
    assert card.parent == "balls" and "Learnt from" in card.history[-1]
    code, _, said = _run(capsys, *words, "--classes", "a")
    assert code == 2 and "leave --classes out" in said
    words = ("models", "export", more, "-o", tmp_path / "m.pt", "--format", "torchscript")
    assert _run(capsys, *words)[0] == 0 and (tmp_path / "m.pt").is_file()


@pytest.mark.parametrize(("z", "is_told"), [(1.0, False), (1.4, False), (3.0, True)])
def test_voxels_of_another_shape_than_was_learnt_are_told(capsys, tmp_path, z, is_told):
    model = tmp_path / "balls.safetensors"
    Model.fresh(ModelConfig("unet-3d", width=2, depth=1, anisotropy=2.0), "balls").save(model)
    _write(tmp_path / "v.tif", volume_example().image, (z, 0.5, 0.5))
    words = ("segment", tmp_path / "v.tif", "-o", tmp_path / "found.tif", "--model", model)
    code, _, said = _run(capsys, *words, *CPU)
    assert code == 0
    assert said == (
        "napari-unet: planes of v.tif lie 6 pixels apart, and those that the model has learnt 2; "
        "it may find its objects badly."
        if is_told
        else ""
    )
