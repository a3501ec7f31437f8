"""Every method there is by name, and which test runs it: what docs/methods.md says.

A method of training goes the whole way in `tests/core/test_methods.py`: train a little, tile, save,
load, be taught, export. Others name the tests that hold them against a hand calculation or
another implementation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from napari_unet.core.architectures import ARCHITECTURES, NORMS
from napari_unet.core.loss_config import LOSSES
from napari_unet.core.optimisers import OPTIMISERS
from napari_unet.core.schedules import SCHEDULES

__all__ = ["OTHERS", "WHOLE_WAY", "Method"]


@dataclass(frozen=True)
class Method:
    """One method that training can be told of.

    Attributes
    ----------
    kind, name : str
        Such as "loss" and "dice".
    sentence : str
        What it is.
    config, settings, run : dict
        What it changes of the network, of the training, and of how it is computed.
    augment : str
        As `--augment` reads it.
    loss : str
        As `--loss` reads it.
    """

    kind: str
    name: str
    sentence: str
    config: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    run: dict[str, Any] = field(default_factory=dict)
    augment: str = ""
    loss: str = "weighted-ce"

    @property
    def test(self) -> str:
        """The test that runs it from end to end."""
        where = "tests/core/test_methods.py::test_a_method_goes_the_whole_way"
        return f"{where}[{self.kind}: {self.name}]"


VARIED = {
    "elastic, a coarse grid": ("displacements on 3x3 points, bicubic between", "elastic_sigma=4"),
    "elastic, smoothed noise": ("alpha and sigma", "elastic_alpha=20,elastic_smooth=4"),
    "turns": ("any angle", "rotate=yes"),
    "mirror images": ("and upside down", "flip=yes"),
    "zoom": ("smaller and larger", "scale=0.7-1.4"),
    "brightness": ("a shift", "brightness=0.2"),
    "contrast": ("a factor about the mean", "contrast=0.5-2"),
    "gamma": ("an exponent", "gamma=0.5-2"),
    "noise": ("of a camera's electronics", "noise=0.2"),
    "shot noise": ("of counted photons", "shot_noise=0.2"),
    "blur": ("Gaussian", "blur=2"),
    "uneven light": ("the bias field of magnetic resonance", "shade=0.5"),
    "haze": ("light from out of focus, as in thick samples", "haze=0.5"),
    "dim rims": ("of objects, as of a ball", "rim=0.8"),
    "spots": ("within objects, as of chromatin", "spots=0.8"),
    "window and level": ("as of a CT", "window=0.3"),
    "channel drop": ("one channel is empty", "channel_drop=0.5"),
    "as it is": ("a part of the patches is only mirrored", "plain=0.5"),
}

CRAFT = (
    Method("craft", "momentum 0.99 and batch 1", "as in the paper of 2015", settings={
        "optimiser": "sgd", "momentum": 0.99, "batch": 1, "learning_rate": 1e-3}),
    Method("craft", "weight decay", "of the optimiser", settings={"weight_decay": 0.1}),
    Method("craft", "gradient clipping", "to a norm", settings={"clip": 0.1}),
    Method("craft", "gradient accumulation", "of batches", settings={"accumulate": 2}),
    Method("craft", "activation checkpointing", "saves memory", settings={"recompute": True}),
    Method("craft", "early stopping", "by the loss that is watched",
           settings={"patience": 1, "watch_every": 1}),
    Method("craft", "dropout", "on the deepest levels", config={"dropout": 0.5}),
    Method("craft", "mixed precision", "bfloat16, on a graphics card float16 too",
           run={"precision": "bfloat16"}),
    Method("craft", "deep supervision", "side outputs count", {"architecture": "unet++"},
           {"side_weight": 1.0}),
    Method("craft", "compressed intensities", "arcus sinus hyperbolicus", {"compress": 0.1}),
    Method("craft", "several channels", "such as RGB", {"in_channels": 3}),
    Method("craft", "neighbouring slices", "2.5D: slices or frames as channels",
           {"in_channels": 3, "slices": 3}),
)  # fmt: skip

WHOLE_WAY = (
    *(Method("architecture", n, a.sentence, {"architecture": n}) for n, a in ARCHITECTURES.items()),
    *(Method("norm", name, sentence, {"norm": name}) for name, sentence in NORMS.items()),
    *(Method("loss", name, kind.sentence, loss=name) for name, kind in LOSSES.items()),
    Method("loss", "a sum", "of any of these", loss="weighted-ce + 0.5*dice + 0.1*boundary"),
    *(
        Method("optimiser", name, kind.sentence, settings={"optimiser": name})
        for name, kind in OPTIMISERS.items()
    ),
    *(
        Method("schedule", name, kind.sentence, settings={"schedule": name})
        for name, kind in SCHEDULES.items()
    ),
    *CRAFT,
    *(
        Method("augmentation", name, sentence, augment=words)
        for name, (sentence, words) in VARIED.items()
    ),
)

_METRICS = "tests/core/test_metrics.py::"
_WIDGETS = "tests/widgets/"
_BY_SKIMAGE = _METRICS + "test_regions_and_distances_agree_with_scikit_image"
_PIXELS = _METRICS + "test_pixels_and_mean_iou_agree_with_counting"
_SURFACE = _METRICS + "test_distances_agree_with_those_between_all_pairs_of_surface_pixels"

# Kind and name of what is not a setting of training, with the test that holds it.
OTHERS = {
    ("measure", "pixel accuracy, pixel error, mean IoU"): _PIXELS,
    ("measure", "Dice, IoU, precision, recall, F1, PQ, AP"): _METRICS + "test_scores_by_hand",
    ("measure", "AP from IoU 0.5 to 0.9"): _METRICS + "test_half_an_object_is_matched_once",
    ("measure", "AJI"): _METRICS + "test_aggregated_jaccard_by_hand",
    ("measure", "Hausdorff distance"): _BY_SKIMAGE,
    ("measure", "Hausdorff 95 %, mean surface distance, boundary F1"): _SURFACE,
    ("measure", "Rand score, split and merge information"): _BY_SKIMAGE,
    ("measure", "variation of information"): _PIXELS,
    ("measure", "warping error"): (
        "tests/core/test_warping_error.py::"
        "test_simple_points_are_those_whose_flip_changes_no_count_of_scikit_image"
    ),
    ("measure", "scores of classes"): (
        "tests/core/test_class_metrics.py::test_counts_are_those_of_scikit_image"
    ),
    ("dock", "Evaluate: table, colours"): (
        _WIDGETS + "test_evaluate_dock.py::test_what_is_wrong_is_listed_and_coloured"
    ),
    ("dock", "Evaluate: a row leads to its object"): (
        _WIDGETS + "test_evaluate_dock.py::test_a_clicked_row_leads_to_its_object"
    ),
    ("dock", "Evaluate: CSV"): _WIDGETS + "test_evaluate_dock.py::test_tables_are_written",
    ("dock", "variations of a patch, with sliders"): (
        _WIDGETS + "test_vary_dock.py::test_variants_are_shown_and_follow_the_sliders"
    ),
    ("smaller", "a shallower unet++"): (
        "tests/test_cli.py::test_a_unet_plus_plus_is_trained_and_pruned"
    ),
    ("smaller", "fewer channels"): (
        "tests/test_cli.py::test_channels_are_cut_and_what_that_costs_is_told"
    ),
    ("smaller", "distillation"): "tests/test_cli.py::test_a_small_model_is_taught_by_a_large_one",
    ("smaller", "fewer channels: nothing is lost of copies"): (
        "tests/core/test_narrow.py::test_copies_are_merged_without_loss"
    ),
    ("unlabelled images", "every network restores what was hidden"): (
        "tests/core/test_pretrain.py::"
        "test_every_network_learns_to_restore_and_keeps_its_output_layer"
    ),
    ("unlabelled images", "before training, on the command line"): (
        "tests/test_cli.py::test_images_without_labels_are_learnt_from_before_training"
    ),
    ("craft", "several graphics cards or processes"): (
        "tests/core/test_team.py::test_two_processes_learn_what_one_learns_from_twice_the_batches"
    ),
    (
        "export",
        "ONNX, each network",
    ): "tests/core/test_export.py::test_onnx_gives_the_same_at_any_size",
    ("volumes", "weights between touching cells"): (
        "tests/core/test_volumes.py::"
        "test_weights_are_the_equation_s_with_distances_in_physical_units"
    ),
    ("volumes", "objects, tiles, spacing, on the command line"): (
        "tests/test_cli_volumes.py::"
        "test_volumes_are_learnt_tested_and_segmented_into_objects_that_go_through_slices"
    ),
    ("volumes", "teaching, export"): (
        "tests/test_cli_volumes.py::test_a_model_of_volumes_is_taught_and_exported"
    ),
    ("slices and time", "neighbouring slices as channels, the whole way"): (
        "tests/test_cli_slices.py::test_a_model_of_three_slices_goes_the_whole_way"
    ),
    ("slices and time", "neighbouring slices, which are seen"): (
        "tests/core/test_neighbours.py::test_the_outermost_plane_stands_for_those_beyond_it"
    ),
    ("slices and time", "neighbouring slices in the dock"): (
        _WIDGETS + "test_slices.py::test_each_slice_is_seen_with_its_neighbours_and_taught_so"
    ),
    ("slices and time", "objects linked by overlap"): "tests/core/test_linking.py::test_by_hand",
    ("slices and time", "objects linked, on the command line"): (
        "tests/test_cli_link.py::test_objects_of_a_stack_get_one_number"
    ),
    ("slices and time", "cells of a movie followed by motion, with divisions"): (
        "tests/core/test_tracking.py::test_a_division_names_the_mother"
    ),
    ("dock", "Link objects"): (
        _WIDGETS + "test_link_dock.py::test_slices_get_one_number_an_object"
    ),
    ("dock", "attention maps as layers"): (
        _WIDGETS + "test_attention.py::test_maps_of_the_shown_slice_become_layers"
    ),
    ("attention", "maps, tiled as whole"): "tests/core/test_attention.py::test_tiled_equals_whole",
    ("loss", "what has the weights between cells, and what not"): (
        "tests/core/test_losses.py::"
        "test_a_sum_is_the_sum_and_only_weighted_cross_entropy_has_the_weights"
    ),
    ("choice", "depth, patch, batch and norm, in words"): (
        "tests/core/test_recipe.py::test_nuclei_of_24_pixels_by_hand"
    ),
    ("volumes", "tiled equals untiled"): (
        "tests/core/test_predict_volume.py::test_tiled_equals_untiled"
    ),
}
