"""The demo: the lesson, the loop, and what it writes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from napari_unet import cli
from napari_unet.commands.demo import loop, report
from napari_unet.commands.demo.chart import draw_learning
from napari_unet.commands.demo.lesson import correct_worst, score_untouched
from napari_unet.commands.demo.panels import draw_correction, draw_found
from napari_unet.core.config import ModelConfig
from napari_unet.core.events import KeptAsideScore, TrainProgress
from napari_unet.core.model_file import Model, load_model
from napari_unet.formats.images import read_labels


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    Model.fresh(ModelConfig(width=2, depth=1), "tiny").save(path)
    return path


def _squares(*corners, size=8, shape=(64, 96)):
    labels = np.zeros(shape, np.int32)
    for number, (y, x) in enumerate(corners, start=1):
        labels[y : y + size, x : x + size] = number
    return labels


# Two true objects on the left, one on the right.
TRUTH = _squares((8, 8), (40, 8), (8, 70))


def test_the_worst_of_the_left_half_is_corrected():
    prediction = np.where(TRUTH == 2, 0, TRUTH)  # the second is missed
    correction = correct_worst(TRUTH, prediction, count=1)
    assert correction.corrected == (2,)
    assert correction.erased == 0
    assert correction.checked[TRUTH == 2].all()
    assert not correction.checked[TRUTH == 1].any()
    assert not correction.checked[:, 48:].any()
    found = correction.labels[TRUTH == 2]
    assert (found == found[0]).all() and found[0] > prediction.max()


def test_outside_the_checked_area_the_prediction_stays():
    prediction = _squares((10, 10), (8, 72))
    correction = correct_worst(TRUTH, prediction, count=1)
    outside = ~correction.checked
    assert np.array_equal(correction.labels[outside], prediction[outside])


def test_objects_found_as_one_are_corrected_together():
    truth = _squares((8, 8), (8, 16), (40, 8))
    prediction = np.where(truth == 2, 1, truth)
    assert correct_worst(truth, prediction, count=1).corrected == (1, 2)


def test_false_objects_of_the_left_half_are_erased():
    prediction = TRUTH.copy()
    prediction[56:62, 30:36] = 9
    prediction[56:62, 80:86] = 10
    correction = correct_worst(TRUTH, prediction, count=1)
    assert correction.erased == 1
    assert (correction.labels[56:62, 30:36] == 0).all()
    assert correction.checked[56:62, 30:36].all()
    assert (correction.labels[56:62, 80:86] == 10).all()


def test_corrected_objects_do_not_count_as_untouched():
    prediction = np.where(TRUTH == 2, 0, TRUTH)
    correction = correct_worst(TRUTH, prediction, count=1)
    scores = score_untouched(TRUTH, TRUTH, correction)
    assert (scores.n_truth, scores.n_predicted) == (2, 2)
    assert scores.average_precision[0.9] == 1


@pytest.mark.parametrize("prediction", [np.zeros_like(TRUTH), TRUTH, np.ones_like(TRUTH)])
def test_any_prediction_can_be_corrected_and_drawn(prediction):
    correction = correct_worst(TRUTH, prediction, count=6)
    assert correction.corrected == (1, 2) or 3 in correction.corrected
    image = np.random.default_rng(0).random(TRUTH.shape)
    found, corrected = (
        draw_found(image, TRUTH, prediction),
        draw_correction(image, TRUTH, correction),
    )
    assert found.shape == corrected.shape == (480, 720, 3)
    assert found.dtype == np.uint8


@pytest.mark.parametrize(
    "history",
    [
        (),
        (TrainProgress(1, 0.0, 1.0, 0.0),),
        (TrainProgress(1, 0.5, 0.1, 2.0), KeptAsideScore(1, 1.0, 0.4, 2)),
        tuple(TrainProgress(n, 7.0 * n, n / 99, 123.0 / n) for n in range(1, 99)),
    ],
)
def test_any_history_can_be_drawn(history):
    assert draw_learning(history, "Teaching").size == (1100, 720)


def _demo(tmp_path, tiny_model, capsys, *words):
    options = ("--out", tmp_path / "out", "--model", tiny_model, "--steps", 2, "--device", "cpu")
    code = cli.main([str(word) for word in ("demo", *options, *words)])
    return code, *capsys.readouterr()


def test_the_demo_writes_its_files_and_says_when_nothing_was_learnt(tmp_path, tiny_model, capsys):
    code, out, err = _demo(tmp_path, tiny_model, capsys)
    assert code == 1  # two steps teach nothing
    assert "The score did not rise" in out
    assert "Teaching" in err
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(report.FILES)
    with Image.open(tmp_path / "out" / "before_after.png") as picture:
        picture.load()
        assert picture.size == (1532, 1516)
    numbers = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    assert numbers["all"][0]["objects"] == 24
    assert numbers["teaching"]["steps"] == 2
    truth, _ = read_labels(tmp_path / "out" / "truth_labels.tif")
    assert truth.max() == 24
    assert load_model(tmp_path / "out" / "taught.safetensors").card.name == "taught"


def test_the_demo_ends_well_when_the_score_rises(tmp_path, tiny_model, capsys, monkeypatch):
    _, truth = loop.SAMPLES["coins"].load(0)
    answers = iter([np.zeros_like(truth), truth])
    monkeypatch.setattr(loop, "_segmented", lambda *_: next(answers))
    code, out, _ = _demo(tmp_path, tiny_model, capsys)
    assert code == 0
    assert "The 18 that nobody corrected: 0 found before, 18 after" in out
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "| found | 0 of 24 | 24 of 24 | 0 of 18 | 18 of 18 |" in text


def test_the_demo_on_nuclei(tmp_path, tiny_model, capsys):
    _, out, _ = _demo(tmp_path, tiny_model, capsys, "--sample", "nuclei")
    assert "nuclei were corrected" in out


def test_a_folder_that_cannot_be_made_is_said_before_anything_is_computed(tmp_path, capsys):
    (tmp_path / "file").touch()
    assert cli.main(["demo", "--out", str(tmp_path / "file" / "out")]) == 2
    assert "cannot be made" in capsys.readouterr().err


def test_a_missing_model_is_said(tmp_path, capsys):
    assert cli.main(["demo", "--out", str(tmp_path / "out"), "--model", "nothing"]) == 2
    assert "no model named 'nothing'" in capsys.readouterr().err
