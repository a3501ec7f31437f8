"""Classes painted over an image: what is checked, what is learnt, what is proposed."""

import numpy as np
import pytest

from napari_unet.core.config import ModelConfig
from napari_unet.core.errors import InputError
from napari_unet.core.events import TeachSummary, TileResult
from napari_unet.engine import SegmentTask, TeachDone, TeachTask
from napari_unet.engine.teach_tasks import LearnTask
from napari_unet.session.class_pair import BACKGROUND, ClassPair
from napari_unet.session.pair import ObjectSettings
from session.fakes import image_of, pair_of, pump_until, sent

SHAPE = (40, 60)
A, B, NONE = np.s_[2:6, 2:12], np.s_[20:24, 30:44], np.s_[30:34, 5:25]


def classes_of(*names, shape=SHAPE, axes="YX"):
    image = image_of(shape, axes)
    labels, checked = np.zeros(image.shape, np.int32), np.zeros(image.shape, np.uint8)
    return ClassPair(image, labels, checked, names=list(names))


def painted(pair):
    for where, label in ((A, 1), (B, 2), (NONE, BACKGROUND)):
        pair.labels[where] = label
        pair.absorb(())
    return pair


def saved(path, classes, *, semantic):
    from napari_unet.core.model_file import Model

    config = ModelConfig(width=4, depth=2, classes=classes, semantic=semantic)
    return Model.fresh(config, name=path.stem).save(path).card.path


@pytest.fixture
def objects(session, tmp_path):
    path = saved(tmp_path / "objects.safetensors", ("background", "cell"), semantic=False)
    session.load_model_file(path)
    return session


@pytest.fixture
def classes(session, tmp_path):
    path = saved(tmp_path / "classes.safetensors", ("background", "b", "c"), semantic=True)
    session.load_model_file(path)
    return session


def tile(labels, count):
    """A tile that is sure of these classes."""
    probability = (np.eye(count)[labels] * 255).astype(np.uint8)
    return TileResult(0, 0, np.moveaxis(probability, -1, 0), 0, 1)


def test_what_is_painted_is_checked_pixel_by_pixel_and_background_too():
    pair = painted(classes_of("a", "b"))
    expected = np.zeros(SHAPE, bool)
    for where in (A, B, NONE):
        expected[where] = True
    np.testing.assert_array_equal(pair.checked != 0, expected)
    assert not pair.labels[NONE].any()  # a stroke of background is no label
    assert pair.checked_cells == 3  # patches: A and B share one
    assert pair.classes == ("a", "b") and not pair_of().classes


def test_a_number_without_a_name_begins_another_class():
    pair = classes_of("class 3")
    pair.labels[A] = 3
    pair.absorb(())
    assert pair.classes == ("class 3", "class 2", "class 3'")
    pair.labels[B] = 101  # too many
    pair.absorb(())
    assert len(pair.names) == 3 and not pair.checked[B].any()


@pytest.mark.parametrize("name", ["", "  ", "a", "background"])
def test_a_class_is_added_by_a_name_of_its_own(name):
    pair = classes_of("a")
    with pytest.raises(InputError, match="name that no other class has"):
        pair.add_class(name)
    assert pair.add_class(" b ") == 2 and pair.classes == ("a", "b")


def test_the_model_is_taught_with_its_own_numbers(classes, runner):
    pair = painted(classes_of("a", "b"))  # b is the first class of the model, a is new
    classes.teach([pair, pair_of()], seconds=5.0, keep=0.5, then=(pair, [()]))
    task = sent(classes, runner).task
    assert isinstance(task, TeachTask) and task.classes == ("a", "b")
    (example,) = task.examples
    assert example.semantic
    assert (example.labels[A] == 3).all() and (example.labels[B] == 1).all()
    np.testing.assert_array_equal(example.checked, pair.checked != 0)


def test_a_model_of_objects_learns_classes_and_then_segments_them(objects, runner, tmp_path):
    pair = painted(classes_of("a", "b"))
    with pytest.raises(InputError, match="This model finds objects; paint a little"):
        objects.segment(pair, [()])
    objects.teach([pair], seconds=5.0, keep=0.5, then=(pair, [()]))
    job = sent(objects, runner)
    assert (job.task.examples[0].labels[B] == 2).all()
    path = saved(tmp_path / "taught.safetensors", ("background", "a", "b"), semantic=True)
    job.finish(TeachDone(TeachSummary(None, None, 4, 0, True, 5.0, 9, noun="patch"), path))
    segmenting = sent(objects, runner, 2)
    assert isinstance(segmenting.task, SegmentTask)
    found = np.zeros(SHAPE, int)
    found[10:15, 10:50] = 2
    found[A] = 2  # the user has said 1
    segmenting.add_event(tile(found, 3))
    pump_until(objects, lambda: (pair.labels[10:15, 10:50] == 2).all())
    assert (pair.labels[A] == 1).all() and not pair.labels[NONE].any()


def test_classes_of_the_model_are_told_by_name_and_added(classes, runner):
    pair = classes_of("a", "b")
    classes.segment(pair, [()])
    job = sent(classes, runner)
    assert pair.classes == ("a", "b", "c")
    found = np.zeros(SHAPE, int)
    found[A], found[B] = 1, 2  # b and c of the model
    job.add_event(tile(found, 3))
    pump_until(classes, lambda: pair.labels.any())
    assert (pair.labels[A] == 2).all() and (pair.labels[B] == 3).all()


def test_sliders_act_on_classes(classes, runner):
    pair = classes_of("b", "c")
    classes.segment(pair, [()])
    found = np.zeros(SHAPE, int)
    found[A], found[B] = 1, 2  # 40 and 56 pixels
    job = sent(classes, runner)
    job.add_event(tile(found, 3))
    pump_until(classes, lambda: pair.labels.any())
    assert pair.propose((), ObjectSettings(min_size=1)).labels[A].all()
    proposed = pair.propose((), ObjectSettings(min_size=50)).labels
    assert not proposed[A].any() and proposed[B].all()
    assert pair.doubts((), ObjectSettings()) == []


def test_a_rescaled_plane_is_brought_to_the_image():
    pair = classes_of("a", "b")
    pair.begin_plane((), (20, 30), 9.0)
    found = np.zeros((20, 30), int)
    found[:, 15:] = 2
    pair.place_tile((), tile(found, 3))
    proposed = pair.propose((), ObjectSettings()).labels
    assert proposed.shape == SHAPE
    assert (proposed[:, 32:] == 2).all() and not proposed[:, :28].any()
    pair.begin_plane((), (40, 60), 9.0)
    pair.place_tile((), TileResult(0, 0, np.zeros((3, 4, 4), np.uint8), 0, 99))
    assert not pair.propose((), ObjectSettings()).labels[8:].any()  # the other tiles are to come


def test_objects_are_not_taught_to_a_model_of_classes(classes):
    pair = pair_of(SHAPE)
    pair.labels[A] = 1
    for act in (
        lambda: classes.teach([pair], seconds=5.0, keep=0.5, then=(pair, [()])),
        lambda: classes.learn_live(lambda: [pair], lambda: (pair, (), (0.0, 0.0)), keep=0.5),
        lambda: classes.segment(pair, [()]),
    ):
        with pytest.raises(InputError, match="This model tells classes apart; choose labels"):
            act()
    assert not classes.busy


def test_classes_are_learnt_live_and_objects_beside_them_are_not(objects, runner):
    pair, other = painted(classes_of("a", "b")), pair_of(SHAPE)
    other.labels[A] = 1
    other.absorb(())
    objects.learn_live(lambda: [pair, other], lambda: (pair, (), (0.0, 0.0)), keep=0.5)
    task = sent(objects, runner).task
    assert isinstance(task, LearnTask) and task.classes == ("a", "b")
    assert len(task.examples) == 1 and task.examples[0].semantic


def test_classes_in_a_stack(classes, runner):
    pair = classes_of("b", "c", shape=(3, *SHAPE), axes="ZYX")
    pair.labels[1][A] = 2
    classes.teach([pair], seconds=5.0, keep=0.5)
    (example,) = sent(classes, runner).task.examples
    assert (example.labels[A] == 2).all() and example.mask.sum() == 40
