"""Classes instead of objects: a model learns them from strokes, and new ones beside old ones."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_unet.core import ModelConfig, finetune, load_model, segment, with_classes
from napari_unet.core.class_labels import class_map
from napari_unet.core.errors import InputError
from napari_unet.core.example import Example
from napari_unet.core.fine_tuning import iter_finetune
from napari_unet.core.model_file import Model
from napari_unet.core.object_score import LOOKS
from napari_unet.core.optimise import TrainSettings
from small_scenes import discs, ended, small_model

CPU = {"device": "cpu", "precision": "float32"}
SETTINGS = TrainSettings(patch=48, batch=2, learning_rate=1e-2, average=0.9)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def scene(seed=0, side=96):
    """Dim discs with a bright core: cytoplasm is 1, nucleus 2."""
    rng = np.random.default_rng(seed)
    centers = [(y, x) for y in range(16, side, 30) for x in range(16, side, 30)]
    centers = [(y + int(rng.integers(-4, 5)), x + int(rng.integers(-4, 5))) for y, x in centers]
    labels = (discs((side, side), centers, radius=11) > 0).astype(np.int32)
    labels[discs((side, side), centers, radius=5) > 0] = 2
    image = np.array([0.0, 0.45, 1.0])[labels] + rng.normal(0, 0.04, labels.shape)
    return image.astype(np.float32), labels


def strokes(labels, *, classes=(0, 1, 2), seed=0):
    """Short strokes of each class, as a person would scribble."""
    rng = np.random.default_rng(seed)
    checked = np.zeros(labels.shape, bool)
    for number in classes:
        places = np.argwhere(ndimage.binary_erosion(labels == number, iterations=2))
        for y, x in places[rng.choice(len(places), min(12, len(places)), replace=False)]:
            checked[y - 1 : y + 2, x - 3 : x + 4] = True
    return checked & np.isin(labels, classes)


def logits(model, seed=0):
    image = torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        return model.network.eval()(image)[0]


def iou(truth, found, number):
    return ((truth == number) & (found == number)).sum() / (
        (truth == number) | (found == number)
    ).sum()


def test_room_for_classes_leaves_what_is_known_as_it_is():
    model = small_model()
    two = with_classes(model, ["nucleus", "cytoplasm"])
    assert two.config.classes == ("background", "nucleus", "cytoplasm") and two.config.semantic
    before, after = logits(model), logits(two)
    torch.testing.assert_close(after[:2], before)
    assert torch.equal(after.argmax(dim=0), before.argmax(dim=0))  # the new one is never chosen
    assert model.config.classes == ("background", "cell")
    assert len(model.network.head.bias) == 2
    three = with_classes(two, ["cytoplasm", "vessel"])  # one that is known keeps its place
    assert three.config.classes == ("background", "nucleus", "cytoplasm", "vessel")
    torch.testing.assert_close(logits(three)[:3], after)
    assert with_classes(three, ["vessel", "nucleus"]) is three


def test_a_score_of_objects_is_not_one_of_classes():
    config = ModelConfig(width=4, depth=2, diameter=9.0, object_score=(0.0,) * (len(LOOKS) + 1))
    classes = with_classes(Model.fresh(config), ["a"])
    assert classes.config.object_score == () and classes.config.diameter is None


@pytest.mark.parametrize("names", [["a", "a"], [""], ["  "], ["background"]])
def test_names_that_do_not_tell_apart_are_refused(names):
    with pytest.raises(InputError, match="a name of its own"):
        with_classes(small_model(), names)


def test_the_likeliest_class_where_it_is_not_background():
    probability = np.zeros((3, 2, 4))
    probability[:, 0] = [[0.6, 0.4, 0.2, 0.0], [0.1, 0.5, 0.3, 0.4], [0.3, 0.1, 0.5, 0.6]]
    probability[0, 1] = 1
    np.testing.assert_array_equal(class_map(probability), [[0, 1, 2, 2], [0, 0, 0, 0]])
    expected = [[2, 1, 2, 2], [0, 0, 0, 0]]
    np.testing.assert_array_equal(class_map(probability, threshold=0.35), expected)
    as_bytes = np.rint(probability * 255).astype(np.uint8)
    np.testing.assert_array_equal(class_map(as_bytes, threshold=0.35), expected)
    assert not class_map(np.eye(3)[[0, 0, 0]].reshape(3, 3, 1), threshold=0)[0].any()


def test_specks_of_a_class_become_background_also_within_another():
    labels = np.ones((9, 12), np.int32)
    labels[2:4, 2:4], labels[2:8, 8:11] = 2, 2
    probability = np.moveaxis(np.eye(3)[labels], -1, 0)
    found = class_map(probability, min_size=5)
    assert not found[2:4, 2:4].any() and (found[2:8, 8:11] == 2).all()
    assert (np.delete(found, np.s_[2:8], axis=0) == 1).all()


def test_classes_at_another_size_are_brought_to_the_image():
    probability = np.moveaxis(np.eye(3)[np.repeat([[0, 1], [2, 0]], 8, 0).repeat(8, 1)], -1, 0)
    found = class_map(probability, shape=(32, 32))
    assert found.shape == (32, 32)
    assert (found[3:13, 19:29] == 1).all() and (found[19:29, 3:13] == 2).all()
    assert not found[3:13, 3:13].any()


def test_classes_are_learnt_from_strokes_and_one_is_added_later_beside_them(tmp_path):
    model = with_classes(Model.fresh(ModelConfig(width=8, depth=2)), ["cytoplasm"])
    image, labels = scene(side=160)
    both = np.minimum(labels, 1)  # at first everything of a cell is one class
    checked = strokes(labels)
    first = Example(image, both, checked, semantic=True)
    model = finetune(model, [first], steps=150, keep=0.0, settings=SETTINGS, **CPU)
    other, truth = scene(seed=5)
    found = segment(other, model, axes="YX", min_size=0, **CPU).labels
    assert iou(np.minimum(truth, 1), found, 1) > 0.8
    model = with_classes(model, ["nucleus"])
    assert model.config.classes == ("background", "cytoplasm", "nucleus")
    again = segment(other, model, axes="YX", min_size=0, **CPU).labels
    assert (again != found).mean() < 1e-3
    later = Example(image, labels, checked, semantic=True)
    (_, (taught, summary)) = ended(
        iter_finetune(model, [later], steps=250, keep=0.0, settings=SETTINGS, **CPU)
    )
    assert summary.improved and summary.after > summary.before and summary.cells_kept_aside >= 2
    assert "checked patches; on" in summary.sentence and "corrected patch" in summary.sentence
    saved = load_model(taught.save(tmp_path / "classes.safetensors").card.path)
    found = segment(other, saved, axes="YX", min_size=0, **CPU)
    assert iou(truth, found.labels, 1) > 0.7 and iou(truth, found.labels, 2) > 0.7
    assert found.probability.shape == (3, 96, 96)


def test_what_is_not_checked_teaches_nothing():
    model = with_classes(small_model(), ["a", "b"])
    image, labels = scene()
    checked = strokes(labels)
    wrong = np.where(checked, labels, 1)
    results = []
    for one in (labels, wrong):
        example = Example(image, one, checked, semantic=True)
        taught = finetune(model, [example], steps=5, settings=SETTINGS, **CPU)
        results.append(logits(taught))
    torch.testing.assert_close(*results)


def test_labels_of_the_wrong_kind_or_unknown_classes_are_refused_before_any_work():
    image, labels = scene()
    model = with_classes(small_model(), ["a"])
    classes = Example(image, labels, semantic=True)
    for start, example, words in (
        (model, classes, "A label is 2, and the model knows 1 classes; add it."),
        (small_model(), classes, "add the classes to the model"),
        (model, replace(classes, semantic=False), "choose another"),
    ):
        with pytest.raises(InputError, match=words):
            finetune(start, [example], steps=1, **CPU)
