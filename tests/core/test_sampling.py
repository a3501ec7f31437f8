"""Patches for training: where they come from, what they hold, what they weigh."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_unet.core.augment import AugmentConfig
from napari_unet.core.errors import InputError
from napari_unet.core.example import Example
from napari_unet.core.optimise import TrainSettings
from napari_unet.core.sampling import (
    MOST_BALANCE,
    REPLAYED,
    Batch,
    PatchSampler,
    WeightSettings,
    prefetched,
)
from napari_unet.core.targets import labels_to_classes
from napari_unet.core.train_settings import TEACH_SETTINGS
from napari_unet.core.weight_map import touching_cell_weights
from small_scenes import discs, example, photograph

STILL = AugmentConfig.unvaried()
TWO = [(16, 16), (44, 44)]


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def sampler(*examples, **changes):
    settings = {
        "side": 32,
        "batch": 2,
        "percentiles": (1.0, 99.8),
        "augment": AugmentConfig(),
        "weights": WeightSettings(),
    }
    return PatchSampler(examples, **(settings | changes))


def draw(source, count):
    batches = iter(source)
    return [next(batches) for _ in range(count)]


def square(*box, shape=(64, 64)):
    mask = np.zeros(shape, bool)
    mask[slice(*box[:2]), slice(*box[2:])] = True
    return mask


def test_a_batch_has_the_shapes_and_types_it_says():
    batch = draw(sampler(example(TWO), batch=3, side=48), 1)[0]
    assert (batch.image.shape, batch.image.dtype) == ((3, 1, 48, 48), torch.float32)
    assert (batch.target.shape, batch.target.dtype) == ((3, 48, 48), torch.int64)
    assert (batch.weight.shape, batch.weight.dtype) == ((3, 48, 48), torch.float32)


def test_the_same_seed_draws_the_same_batches():
    first, again, other = (draw(sampler(example(TWO), seed=seed), 3) for seed in (5, 5, 6))
    for one, two, three in zip(first, again, other, strict=True):
        assert torch.equal(one.image, two.image)
        assert torch.equal(one.target, two.target)
        assert torch.equal(one.weight, two.weight)
        assert not torch.equal(one.image, three.image)


def test_every_patch_shows_some_of_what_is_checked():
    checked = square(10, 13, 50, 53)
    for batch in draw(sampler(example(TWO, checked), augment=STILL, batch=4), 20):
        assert (batch.weight > 0).any(dim=(1, 2)).all()


def test_most_patches_lie_on_checked_objects():
    labels = discs((256, 256), [(128, 128)])
    source = sampler(Example(photograph(labels), labels), augment=STILL, batch=8)
    on_object = torch.cat([(b.target == 1).any(dim=(1, 2)) for b in draw(source, 40)])
    assert on_object.float().mean() > 0.7  # the disc covers one pixel in 600


@pytest.mark.parametrize("augment", [STILL, AugmentConfig()], ids=["still", "varied"])
def test_labels_outside_the_checked_area_change_nothing_that_is_learnt(augment):
    """Neither target nor weight, wherever the weight is above 0."""
    checked = square(0, 30, 0, 30)
    clean, scrawled = example(TWO, checked), example(TWO, checked)
    scrawled.labels[40:, 40:] = 7
    for one, two in zip(
        draw(sampler(clean, augment=augment), 10),
        draw(sampler(scrawled, augment=augment), 10),
        strict=True,
    ):
        known = one.weight > 0
        assert torch.equal(known, two.weight > 0)
        assert torch.equal(one.target[known], two.target[known])
        assert torch.equal(one.image, two.image)


def test_an_opened_gap_counts_when_either_side_is_checked():
    # The gap is the last column of the left object (1). Only the right one (2) is checked.
    labels = np.zeros((64, 64), np.int32)
    labels[8:56, 8:32], labels[8:56, 32:56] = 1, 2
    checked = labels == 2
    assert labels_to_classes(labels)[32, 31] == 0
    batches = draw(sampler(Example(photograph(labels), labels, checked), augment=STILL), 10)
    gaps = torch.cat([b.weight[(b.target == 0) & (b.weight > 5)] for b in batches])
    assert len(gaps) > 100


def test_no_other_unchecked_pixel_counts():
    labels = np.zeros((64, 64), np.int32)
    labels[8:56, 8:32], labels[8:56, 32:56] = 1, 2
    checked = labels == 2
    shown = sampler(Example(checked.astype(np.float32), labels, checked), augment=STILL)
    for batch in draw(shown, 10):
        is_checked = batch.image[:, 0] > 0.2  # half a pixel off: a patch has no middle pixel
        beyond = (batch.weight > 0) & ~is_checked
        beside = torch.nn.functional.max_pool2d(is_checked[:, None].float(), 3, 1, 1)[:, 0] > 0
        assert not (beyond & ~beside).any()
        assert (batch.target[beyond] == 0).all()


def test_teaching_weights_background_as_the_equation_and_cells_with_one():
    labels = discs((32, 32), [(16, 9), (16, 22)])
    weights = TEACH_SETTINGS.weights
    pair = Example(photograph(labels), labels)
    source = sampler(pair, augment=STILL, weights=weights, batch=1, side=16)
    expected = touching_cell_weights(labels)
    for batch in draw(source, 10):
        on_cell = batch.target == 1
        assert (batch.weight[on_cell] == 1).all()
        assert batch.weight.max() <= expected.max() + 1e-3


def test_training_weights_cells_too_as_in_the_paper():
    labels = discs((64, 64), [(32, 25), (32, 38)])
    weights = TrainSettings().weights
    batches = draw(sampler(Example(photograph(labels), labels), augment=STILL, weights=weights), 5)
    assert max(b.weight[b.target == 1].max() for b in batches) > 3


def test_class_weights_are_those_given():
    weights = WeightSettings(w0=0, class_weights=(0.25, 2.0))
    for batch in draw(sampler(example(TWO), weights=weights), 5):
        assert set(batch.weight[batch.target == 1].tolist()) == {2.0}
        assert set(batch.weight[batch.target == 0].tolist()) == {0.25}


def test_examples_with_nothing_checked_are_left_out():
    blank = Example(np.full((64, 64), 9.0), np.zeros((64, 64), int), np.zeros((64, 64), bool))
    for batch in draw(sampler(blank, example(TWO)), 10):
        assert batch.image.std() > 0.05


def test_nothing_checked_at_all_is_told():
    with pytest.raises(InputError, match="Nothing is checked"):
        sampler(example(TWO, np.zeros((64, 64), bool)))


def test_object_numbers_beyond_single_precision_stay_apart():
    labels = discs((64, 64), [(32, 26), (32, 37)]).astype(np.int64)
    labels[labels > 0] += 2**40  # two numbers that are one in float32
    batches = draw(sampler(Example(photograph(labels), labels), augment=STILL), 5)
    assert max(b.weight.max() for b in batches) > 5  # a gap between two


def test_an_image_smaller_than_a_patch_is_mirrored():
    labels = discs((20, 12), [(10, 6)], radius=4)
    batch = draw(sampler(Example(photograph(labels), labels), side=64), 1)[0]
    assert batch.image.shape[-2:] == (64, 64)
    assert (batch.weight > 0).all()


def test_prefetching_gives_the_same_batches_in_the_same_order():
    plain = draw(sampler(example(TWO)), 4)
    ahead = prefetched(iter(sampler(example(TWO))))
    for batch in plain:
        assert torch.equal(next(ahead).image, batch.image)
    ahead.close()


def test_an_error_in_the_other_thread_is_raised_here():
    def broken():
        yield Batch(*(torch.zeros(1) for _ in range(3)))
        raise InputError("The patch is odd.")

    ahead = prefetched(broken())
    with pytest.raises(InputError, match="odd"):
        for _ in range(3):
            next(ahead)


def test_batches_from_a_number_on_are_those_that_come_then():
    source = sampler(example(TWO))
    whole = draw(source, 5)
    for first in (0, 1, 4):
        later = source.batches(first)
        for batch in whole[first:]:
            ahead = next(later)
            assert torch.equal(ahead.image, batch.image)
            assert torch.equal(ahead.target, batch.target)
            assert torch.equal(ahead.weight, batch.weight)


def test_a_batch_depends_on_its_number_alone():
    """Whatever else was drawn from the sampler before or between."""
    source = sampler(example(TWO))
    whole = draw(source, 3)
    one, two = source.batches(), source.batches(1)
    for index in range(2):
        assert torch.equal(next(one).image, whole[index].image)
        assert torch.equal(next(two).image, whole[index + 1].image)
    torch.manual_seed(3)
    assert torch.equal(next(iter(source)).image, whole[0].image)


def test_no_batch_of_one_seed_is_one_of_another():
    seeds = (0, 1, 2, 2**31)  # the largest that can be given
    images = [batch.image for seed in seeds for batch in draw(sampler(example(TWO), seed=seed), 5)]
    for index, image in enumerate(images):
        assert not any(torch.equal(image, other) for other in images[:index])


def lone_disc(across, side=160, **more):
    labels = discs((side, side), [(side // 2, side // 2)], across / 2)
    return Example((labels > 0).astype(np.float32), labels, **more)


def widths(masks):
    """Rows and columns of the object in each patch that shows all of it; there must be some."""
    found = []
    for mask in masks:
        rim = torch.cat([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
        if mask.any() and not rim.any():
            found.append([int(mask.any(dim=1).sum()), int(mask.any(dim=0).sum())])
    assert found
    return np.array(found)


@pytest.mark.parametrize("diameter", [10, 20, 30, 40, 60])
def test_objects_are_shown_at_the_size_the_model_knows(diameter):
    """Image, target and checked area: of 20 px, whatever they have in the image."""
    shown = lone_disc(diameter, diameter=float(diameter))
    shown = Example(shown.image, shown.labels, shown.labels > 0, diameter=shown.diameter)
    source = sampler(shown, augment=STILL, diameter=20.0, side=64, batch=8)
    batches = draw(source, 6)
    image = torch.cat([batch.image[:, 0] > 0.5 for batch in batches])
    target = torch.cat([batch.target == 1 for batch in batches])
    known = torch.cat([batch.weight > 0 for batch in batches])
    for mask in (image, target, known):
        assert np.abs(widths(mask) - 20).max() <= 2
    assert torch.equal(known, target)
    # The outline of the image is that of the labels, but for half a pixel.
    assert (image != target).float().mean() < 0.02


@pytest.mark.parametrize("side", [32, 33])
@pytest.mark.parametrize("flip", [True, False])
def test_what_is_not_turned_keeps_whole_pixels(side, flip):
    """Between pixels an image would be smoothed, and labels go to either side."""
    labels = discs((80, 80), [(20, 20), (60, 60)], radius=8)
    shown = Example((labels > 0).astype(np.float32), labels)
    for batch in draw(sampler(shown, augment=replace(STILL, flip=flip), side=side, batch=8), 3):
        middle = (batch.image.min() + batch.image.max()) / 2
        assert len(batch.image.round(decimals=3).unique()) == 2
        assert torch.equal(batch.image[:, 0] > middle, batch.target == 1)


@pytest.mark.parametrize(
    ("of_example", "of_model"), [(None, 20.0), (30.0, None), (None, None), (30.0, 30.0)]
)
def test_where_either_size_is_not_known_objects_stay_as_they_are(of_example, of_model):
    source = sampler(
        lone_disc(30, diameter=of_example), augment=STILL, diameter=of_model, side=64, batch=8
    )
    seen = widths(torch.cat([batch.target == 1 for batch in draw(source, 4)]))
    assert np.abs(seen - 30).max() <= 1.5


def test_sizes_vary_around_the_one_the_model_knows():
    varied = AugmentConfig(scale=(0.5, 2.0), elastic_sigma=0, rotate=False, flip=False)
    source = sampler(
        lone_disc(45, 300, diameter=45.0), augment=varied, diameter=20.0, side=96, batch=8
    )
    seen = widths(torch.cat([batch.target == 1 for batch in draw(source, 40)]))
    assert 9 <= seen.min() < 13
    assert 32 < seen.max() <= 42
    assert np.median(seen) == pytest.approx(20, abs=3.5)


@pytest.mark.parametrize(("side", "diameter"), [(128, 40.0), (32, 10.0)])
def test_images_are_drawn_as_often_as_their_size_at_the_model_s_scale_says(side, diameter):
    """Both have 64 pixels a side there, so both come as often."""
    bare = Example(np.eye(64), np.zeros((64, 64), int), diameter=20.0)
    full = Example(np.eye(side), np.ones((side, side), int), diameter=diameter)
    source = sampler(bare, full, augment=STILL, diameter=20.0, side=16, batch=50)
    of_full = torch.cat([batch.target.any(dim=2).any(dim=1) for batch in draw(source, 8)])
    assert of_full.float().mean() == pytest.approx(0.5, abs=0.08)  # 400 draws: error 0.025


def test_texture_too_fine_for_the_smaller_image_becomes_grey():
    """Waves of 5 px; at a quarter of the size they would come back as waves of 5 px there."""
    waves = 0.5 + 0.5 * np.cos(2 * np.pi * np.indices((160, 160))[1] / 5)
    shown = Example(waves, lone_disc(80).labels, diameter=80.0)
    batch = draw(sampler(shown, augment=STILL, diameter=20.0), 1)[0]
    assert (batch.image - 0.5).abs().max() < 0.15


@pytest.mark.parametrize("diameter", [10.0, 40.0])
def test_touching_objects_have_a_gap_of_one_pixel_at_the_model_s_scale(diameter):
    """It is opened after the image is rescaled: there it must be seen."""
    labels = np.zeros((120, 120), np.int32)
    labels[:, :60], labels[:, 60:] = 1, 2
    shown = Example((labels > 0).astype(np.float32), labels, diameter=diameter)
    batches = draw(sampler(shown, augment=STILL, diameter=20.0, side=48, batch=4), 12)
    gaps = torch.cat([(batch.target == 0).sum(dim=2).flatten() for batch in batches])
    assert set(gaps.tolist()) == {0, 1}


def checked_line():
    """A row that is checked and skipped over when the image is shrunk to a fifth."""
    checked = np.zeros((160, 160), bool)
    checked[80] = True
    return lone_disc(100, checked=checked, diameter=100.0)


def test_a_checked_area_of_which_nothing_is_left_teaches_nothing():
    source = sampler(checked_line(), example(TWO), augment=STILL, diameter=20.0)
    for batch in draw(source, 5):
        assert (batch.weight > 0).any()


def test_where_nothing_is_left_of_all_that_is_checked_it_is_told():
    with pytest.raises(InputError, match="Nothing is checked"):
        sampler(checked_line(), augment=STILL, diameter=20.0)


def test_examples_of_earlier_rounds_give_no_more_than_their_part():
    new = example(TWO, square(0, 32, 0, 32))
    old = [replace(example(TWO), image=example(TWO).image + 100, replayed=True) for _ in range(20)]
    settings = {"percentiles": (0.0, 100.0), "augment": STILL, "batch": 8}
    chance = sampler(new, *old, **settings)._chance
    assert chance[1:].sum() / chance.sum() == pytest.approx(REPLAYED)
    assert (chance[1:] == chance[1]).all()
    few = sampler(*[example(TWO)] * 9, old[0], **settings)._chance
    assert few[-1] == few[0]  # less than its part as it is
    alone = sampler(*old, **settings)._chance
    assert (alone == alone[0]).all() and alone[0] > 0


@pytest.mark.parametrize(
    ("columns", "expected"),
    [(48, 3.0), (62, MOST_BALANCE), (32, 1.0), (8, 1.0)],
    ids=["a quarter is ground", "hardly any", "as much", "more"],
)
def test_background_weighs_as_much_as_the_cells_where_little_of_it_is_checked(columns, expected):
    labels = np.zeros((64, 64), np.int32)
    labels[:, :columns] = 1
    whole = Example(labels.astype(np.float32), labels)
    # All of it is in each patch, whichever pixel is in the middle: beyond its edges it is mirrored.
    settings = {"augment": STILL, "side": 256}
    weights = WeightSettings(w0=0, balance=True)
    for batch in draw(sampler(whole, weights=weights, **settings), 2):
        ground = batch.weight[(batch.target == 0) & (batch.weight > 0)]
        assert (ground == ground[0]).all()
        assert float(ground[0]) == pytest.approx(expected, rel=0.1)
        assert (batch.weight[batch.target == 1] == 1).all()


def test_background_between_touching_cells_is_not_weighed_above_all_of_them():
    labels = np.kron(np.arange(1, 17).reshape(4, 4), np.ones((16, 16))).astype(np.int32)
    labels[::16] = labels[:, ::16] = 0  # gaps of a pixel: a tenth is background, of weight 11
    crowd = Example((labels > 0).astype(np.float32), labels)
    settings = WeightSettings(on_cells=False, balance=True)
    for batch in draw(sampler(crowd, weights=settings, augment=STILL, batch=8), 4):
        ground = batch.weight[batch.target == 0].sum() / batch.weight.sum()
        assert 0.4 < ground < 0.6


def test_a_class_of_few_strokes_is_seen_as_often_as_one_of_many():
    labels, checked = np.zeros((256, 256), np.int32), np.zeros((256, 256), bool)
    labels[:96], checked[:96] = 1, True
    checked[180:184, 20:24] = checked[220:224, 200:204] = True  # background, far from it
    image = np.random.default_rng(0).random(labels.shape).astype(np.float32)
    source = sampler(Example(image, labels, checked, semantic=True), augment=STILL, batch=8)
    patches = [(batch.target[n], batch.weight[n]) for batch in draw(source, 8) for n in range(8)]
    background = [bool(((target == 0) & (weight > 0)).any()) for target, weight in patches]
    assert 0.2 < np.mean(background) < 0.5
    drawn = torch.stack([target for target, _ in patches])
    weight = torch.stack([weight for _, weight in patches])
    per_class = [weight[drawn == number].max() for number in (0, 1)]
    assert per_class[0] > 4 * per_class[1]
