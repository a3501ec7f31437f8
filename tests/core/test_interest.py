"""How often each place is drawn, by hand; and that a sampler draws so."""

import numpy as np
import pytest
import torch

from napari_unet.core.augment import AugmentConfig
from napari_unet.core.example import Example
from napari_unet.core.interest import AHEAD, LEAST, MOST, RECENT, Interest, center_errors
from napari_unet.core.lesson import watched
from napari_unet.core.sampling import ON_OBJECT, PatchSampler, WeightSettings
from small_scenes import discs, example, photograph

FOUR = [(40, 40), (40, 216), (216, 40), (216, 216)]


def interest(count, recent=()):
    return Interest(np.isin(np.arange(count), recent))


def sampler(*examples, **changes):
    settings = {
        "side": 32,
        "batch": 2,
        "percentiles": (1.0, 99.8),
        "augment": AugmentConfig(),
        "weights": WeightSettings(),
    }
    return PatchSampler(examples, **(settings | changes))


def drawn(source, batches, errors=None):
    """How often each place is drawn, where the network is wrong as `errors` say."""
    counts = np.zeros(1000, int)
    for _, batch in zip(range(batches), source, strict=False):
        counts += np.bincount(batch.places, minlength=1000)
        if errors is not None:
            source.note(batch, [errors[place] for place in batch.places])
    return counts


def scene(**of_example):
    labels = discs((256, 256), FOUR)
    return Example(photograph(labels), labels, **of_example)


def test_at_first_all_places_count_alike():
    assert interest(3).chances(0).tolist() == [1, 1, 1]


def test_what_was_corrected_since_the_last_round_counts_more():
    assert interest(3, recent=[1]).chances(0).tolist() == [1, RECENT, 1]


def test_a_place_counts_as_its_error_does_against_the_mean():
    one = interest(3)
    one.note(0, [0, 1, 2], [0.1, 0.2, 0.3])
    assert one.chances(AHEAD) == pytest.approx([0.5, 1, 1.5])


def test_neither_the_hardest_nor_the_easiest_place_is_without_bounds():
    one = interest(10)
    one.note(0, range(10), [1.0] + 9 * [0.0])
    chances = one.chances(AHEAD)
    assert chances[0] == MOST
    assert (chances[1:] == LEAST).all()


def test_what_was_not_seen_yet_counts_as_the_hardest():
    one = interest(3)
    one.note(0, [0, 1], [0.2, 0.2])
    assert one.chances(AHEAD).tolist() == [1, 1, MOST]


def test_an_old_error_is_half_forgotten_when_a_place_is_seen_again():
    one = interest(2)
    one.note(0, [0, 1], [0.4, 0.2])
    one.note(1, [0], [0.0])
    assert one.chances(1 + AHEAD).tolist() == [1, 1]


def test_a_patch_without_anything_checked_in_its_middle_says_nothing():
    one = interest(2)
    one.note(0, [0, 1], [np.nan, 0.2])
    assert one.chances(AHEAD).tolist() == [MOST, 1]


def test_notes_of_the_batch_before_do_not_count_yet_however_fast_they_came():
    one = interest(2)
    one.note(3, [0, 1], [0.1, 0.3])
    assert one.chances(3 + AHEAD - 1).tolist() == [1, 1]
    assert one.chances(3 + AHEAD) == pytest.approx([0.5, 1.5])


def test_errors_are_those_of_the_checked_pixels_in_the_middle():
    """Of 8 x 8 pixels the middle 4 x 4; a probability of 3 / 4 is wrong by 1 / 16 or 9 / 16."""
    logits = torch.zeros(3, 2, 8, 8)
    logits[:, 1] = np.log(3.0)
    target = torch.ones(3, 8, 8, dtype=torch.int64)
    target[1, 2:6, 2:4] = 0
    weight = torch.ones(3, 8, 8)
    weight[2, 2:6, 2:6] = 0
    errors = center_errors(logits, target, weight)
    assert errors[:2] == pytest.approx([1 / 16, 5 / 16])
    assert np.isnan(errors[2])


def test_a_hard_cell_is_drawn_more_often_and_an_easy_one_still():
    errors = np.full(1000, 0.02)
    errors[2] = 0.5
    counts = drawn(sampler(scene()), 300, errors)
    easy = counts[[0, 1, 3]]
    assert counts[2] > 3 * easy.max()
    assert easy.min() > 0.05 * counts[2]


def test_a_cell_corrected_since_the_last_round_is_drawn_more_often():
    recent = np.zeros((256, 256), bool)
    recent[128:, :128] = True
    counts = drawn(sampler(scene(recent=recent)), 400)[:4]
    assert counts[2] / np.delete(counts, 2).mean() == pytest.approx(RECENT, rel=0.3)


def test_the_hard_image_of_two_is_drawn_more_often():
    errors = np.full(1000, 0.1)
    second = slice(4 + 16, None)  # after four cells and sixteen squares
    errors[second] = 0.3
    counts = drawn(sampler(scene(), scene()), 300, errors)
    assert counts[second].sum() > 1.5 * counts[: second.start].sum()


def test_as_many_patches_as_before_lie_on_objects():
    counts = drawn(sampler(scene()), 300, np.full(1000, 0.1))
    assert counts[:4].sum() / counts.sum() == pytest.approx(ON_OBJECT, abs=0.07)


def test_a_watched_loss_is_the_same_and_tells_the_sampler():
    source = sampler(example(FOUR[:1]))
    batch = next(iter(source))
    logits = torch.zeros(2, 2, 32, 32)
    told = []
    source.note = lambda batch, errors: told.append((batch.number, errors))
    loss = watched(lambda logits, batch: logits.sum() + 5, source)
    assert loss(logits, batch) == 5
    assert told == [(0, [0.25, 0.25])]
