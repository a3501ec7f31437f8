"""Teaching a model from a few checked cells."""

import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from napari_unet.core import fine_tuning, score, segment
from napari_unet.core.errors import ComputeError, InputError
from napari_unet.core.events import KeptAsideScore, TrainProgress
from napari_unet.core.example import Example
from napari_unet.core.fine_tuning import finetune, iter_finetune
from napari_unet.core.judge import Judge
from napari_unet.core.knowing import Knowledge
from napari_unet.core.optimise import TrainSettings
from napari_unet.core.size import median_diameter
from napari_unet.core.teacher import PATIENCE, Teacher
from napari_unet.core.train import iter_train
from napari_unet.core.train_settings import TEACH_SETTINGS
from small_scenes import SMALL, discs, ended, example, photograph, small_model

SETTINGS = TrainSettings(patch=48, batch=2, learning_rate=1e-2, average=0.9)
CPU = {"device": "cpu", "precision": "float32"}
CENTERS = [(14, 14), (14, 46), (32, 30), (48, 14), (48, 48)]
SIX = [*CENTERS, (32, 50)]


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def bright():
    """A model that knows bright discs on a dark ground."""
    torch.set_num_threads(1)
    rounds = iter_train([example(CENTERS)], SMALL, settings=SETTINGS, steps=80, **CPU)
    return ended(rounds)[1]


def dark(centers, checked=None):
    shown = example(centers, checked)
    return replace(shown, image=1 - shown.image)


def ap(model, shown):
    found = segment(shown.image, model, axes="YX", **CPU).labels
    return score(shown.labels, found).average_precision[0.5]


def taught(model, examples, **more):
    values = {"settings": SETTINGS, "steps": 3, **CPU}
    return ended(iter_finetune(model, examples, **(values | more)))


def weights_of(model):
    return torch.cat([weight.detach().flatten() for weight in model.network.parameters()])


def test_another_kind_of_image_is_learnt_from_half_of_its_cells():
    config = replace(SMALL, width=8)  # with width 4 it is a matter of luck
    rounds = iter_train([example(CENTERS)], config, settings=SETTINGS, steps=80, **CPU)
    bright = ended(rounds)[1]
    checked = np.zeros((64, 64), bool)
    checked[:, :32] = True
    assert ap(bright, dark(CENTERS)) == 0
    _, (model, summary) = taught(bright, [dark(CENTERS, checked)], steps=60)
    assert summary.improved
    assert ap(model, dark([(20, 20), (44, 44)])) == 1


def test_what_was_known_is_kept_the_nearer_the_more(bright):
    """A falsely taught corner: elsewhere the model before holds it."""
    shown = example(CENTERS)
    checked = np.zeros((64, 64), bool)
    checked[:24, :28] = True
    moved = []
    image = torch.from_numpy(shown.image)[None, None]
    for keep in (0.0, 1.0):
        _, (model, _) = taught(bright, [replace(shown, checked=checked)], keep=keep, steps=20)
        with torch.no_grad():
            there, here = (m.network(image).softmax(1)[0, 1] for m in (bright, model))
        moved.append((there - here).abs()[32:].mean().item())
    assert moved[1] < 0.7 * moved[0]


def test_touching_cells_that_were_split_teach_how_to_split():
    """The gap is darker by a third; the first model was taught to ignore it."""

    def pair_scene(middles, fused):
        centers = [(y, x + dx) for y, x in middles for dx in (-6, 6)]
        labels = discs((96, 96), centers, radius=7)
        image = photograph(labels)
        seam = np.zeros_like(labels, bool)
        for y, x in middles:
            seam[y - 6 : y + 7, x - 1 : x + 1] = True
        image[seam & (labels > 0)] *= 0.6
        return Example(image, (labels + 1) // 2 if fused else labels)

    middles = [(y, x) for y in (16, 48, 80) for x in (20, 70)]
    config = replace(SMALL, width=8)
    first = iter_train(
        [pair_scene(middles, fused=True)], config, settings=SETTINGS, steps=80, **CPU
    )
    model = ended(first)[1]
    model = replace(model, config=replace(config, split=0.0))
    scene = pair_scene(middles, fused=False)
    checked = np.zeros((96, 96), bool)
    checked[:32, :] = True  # two pairs
    unseen = replace(scene, labels=np.where(checked, 0, scene.labels))
    before = segment(scene.image, model, axes="YX", **CPU).labels
    assert score(unseen.labels, np.where(checked, 0, before)).average_precision[0.7] < 0.5
    settings = replace(SETTINGS, weights=TEACH_SETTINGS.weights)
    _, (model, _) = taught(model, [replace(scene, checked=checked)], steps=160, settings=settings)
    after = segment(scene.image, model, axes="YX", **CPU).labels
    assert score(unseen.labels, np.where(checked, 0, after)).average_precision[0.7] > 0.6


def enlarged(shown):
    """Add ground to the right and below, of which nothing is checked."""
    image, labels, checked = (
        np.pad(array, (0, 32)) for array in (shown.image, shown.labels, shown.checked)
    )
    return Example(image, labels, checked)


@pytest.mark.parametrize("keep", [0.0, 0.5])
def test_labels_far_outside_the_checked_area_change_nothing(bright, keep):
    """Those beside it do, and shall: a neighbour makes a gap though nobody has checked it."""
    checked = np.zeros((64, 64), bool)
    checked[:30, :30] = True
    shown, scrawled = enlarged(example(SIX, checked)), enlarged(example(SIX, checked))
    scrawled.labels[72:, :] = 99
    models = [taught(bright, [e], keep=keep, steps=4)[1][0] for e in (shown, scrawled)]
    assert torch.equal(*map(weights_of, models))


def test_the_same_seed_gives_the_same_model(bright, monkeypatch):
    # Scores in between are made when the clock says so, and the best of them is kept.
    monkeypatch.setattr("napari_unet.core.judge.Judge.is_due", lambda self: False)
    models = [taught(bright, [example(SIX)], seed=seed)[1][0] for seed in (0, 0, 1)]
    first, again, other = map(weights_of, models)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_model_it_starts_from_is_not_changed(bright):
    before = {name: tensor.clone() for name, tensor in bright.network.state_dict().items()}
    taught(bright, [dark(SIX)])
    for name, tensor in bright.network.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_batch_norm_statistics_stay(bright):
    def statistics(model):
        norms = [m for m in model.network.modules() if isinstance(m, nn.BatchNorm2d)]
        return torch.cat([t for n in norms for t in (n.running_mean, n.running_var)])

    _, (model, _) = taught(bright, [dark(SIX)], steps=5)
    assert torch.equal(statistics(model), statistics(bright))
    assert not torch.equal(weights_of(model), weights_of(bright))


def test_scores_come_before_on_the_way_and_after(bright):
    events, (_, summary) = taught(bright, [dark(SIX)], steps=20)
    scores = [event for event in events if isinstance(event, KeptAsideScore)]
    assert events[0] is scores[0]
    assert events[-1] is scores[-1]
    assert [event.step for event in scores] == sorted(event.step for event in scores)
    assert (scores[0].step, scores[-1].step) == (0, 20)
    assert summary.before == scores[0].score
    assert (summary.cells_taught, summary.cells_kept_aside) == (4, 2)
    assert any(isinstance(event, TrainProgress) for event in events)


def test_of_few_cells_all_are_learnt_and_that_is_said(bright):
    events, (_, summary) = taught(bright, [dark(CENTERS)], steps=40)
    assert all(isinstance(event, TrainProgress) for event in events)
    assert (summary.cells_taught, summary.cells_kept_aside) == (5, 0)
    assert "too few to keep any aside; on these cells: before 0.0" in summary.sentence


def test_erased_objects_alone_can_be_taught(bright):
    shown = example(CENTERS)
    shown.labels[:] = 0
    _, (model, summary) = taught(bright, [shown], steps=30)
    assert summary.cells_taught == 0
    assert summary.improved
    found = segment(shown.image, model, axes="YX", **CPU).labels
    assert found.max() == 0


def test_what_got_worse_is_not_returned(bright, monkeypatch):
    from napari_unet.core import lesson

    def upside_down(logits, target, weight):
        return -torch.nn.functional.cross_entropy(logits, target)

    monkeypatch.setattr(lesson, "loss_of", lambda named: upside_down)
    model = finetune(bright, [example(SIX)], steps=10, keep=0.0, settings=SETTINGS, **CPU)
    assert model is bright


def test_the_card_says_what_it_was_taught_from(bright):
    named = replace(bright, card=replace(bright.card, name="bright"))
    _, (model, summary) = taught(named, [example(SIX)])
    assert model.card.parent == "bright"
    assert summary.sentence in model.card.history[-1]
    assert len(model.card.history) == len(bright.card.history) + 1


def test_cancelled_at_once_it_returns_the_model_as_it_was(bright):
    _, (model, summary) = taught(bright, [dark(SIX)], steps=1000, cancelled=lambda: True)
    assert summary.steps == 0
    assert torch.equal(weights_of(model), weights_of(bright))


def test_cancelled_on_the_way_it_returns_the_best_so_far(bright):
    polled = []
    _, (model, summary) = taught(
        bright, [dark(SIX)], steps=1000, cancelled=lambda: len(polled) == 10 or polled.append(1)
    )
    assert summary.steps == 9  # it is asked before the last layer is fitted, too
    assert summary.after is not None
    assert not torch.equal(weights_of(model), weights_of(bright))


def test_seconds_hold_all_of_it(bright):
    start = time.monotonic()
    _, (_, summary) = taught(bright, [dark(SIX)], steps=None, seconds=3.0)
    assert 2.0 < time.monotonic() - start < 4.0
    assert summary.steps > 3


def test_a_failure_in_torch_is_a_sentence(bright, monkeypatch):
    def broken(*_):
        raise RuntimeError("could not create a primitive")

    monkeypatch.setattr(type(bright.network), "forward", broken)
    with pytest.raises(ComputeError, match=r"could not create a primitive"):
        taught(bright, [example(CENTERS)])


@pytest.mark.parametrize(
    ("examples", "more", "sentence"),
    [
        ([example(SIX, np.zeros((64, 64), bool))], {}, "Nothing is checked yet"),
        ([], {}, "Nothing is checked yet"),
        ([example(SIX)], {"keep": 1.5}, "keep is 1.5; it must be from 0"),
        ([example(SIX)], {"steps": None}, "give seconds or steps"),
        (
            [Example(np.zeros((3, 64, 64)), np.ones((64, 64), int), axes="CYX")],
            {},
            "takes 1 channel and an image has 3; choose",
        ),
    ],
)
def test_what_cannot_be_taught_is_told(bright, examples, more, sentence):
    with pytest.raises(InputError, match=sentence):
        taught(bright, examples, **more)


def teacher_of(model, **more):
    from napari_unet.core.optimise import Budget, Optimisation

    run = Optimisation(small_model().network, SETTINGS, Budget(None, 1), "cpu", "float32", 0)
    return Teacher(model.network, run, 1.0, **more)


def asked(teacher, shown, known=48):
    """One loss: the left part of the image is checked, the rest is not."""
    image = torch.from_numpy(shown.image)[None, None]
    weight = torch.zeros(1, 64, 64)
    weight[:, :, :known] = 1
    target = torch.from_numpy((shown.labels > 0).astype(np.int64))[None]
    return teacher.loss(torch.zeros(1, 2, 64, 64), image, target, weight).item()


def test_the_model_before_is_trusted_where_the_checked_cells_bear_it_out(bright):
    assert asked(teacher_of(bright), example(SIX)) > 1
    assert asked(teacher_of(bright), dark(SIX)) < 0.2


@pytest.mark.parametrize("trusted", [True, False])
def test_of_a_kind_that_it_knows_it_is_never_given_up(bright, trusted):
    teacher = teacher_of(bright, trusted=trusted)
    for _ in range(PATIENCE):
        asked(teacher, dark(SIX))
    assert teacher.is_contradicted != trusted


def test_a_model_that_knows_nothing_of_the_image_is_soon_not_asked_any_more(bright):
    for shown, contradicted in ((example(SIX), False), (dark(SIX), True)):
        teacher = teacher_of(bright)
        for _ in range(PATIENCE):
            assert not teacher.is_contradicted
            asked(teacher, shown)
        assert teacher.is_contradicted is contradicted
        assert teacher.is_confirmed is not contradicted


def test_a_teacher_that_was_not_asked_is_neither_confirmed_nor_contradicted(bright):
    teacher = teacher_of(bright)
    assert not teacher.is_confirmed and not teacher.is_contradicted


def test_outlines_settle_on_images_of_a_kind_that_was_known(bright, monkeypatch):
    settled = []
    monkeypatch.setattr(fine_tuning, "settle_outlines", lambda *_: settled.append(1))
    for shown, keep, often in ((example(SIX), 0.5, True), (example(SIX), 0.0, False)):
        settled.clear()
        taught(bright, [shown], keep=keep)
        assert bool(settled) is often
    settled.clear()
    taught(bright, [dark(SIX)], keep=0.5)
    assert not settled


def test_the_default_settings_are_for_seconds():
    assert TEACH_SETTINGS.patch * TEACH_SETTINGS.patch * TEACH_SETTINGS.batch <= 2 * 128**2


def test_earlier_rounds_are_learnt_along_and_not_tested_on(bright):
    """Dark discs are taught, bright ones replayed: they are told from the ground still."""
    old = replace(example(SIX), replayed=True)
    new = dark(SIX)
    free = {"keep": 0.0, "steps": 60}
    _, (forgetful, alone) = taught(bright, [new], **free)
    events, (mindful, summary) = taught(bright, [new, old], **free)
    assert (alone.replayed, summary.replayed) == (0, 1)
    assert summary.cells_taught == alone.cells_taught == 4 and summary.cells_kept_aside == 2
    assert "4 checked cells and 1 image of earlier rounds" in summary.sentence
    assert any(isinstance(event, KeptAsideScore) for event in events)
    shown = example([(20, 20), (44, 44)])
    seen = shown.labels > 0

    def told_apart(model):
        belief = segment(shown.image, model, axes="YX", **CPU).probability[1]
        return belief[seen].mean() - belief[~seen].mean()

    assert told_apart(mindful) > told_apart(forgetful) + 0.2


def test_earlier_rounds_alone_teach_nothing(bright):
    with pytest.raises(InputError, match="Nothing is checked"):
        taught(bright, [replace(example(SIX), replayed=True)])


def test_of_a_kind_that_it_knows_two_fifths_of_what_was_learnt_are_taken(monkeypatch):
    """All is checked and nothing rehearsed, so that nothing else differs between the two."""
    model = small_model()
    taught = []
    monkeypatch.setattr(fine_tuning, "fit_head", lambda *_: None)  # not of a kind that is known
    for knows in (False, True):
        monkeypatch.setattr(
            fine_tuning, "what_is_known", lambda *_, knows=knows, **__: Knowledge(knows)
        )
        rounds = iter_finetune(model, [example(CENTERS)], settings=SETTINGS, steps=3, **CPU)
        taught.append(ended(rounds)[1][0].network.state_dict())
    whole, part = taught
    for name, before in model.network.state_dict().items():
        if before.is_floating_point():
            torch.testing.assert_close(part[name], 0.6 * before + 0.4 * whole[name])
    assert any(not torch.equal(whole[name], part[name]) for name in whole)


@pytest.mark.parametrize(("keep", "asked"), [(0.0, 0), (0.5, 1)])
def test_who_learns_freely_is_not_asked_what_it_knows(monkeypatch, keep, asked):
    calls = []

    def asking(*_, **__):
        calls.append(1)
        return Knowledge(is_known=False)

    monkeypatch.setattr(fine_tuning, "what_is_known", asking)
    ended(iter_finetune(small_model(), [example(CENTERS)], keep=keep, steps=1, **CPU))
    assert len(calls) == asked


def test_what_is_known_is_learnt_at_the_size_that_it_is_found_to_have(monkeypatch):
    """Measured at half of it; it is looked at once more, and the new size is told and kept."""
    model = small_model()
    model = replace(model, config=replace(model.config, diameter=12.0))
    asked = []

    def known(_, examples, **__):
        asked.append([one.diameter for one in examples])
        none = [replace(one, checked=np.zeros(one.labels.shape, bool)) for one in examples]
        return Knowledge(True, tuple(none))

    monkeypatch.setattr(fine_tuning, "what_is_known", known)
    own = replace(example(CENTERS), diameter=6.0)
    rounds = iter_finetune(model, [own, example(CENTERS)], settings=SETTINGS, steps=1, **CPU)
    taught, summary = ended(rounds)[1]
    true = median_diameter([own.labels])
    assert asked == [[6.0, true], [true, true]]
    assert summary.diameters == (true, None)
    assert taught.config.taught_diameter == true and not taught.config.taught_known


@pytest.mark.parametrize("is_known", [True, False])
def test_where_the_kind_is_known_and_measured_right_other_sizes_can_be(monkeypatch, is_known):
    """Else nuclei of 16 px, corrected, would make the next image's 30 px be taken for 24."""
    model = small_model()
    model = replace(model, config=replace(model.config, diameter=12.0))
    own = replace(example(CENTERS), diameter=10.0)
    none = replace(own, checked=np.zeros(own.labels.shape, bool))
    answer = Knowledge(is_known, (none,) if is_known else ())
    monkeypatch.setattr(fine_tuning, "what_is_known", lambda *_, **__: answer)
    taught, summary = ended(iter_finetune(model, [own], settings=SETTINGS, steps=1, **CPU))[1]
    assert summary.diameters == ()
    found = median_diameter([own.labels])
    assert 1.0 < found / 10.0 < 1.5  # not so far off that it is learnt at another size
    assert taught.config.taught_diameter == (found if is_known else 10.0)
    assert taught.config.taught_known == is_known


def test_a_later_round_is_judged_on_earlier_cells_and_counts_as_much_as_it_brings(monkeypatch):
    """Two of the five cells are new, so two fifths of what was learnt are taken."""
    monkeypatch.setattr(fine_tuning, "fit_head", lambda *_: None)
    judged = []

    class Watched(Judge):
        def __init__(self, *values, earlier=(), **more):
            judged.append(earlier)
            super().__init__(*values, earlier=earlier, **more)

    monkeypatch.setattr(fine_tuning, "Judge", Watched)
    recent = np.zeros((64, 64), bool)
    recent[40:] = True
    five, model = replace(example(CENTERS), recent=recent), small_model(1)
    taught = []
    for base in (None, small_model(2)):
        rounds = iter_finetune(
            model, [five], keep=0.0, base=base, settings=SETTINGS, steps=3, **CPU
        )
        taught.append(ended(rounds)[1][0].network.state_dict())
    whole, part = taught
    for name, before in model.network.state_dict().items():
        if before.is_floating_point():
            torch.testing.assert_close(part[name], 0.6 * before + 0.4 * whole[name])
    first, (earlier,) = judged
    assert first == () and np.array_equal(earlier.mask, ~recent)


def test_of_what_forgets_earlier_cells_half_is_tried(monkeypatch):
    """It is judged before, after and, as it forgets, halfway once more."""
    seen = []

    class Forgetful(Judge):
        def judge(self, network, **more):
            seen.append(network.head.bias.detach().clone())
            score = super().judge(network, **more)
            self.has_forgotten = len(seen) > 1
            return score

        def is_due(self):
            return False

    monkeypatch.setattr(fine_tuning, "Judge", Forgetful)
    monkeypatch.setattr(fine_tuning, "fit_head", lambda *_: None)
    model = small_model(1)
    ended(iter_finetune(model, [example(CENTERS)], keep=0.0, settings=SETTINGS, steps=3, **CPU))
    before, after, half = seen
    torch.testing.assert_close(half, (before + after) / 2)


def test_what_is_not_known_is_taught_at_a_size_near_to_what_was_drawn(monkeypatch):
    model = small_model()
    model = replace(model, config=replace(model.config, diameter=12.0))
    own = replace(example(CENTERS), diameter=200.0)
    rounds = iter_finetune(model, [own], keep=0.0, settings=SETTINGS, steps=1, **CPU)
    taught, summary = ended(rounds)[1]
    (size,) = summary.diameters
    assert 12 / 2.5 < size < 12 * 2.5
    assert taught.config.taught_diameter == size
