"""Which checked cells are kept aside, and how models are marked on them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_unet.core import kept_aside
from napari_unet.core.config import ModelConfig
from napari_unet.core.example import Example
from napari_unet.core.kept_aside import SQUARE, all_checked, keep_aside
from napari_unet.core.model_file import Model
from napari_unet.core.rescale import model_scale, resize_labels, scaled_shape
from napari_unet.core.segmentation import segment
from small_scenes import discs, photograph, small_model

GRID = [(y, x) for y in range(12, 100, 24) for x in range(12, 124, 24)]  # 4 rows of 5


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def grid(count=20, checked=None):
    labels = discs((96, 120), GRID[:count])
    return Example(photograph(labels), labels, checked)


@pytest.fixture
def answers(monkeypatch):
    """What the network says of a region: by default the truth."""
    said = {"p": lambda labels: np.where(labels > 0, 0.99, 0.01)}
    monkeypatch.setattr(
        kept_aside._Region,
        "foreground",
        lambda region, *_: said["p"](region.labels).astype(np.float32),
    )
    return said


def mark(aside, split=0.0, min_size=20):
    model = small_model()
    return aside.mark(replace(model, config=ModelConfig(split=split, min_size=min_size)))


@pytest.mark.parametrize(("checked_cells", "kept"), [(5, 0), (6, 2), (9, 2), (10, 2), (20, 4)])
def test_a_fifth_is_kept_aside_and_at_least_two_of_six(checked_cells, kept):
    _, aside = keep_aside([grid(checked_cells)])
    assert (aside.cells if aside else 0) == kept


def test_what_is_kept_aside_is_not_taught_and_the_rest_is():
    example = grid()
    taught, aside = keep_aside([example])
    cells = [cell for region in aside.regions for cell in region.cells]
    assert not taught[0].checked[np.isin(example.labels, cells)].any()
    others = np.setdiff1d(np.arange(1, 21), cells)
    assert taught[0].checked[np.isin(example.labels, others)].all()
    kept_pixels = sum(region.mask.sum() for region in aside.regions)
    assert kept_pixels + taught[0].checked.sum() == example.labels.size


@pytest.mark.parametrize("seed", range(4))
def test_it_is_kept_aside_by_region(seed):
    """The cells lie in one square or two, and all pixels nearest to them go with them."""
    example = grid()
    taught, aside = keep_aside([example], seed=seed)
    cells = [cell for region in aside.regions for cell in region.cells]
    assert len({tuple(np.array(GRID[cell - 1]) // SQUARE) for cell in cells}) <= 2
    away = ~taught[0].checked
    assert away[np.isin(example.labels, cells)].all()
    assert away.sum() > 2 * np.isin(example.labels, cells).sum()


def test_few_that_were_learnt_before_are_kept_aside_when_more_are_checked():
    """Chosen anew each time, two of three would have been learnt."""
    centers = [(y, x) for y in range(20, 320, 40) for x in range(20, 320, 40)]
    labels = discs((320, 320), centers, radius=12)
    image, learnt_before, kept = photograph(labels), 0, 0
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(centers)) + 1
        learnt: set[int] = set()
        for count in range(10, 60, 10):
            checked = np.isin(labels, order[:count])
            _, aside = keep_aside([Example(image, labels, checked)], seed=seed)
            cells = {cell for region in aside.regions for cell in region.cells}
            learnt_before += len(cells & learnt)
            kept += len(cells)
            learnt |= set(order[:count].tolist()) - cells
    assert learnt_before < 0.3 * kept


def test_the_same_seed_keeps_the_same_aside():
    regions = [keep_aside([grid()], seed=seed)[1].regions for seed in (0, 0, 1, 2, 3)]
    cells = [[cell for region in there for cell in region.cells] for there in regions]
    assert cells[0] == cells[1]
    assert any(other != cells[0] for other in cells[2:])


def test_unchecked_cells_are_neither_kept_aside_nor_counted():
    checked = np.zeros((96, 120), bool)
    checked[:, :48] = True  # 8 cells in two columns
    taught, aside = keep_aside([grid(checked=checked)])
    cells = {cell for region in aside.regions for cell in region.cells}
    assert cells <= {1, 2, 6, 7, 11, 12, 16, 17}
    assert not (taught[0].checked & ~checked).any()


def test_every_example_keeps_something_to_learn_from():
    taught, aside = keep_aside([grid(3), grid(3), grid(3)])
    assert aside.cells == 2
    assert all((example.labels[example.mask] > 0).any() for example in taught)


def test_cells_far_apart_are_regions_of_their_own():
    labels = discs((64, 800), [(32, 32), (32, 750)])
    checked = labels > 0
    aside = all_checked([Example(photograph(labels), labels, checked)])
    assert [region.cells for region in aside.regions] == [(1,), (2,)]
    assert all(region.labels.shape[1] < 130 for region in aside.regions)


def test_cells_near_each_other_share_a_region():
    example = grid(checked=grid().labels > 0)
    aside = all_checked([example])
    assert [region.cells for region in aside.regions] == [tuple(range(1, 21))]


def test_without_a_checked_cell_there_is_nothing_to_mark():
    labels = np.zeros((32, 32), np.int32)
    assert all_checked([Example(photograph(labels), labels)]) is None


def test_the_truth_scores_one_and_its_loss_is_that_of_its_probability(answers):
    got = mark(all_checked([grid()]))
    assert got.score == pytest.approx(1)
    assert got.loss == pytest.approx(0.01**2, rel=1e-3)


def test_a_lost_cell_and_a_false_object_cost_the_same(answers):
    aside = all_checked([grid(4)])
    answers["p"] = lambda labels: np.where((labels > 0) & (labels != 3), 0.99, 0.01)
    lost = mark(aside).score

    def one_more(labels):
        extra = discs(labels.shape, [(60, 60)])
        return np.where((labels > 0) | (extra > 0), 0.99, 0.01)

    answers["p"] = one_more
    assert lost == pytest.approx(3 / 4)
    assert mark(aside).score == pytest.approx(4 / 5)


def test_false_objects_outside_what_is_checked_cost_nothing(answers):
    checked = np.zeros((96, 120), bool)
    checked[:24, :48] = True
    aside = all_checked([grid(2, checked)])
    clean = mark(aside)
    answers["p"] = lambda labels: np.where(
        (labels > 0) | (discs(labels.shape, [(60, 60)]) > 0), 0.99, 0.01
    )
    assert mark(aside) == clean


def test_an_iou_by_hand(answers):
    labels = np.zeros((40, 40), np.int32)
    labels[10:20, 10:20] = 1
    answers["p"] = lambda _: np.where(np.roll(labels, 5, axis=1) > 0, 0.9, 0.1)
    aside = all_checked([Example(photograph(labels), labels)])
    assert mark(aside).score == pytest.approx(50 / 150)


def test_objects_are_made_as_the_model_says(answers):
    """Its split, its smallest size."""
    labels = discs((40, 64), [(20, 20), (20, 36)], radius=9)
    aside = all_checked([Example(photograph(labels), labels)])
    assert mark(aside, split=0.5).score > mark(aside, split=0.0).score + 0.3
    assert mark(aside, split=0.5, min_size=10_000).score == 0


def test_a_sure_error_costs_the_most_which_is_one(answers):
    answers["p"] = lambda labels: np.where(labels > 0, 0.0, 1.0)
    assert mark(all_checked([grid()])).loss == pytest.approx(1)


def test_a_region_is_normalised_like_the_whole_image():
    """So that the network sees there what it sees when it segments."""
    labels = discs((64, 400), [(32, 32)])
    image = photograph(labels)
    image[:, 200:] *= 10  # the bright part is far from the region
    aside = all_checked([Example(image, labels, labels > 0)])
    region = aside.regions[0]
    model = Model.fresh(ModelConfig(width=4, depth=1))
    here = region.foreground(model, "cpu", "float32")
    there = segment(image, model, axes="YX", device="cpu", precision="float32").probability[1]
    middle = np.s_[24:40, 24:40]
    np.testing.assert_allclose(here[middle], there[middle], atol=1e-4)


@pytest.fixture
def predicted(monkeypatch):
    """The network says the truth, of the region rescaled; what it was asked."""
    asked = []

    def predict(image_cyx, model, *, diameter=None, ranges=None, **options):
        labels = image_cyx[0]
        scale = model_scale(model.config, diameter, labels.shape)
        scaled = scaled_shape(labels.shape, scale)
        cells = resize_labels(labels.astype(np.int32), scaled) > 0
        asked.append((diameter, cells.shape))
        cell = np.where(cells, 0.99, 0.01).astype(np.float32)
        return np.stack([1 - cell, cell])

    monkeypatch.setattr(kept_aside, "predict_plane", predict)
    return asked


def of_size(diameter):
    """Cells of 12 px, said to be of another size; the image shows the labels."""
    labels = discs((96, 120), GRID)
    return all_checked([Example(labels, labels, diameter=diameter)])


@pytest.mark.parametrize("known", [6.0, 12.0, 24.0])
def test_models_are_marked_at_the_size_they_know(predicted, known):
    model = Model.fresh(ModelConfig(width=1, depth=1, diameter=known))
    got = of_size(12.0).mark(model)
    assert predicted == [(12.0, (96 * known / 12, 120 * known / 12))]
    assert got.score > 0.8  # blocks of two pixels, at half the size
    assert got.loss < 0.2


@pytest.mark.parametrize(("diameter", "known"), [(None, 24.0), (12.0, None)])
def test_where_either_size_is_not_known_the_region_is_taken_as_it_is(predicted, diameter, known):
    model = Model.fresh(ModelConfig(width=1, depth=1, diameter=known))
    got = of_size(diameter).mark(model)
    assert predicted == [(None, (96, 120))]
    assert got.score == pytest.approx(1)


@pytest.mark.parametrize(("diameter", "known", "score"), [(12.0, 12.0, 1), (36.0, 12.0, 0)])
def test_the_smallest_object_grows_with_the_size_of_the_region(predicted, diameter, known, score):
    """113 pixels are more than 60 and fewer than 9 times 60."""
    model = Model.fresh(ModelConfig(width=1, depth=1, diameter=known, min_size=60))
    assert of_size(diameter).mark(model).score == pytest.approx(score)


def test_what_is_kept_aside_keeps_its_size():
    taught, aside = keep_aside([replace(grid(), diameter=17.0)])
    assert taught[0].diameter == 17
    assert {region.diameter for region in aside.regions} == {17}
