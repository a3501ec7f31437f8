"""Volumes from end to end: targets and weights with spacing, training, objects through planes."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_unet.core.augment import AugmentConfig
from napari_unet.core.config import ModelConfig
from napari_unet.core.errors import InputError
from napari_unet.core.example import Example
from napari_unet.core.fine_tuning import finetune
from napari_unet.core.instances import volume_to_labels
from napari_unet.core.lesson import patch_sampler, patch_shape
from napari_unet.core.model_file import Model, load_model
from napari_unet.core.optimise import TrainSettings
from napari_unet.core.segmentation import segment
from napari_unet.core.targets import classes_to_labels, labels_to_classes
from napari_unet.core.train import iter_train
from napari_unet.core.train_settings import VOLUME_SETTINGS
from napari_unet.core.weight_map import touching_cell_weights
from small_scenes import ended
from small_scenes import example as plane_example
from small_volumes import BALLS, balls, volume_example

CPU = {"device": "cpu", "precision": "float32"}
CONFIG = ModelConfig("unet-3d", width=3, depth=1, min_size=10)
PLAIN = AugmentConfig.unvaried()
SETTINGS = TrainSettings(patch=16, batch=2, learning_rate=1e-2, average=0.5, augment=PLAIN)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def two_plates(gap: int, along: int) -> np.ndarray:
    """Two plates with a gap of so many voxels between them along an axis."""
    labels = np.zeros((9, 9, 9), int)
    first, second = [slice(None)] * 3, [slice(None)] * 3
    first[along], second[along] = slice(0, 2), slice(2 + gap, None)
    labels[tuple(first)], labels[tuple(second)] = 1, 2
    return labels


@pytest.mark.parametrize(
    ("along", "spacing", "d1_d2"),
    [
        (2, (1.0, 1.0, 1.0), 4.0),  # of three voxels the middle one lies 2 from either plate
        (0, (1.0, 1.0, 1.0), 4.0),
        (0, (3.0, 1.0, 1.0), 12.0),  # 2 planes of 3 to either side
        (2, (3.0, 1.0, 1.0), 4.0),  # within the plane nothing changes
        (1, (3.0, 0.5, 1.0), 2.0),
    ],
)
def test_weights_are_the_equation_s_with_distances_in_physical_units(along, spacing, d1_d2):
    weights = touching_cell_weights(two_plates(3, along), w0=10, sigma=5, spacing=spacing)
    middle = [4, 4, 4]
    middle[along] = 3
    assert weights[tuple(middle)] == pytest.approx(1 + 10 * np.exp(-(d1_d2**2) / 50), rel=1e-4)


def test_planes_that_lie_far_apart_part_cells_that_voxel_for_voxel_are_near():
    """A gap of one plane: 2 voxels over it, of a spacing of 10 already 20 pixels."""
    labels = two_plates(1, 0)
    near, far = (
        touching_cell_weights(labels, spacing=spacing)[2, 4, 4]
        for spacing in ((1.0, 1.0, 1.0), (10.0, 1.0, 1.0))
    )
    assert near == pytest.approx(1 + 10 * np.exp(-4 / 50), rel=1e-4)
    assert far == pytest.approx(1.0, abs=0.01)


def test_a_gap_opens_between_planes_and_is_closed_again():
    labels = two_plates(0, 0)
    classes = labels_to_classes(labels)
    np.testing.assert_array_equal(classes[:, 4, 4], [1, 0, 1, 1, 1, 1, 1, 1, 1])
    np.testing.assert_array_equal(classes_to_labels(classes), labels)


def test_objects_reach_through_planes_and_gaps_between_them_are_closed():
    truth = two_plates(0, 0)
    probability = labels_to_classes(truth).astype(np.float32)
    found = volume_to_labels(probability, min_size=5)
    np.testing.assert_array_equal(found, truth)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 1.0, 1.0)])
def test_touching_balls_come_apart_where_they_meet(spacing):
    centers = [(8, 10, 7), (8, 10, 17)]
    truth = balls(centers, 6.0, (17, 20, 25), spacing)
    found = volume_to_labels((truth > 0).astype(np.float32), split=0.5, spacing=spacing)
    assert found.max() == 2
    assert (found == truth).mean() > 0.98  # but for the plane between them


def test_the_split_knows_how_far_planes_lie_apart():
    """A cigar along Z of eight planes: 3 px apart they are 24 px, with a waist that is none."""
    at = np.indices((10, 25, 25))
    lens = np.hypot((at[1] - 12), (at[2] - 12)) < 9 - np.abs(at[0] - 4.5)
    together = volume_to_labels(lens.astype(np.float32), split=0.5, spacing=(4.0, 1.0, 1.0))
    assert together.max() == 1


def test_holes_in_volumes_are_filled_and_caves_are_not():
    solid = np.zeros((9, 9, 9), bool)
    solid[1:8, 1:8, 1:8] = True
    hollow, cave = solid.copy(), solid.copy()
    hollow[4, 4, 4] = False
    cave[4:, 4, 4] = False
    filled, open_ = (volume_to_labels(x.astype(np.float32)) > 0 for x in (hollow, cave))
    np.testing.assert_array_equal(filled, solid)
    np.testing.assert_array_equal(open_, cave)


@pytest.mark.parametrize("shape", [(8, 8), (2, 3, 8, 8)])
def test_what_is_no_volume_is_refused(shape):
    with pytest.raises(InputError, match="not one volume"):
        volume_to_labels(np.zeros(shape, np.float32))


def test_patches_are_as_high_as_they_are_wide_in_physical_units():
    assert patch_shape(replace(CONFIG, depth=2), 32) == (32, 32, 32)
    assert patch_shape(replace(CONFIG, depth=2, anisotropy=4.0), 32) == (8, 32, 32)
    assert patch_shape(replace(CONFIG, depth=2, anisotropy=2.0), 34) == (18, 36, 36)


def test_a_batch_of_volumes_has_the_shapes_it_says_and_the_same_seed_draws_it_again():
    settings = replace(VOLUME_SETTINGS, patch=16)
    batches = [
        next(iter(patch_sampler([volume_example()], CONFIG, settings, seed))) for seed in (1, 1, 2)
    ]
    first, again, other = batches
    assert first.image.shape == (2, 1, 16, 16, 16)
    assert first.target.shape == first.weight.shape == (2, 16, 16, 16)
    assert torch.equal(first.image, again.image) and torch.equal(first.weight, again.weight)
    assert not torch.equal(first.image, other.image)


def test_patches_that_are_not_varied_are_voxel_for_voxel_parts_of_the_volume():
    labels = np.zeros((16, 12, 14), np.int32)
    labels[3:12:2] = np.random.default_rng(0).integers(0, 2, (5, 12, 14))  # single voxels
    image = np.arange(labels.size, dtype=np.float32).reshape(labels.shape)
    config = replace(CONFIG, percentiles=(0.0, 100.0))
    settings = replace(SETTINGS, patch=4, batch=20)
    batch = next(iter(patch_sampler([Example(image, labels)], config, settings, 0)))
    voxels = (batch.image[:, 0] * (labels.size - 1)).round().long()
    assert torch.equal(batch.target, torch.from_numpy(labels).flatten()[voxels].long())
    steps = [voxels.diff(dim=axis).abs() for axis in (1, 2, 3)]
    for along, step in zip(steps, (12 * 14, 14, 1), strict=True):
        assert (along == step).flatten(1).all(dim=1).sum() > 5  # the others are mirrored somewhere


def test_flips_turn_volumes_upside_down_in_half_of_the_patches():
    labels = balls()
    image = np.indices(labels.shape)[0].astype(np.float32)
    config = replace(CONFIG, percentiles=(0.0, 100.0))
    settings = replace(SETTINGS, patch=4, batch=40, augment=replace(PLAIN, flip=True))
    batch = next(iter(patch_sampler([Example(image, labels)], config, settings, 0)))
    rises = (batch.image[:, 0].diff(dim=1).mean(dim=(1, 2, 3)) > 0).float().mean()
    assert 0.25 < rises < 0.75


def test_the_weights_of_a_batch_know_the_spacing():
    """Two plates a plane apart weigh less in the gap where planes lie far apart."""
    example = Example(np.zeros((9, 9, 9), np.float32), two_plates(1, 0))
    settings = replace(SETTINGS, patch=32)
    highest = []
    for anisotropy in (1.0, 8.0):
        config = replace(CONFIG, anisotropy=anisotropy)
        batch = next(iter(patch_sampler([example], config, settings, 0)))
        highest.append(float(batch.weight[batch.target == 0].max()))
    assert highest[0] > 10 and highest[1] < 1.1


def test_a_tiny_volume_is_learnt_saved_and_segmented(tmp_path):
    example = volume_example()
    settings = replace(SETTINGS, patch=8, learning_rate=2e-2)
    events, model = ended(iter_train([example], CONFIG, settings=settings, steps=60, **CPU))
    assert np.isfinite(events[-1].loss)
    model.save(tmp_path / "balls.safetensors")
    found = segment(example.image, load_model(tmp_path / "balls.safetensors"), axes="ZYX", **CPU)
    assert found.labels.shape == example.labels.shape
    assert found.labels.max() == len(BALLS)
    for number, (z, y, x) in enumerate(BALLS, 1):
        one, other = example.labels == number, found.labels == found.labels[z, y, x]
        assert (one & other).sum() / (one | other).sum() > 0.7


def test_volumes_of_a_series_are_segmented_one_by_one_in_any_order_of_axes():
    model = Model.fresh(CONFIG, seed=1)
    series = np.random.default_rng(0).random((2, 6, 12, 10)).astype(np.float32)
    found = segment(series, model, axes="TZYX", threshold=0.4, min_size=0, **CPU)
    for time in (0, 1):
        alone = segment(series[time], model, axes="ZYX", threshold=0.4, min_size=0, **CPU)
        np.testing.assert_array_equal(found.labels[time], alone.labels)
        np.testing.assert_allclose(found.probability[:, time], alone.probability, atol=1e-6)
    turned = segment(series[0].T, model, axes="XYZ", threshold=0.4, min_size=0, **CPU)
    np.testing.assert_array_equal(turned.labels.T, found.labels[0])


def test_an_axis_without_a_name_is_taken_for_z_and_time_is_not():
    model = Model.fresh(CONFIG, seed=1)
    volume = np.random.default_rng(0).random((4, 12, 10)).astype(np.float32)
    assert segment(volume, model, axes="QYX", **CPU).labels.shape == volume.shape
    for axes in ("TYX", "CYX"):
        with pytest.raises(InputError, match="none is Z"):
            segment(volume[:1], model, axes=axes, **CPU)
    with pytest.raises(InputError, match="none is Z"):
        segment(volume[0], model, **CPU)


def test_planes_and_volumes_are_not_mixed_up():
    with pytest.raises(InputError, match="one of volumes and labels have shape"):
        next(iter_train([plane_example([(9, 9)])], CONFIG, settings=SETTINGS, steps=1, **CPU))
    planes = ModelConfig(width=2, depth=1)
    with pytest.raises(InputError, match="one of planes and labels have shape"):
        next(iter_train([volume_example()], planes, settings=SETTINGS, steps=1, **CPU))
    with pytest.raises(InputError, match="one of volumes and labels have shape"):
        finetune(Model.fresh(CONFIG), [plane_example([(9, 9)])], steps=1, **CPU)
    with pytest.raises(InputError, match="give labels with the axes YX"):
        finetune(Model.fresh(planes), [volume_example()], steps=1, **CPU)
