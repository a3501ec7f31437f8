"""Packages of BioImage.IO that other programs have made."""

import contextlib
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

import zoo_packages as zoo
from napari_unet.core.errors import InputError, NapariUnetError
from napari_unet.core.model_file import Model, load_model
from napari_unet.core.models.graph import GraphNetwork
from napari_unet.core.segmentation import segment
from napari_unet.engine.tasks import ImportTask, run_task
from napari_unet.formats.zoo import is_package, read_package


def take_in(package, folder, **how):
    rounds = run_task(ImportTask(str(package), str(folder), **how), lambda: False)
    while True:
        try:
            next(rounds)
        except StopIteration as end:
            return end.value


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("folder", ["", "friendly-blobs/"])
def test_a_package_of_the_zoo_segments(tmp_path, version, folder):
    files = zoo.files_of()
    values = zoo.described(files) if version == "0.5" else zoo.described_in_0_4(files)
    path = zoo.write(tmp_path / "blobs.zip", files, values, folder)
    assert is_package(path)
    model = load_model(take_in(path, tmp_path))
    assert model.card.title == "Friendly Blobs" and "A. Stranger" in model.card.data
    plane = zoo.image(seed=1, side=200)  # larger than the test's, and no multiple of 16
    found = segment(plane, model)
    assert found.labels.max() == 4 and found.labels[15, 15] != found.labels[15, 47] > 0
    network = zoo.Blobs(2).eval()
    with torch.no_grad():
        inside, edge = network(torch.from_numpy(zoo.prepared(plane)))[0].numpy()
    away = np.s_[10:-10, 10:-10]  # ours continues the image by its mirror, not by zeros
    assert np.allclose(found.probability[1][away], (inside * (1 - edge))[away], atol=1e-3)


def test_a_tile_is_prepared_by_the_whole_image(tmp_path):
    files = zoo.files_of(1)
    model = load_model(
        take_in(zoo.write(tmp_path / "b.zip", files, zoo.described(files)), tmp_path)
    )
    plane = zoo.image(seed=2, side=320)
    from napari_unet.core.predict import predict_plane

    whole = predict_plane(plane[None], model)
    tiled = predict_plane(plane[None], model, tile=160)
    assert np.allclose(whole, tiled, atol=1e-5)


def test_onnx_by_percentiles(tmp_path):
    plane = zoo.image()
    low, high = np.percentile(plane, (1, 99))
    answer = 1 / (1 + np.exp(-4 * ((plane - low) / (high - low + 1e-6) - 0.5)))
    files = {
        "weights.onnx": zoo.onnx_graph(),
        "in.npy": zoo.npy(plane[None, None]),
        "out.npy": zoo.npy(answer[None, None].astype(np.float32)),
    }
    kwargs = {"axes": ["y", "x"], "min_percentile": 1, "max_percentile": 99}
    processing = [{"id": "ensure_dtype", "kwargs": {"dtype": "float32"}}]
    processing.append({"id": "scale_range", "kwargs": kwargs})
    values = zoo.described(files, "onnx", processing=processing)
    model = load_model(take_in(zoo.write(tmp_path / "b.zip", files, values), tmp_path))
    assert model.config.percentiles == (1, 99)
    found = segment(plane, model)
    assert found.labels.max() == 4
    assert np.allclose(found.probability[1], answer, atol=1e-3)


def test_our_own_package_comes_back_as_it_was(tmp_path, tmp_path_factory):
    from napari_unet.cli import main
    from napari_unet.core.config import ModelConfig

    model = Model.fresh(ModelConfig(width=4, depth=2), "mine").save(tmp_path / "mine.safetensors")
    out = tmp_path / "mine.zip"
    command = ["models", "export", model.card.path, "--format", "bioimageio", "-o", str(out)]
    assert main([*command, "--author", "A", "--licence", "CC0-1.0"]) == 0
    path = take_in(out, tmp_path_factory.mktemp("other"))
    assert Path(path).read_bytes() == Path(model.card.path).read_bytes()


def changed(**more):
    def change(files, values):
        values.update(more)

    return change


def no_graph(files, values):
    values["weights"] = {"pytorch_state_dict": {"source": "weights.pt"}}


def other_checksum(files, values):
    values["weights"]["torchscript"]["sha256"] = "0" * 64


def in_depth(files, values):
    values["inputs"][0]["axes"].insert(2, {"type": "space", "id": "z", "size": 8})


def one_size(files, values):
    values["inputs"][0]["axes"][2]["size"] = 256


def two_inputs(files, values):
    values["inputs"] *= 2


def by_a_program(files, values):
    values["inputs"][0]["preprocessing"] = [{"id": "custom", "kwargs": {"callable": "os.system"}}]


def other_scale(files, values):
    values["inputs"][0]["preprocessing"] = [{"id": "scale_linear", "kwargs": {"gain": 1e-3}}]


def logits(files, values):
    files["out.npy"] = zoo.npy(np.full((1, 2, 64, 64), -7, np.float32))
    values["outputs"][0]["test_tensor"] = "out.npy"


def affinities(files, values):
    files["out.npy"] = zoo.npy(np.full((1, 12, 64, 64), 0.5, np.float32))
    values["outputs"][0]["test_tensor"] = "out.npy"


def pickled(files, values):
    files["in.npy"] = zoo.npy(np.array([[[[{}]]]], dtype=object))
    values["inputs"][0]["test_tensor"] = "in.npy"


def huge(files, values):
    head = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1, 1000000, 1000000)}"
    files["in.npy"] = b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + bytes(99)
    values["inputs"][0]["test_tensor"] = "in.npy"


def divided_by_nothing(files, values):
    kwargs = {"mean": 1, "std": 0}
    steps = [{"id": "fixed_zero_mean_unit_variance", "kwargs": kwargs}]
    values["inputs"][0]["preprocessing"] = steps


def without_end(files, values):
    values["inputs"][0]["axes"][2]["size"] = {"min": float("inf"), "step": 16}


def elsewhere(files, values):
    values["weights"]["torchscript"] = {"source": "https://example.org/weights.pt"}


def outside(files, values):
    values["weights"]["torchscript"] = {"source": "../../../etc/passwd"}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (no_graph, "needs the program that made it, which is not run"),
        (other_checksum, "is damaged: weights.pt is not what it was"),
        (in_depth, "axes bczyx; planes of channels are needed"),
        (one_size, "images of one size only"),
        (two_inputs, "has 2 inputs; one is needed"),
        (by_a_program, "prepares images by custom, which is not known"),
        (other_scale, "its own test image gives other probabilities"),
        (logits, "numbers from -7 to -7, not with probabilities"),
        (affinities, "12 channels that are not classes"),
        (pickled, "not of one batch of channels"),
        (huge, "a test image is cut off"),
        (divided_by_nothing, "is damaged"),
        (without_end, "is damaged"),
        (elsewhere, "is not in the package"),
        (outside, "has no passwd"),
        (changed(type="dataset"), "it is no model but a dataset"),
        (changed(format_version="0.3.2"), "its format is 0.3.2"),
        (changed(inputs=7), "is damaged"),
        (changed(weights=None), "is damaged"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(tmp_path, change, sentence):
    files = zoo.files_of()
    values = zoo.described(files)
    change(files, values)
    path = zoo.write(tmp_path / "blobs.zip", files, values)
    with pytest.raises(InputError, match=sentence):
        take_in(path, tmp_path)
    assert not list(tmp_path.glob("*.safetensors")) and not list(tmp_path.glob("*.part"))


class Harmful:
    def __reduce__(self):
        return os.mkdir, ("harmed",)


@pytest.mark.parametrize("kind", ["torchscript", "onnx"])
def test_weights_that_are_a_pickle_are_not_unpickled(tmp_path, monkeypatch, kind):
    if kind == "onnx":
        pytest.importorskip("onnxruntime")
    monkeypatch.chdir(tmp_path)
    files = zoo.files_of()
    files["weights.pt"] = pickle.dumps(Harmful())
    values = zoo.described(files, kind)
    with pytest.raises(Exception, match="cannot be read as"):
        take_in(zoo.write(tmp_path / "b.zip", files, values), tmp_path)
    assert not (tmp_path / "harmed").exists()


def test_yaml_that_would_make_objects_is_refused(tmp_path):
    path = tmp_path / "b.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("rdf.yaml", "!!python/object/apply:os.mkdir ['harmed']")
    with pytest.raises(InputError, match="no YAML"):
        read_package(path)


LAUGHS = "a0: &a0 [ha, ha]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 8)
)
MERGED = "a0: &a0 {x: 1}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}\n" for n in range(1, 8)
)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (LAUGHS + "name: *a7", "unfolds to more text"),
        (MERGED, "unfolds to more text"),
        ("a: &a [*a]", "unfolds to more text"),
        ("[" * 1000, "no YAML"),
        ("a: 2001-99-99", "no YAML"),
        ("a: " + "9" * 5000, "no YAML"),
        ("", "is empty"),
        (" " * 2**23, "unpacks to more than"),
    ],
    ids=["laughs", "merged", "itself", "nested", "date", "number", "empty", "long"],
)
def test_a_description_that_unfolds_or_is_none_is_refused(tmp_path, text, sentence):
    path = tmp_path / "b.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rdf.yaml", text)
    with pytest.raises(InputError, match=sentence) as caught:
        read_package(path)
    assert "\n" not in str(caught.value)


def test_what_a_description_says_twice_may_be_an_alias(tmp_path):
    files = zoo.files_of()
    values = zoo.described(files)
    values["authors"] = values["maintainers"] = [{"name": "A. Stranger"}]
    path = zoo.write(tmp_path / "b.zip", files, values)
    with zipfile.ZipFile(path) as archive:
        assert b"*id001" in archive.read("bioimageio.yaml")
    assert read_package(path).card.title == "Friendly Blobs"


@pytest.mark.parametrize("name", ["../../evil", "/evil", "C:\\evil", "..", "a/b", "x" * 5000])
def test_the_name_of_a_package_is_never_a_path(tmp_path, name):
    files = zoo.files_of()
    folder = tmp_path / "in" / "deep"
    folder.mkdir(parents=True)
    path = zoo.write(tmp_path / "b.zip", files, zoo.described(files) | {"name": name})
    with contextlib.suppress(NapariUnetError):  # a name that is too long for a file
        assert Path(take_in(path, folder)).parent == folder
    made = {one.relative_to(tmp_path).parts[:2] for one in tmp_path.rglob("*.safetensors")}
    assert made <= {("in", "deep")}


def test_a_zip_of_rois_is_no_package(tmp_path):
    path = zoo.write(tmp_path / "b.zip", {}, {})
    assert is_package(path)
    (tmp_path / "x.zip").write_bytes(b"PK")
    assert not is_package(tmp_path / "x.zip")


def test_it_segments_and_is_not_taught(tmp_path):
    from napari_unet.core.example import Example
    from napari_unet.core.fine_tuning import finetune

    files = zoo.files_of()
    path = take_in(zoo.write(tmp_path / "b.zip", files, zoo.described(files)), tmp_path)
    model = load_model(path)
    assert isinstance(model.network, GraphNetwork)
    labels = (zoo.image() > 800).astype(np.int32)
    with pytest.raises(InputError, match="cannot be taught"):
        finetune(model, [Example(zoo.image(), labels)], steps=1)
    again = model.save(tmp_path / "again.safetensors")
    assert load_model(again.card.path).config == model.config
    with pytest.raises(InputError, match="There is a model called Friendly-Blobs"):
        take_in(tmp_path / "b.zip", tmp_path)
    assert take_in(tmp_path / "b.zip", tmp_path, force=True) == path
