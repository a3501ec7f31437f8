"""Verdicts on few cells: which model is kept, and what is told."""

from dataclasses import replace

import numpy as np
import pytest

from napari_unet.core import judge as judge_module
from napari_unet.core import kept_aside as kept_aside_module
from napari_unet.core.example import Example
from napari_unet.core.judge import Judge, is_refused, is_worse, with_fitting_objects
from napari_unet.core.kept_aside import KeptAside, Mark, all_checked
from napari_unet.core.kept_patches import KeptPatches, all_patches
from napari_unet.core.object_score import LOOKS
from napari_unet.core.optimise import Budget
from small_scenes import example, small_model

NAN = float("nan")


@pytest.mark.parametrize(
    ("new", "old", "cells", "worse"),
    [
        (Mark(0.9, 2.0), Mark(0.4, 1.0), 2, False),  # a clear rise decides
        (Mark(0.4, 0.5), Mark(0.9, 1.0), 2, True),  # a clear fall decides
        (Mark(0.75, 0.5), Mark(0.80, 1.0), 2, False),  # within the noise the loss does
        (Mark(0.85, 1.5), Mark(0.80, 1.0), 2, True),
        (Mark(0.72, 0.5), Mark(0.80, 1.0), 2, True),  # a fall that is more than half the noise
        (Mark(0.75, 0.5), Mark(0.80, 1.0), 100, True),  # of many cells it is no noise
        (Mark(0.0, 0.5), Mark(0.0, 1.0), 2, False),  # closer, though nothing is found yet
        (Mark(0.5, 1.0), Mark(0.5, 1.0), 2, False),
        (Mark(0.9, NAN), Mark(0.4, 1.0), 2, True),
    ],
)
def test_a_mark_is_worse(new, old, cells, worse):
    assert is_worse(new, old, cells) is worse


@pytest.mark.parametrize(
    ("new", "old", "cells", "refused"),
    [
        (
            Mark(0.2, 0.24),
            Mark(0.2, 0.2),
            4,
            False,
        ),  # a fifth more; of four cells noise is a quarter
        (Mark(0.2, 0.26), Mark(0.2, 0.2), 4, True),
        (Mark(0.2, 0.24), Mark(0.2, 0.2), 25, True),  # of many cells it is no noise
        (Mark(0.6, 0.24), Mark(0.6, 0.2), 4, True),  # what knows much is not given up for it
        (Mark(0.62, 0.24), Mark(0.6, 0.2), 4, False),  # but for what has risen too
        (Mark(0.62, 0.26), Mark(0.6, 0.2), 4, True),
        (Mark(0.1, 0.24), Mark(0.2, 0.2), 4, True),  # a fall of the score is a fall
        (Mark(0.2, NAN), Mark(0.2, 0.2), 4, True),
        (Mark(0.2, 0.1), Mark(0.2, 0.2), 4, False),
    ],
)
def test_a_round_is_refused_for_a_little_more_loss_where_much_is_known_and_nothing_won(
    new, old, cells, refused
):
    assert is_refused(new, old, cells) is refused


class Marks:
    """Gives the marks of a list, one after the other, as if networks were scored."""

    def __init__(self, monkeypatch, *marks, cells=2):
        self.left = list(marks)
        monkeypatch.setattr(
            KeptAside, "marks", lambda cells, model, configs, **_: [self.left.pop(0)] * len(configs)
        )
        monkeypatch.setattr(KeptAside, "cells", cells)


def judge(aside=None, seconds=None, examples=None):
    examples = [example([(20, 20), (44, 44)])] if examples is None else examples
    return Judge(small_model(), examples, aside, Budget(seconds, 100), "cpu", "float32")


def judged(monkeypatch, *marks, cells=2, aside=True):
    Marks(monkeypatch, *marks, cells=cells)
    judging = judge(KeptAside(()) if aside else None)
    networks = [small_model(seed).network for seed in range(len(marks))]
    events = [judging.judge(network) for network in networks]
    best = None if judging.best is None else networks.index(judging.best.network)
    return best, judging.summary(6), events


def test_the_last_is_kept_where_it_is_as_good(monkeypatch):
    marks = (Mark(0.2, 3), Mark(0.8, 1.0), Mark(0.78, 0.5))
    best, summary, _ = judged(monkeypatch, *marks)
    assert best == 2
    assert (summary.before, summary.after, summary.improved) == (0.2, 0.78, True)


def test_a_clearly_better_one_on_the_way_is_kept(monkeypatch):
    best, summary, _ = judged(monkeypatch, Mark(0.2, 3), Mark(0.8, 1.0), Mark(0.3, 0.5))
    assert best == 1
    assert summary.after == 0.8


def test_a_worse_one_is_told_and_not_taken_for_better(monkeypatch):
    _, summary, _ = judged(monkeypatch, Mark(0.9, 1), Mark(0.3, 2))
    assert not summary.improved
    assert summary.sentence == (
        "Teaching did not help on 2 corrected cells kept aside (before 0.90, after 0.30), "
        "so the model before stays; check a few more cells and teach again."
    )


def test_a_step_in_the_right_direction_is_kept_and_told(monkeypatch):
    _, summary, _ = judged(monkeypatch, Mark(0.02, 3), Mark(0.0, 1))
    assert summary.improved
    assert summary.sentence == (
        "Learnt from 6 checked cells; on 2 corrected cells kept aside: "
        "before 0.02, after 0.00 but closer; teach again for longer."
    )


def test_a_small_drop_on_two_cells_is_told_as_no_change(monkeypatch):
    _, summary, _ = judged(monkeypatch, Mark(0.75, 3), Mark(0.69, 1))
    assert summary.improved
    assert summary.sentence.endswith("kept aside: before 0.75, after 0.69, about the same.")


def test_with_too_few_cells_they_are_judged_themselves_and_that_is_said(monkeypatch):
    best, summary, events = judged(monkeypatch, Mark(0.1, 3), Mark(0.8, 1), aside=False)
    assert best == 1
    assert events == [None, None]  # no score to draw: it is of what was learnt
    assert summary.cells_kept_aside == 0
    assert summary.sentence == (
        "Learnt from 6 checked cells, too few to keep any aside; on these cells: "
        "before 0.10, after 0.80."
    )


def test_what_diverged_is_never_kept(monkeypatch):
    _, summary, _ = judged(monkeypatch, Mark(0.1, 3), Mark(0.0, NAN), aside=False)
    assert not summary.improved
    assert "did not help on these cells" in summary.sentence


def test_without_any_cell_the_last_network_is_kept():
    labelled = example([(20, 20)])
    labelled.labels[:] = 0
    judging = judge(examples=[labelled])
    networks = [small_model(seed).network for seed in (0, 1)]
    for network in networks:
        assert judging.judge(network) is None
    assert judging.best.network is networks[1]
    summary = judging.summary(0)
    assert (summary.before, summary.after, summary.improved) == (None, None, True)


def test_it_is_due_each_quarter(monkeypatch):
    Marks(monkeypatch, *[Mark(0.5, 1)] * 9)
    judging = judge(KeptAside(()))
    due = []
    for step in range(100):
        judging._budget.step = step
        if judging.is_due():
            due.append(step)
            judging.judge(small_model().network)
    assert due == [25, 50, 75]


def test_a_slow_verdict_is_not_repeated_in_between(monkeypatch):
    Marks(monkeypatch, Mark(0.5, 1))
    times = iter([0.0, 0.0, 1.0, *[1.0] * 20])
    monkeypatch.setattr(judge_module.time, "monotonic", lambda: next(times))
    judging = judge(KeptAside(()), seconds=10.0)
    judging._keep_time_back(1.0)
    judging._budget.step = 90
    assert judging._budget.seconds == 9.0
    assert not judging.is_due()


def scored(*, likes_objects):
    """A small model that judges all objects to be right, or none."""
    model = small_model()
    constant = 9.0 if likes_objects else -9.0
    score = (*[0.0] * len(LOOKS), constant)
    return replace(model, config=replace(model.config, diameter=16.0, object_score=score))


@pytest.fixture
def sees_all(monkeypatch):
    """Let every network find the bright discs."""

    def predict(image_cyx, model, **_):
        middle = (image_cyx[0].min() + image_cyx[0].max()) / 2
        belief = (image_cyx[0] > middle).astype(np.float32)
        return np.stack([1 - belief, belief])

    monkeypatch.setattr(kept_aside_module, "predict_plane", predict)


@pytest.mark.parametrize("likes_objects", [True, False])
def test_a_score_that_is_not_true_of_the_checked_cells_is_given_up(sees_all, likes_objects):
    model = scored(likes_objects=likes_objects)
    cells = all_checked([example([(20, 20), (44, 44)])])
    fitting, mark = with_fitting_objects(model, cells, 0.5, device="cpu", precision="float32")
    assert (fitting.config.score is not None) == likes_objects
    assert mark.score > 0.5
    assert fitting.network is model.network
    assert cells.mark(fitting) == mark
    if not likes_objects:
        assert cells.mark(model).score == 0


@pytest.mark.parametrize(("likes_objects", "many"), [(False, True), (False, False), (True, True)])
def test_a_score_that_hides_what_was_learnt_is_given_up_though_few_are_kept_aside(
    sees_all, likes_objects, many
):
    """Nothing is kept aside that could tell; without what was learnt the score stays."""
    model = scored(likes_objects=likes_objects)
    learnt = all_checked([example([(20, 20), (44, 44)])]) if many else None
    fitting, _ = with_fitting_objects(
        model, KeptAside(()), 0.5, learnt=learnt, device="cpu", precision="float32"
    )
    assert (fitting.config.score is None) == (many and not likes_objects)


def test_the_judge_asks_what_was_learnt_whether_the_score_hides_it(sees_all):
    """Two discs were learnt; nothing that is kept aside speaks against the score."""
    model = scored(likes_objects=False)
    learnt, aside = example([(20, 20), (44, 44)]), KeptAside(())
    judging = Judge(model, [learnt], aside, Budget(None, 9), "cpu", "float32")
    for _ in range(2):
        judging.judge(model.network)
    assert judging.best is not None and judging.best.config.score is None


def with_crumbs(labelled):
    """Put a bright crumb of 5 x 5 pixels beside each disc, where background is checked."""
    for y, x in ((20, 33), (44, 57)):
        labelled.image_cyx[:, y - 2 : y + 3, x - 2 : x + 3] = labelled.image_cyx.max()
    return labelled


@pytest.mark.parametrize("crumbs", [True, False])
def test_crumbs_are_left_out_where_checked_cells_are_larger(sees_all, crumbs):
    labelled = example([(20, 20), (44, 44)])
    cells = all_checked([with_crumbs(labelled) if crumbs else labelled])
    model = small_model()
    model = replace(model, config=replace(model.config, min_size=5))
    before = cells.mark(model).score
    fitting, mark = with_fitting_objects(model, cells, 0.5, device="cpu", precision="float32")
    if crumbs:
        assert before == pytest.approx(mark.score / 2)  # two cells, two crumbs
        assert 25 < fitting.config.min_size < np.count_nonzero(labelled.labels) / 4
    else:
        assert fitting.config == model.config and mark.score == before


@pytest.mark.parametrize(("before", "factor"), [(0.0, 1 / 4), (0.5, None)])
def test_of_another_kind_the_largest_size_is_taken_that_is_as_good(sees_all, before, factor):
    labelled = example([(20, 20), (44, 44)])
    cells = all_checked([labelled])
    model = small_model()
    fitting, mark = with_fitting_objects(model, cells, before, device="cpu", precision="float32")
    area = np.count_nonzero(labelled.labels) / 2
    expected = model.config.min_size if factor is None else round(factor * area)
    assert fitting.config.min_size == expected
    assert mark == cells.mark(model)


@pytest.mark.parametrize(("crumb", "stays"), [(True, False), (False, True)])
def test_a_smaller_smallest_object_than_the_model_has_must_be_proven(sees_all, crumb, stays):
    """Cells of half the size that are as good are no reason; cells that would be lost are."""
    labelled = example([(20, 20), (44, 44)])
    area = np.count_nonzero(labelled.labels) / 2
    model = small_model()
    size = round(1.5 * area if crumb else area / 2)
    model = replace(model, config=replace(model.config, min_size=size))
    cells = all_checked([labelled])
    fitting, _ = with_fitting_objects(model, cells, 0.5, device="cpu", precision="float32")
    assert (fitting.config.min_size == size) == stays


@pytest.mark.parametrize(
    ("others", "stays"), [([], True), ([3.0, 900.0, 900.0], True), ([3.0], False)]
)
def test_the_smallest_object_is_lowered_only_where_a_quarter_of_the_cells_is_lost(
    monkeypatch, others, stays
):
    """Whatever the score says of a few cells, it says nothing of crumbs elsewhere."""
    labelled = example([(20, 20), (44, 44)])
    cells = all_checked([labelled])
    monkeypatch.setattr(
        KeptAside,
        "marks",
        lambda _, m, configs, **where: [Mark(float(c.min_size < 50), 1.0) for c in configs],
    )
    area = np.count_nonzero(labelled.labels) / 2
    model = small_model()
    model = replace(model, config=replace(model.config, min_size=round(area / 2)))
    fitting, _ = with_fitting_objects(model, cells, 0.5, others=others)
    assert (fitting.config.min_size == round(area / 2)) == stays


def test_areas_are_of_whole_cells_at_the_models_scale():
    labels = np.zeros((160, 160), int)
    labels[:3, :4], labels[70:80, 70:80], labels[90:110, 90:110] = 1, 2, 3  # 12, 100, 400 px
    labels[158:, 60:90] = 4
    config = small_model().config
    image = np.zeros(labels.shape, np.float32)
    for diameter, expected in ((None, [100, 400]), (20.0, [25, 100])):
        cells = all_checked([Example(image, labels, axes="YX", diameter=diameter)])
        assert sorted(cells.whole_areas(replace(config, diameter=10.0))) == expected
    assert KeptAside(()).whole_areas(config) == []


def test_what_must_be_proven_is_kept_beyond_the_noise_alone(monkeypatch):
    for score, expected in ((0.6, 1), (0.9, 2)):  # of two cells the noise is 0.14
        Marks(monkeypatch, Mark(0.2, 3), Mark(0.5, 1.0), Mark(score, 0.1))
        judging = judge(KeptAside(()))
        networks = [small_model(seed).network for seed in range(3)]
        judging.judge(networks[0])
        judging.judge(networks[1])
        judging.judge(networks[2], proven=True)
        assert judging.best.network is networks[expected]


@pytest.mark.parametrize(("score", "little"), [(0.1, True), (0.4, False)])
def test_little_is_found_where_the_best_so_far_knows_no_such_cells(monkeypatch, score, little):
    Marks(monkeypatch, Mark(0.6, 1.0), Mark(score, 1.0))
    judging = judge(KeptAside(()))
    assert judging.finds_little  # nothing was learnt yet
    for seed in range(2):
        judging.judge(small_model(seed).network)
    assert judging.finds_little == little


def test_smallest_sizes_are_parts_of_the_usual_cell_at_the_models_scale():
    labels = np.zeros((64, 64), int)
    labels[:8, :8], labels[20:36, 20:36], labels[40:60, 40:60] = 1, 2, 3  # 64, 256, 400 px
    model = small_model()
    shrunk = replace(model.config, diameter=10.0)
    image = np.zeros((64, 64), np.float32)
    for config, diameter, expected in (
        (model.config, None, [32, 64]),
        (shrunk, 20.0, [8, 16]),
        (shrunk, None, [32, 64]),
    ):
        cells = all_checked([Example(image, labels, axes="YX", diameter=diameter)])
        assert cells.min_sizes(config) == expected
    assert KeptAside(()).min_sizes(shrunk) == []


def test_the_score_of_objects_stays_where_the_kind_of_image_is_known(sees_all):
    """The few worst cells, which are corrected first, say nothing of how the others look."""
    model = scored(likes_objects=False)
    cells = all_checked([example([(20, 20), (44, 44)])])
    fitting, mark = with_fitting_objects(model, cells, 0.5, is_known=True)
    assert fitting.config.score is not None and mark.score == 0


@pytest.mark.parametrize(("is_known", "expected"), [(True, 8), (False, 27)])
def test_the_smallest_object_is_not_raised_where_the_kind_of_image_is_known(
    sees_all, is_known, expected
):
    """Of nuclei of 38 px nine were lost so, as the ten worst are badly found at any size."""
    model = scored(likes_objects=True)
    model = replace(model, config=replace(model.config, min_size=8))
    cells = all_checked([example([(20, 20), (44, 44)])])
    fitting, _ = with_fitting_objects(model, cells, 0.0, is_known=is_known)
    assert fitting.config.min_size == expected


@pytest.mark.parametrize(("found", "improved"), [(0.9, True), (0.77, True), (0.75, False)])
def test_what_has_lost_too_much_of_what_is_believed_is_not_taken(monkeypatch, found, improved):
    """Of 0.9 that the model before finds 0.85 times as much must be left."""
    left = [0.9, found]

    class Believed:
        def mark(self, *_, **__):
            return Mark(left.pop(0), 0.0)

        def whole_areas(self, *_):
            return []

    monkeypatch.setattr(judge_module, "all_checked", lambda *_: Believed())
    Marks(monkeypatch, Mark(0.3, 1.0), Mark(0.6, 0.5))
    judging = Judge(
        small_model(),
        [],
        KeptAside(()),
        Budget(None, 9),
        "cpu",
        "float32",
        believed=[example([(20, 20), (44, 44)])],
    )
    for seed in (0, 1):
        judging.judge(small_model(seed).network)
    summary = judging.summary(1)
    assert judging.has_lost != improved
    assert (summary.improved, summary.lost, summary.after) == (improved, not improved, 0.6)
    assert ("would lose cells that looked right" in summary.sentence) != improved
    assert (judging.best is not None) == improved


@pytest.mark.parametrize(
    ("before", "found", "cells", "forgets"),
    [
        (0.26, 0.08, 10, True),
        (0.57, 0.45, 5, False),  # within a third of it
        (0.60, 0.38, 10, True),
        (0.20, 0.13, 4, False),  # within the noise of four cells, 0.1
        (0.20, 0.05, 4, True),
        (0.0, 0.0, 10, False),
    ],
)
def test_what_has_lost_much_of_earlier_rounds_is_not_taken(
    monkeypatch, before, found, cells, forgets
):
    left = [before, found]

    class Earlier:
        def mark(self, *_, **__):
            return Mark(left.pop(0), 0.0)

        def whole_areas(self, *_):
            return []

    Earlier.cells = cells
    monkeypatch.setattr(judge_module, "all_checked", lambda *_: Earlier())
    Marks(monkeypatch, Mark(0.3, 1.0), Mark(0.6, 0.5))
    earlier = [example([(20, 20), (44, 44)])]
    budget = Budget(None, 9)
    judging = Judge(small_model(), [], KeptAside(()), budget, "cpu", "float32", earlier=earlier)
    for seed in (0, 1):
        judging.judge(small_model(seed).network)
    summary = judging.summary(1)
    assert judging.has_forgotten == forgets
    assert (summary.improved, summary.forgot, judging.best is None) == (
        not forgets,
        forgets,
        forgets,
    )
    assert ("would lose cells of earlier rounds" in summary.sentence) == forgets


def test_the_taught_model_has_the_score_that_fits(sees_all):
    model = scored(likes_objects=False)
    judging = Judge(model, [example([(20, 20), (44, 44)])], None, Budget(None, 9), "cpu", "float32")
    for seed in (0, 1):
        judging.judge(small_model(seed).network)
    summary = judging.summary(1)
    assert summary.before == 0 and summary.after > 0.5  # the model before is judged as it is
    assert judging.best.config.score is None


@pytest.mark.parametrize(
    ("added", "after", "improved"), [(2, 1.0, True), (1, 1.0, False), (2, 0.9, False)]
)
def test_a_class_of_which_nothing_is_kept_aside_is_learnt_if_little_is_lost(
    monkeypatch, added, after, improved
):
    """A patch of a class that was added: those kept aside, of other classes, cannot tell."""
    labels = np.ones((64, 64), np.int32)
    labels[:, :32] = 0
    kept = Example(np.zeros((64, 64)), labels, None, "YX", semantic=True)
    taught = replace(kept, labels=np.where(labels > 0, added, 0))
    model = small_model()
    model = replace(
        model, config=replace(model.config, classes=("ground", "a", "b"), semantic=True)
    )
    judging = Judge(model, [taught], all_patches([kept]), Budget(None, 9), "cpu", "float32")
    marks = [Mark(1.0, 0.1), Mark(after, 0.2)]
    monkeypatch.setattr(KeptPatches, "marks", lambda *_, **__: [marks.pop(0)])
    for seed in (0, 1):
        judging.judge(small_model(seed).network)
    assert judging.summary(1).improved == improved
