"""The command line: exit codes, sentences, and the files it writes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import tifffile

from napari_unet import cli, sample_data
from napari_unet.core.loss_config import LossConfig
from napari_unet.core.model_file import load_model
from napari_unet.formats.images import read_labels, write_labels


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """An untrained model file, for one channel and objects of 20 px."""
    from napari_unet.core.config import ModelConfig
    from napari_unet.core.model_file import Model

    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    Model.fresh(ModelConfig(width=2, depth=1, diameter=20.0), "tiny").save(path)
    return path


@pytest.fixture
def data(tmp_path):
    """A folder with four small images and their labels."""
    folder = tmp_path / "data"
    (folder / "images").mkdir(parents=True)
    for seed in range(4):
        image, truth = sample_data.nuclei((64, 64), seed)
        tifffile.imwrite(folder / "images" / f"n{seed}.tif", image)
        write_labels(folder / "labels" / f"n{seed}.tif", truth)
    return folder


def _run(capsys, *words):
    """Run the command; return its exit code, what it printed, and the sentence it ended with."""
    code = cli.main([str(word) for word in words])
    out, err = capsys.readouterr()
    sentences = [line for line in err.splitlines() if line.startswith("napari-unet: ")]
    return code, out, "\n".join(sentences)


def test_help_and_lists_start_without_torch_or_qt():
    code = (
        "import sys; from napari_unet.cli import main; main(['models']); main(['--help']);"
        "main(['evaluate', '--help']);"
        "print({'torch', 'napari', 'qtpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


def test_evaluate_needs_no_torch(data):
    code = (
        "import sys; from napari_unet.cli import main; main(sys.argv[1:]);"
        "print({'torch', 'napari', 'qtpy'} & set(sys.modules))"
    )
    words = [sys.executable, "-c", code, "evaluate", data / "labels", data / "labels"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "required"),
        (["dance"], "invalid choice"),
        (["segment", "a.tif"], "-o"),
        (["segment", "a.tif", "-o", "b", "--threshold", "2"], "2 is not from 0 to 1"),
        (["segment", "a.tif", "-o", "b", "--min-size", "x"], "not a whole number"),
        (["train", "d", "-o", "m.safetensors", "--steps", "0"], "0 is not from 1"),
        (["train", "d", "-o", "m.safetensors", "--diameter", "-1"], "-1 is not from 0 to 10000"),
        (["train", "d", "-o", "m.safetensors", "--compress", "101"], "101 is not from 0 to 100"),
        (["train", "d", "-o", "m.safetensors", "--loss", "dic"], "Loss 'dic' is not known; use"),
        (["train", "d", "-o", "m.safetensors", "--architecture", "vnet"], "invalid choice: 'vnet'"),
        (["train", "d", "-o", "m.safetensors", "--norm", "layer"], "invalid choice: 'layer'"),
        (["models", "prune", "m", "-o", "n", "--depth", "1"], "ends in .safetensors"),
        (["segment", "gone.tif", "-o", "b", "--model", "nothing"], "no model named 'nothing'"),
        (["segment", "gone*.tif", "-o", "b"], "No file fits the pattern"),
        (["train", "gone", "-o", "m.safetensors"], "There is no folder"),
        (["train", "gone", "-o", "m.pt"], "m.safetensors"),
        (["finetune", "nothing", "gone", "-o", "m.safetensors"], "no model named 'nothing'"),
        (["evaluate", "gone", "gone"], "There is no file or folder gone"),
        (["models", "show", "nothing"], "no model named 'nothing'"),
        (["models", "import", "gone.safetensors"], "There is no model file"),
        (["view", "gone.tif"], "There is no file gone.tif"),
    ],
)
def test_wrong_use_gives_a_sentence_and_code_2(capsys, tmp_path, monkeypatch, words, sentence):
    monkeypatch.chdir(tmp_path)
    code, _, said = _run(capsys, *words)
    assert code == 2
    assert sentence in said
    assert len(said.splitlines()) == 1


def test_our_failure_gives_a_sentence_and_code_1(capsys, monkeypatch):
    from napari_unet.commands import models

    def fail(args):
        raise KeyError("surprise")

    monkeypatch.setattr(models, "run", fail)
    code = cli.main(["models"])
    err = capsys.readouterr().err
    assert code == 1
    assert err.startswith("napari-unet: Something went wrong that should not (KeyError: 'surprise'")
    assert "Traceback" not in err
    assert cli.main(["models", "list", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_version(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("napari-unet 0.")


def test_segment_a_file_to_a_file(capsys, tmp_path, data, tiny_model):
    target = tmp_path / "found.tif"
    image = data / "images" / "n0.tif"
    code, out, _ = _run(capsys, "segment", image, "-o", target, "--model", tiny_model)
    assert code == 0
    labels, axes = read_labels(target)
    assert labels.shape == (64, 64)
    assert axes == "YX"
    assert f"{labels.max()} object" in out


def test_segment_a_folder_passes_its_own_labels_over(capsys, data, tiny_model):
    folder = data / "images"
    for _ in range(2):
        assert _run(capsys, "segment", folder, "-o", folder, "--model", tiny_model)[0] == 0
    assert sorted(path.name for path in folder.glob("*_labels.tif")) == [
        f"n{seed}_labels.tif" for seed in range(4)
    ]


def test_segment_keeps_subfolders_and_takes_patterns(capsys, tmp_path, data, tiny_model):
    words = ("-o", tmp_path / "out", "--model", tiny_model)
    assert _run(capsys, "segment", data, "--recursive", *words)[0] == 0
    assert (tmp_path / "out" / "images" / "n1_labels.tif").is_file()
    assert _run(capsys, "segment", data / "images" / "n[01].tif", *words)[0] == 0
    assert len(list((tmp_path / "out").glob("*.tif"))) == 2


def test_segment_goes_on_after_a_bad_file_and_names_it(capsys, tmp_path, data, tiny_model):
    (data / "images" / "n1.tif").write_bytes(b"broken")
    words = ("-o", tmp_path / "out", "--model", tiny_model)
    code, out, said = _run(capsys, "segment", data / "images", *words)
    assert code == 2
    assert len(out.splitlines()) == 3
    assert "n1.tif cannot be read" in said
    assert "1 of 4 images could not be segmented" in said


def test_segment_a_stack_keeps_its_axes(capsys, tmp_path, tiny_model):
    stack = np.stack([sample_data.nuclei((40, 48), seed)[0] for seed in range(3)])
    options = {"imagej": True, "metadata": {"axes": "ZYX"}}
    tifffile.imwrite(tmp_path / "stack.tif", stack, **options)
    words = ("-o", tmp_path / "out", "--model", tiny_model)
    assert _run(capsys, "segment", tmp_path / "stack.tif", *words)[0] == 0
    labels, axes = read_labels(tmp_path / "out" / "stack_labels.tif")
    assert (labels.shape, axes) == ((3, 40, 48), "ZYX")


@pytest.mark.parametrize(
    ("options", "code", "sentence"),
    [
        ([], 2, "has 3 channels and the model takes 1; choose with --channel"),
        (["--channel", "1"], 0, ""),
        (["--channel", "grey"], 0, ""),
        (["--channel", "3"], 2, "has no channel 3; its channels are 0 to 2"),
        (["--channel", "red"], 2, "'red' is not known"),
        (["--axes", "YX"], 2, "The axes YX do not fit"),
        (["--axes", "ZYX"], 0, ""),
    ],
)
def test_segment_channels_and_axes(capsys, tmp_path, tiny_model, options, code, sentence):
    image = np.random.default_rng(0).integers(0, 255, (3, 32, 40)).astype(np.uint8)
    settings = {"imagej": True, "metadata": {"axes": "CYX"}}
    tifffile.imwrite(tmp_path / "rgb.tif", image, **settings)
    words = ("-o", tmp_path / "out", "--model", tiny_model, *options)
    done, _, said = _run(capsys, "segment", tmp_path / "rgb.tif", *words)
    assert done == code
    assert sentence in said


def test_segment_never_writes_over_an_image(capsys, data, tiny_model):
    image = data / "images" / "n0.tif"
    before = image.read_bytes()
    code, _, said = _run(capsys, "segment", image, "-o", image, "--model", tiny_model)
    assert code == 2
    assert "is one of the images" in said
    assert image.read_bytes() == before


def test_segment_many_images_do_not_fit_one_file(capsys, data, tiny_model):
    words = ("-o", data / "all.tif", "--model", tiny_model)
    assert "name a folder" in _run(capsys, "segment", data / "images", *words)[2]


def test_train_then_finetune(capsys, tmp_path, data, monkeypatch):
    from napari_unet.core.library import read_model_header

    model = tmp_path / "mine.safetensors"
    tiny = ("--width", 2, "--depth", 1, "--patch", 32, "--batch", 1, "--device", "cpu")
    code, out, _ = _run(capsys, "train", data, "-o", model, "--steps", 2, "--held-out", 0.25, *tiny)
    assert code == 0
    assert "AP 0.50 on 1 images held out" in out
    config, card = read_model_header(model)
    assert (config.width, config.depth, config.in_channels) == (2, 1, 1)
    assert card.name == "mine"
    assert len(card.held_out) == 1
    assert "AP 0.50" in card.scores
    taught = tmp_path / "taught.safetensors"
    words = ("--epochs", 0.1, "--freeze", 1, "--patch", 32, "--batch", 1, "--device", "cpu")
    code, out, said = _run(capsys, "finetune", model, data, "-o", taught, *words)
    assert code == (0 if taught.exists() else 1)
    assert "Learnt from" in out or "did not help" in said


def test_finetune_learns_classes_by_name(capsys, tmp_path, data, tiny_model):
    for path in (data / "labels").glob("*.tif"):
        image = tifffile.imread(data / "images" / path.name)
        write_labels(path, np.digitize(image, np.percentile(image, [80, 95])).astype(np.int32))
    words = ("--steps", 40, "--patch", 32, "--batch", 1, "--device", "cpu", "--keep", 0)
    out, out2 = tmp_path / "c.safetensors", tmp_path / "d.safetensors"
    code, *said = _run(
        capsys, "finetune", tiny_model, data, "-o", out, "--classes", "dim, bright", *words
    )
    assert code == 0, said
    assert "checked patches" in said[0]
    model = load_model(out)
    assert model.config.classes == ("background", "dim", "bright") and model.config.semantic
    code, *said = _run(
        capsys, "finetune", out, data, "-o", out2, "--classes", "bright,rest", *words
    )
    assert code == 0, said
    assert load_model(out2).config.classes == ("background", "dim", "bright", "rest")
    code, _, said = _run(capsys, "finetune", out, data, "-o", out2, "--classes", "one", *words)
    assert code == 2 and "A label is 2, and 1 classes are named" in said


def test_more_levels_to_freeze_than_there_are_is_one_sentence(capsys, tmp_path, data, tiny_model):
    words = ("finetune", tiny_model, data, "-o", tmp_path / "m.safetensors", "--freeze", 8)
    code, _, said = _run(capsys, *words)
    assert code == 2
    assert "8 levels are to stay as they are; the network's contracting path has" in said


def test_finetune_takes_only_images_with_a_checked_mask(data):
    from napari_unet.commands.data import read_examples
    from napari_unet.commands.inputs import Reading

    mask = np.zeros((64, 64), np.uint8)
    mask[:32] = 255
    write_labels(data / "checked" / "n2.tif", mask)
    (named,) = read_examples(data, Reading())
    assert named.name == "n2"
    assert named.example.mask.sum() == 32 * 64


def test_stacks_are_taught_plane_by_plane(tmp_path):
    from napari_unet.commands.data import read_examples
    from napari_unet.commands.inputs import Reading

    (tmp_path / "images").mkdir()
    stack = np.zeros((3, 2, 8, 9), np.uint8)
    options = {"imagej": True, "metadata": {"axes": "ZCYX"}}
    tifffile.imwrite(tmp_path / "images" / "a.tif", stack, **options)
    write_labels(tmp_path / "labels" / "a_labels.tif", np.ones((3, 8, 9), np.int32), "ZYX")
    examples = read_examples(tmp_path, Reading())
    assert len(examples) == 3
    assert examples[0].example.image_cyx.shape == (2, 8, 9)


def test_images_without_labels_are_named(capsys, tmp_path, data):
    (data / "labels" / "n3.tif").unlink()
    code, _, said = _run(capsys, "train", data, "-o", tmp_path / "m.safetensors", "--steps", 1)
    assert code == 2
    assert "no labels for n3" in said


def test_held_out_by_a_list_of_names(tmp_path):
    from napari_unet.commands.data import held_out_names

    (tmp_path / "list.txt").write_text("b.tif\n\na\n", encoding="utf-8")
    assert held_out_names(str(tmp_path / "list.txt"), ["a", "b", "c"], 0) == ("a", "b")
    assert held_out_names("c,a", ["a", "b", "c"], 0) == ("a", "c")
    with pytest.raises(ValueError, match="none of these"):
        held_out_names("gone.txt", ["a", "b"], 0)
    with pytest.raises(ValueError, match="Every image"):
        held_out_names(str(tmp_path / "list.txt"), ["a", "b"], 0)


def test_evaluate_perfect_and_pooled(capsys, tmp_path, data):
    code, out, _ = _run(capsys, "evaluate", data / "labels", data / "labels", "--json")
    values = json.loads(out)
    assert code == 0
    assert set(values["images"]) == {"n0", "n1", "n2", "n3"}
    assert values["all"]["AP 0.90"] == values["all"]["PQ"] == 1
    objects = [one["true objects"] for one in values["images"].values()]
    assert values["all"]["true objects"] == sum(objects)


def test_evaluate_two_files_by_hand(capsys, tmp_path):
    truth, found = np.zeros((2, 20, 20), np.int32)
    truth[2:8, 2:8], truth[12:18, 12:18] = 1, 2
    found[2:8, 2:8], found[12:14, 2:4] = 1, 2
    write_labels(tmp_path / "t.tif", truth)
    write_labels(tmp_path / "p.tif", found)
    code, out, _ = _run(capsys, "evaluate", tmp_path / "t.tif", tmp_path / "p.tif")
    lines = dict(line.rsplit(maxsplit=1) for line in out.splitlines())
    assert code == 0
    assert lines["AP 0.50"] == "0.333"  # one found, one missed, one false
    assert lines["F1"] == "0.500"
    assert lines["true objects"] == "2"


def test_evaluate_json_has_no_infinity(capsys, tmp_path):
    write_labels(tmp_path / "t.tif", np.ones((9, 9), np.int32))
    write_labels(tmp_path / "p.tif", np.zeros((9, 9), np.int32))
    out = _run(capsys, "evaluate", tmp_path / "t.tif", tmp_path / "p.tif", "--json")[1]
    assert json.loads(out)["all"]["Hausdorff distance"] is None


def test_evaluate_names_what_is_missing(capsys, tmp_path, data):
    write_labels(tmp_path / "found" / "n0_labels.tif", np.zeros((64, 64), np.int32))
    code, _, said = _run(capsys, "evaluate", data / "labels", tmp_path / "found")
    assert code == 2
    assert "nothing for n1 and 2 more" in said


def test_models_import_list_show(capsys, home, tiny_model):
    assert _run(capsys, "models", "import", tiny_model, "--name", "my-cells")[0] == 0
    assert (home / "models" / "my-cells.safetensors").is_file()
    assert "my-cells" in _run(capsys, "models", "list")[1]
    assert "width 2, depth 1" in _run(capsys, "models", "show", "my-cells")[1]
    shown = json.loads(_run(capsys, "models", "show", "my-cells", "--json")[1])
    assert shown["config"]["width"] == 2


def test_models_import_replaces_only_with_force(capsys, tiny_model):
    assert _run(capsys, "models", "import", tiny_model)[0] == 0
    code, _, said = _run(capsys, "models", "import", tiny_model)
    assert code == 2
    assert "There is a model called tiny" in said
    assert _run(capsys, "models", "import", tiny_model, "--force")[0] == 0


@pytest.mark.parametrize("name", ["../up", "a/b", ".hidden", ""])
def test_models_import_refuses_names_that_are_paths(capsys, tiny_model, name):
    code, _, said = _run(capsys, "models", "import", tiny_model, "--name", name)
    assert code == 2
    assert "cannot be called" in said


def test_models_import_refuses_what_is_no_model(capsys, tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"nonsense")
    code, _, said = _run(capsys, "models", "import", tmp_path / "a.safetensors")
    assert code == 2
    assert "cannot be read as a model" in said


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere there is a display")
def test_view_without_a_display_says_so(capsys, monkeypatch):
    pytest.importorskip("qtpy")
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    code, _, said = _run(capsys, "view")
    assert code == 2
    assert "There is no display" in said


def test_ctrl_c_ends_training_with_what_was_learnt_and_twice_at_once():
    from napari_unet.commands.learning import stop_key

    before = signal.getsignal(signal.SIGINT)
    with stop_key() as stop:
        assert not stop()
        signal.raise_signal(signal.SIGINT)
        assert stop()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_a_unet_plus_plus_is_trained_and_pruned(capsys, tmp_path, data):
    model, cut = tmp_path / "deep.safetensors", tmp_path / "cut.safetensors"
    tiny = ("--width", 2, "--patch", 32, "--batch", 1, "--device", "cpu", "--steps", 1)
    words = ("--architecture", "unet++", "--norm", "group", "--depth", 2, *tiny)
    assert _run(capsys, "train", data, "-o", model, *words)[0] == 0
    assert "unet++, width 2, depth 2, group norm" in _run(capsys, "models", "show", model)[1]
    code, out, _ = _run(capsys, "models", "prune", model, "--depth", 1, "-o", cut)
    assert code == 0 and "Cut from depth 2 to 1" in out
    assert load_model(cut).config.depth == 1
    code, _, said = _run(capsys, "models", "prune", cut, "--depth", 1, "-o", cut)
    assert code == 2 and "cannot be pruned to 1" in said


def test_channels_are_cut_and_what_that_costs_is_told(capsys, tmp_path, data):
    model, cut = tmp_path / "wide.safetensors", tmp_path / "cut.safetensors"
    tiny = ("--width", 8, "--depth", 1, "--patch", 32, "--device", "cpu", "--steps", 3)
    assert _run(capsys, "train", data, "-o", model, *tiny, "--held-out", "n3")[0] == 0
    words = ("models", "prune", model, "--width", 2, "-o", cut)
    code, _, said = _run(capsys, *words)
    assert code == 2 and "give --data, a folder with images/" in said
    code, out, _ = _run(capsys, *words, "--data", data, "--device", "cpu")
    assert code == 0 and "Cut from width 8 to 2" in out
    assert "On 1 images that the model had not learnt from" in out
    assert "AP 0.50: before" in out and "times as fast on 512 x 512" in out
    assert load_model(cut).config.width == 2


def test_an_architecture_has_the_depth_of_its_paper(capsys, tmp_path, data):
    model = tmp_path / "mine.safetensors"
    tiny = ("--width", 1, "--patch", 32, "--batch", 1, "--device", "cpu", "--steps", 1)
    assert _run(capsys, "train", data, "-o", model, "--architecture", "resunet", *tiny)[0] == 0
    assert load_model(model).config.depth == 3


@pytest.mark.parametrize("command", ["train", "finetune"])
def test_the_loss_that_is_named_is_the_one_that_is_learnt(
    capsys, tmp_path, data, tiny_model, monkeypatch, command
):
    from napari_unet.core import lesson

    named, loss_of = [], lesson.loss_of
    monkeypatch.setattr(lesson, "loss_of", lambda one: named.append(one) or loss_of(one))
    words = ("-o", tmp_path / "m.safetensors", "--steps", 1, "--patch", 32, "--device", "cpu")
    sources = (data, "--width", 1, "--depth", 1) if command == "train" else (tiny_model, data)
    assert _run(capsys, command, *sources, *words, "--loss", "ce + 0.5*dice(beta=2)")[0] in (0, 1)
    assert named == [LossConfig.parse("ce+0.5*dice(beta=2)")]
    named.clear()
    _run(capsys, command, *sources, *words)
    assert named == [LossConfig()]


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # of loading it
def test_models_export_torchscript(capsys, tmp_path, tiny_model):
    import torch

    out = tmp_path / "m.pt"
    words = ("models", "export", tiny_model, "--format", "torchscript", "-o", out)
    code, said, _ = _run(capsys, *words)
    assert code == 0
    assert f"written to {out} as torchscript" in said
    found = torch.jit.load(out)(torch.zeros(1, 1, 64, 32))
    assert found.shape == (1, 2, 64, 32)


def test_models_export_a_package_without_onnx(capsys, tmp_path, tiny_model, monkeypatch):
    import zipfile

    monkeypatch.setitem(sys.modules, "onnx", None)
    out = tmp_path / "m.zip"
    words = ("models", "export", tiny_model, "--format", "bioimageio", "-o", out)
    code, _, said = _run(capsys, *words)
    assert code == 2 and "give --author NAME and --licence" in said
    code, _, said = _run(capsys, *words, "--author", "A", "--author", "B", "--licence", "MIT")
    assert code == 0
    assert "has no ONNX weights" in said
    with zipfile.ZipFile(out) as archive:
        values = json.loads(archive.read("bioimageio.yaml"))
        assert archive.read("model.safetensors") == tiny_model.read_bytes()
    assert [author["name"] for author in values["authors"]] == ["A", "B"]


@pytest.mark.parametrize(
    ("name", "sentence"), [("m.onnx", "ending in .pt"), ("a_file/m.pt", "could not be written")]
)
def test_models_export_refuses_a_wrong_place(capsys, tmp_path, tiny_model, name, sentence):
    (tmp_path / "a_file").touch()
    words = ("models", "export", tiny_model, "--format", "torchscript", "-o", tmp_path / name)
    code, _, said = _run(capsys, *words)
    assert code == 2
    assert sentence in said


def test_evaluate_writes_what_became_of_each_object(capsys, tmp_path):
    truth, found = np.zeros((2, 20, 20), np.int32)
    truth[2:8, 2:8], truth[12:18, 12:18] = 1, 2
    found[2:8, 2:8], found[12:14, 2:4] = 1, 2
    write_labels(tmp_path / "t.tif", truth)
    write_labels(tmp_path / "p.tif", found)
    words = ["evaluate", tmp_path / "t.tif", tmp_path / "p.tif", "--objects"]
    assert _run(capsys, *words, tmp_path / "o.csv")[0] == 0
    lines = (tmp_path / "o.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "image,verdict,truth,prediction,iou,pixels,y,x"
    assert [line.split(",")[1:4] for line in lines[1:]] == [
        ["hit", "1", "1"],
        ["missed", "2", "0"],
        ["false", "0", "2"],
    ]
    assert "must end in .csv" in _run(capsys, *words, tmp_path / "o.txt")[2]


def test_evaluate_takes_a_stack_plane_by_plane(capsys, tmp_path):
    labels = np.zeros((2, 20, 20), np.int32)
    labels[:, 2:8, 2:8] = 1
    write_labels(tmp_path / "t.tif", labels, "ZYX")
    words = ["evaluate", tmp_path / "t.tif", tmp_path / "t.tif", "--json"]
    assert json.loads(_run(capsys, *words)[1])["all"]["true objects"] == 2
    assert json.loads(_run(capsys, *words, "--volumes")[1])["all"]["true objects"] == 1


def test_evaluate_classes_by_hand(capsys, tmp_path):
    truth = np.array([[0, 0, 1, 1], [0, 2, 2, 2]])
    found = np.array([[0, 1, 1, 1], [0, 2, 2, 0]])
    write_labels(tmp_path / "t.tif", truth)
    write_labels(tmp_path / "p.tif", found)
    words = ["evaluate", tmp_path / "t.tif", tmp_path / "p.tif", "--classes"]
    out = _run(capsys, *words, "plasma,nucleus", "--json")[1]
    values = json.loads(out)["all"]
    assert values["IoU plasma"] == values["IoU nucleus"] == pytest.approx(2 / 3, abs=1e-4)
    assert values["pixel accuracy"] == 0.75
    assert "mean IoU" in _run(capsys, *words, "plasma,nucleus")[1]
    assert "the class 2" in _run(capsys, *words, "plasma")[2]


@pytest.fixture
def class_data(tmp_path):
    """A folder with four images whose labels are two classes."""
    folder = tmp_path / "classes"
    (folder / "images").mkdir(parents=True)
    for seed in range(4):
        image, truth = sample_data.nuclei((64, 64), seed)
        tifffile.imwrite(folder / "images" / f"n{seed}.tif", image)
        write_labels(folder / "labels" / f"n{seed}.tif", np.where(truth > 0, 1 + truth % 2, 0))
    return folder


def test_classes_are_trained_from_scratch_and_tested(capsys, tmp_path, class_data):
    out = tmp_path / "m.safetensors"
    shape = ["--width", 2, "--depth", 1, "--patch", 32, "--device", "cpu"]
    words = ["train", class_data, "-o", out, "--steps", 3, "--held-out", "n3", *shape]
    code, said, _ = _run(capsys, *words, "--classes", "odd,even")
    assert code == 0
    assert "mean IoU on 1 images held out" in said
    model = load_model(out)
    assert model.config.semantic
    assert model.config.classes == ("background", "odd", "even")
    assert {"mean IoU", "pixel accuracy"} <= set(model.card.scores)
    assert "2, and 1 classes are named" in _run(capsys, *words, "--classes", "odd")[2]


def test_a_small_model_is_taught_by_a_large_one(capsys, tmp_path, data):
    large, small = tmp_path / "large.safetensors", tmp_path / "small.safetensors"
    words = [data, "--steps", 3, "--held-out", "n3", "--depth", 1, "--patch", 32]
    words += ["--device", "cpu"]
    assert _run(capsys, "train", *words, "-o", large, "--width", 8)[0] == 0
    code, said, _ = _run(
        capsys, "models", "distill", large, *words, "-o", small, "--width", 2, "--seed", 1
    )
    assert code == 0
    assert "AP 0.50: teacher" in said and "AP 0.70: teacher" in said
    assert "times as fast on 512 x 512" in said
    assert load_model(small).config.diameter == load_model(large).config.diameter


def test_training_craft_is_chosen_on_the_command_line(capsys, tmp_path, data):
    out = tmp_path / "m.safetensors"
    words = ["train", data, "-o", out, "--steps", 4, "--width", 2, "--depth", 1, "--patch", 32]
    craft = "--optimiser sgd --momentum 0.9 --schedule plateau --accumulate 2 --recompute --clip 0"
    craft += " --weight-decay 0 --watch n0 --watch-every 1 --patience 1 --average 0.5"
    code, said, _ = _run(capsys, *words, *craft.split(), "--device", "cpu")
    assert code == 0
    assert "Learnt from 3 planes" in said


def test_images_without_labels_are_learnt_from_before_training(capsys, tmp_path, data):
    first, out = tmp_path / "seen.safetensors", tmp_path / "m.safetensors"
    shape = ["--width", 2, "--depth", 1, "--patch", 32, "--device", "cpu", "--steps", 2]
    code, said, _ = _run(capsys, "pretrain", data / "images", "-o", first, *shape)
    assert code == 0 and "Learnt the look of 4 images without their labels" in said
    assert "restored 4 unlabelled images" in load_model(first).card.history[-1]
    code, _, _ = _run(capsys, "train", data, "-o", out, "--start", first, *shape)
    assert code == 0 and load_model(out).card.parent == "seen"
    words = ("pretrain", data / "images", "-o", out, "--start", first, "--objects", 12)
    assert _run(capsys, *words, "--steps", 1, "--device", "cpu")[0] == 0
    code, _, said = _run(capsys, "pretrain", tmp_path / "none", "-o", out)
    assert code == 2


def test_the_mean_of_what_was_known_and_what_was_learnt_is_taken(capsys, tmp_path, data):
    first, out = tmp_path / "first.safetensors", tmp_path / "m.safetensors"
    shape = ["--width", 2, "--depth", 1, "--patch", 32, "--device", "cpu", "--steps", 3]
    shape += ["--learning-rate", 0.05]
    assert _run(capsys, "train", data, "-o", first, *shape)[0] == 0
    weights = {}
    for share in (0, 0.5, 1):
        words = ["train", data, "-o", out, "--start", first, "--share", share, "--seed", 1]
        assert _run(capsys, *words, *shape)[0] == 0
        weights[share] = _weights(out)
    old = _weights(first)
    assert (weights[0] == old).all() and abs(weights[1] - old).max() > 0.01
    np.testing.assert_allclose(weights[0.5], (old + weights[1]) / 2, atol=1e-3)
    code, _, said = _run(capsys, "train", data, "-o", out, "--share", 0.5, *shape)
    assert code == 2 and "name a model to start from" in said
    words = ["train", data, "-o", out, "--start", first, *shape, "--width", 3]
    code, _, said = _run(capsys, *words, "--share", 0.5)
    assert code == 2 and "--share is of two models of one width" in said
    assert _run(capsys, *words)[0] == 0 and load_model(out).config.width == 3


def test_a_second_path_draws_the_outlines_of_what_a_unet_finds(capsys, tmp_path, data):
    first, out = tmp_path / "first.safetensors", tmp_path / "m.safetensors"
    shape = ["--width", 2, "--depth", 1, "--patch", 32, "--device", "cpu", "--steps", 2]
    assert _run(capsys, "train", data, "-o", first, *shape)[0] == 0
    start = load_model(first)
    config = replace(start.config, threshold=0.35, split=0.45)
    start = replace(start, config=config).save(first)
    words = ["train", data, "-o", out, "--start", first, *shape, "--architecture", "unet-outlines"]
    assert _run(capsys, *words)[0] == 0
    model = load_model(out)
    assert model.network.has_both
    assert (model.config.threshold, model.config.split) == (0.35, 0.45)
    now, before = (one.network.state_dict() for one in (model, start))
    assert all((now[name] == tensor).all() for name, tensor in before.items())
    code, _, said = _run(capsys, *words, "--share", 0.5)
    assert code == 2 and "--share is of two models of one architecture" in said


def _weights(path):
    found = load_model(path).network.parameters()
    return np.concatenate([p.detach().numpy().ravel() for p in found])


def test_what_is_not_said_is_chosen_and_told(capsys, tmp_path, data):
    out = tmp_path / "m.safetensors"
    words = ["train", data, "-o", out, "--steps", 1, "--width", 2, "--device", "cpu"]
    code, said, _ = _run(capsys, *words, "--automatic", "--batch", 1)
    assert code == 0 and "Objects are" in said and "poolings, with which" in said
    assert load_model(out).config.depth in (2, 3, 4)
    assert _run(capsys, *words, "--automatic", "--depth", 1)[0] == 0
    assert load_model(out).config.depth == 1
