"""The command line where the size of objects, and runs that were stopped, come in."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest
import tifffile

from brightness import brightness_model
from napari_unet import cli
from napari_unet.formats.images import read_labels, write_labels
from small_scenes import discs, photograph


@pytest.fixture
def data(tmp_path):
    """A folder with four small images of a few discs, and their labels."""
    folder = tmp_path / "data"
    (folder / "images").mkdir(parents=True)
    for seed in range(4):
        truth = discs((64, 64), [(14, 14), (14, 46), (32 + seed, 30), (48, 14), (48, 48)])
        tifffile.imwrite(folder / "images" / f"n{seed}.tif", photograph(truth, seed))
        write_labels(folder / "labels" / f"n{seed}.tif", truth)
    return folder


def _run(capsys, *words):
    """Run the command; return its exit code, what it printed, and the sentence it ended with."""
    code = cli.main([str(word) for word in words])
    out, err = capsys.readouterr()
    sentences = [line for line in err.splitlines() if line.startswith("napari-unet: ")]
    return code, out, "\n".join(sentences)


@pytest.fixture
def bright_model(tmp_path):
    """A model file that takes what is bright for cells, and knows those of 20 px."""
    path = tmp_path / "bright.safetensors"
    brightness_model(diameter=20.0, min_size=20).save(path)
    return path


@pytest.fixture
def discs_of_14(tmp_path):
    """An image of discs of 14 px."""
    places = [(y, x) for y in range(20, 140, 30) for x in range(20, 140, 30)]
    image = np.uint8(200) * (discs((150, 150), places, 7) > 0)
    tifffile.imwrite(tmp_path / "discs.tif", image)
    return tmp_path / "discs.tif"


def test_segment_says_how_large_objects_are(capsys, tmp_path, bright_model, discs_of_14):
    words = ("segment", discs_of_14, "-o", tmp_path / "found.tif", "--model", bright_model)
    code, out, _ = _run(capsys, *words, "--device", "cpu")
    assert code == 0
    assert "discs.tif: 16 objects, measured 14 px across, written to" in out


@pytest.mark.parametrize("diameter", [14, 20, 40])
def test_segment_takes_the_diameter_it_is_given(
    capsys, tmp_path, bright_model, discs_of_14, diameter
):
    words = ("segment", discs_of_14, "-o", tmp_path / "found.tif", "--model", bright_model)
    code, out, _ = _run(capsys, *words, "--diameter", diameter, "--device", "cpu")
    assert code == 0
    assert "measured" not in out
    # The smallest object grows with the diameter: to 80 pixels, of 154.
    assert "discs.tif: 16 objects, written to" in out
    assert read_labels(tmp_path / "found.tif")[0].shape == (150, 150)


def test_segment_averages_mirror_images(capsys, tmp_path, bright_model, discs_of_14, monkeypatch):
    from napari_unet.core import segmentation

    asked = []
    original = segmentation.predict_with_deviation

    def spy(*args, **options):
        asked.append(options["average"])
        return original(*args, **options)

    monkeypatch.setattr(segmentation, "predict_with_deviation", spy)
    words = ("segment", discs_of_14, "-o", tmp_path / "found.tif", "--model", bright_model)
    for average in ((), ("--flips",), ("--average", "rotations")):
        code, out, _ = _run(capsys, *words, *average, "--device", "cpu")
        assert code == 0
        assert "16 objects" in out
    assert asked == ["none", "flips", "rotations"]


def test_segment_writes_how_unsure_it_is(capsys, tmp_path, bright_model, discs_of_14):
    out = tmp_path / "out"
    words = ("segment", discs_of_14, "-o", out, "--model", bright_model, "--device", "cpu")
    asks = ("--average", "flips", "--uncertainty")
    assert _run(capsys, *words, *asks)[0] == 0
    written = out / "discs_uncertainty.tif"
    found = tifffile.imread(written)
    assert (found.shape, found.dtype) == ((150, 150), np.float32)
    assert 0 <= found.min() <= found.max() <= 0.5
    written.unlink()  # then the labels alone do not count as done
    assert _run(capsys, *words, *asks)[0] == 0
    assert written.exists()
    # What was written is no image to segment.
    again = ("segment", out, "-o", tmp_path / "again", "--model", bright_model)
    code, _, said = _run(capsys, *again)
    assert code == 2
    assert "There are no images" in said


def test_segment_refuses_an_uncertainty_where_nothing_is_averaged(capsys, tmp_path, discs_of_14):
    words = ("segment", discs_of_14, "-o", tmp_path / "found.tif", "--uncertainty")
    code, _, said = _run(capsys, *words)
    assert code == 2
    assert "give --average flips" in said


@pytest.mark.parametrize("diameter", ["0", "10001", "wide"])
def test_segment_refuses_impossible_diameters(capsys, tmp_path, discs_of_14, diameter):
    words = ("segment", discs_of_14, "-o", tmp_path / "found.tif", "--diameter", diameter)
    code, _, said = _run(capsys, *words)
    assert code == 2
    assert diameter in said


def test_segment_with_a_model_that_knows_no_size(capsys, tmp_path, discs_of_14):
    model = tmp_path / "sizeless.safetensors"
    brightness_model().save(model)
    words = ("segment", discs_of_14, "-o", tmp_path / "found.tif", "--model", model)
    code, out, _ = _run(capsys, *words)
    assert code == 0
    assert "16 objects, written to" in out
    code, _, said = _run(capsys, *words, "--diameter", 14)
    assert code == 2
    assert "cannot use --diameter; leave it out" in said


TINY = ("--width", 2, "--depth", 1, "--patch", 32, "--batch", 1, "--device", "cpu")


def _trained(capsys, data, model, *words):
    """Train with these options; the config of the model, and its card."""
    from napari_unet.core.library import read_model_header

    code, _, said = _run(capsys, "train", data, "-o", model, *TINY, *words)
    assert code == 0, said
    return read_model_header(model)


@pytest.mark.parametrize(
    ("options", "diameter"), [(("--diameter", 15), 15), (("--diameter", 0), None)]
)
def test_train_takes_the_size_of_objects_it_is_given(capsys, tmp_path, data, options, diameter):
    config, _ = _trained(capsys, data, tmp_path / "m.safetensors", "--steps", 1, *options)
    assert config.diameter == diameter


@pytest.mark.parametrize(("radius", "known"), [(8, 16), (3, 12), (30, 40)])
def test_train_brings_objects_to_their_median_size_within_bounds(
    capsys, tmp_path, data, radius, known
):
    for path in (data / "labels").iterdir():
        write_labels(path, discs((64, 64), [(32, 32)], radius))
    config, _ = _trained(capsys, data, tmp_path / "m.safetensors", "--steps", 1)
    assert config.diameter == pytest.approx(known, abs=0.5)


def test_train_shows_the_network_objects_of_that_size(capsys, tmp_path, data, monkeypatch):
    from napari_unet.commands import train

    seen = []
    original = train.iter_train

    def spy(examples, config, **options):
        seen.extend(example.diameter for example in examples)
        return original(examples, config, **options)

    monkeypatch.setattr(train, "iter_train", spy)
    for path, radius in zip(sorted((data / "labels").iterdir()), (5, 8, 11, None), strict=True):
        empty = np.zeros((64, 64), np.int32)
        write_labels(path, discs((64, 64), [(32, 32)], radius) if radius else empty)
    _trained(capsys, data, tmp_path / "m.safetensors", "--steps", 1)
    assert seen == pytest.approx([10, 16, 22, 16], abs=0.7)  # the empty one takes the others'


@pytest.mark.parametrize(
    ("options", "compress"), [((), 0.1), (("--compress", 0), 0), (("--compress", 2), 2)]
)
def test_train_compresses_intensities_as_it_is_told(capsys, tmp_path, data, options, compress):
    config, _ = _trained(capsys, data, tmp_path / "m.safetensors", "--steps", 1, *options)
    assert config.compress == compress


@pytest.fixture
def stopped(capsys, tmp_path, data, monkeypatch):
    """A run of six steps that was stopped after two."""
    from napari_unet.commands import learning, train

    @contextmanager
    def stop_after_two():
        steps = iter(range(100))
        yield lambda: next(steps) >= 2

    model = tmp_path / "mine.safetensors"
    monkeypatch.setattr(train, "stop_key", stop_after_two)
    _, card = _trained(capsys, data, model, "--steps", 6)
    assert "(2 steps" in card.history[-1]
    assert model.with_suffix(".resume").is_file()
    monkeypatch.setattr(train, "stop_key", learning.stop_key)
    return model


def test_train_goes_on_with_what_was_stopped(capsys, tmp_path, data, stopped):
    from safetensors.numpy import load_file

    _, card = _trained(capsys, data, stopped, "--steps", 6, "--resume")
    assert "(6 steps" in card.history[-1]
    assert not stopped.with_suffix(".resume").exists()
    whole = tmp_path / "whole.safetensors"
    _trained(capsys, data, whole, "--steps", 6)
    resumed, expected = load_file(stopped), load_file(whole)
    for name, weights in expected.items():
        np.testing.assert_allclose(resumed[name], weights, atol=2e-3, err_msg=name)


def test_train_begins_anew_unless_told_to_go_on(capsys, data, stopped):
    _, card = _trained(capsys, data, stopped, "--steps", 6)
    assert "(6 steps" in card.history[-1]
    assert not stopped.with_suffix(".resume").exists()


def test_train_goes_on_with_the_same_run_alone(capsys, data, stopped):
    before = stopped.read_bytes()
    words = ("train", data, "-o", stopped, *TINY, "--steps", 7, "--resume")
    code, _, said = _run(capsys, *words)
    assert code == 2
    assert "begun with other images or settings" in said
    assert stopped.read_bytes() == before
    assert stopped.with_suffix(".resume").is_file()


def test_train_with_nothing_to_go_on_with_begins(capsys, tmp_path, data):
    _, card = _trained(capsys, data, tmp_path / "m.safetensors", "--steps", 2, "--resume")
    assert "(2 steps" in card.history[-1]


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("train", ("--diameter", "--compress", "--resume")),
        ("segment", ("--diameter", "--min-size", "--average", "--flips", "--uncertainty")),
    ],
)
def test_help_names_the_options(capsys, command, options):
    assert cli.main([command, "--help"]) == 0
    said = capsys.readouterr().out
    assert all(option in said for option in options)
