"""Segment with a model of volumes: objects reach through slices, corrections stay."""

from __future__ import annotations

import numpy as np
import pytest

from napari_unet.core.config import ModelConfig
from napari_unet.core.errors import InputError
from napari_unet.core.events import VolumeResult
from napari_unet.core.model_file import Model
from napari_unet.engine import SegmentDone, SegmentVolumeTask
from napari_unet.session.pair import ObjectSettings
from session.fakes import ALL_SIZES, pair_of, pump_until, sent, tile_of

DONE = SegmentDone(1.0, "this computer", "float32")
SHAPE = (6, 12, 16)
BLOCK = np.s_[1:5, 3:8, 2:7]
OTHER = np.s_[2:6, 3:8, 10:15]


@pytest.fixture
def volumes(session, tmp_path):
    """A session whose model is one of volumes with planes twice as far apart as pixels."""
    path = tmp_path / "balls.safetensors"
    Model.fresh(ModelConfig("unet-3d", width=2, depth=1, anisotropy=2.0), "balls").save(path)
    session.load_model_file(str(path))
    session.settings = ALL_SIZES
    return session


def part_of(*blocks, shape=SHAPE, start=0, done=1, count=1):
    """A tile of planes from `start` on in which the blocks are surely cells."""
    probability = np.zeros((2, *shape), np.uint8)
    probability[0] = 255
    for block in blocks:
        probability[0][block], probability[1][block] = 0, 255
    place = (slice(start, start + shape[0]), slice(0, shape[1]), slice(0, shape[2]))
    return VolumeResult(place, probability, done, count)


def segmented(session, runner, pair, *parts, places=((0,),)):
    """Press Segment, answer with these tiles, and wait until the labels are written."""
    count = len(runner.jobs)
    session.segment(pair, list(places))
    job = sent(session, runner, count + 1)
    for part in parts:
        job.add_event(part)
    job.finish(DONE)
    pump_until(session, lambda: session.settled)
    return job


def test_one_press_on_a_slice_makes_objects_through_all_of_them(volumes, runner):
    pair, written = pair_of(SHAPE, "ZYX"), []
    volumes.labels_changed.connect(lambda _, place: written.append(place))
    job = segmented(volumes, runner, pair, part_of(BLOCK, OTHER), places=[(3,)])
    assert isinstance(job.task, SegmentVolumeTask)
    assert job.task.image.shape == (1, *SHAPE)
    expected = np.zeros(SHAPE, int)
    expected[BLOCK], expected[OTHER] = 1, 2
    np.testing.assert_array_equal(pair.labels, expected)
    assert sorted(written) == [(z,) for z in range(6)]


def test_tiles_of_a_volume_are_put_together(volumes, runner):
    pair = pair_of(SHAPE, "ZYX")
    whole = part_of(BLOCK)
    halves = [
        VolumeResult(
            (slice(z, z + 3), *whole.place[1:]), whole.probability[:, z : z + 3], 1 + z // 3, 2
        )
        for z in (0, 3)
    ]
    segmented(volumes, runner, pair, *halves)
    assert set(np.unique(pair.labels[BLOCK])) == {1} and (pair.labels > 0).sum() == 4 * 5 * 5


def test_all_volumes_of_a_series_are_segmented_one_after_the_other(volumes, runner):
    pair = pair_of((2, *SHAPE), "TZYX")
    volumes.segment(pair, list(pair.image.places()))
    for count in (1, 2):
        job = sent(volumes, runner, count)
        assert volumes.busy == "Segment"
        job.add_event(part_of(BLOCK if count == 1 else OTHER))
        job.finish(DONE)
    pump_until(volumes, lambda: volumes.settled)
    assert (pair.labels[0][BLOCK] == 1).all() and (pair.labels[1][OTHER] == 1).all()
    assert (pair.labels > 0).sum() == 200


def test_the_sliders_act_on_the_whole_volume_without_the_network(volumes, runner):
    pair = pair_of(SHAPE, "ZYX")
    segmented(volumes, runner, pair, part_of(BLOCK, OTHER))
    volumes.set_objects(ObjectSettings(min_size=101), pair, (2,))
    pump_until(volumes, lambda: volumes.settled)
    assert not pair.labels.any() and len(runner.jobs) == 1
    volumes.set_objects(ObjectSettings(min_size=100), pair, (2,))
    pump_until(volumes, lambda: volumes.settled)
    assert (pair.labels > 0).sum() == 200


def test_what_was_corrected_in_one_slice_stays_and_names_the_object_in_the_others(volumes, runner):
    pair = pair_of(SHAPE, "ZYX")
    segmented(volumes, runner, pair, part_of(BLOCK))
    pair.labels[2][pair.labels[2] == 1] = 0
    pair.labels[2][2:9, 2:8] = 7  # the user draws it anew, wider
    pair.absorb((2,))
    drawn = pair.labels[2].copy()
    segmented(volumes, runner, pair, part_of(BLOCK, OTHER))
    np.testing.assert_array_equal(pair.labels[2] == 7, drawn == 7)
    assert set(np.unique(pair.labels[1][3:8, 2:7])) == {7}
    others = np.unique(pair.labels[OTHER])  # 0 where background beside the stroke was checked
    assert len(others) == 2 and others[1] > 7
    assert (pair.labels[3:6, 3:8, 10:15] == others[1]).all()


def test_a_press_is_one_step_of_undo_in_all_slices(volumes, runner):
    pair = pair_of(SHAPE, "ZYX")
    segmented(volumes, runner, pair, part_of(BLOCK))
    pair.undo()
    assert not pair.labels.any()
    pair.redo()
    assert (pair.labels[BLOCK] == 1).all()


def test_a_stroke_while_labels_are_made_is_not_lost(volumes, runner):
    pair = pair_of(SHAPE, "ZYX")
    volumes.segment(pair, [(0,)])
    job = sent(volumes, runner)
    job.add_event(part_of(OTHER))
    job.finish(DONE)
    volumes.pump()
    pair.labels[1][1:3, 1:3] = 5
    pump_until(volumes, lambda: volumes.settled)
    assert (pair.labels[1][1:3, 1:3] == 5).all()
    assert (pair.labels[OTHER] > 0).all()


def test_a_model_of_planes_takes_a_plane_out_of_its_volume(volumes, runner):
    pair = pair_of(SHAPE, "ZYX")
    segmented(volumes, runner, pair, part_of(BLOCK))
    assert pair.volume_of((2,)) == ()
    volumes.choose_model("nuclei-fluorescence")
    volumes.settings = ALL_SIZES
    count = len(runner.jobs)
    volumes.segment(pair, [(2,)])
    job = sent(volumes, runner, count + 1)
    pair.begin_plane((2,), SHAPE[1:], None)  # as the worker's first word has it done
    job.add_event(tile_of(SHAPE[1:], np.s_[0:3, 0:3]))
    job.finish(DONE)
    pump_until(volumes, lambda: volumes.settled)
    assert pair.volume_of((2,)) is None
    assert (pair.labels[2] > 0).sum() == 9 and (pair.labels[3] > 0).sum() == 25


def test_a_plane_for_a_model_of_volumes_is_told(volumes):
    with pytest.raises(InputError, match="is a single plane; open a stack"):
        volumes.segment(pair_of((8, 9)), [()])


def test_each_volume_in_which_anything_is_checked_is_learnt_as_a_whole(volumes, runner):
    pair = pair_of((2, *SHAPE), "TZYX")
    pair.labels[1, 2][2:9, 2:8] = 7
    pair.labels[1, 4][2:9, 2:8] = 7
    volumes.teach([pair], seconds=1, keep=0.5)
    (example,) = sent(volumes, runner).task.examples
    assert example.image_cyx.shape == (1, *SHAPE) and example.labels.shape == SHAPE
    np.testing.assert_array_equal(example.image_cyx[0], pair.image.data[1])
    checked = np.flatnonzero(example.mask.any(axis=(1, 2)))
    assert checked.tolist() == [2, 4]
    assert (example.labels[example.mask] == 7).sum() == 2 * 42  # with some ground around them


def test_a_checked_plane_among_them_is_told_before_anything_is_learnt(volumes):
    stack, plane = pair_of(SHAPE, "ZYX"), pair_of((8, 9), "YX")
    for pair, place in ((stack, (2,)), (plane, ())):
        pair.labels[place][2:6, 2:6] = 7
    with pytest.raises(InputError, match="is a single plane; close it"):
        volumes.teach([stack, plane], seconds=1, keep=0.5)
    assert not volumes.busy


def test_a_model_of_volumes_does_not_learn_while_it_is_corrected(volumes):
    pair = pair_of(SHAPE, "ZYX")
    with pytest.raises(InputError, match="does not learn while you correct"):
        volumes.learn_live(lambda: [pair], lambda: None, keep=0.5)
    assert not volumes.busy
