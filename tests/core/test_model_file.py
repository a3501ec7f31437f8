"""Model files: there and back, never half written, never unpickled."""

import json
import os
import pickle
import stat
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from napari_unet.core import model_file
from napari_unet.core.config import ModelCard, ModelConfig
from napari_unet.core.errors import ModelFileError
from napari_unet.core.library import read_model_header
from napari_unet.core.model_file import Model, load_model
from small_scenes import SMALL, small_model

IMAGE = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def saved(tmp_path):
    return small_model().save(tmp_path / "cells.safetensors")


def rewritten(path, tensors=None, **metadata):
    """Write the file again with other tensors or metadata; None takes an entry away."""
    config, card = read_model_header(path)
    old = {
        "napari_unet_format": "1",
        "config": json.dumps(config.to_json()),
        "card": json.dumps(card.to_json()),
    }
    entries = {key: value for key, value in (old | metadata).items() if value is not None}
    save_file(load_file(path) if tensors is None else tensors, path, entries)


def test_a_model_comes_back_as_it_was_saved(tmp_path):
    config = ModelConfig(width=4, depth=1, in_channels=2, percentiles=(0.5, 99), threshold=0.3)
    card = ModelCard("a", "A title", scores={"AP 0.50": 0.8}, held_out=("x",), history=("once",))
    model = replace(Model.fresh(config, seed=3), card=card)
    path = tmp_path / "deeper" / "a.safetensors"
    returned = model.save(path, half=False)
    loaded = load_model(path)
    assert loaded.config == config
    assert loaded.card == returned.card == replace(card, path=str(path))
    for name, tensor in model.network.state_dict().items():
        assert torch.equal(loaded.network.state_dict()[name], tensor)
    assert not loaded.network.training


@pytest.mark.parametrize("architecture", ["unet", "unet-valid"])
def test_half_precision_halves_the_file_and_hardly_changes_the_answer(tmp_path, architecture):
    config = ModelConfig(architecture=architecture, width=8, depth=1)
    model = Model.fresh(config)
    sizes, answers = [], []
    image = torch.rand(1, 1, 24, 24, generator=torch.Generator().manual_seed(0))
    for half in (False, True):
        path = tmp_path / f"{half}.safetensors"
        model.save(path, half=half)
        sizes.append(path.stat().st_size)
        answers.append(load_model(path).network(image).softmax(1))
    assert sizes[1] < 0.7 * sizes[0]
    torch.testing.assert_close(*answers, atol=5e-3, rtol=0)


def test_a_loaded_network_can_be_trained(saved):
    network = load_model(saved.card.path).network
    network(IMAGE).sum().backward()
    assert all(weight.grad is not None for weight in network.parameters())
    assert all(weight.dtype == torch.float32 for weight in network.parameters())


@pytest.mark.skipif(os.name == "nt", reason="Windows has no file modes")
@pytest.mark.parametrize("mask", [0o022, 0o027])
def test_others_may_read_a_model_as_any_file_of_that_user(tmp_path, mask):
    before = os.umask(mask)
    try:
        path = tmp_path / "cells.safetensors"
        small_model().save(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


@pytest.mark.parametrize("failing", ["fsync", "save"])
def test_a_failure_while_writing_leaves_the_old_file_whole(saved, tmp_path, monkeypatch, failing):
    path = tmp_path / "cells.safetensors"
    old = path.read_bytes()

    def disk_full(*_):
        raise OSError(28, "No space left on device")

    def no_memory(*_):
        raise OSError(12, "Cannot allocate memory")

    place, fail = (os, disk_full) if failing == "fsync" else (model_file, no_memory)
    monkeypatch.setattr(place, failing, fail)
    with pytest.raises(ModelFileError, match=r"could not be written to .*: (No space|Cannot)"):
        small_model(seed=1).save(path)
    assert path.read_bytes() == old
    assert [entry.name for entry in tmp_path.iterdir()] == ["cells.safetensors"]


def test_weights_that_are_not_finite_are_not_saved(saved):
    network = small_model().network
    with torch.no_grad():
        network.head.bias[0] = float("nan")
    with pytest.raises(ModelFileError, match="not finite; train it again"):
        replace(small_model(), network=network).save(saved.card.path)
    load_model(saved.card.path)


@pytest.mark.parametrize("name", ["cells.pt", "cells", "cells.safetensors.zip"])
def test_another_ending_is_refused(tmp_path, name):
    with pytest.raises(ModelFileError, match=r"ends in \.safetensors"):
        small_model().save(tmp_path / name)
    assert not list(tmp_path.iterdir())


class Bomb:
    def __reduce__(self):
        return pytest.fail, ("It was unpickled.",)


def zip_of_torch(path):
    torch.save({"weights": Bomb()}, path)


def pickled(path):
    path.write_bytes(pickle.dumps(Bomb()))


def zipped(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("weights", "0")


def huge_header(path):
    path.write_bytes((2**63 - 1).to_bytes(8, "little") + b"{}")


@pytest.mark.parametrize(
    "make",
    [
        zip_of_torch,
        pickled,
        zipped,
        huge_header,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\x00" * 100),
        lambda path: path.write_text("weights: none\n" * 20),
        lambda path: np.save(path.open("wb"), np.zeros(4)),
    ],
    ids=["torch", "pickle", "zip", "huge header", "empty", "zeros", "text", "npy"],
)
@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
def test_a_file_of_another_kind_is_refused_and_never_unpickled(tmp_path, make):
    path = tmp_path / "odd.safetensors"
    make(path)
    with pytest.raises(ModelFileError, match=r"odd\.safetensors .*(damaged|not a napari-unet)"):
        load_model(path)


@pytest.mark.parametrize("part", [0.05, 0.3, 0.9, 0.999])
def test_a_file_cut_short_is_refused(saved, tmp_path, part):
    path = tmp_path / "cells.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(ModelFileError, match="damaged"):
        load_model(path)


def test_weights_of_another_program_are_refused(tmp_path):
    path = tmp_path / "foreign.safetensors"
    save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(ModelFileError, match="is not a napari-unet model"):
        load_model(path)


def settings(**changes):
    return json.dumps(SMALL.to_json() | changes)


@pytest.mark.parametrize(
    ("metadata", "sentence"),
    [
        ({"napari_unet_format": "2"}, "newer version; update napari-unet"),
        ({"napari_unet_format": "one"}, "newer version; update napari-unet"),
        ({"napari_unet_format": "²"}, "newer version; update napari-unet"),
        ({"napari_unet_format": "9" * 5000}, "newer version; update napari-unet"),
        ({"config": "[" * 100_000}, "damaged: its settings are missing"),
        ({"card": '{"a":' * 100_000}, "damaged: its settings are missing"),
        ({"config": None}, "damaged: its settings are missing"),
        ({"card": None}, "damaged: its settings are missing"),
        ({"config": "{"}, "damaged: its settings are missing"),
        ({"config": "5"}, "damaged: its settings are missing"),
        ({"card": "[1]"}, "damaged: its settings are missing"),
        ({"config": settings(width="wide")}, "settings cannot be used"),
        ({"config": settings(width=10**6)}, "settings cannot be used"),
        ({"config": settings(percentiles=[1])}, "settings cannot be used"),
        ({"config": settings(tiles=3)}, "does not know .tiles."),
        ({"config": settings(width=5)}, "weights do not fit"),
        ({"config": settings(depth=3)}, "weights do not fit"),
        ({"config": settings(width=256, depth=7)}, "weights do not fit"),  # 100 GB if it were built
        ({"config": settings(architecture="unet-valid")}, "weights do not fit"),
    ],
)
def test_settings_that_do_not_fit_are_told_in_a_sentence(saved, metadata, sentence):
    rewritten(saved.card.path, **metadata)
    with pytest.raises(ModelFileError, match=sentence):
        load_model(saved.card.path)


def test_weights_that_are_not_finite_are_not_loaded(saved):
    weights = load_file(saved.card.path)
    weights["head.bias"][0] = float("inf")
    rewritten(saved.card.path, weights)
    with pytest.raises(ModelFileError, match="not finite"):
        load_model(saved.card.path)


def test_a_missing_file_is_told_with_its_name(tmp_path):
    with pytest.raises(ModelFileError, match=r"no model file .*gone\.safetensors"):
        load_model(tmp_path / "gone.safetensors")


def test_a_fresh_model_is_the_same_for_the_same_seed():
    first, again, other = (small_model(seed).network.head.weight for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
