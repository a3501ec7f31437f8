"""`napari-unet segment`: files and folders in, label images out."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_unet import __version__
from napari_unet.commands.batch import Journal, Outcome, digest, summary, write_report
from napari_unet.commands.console import progress_bar, say, say_aside
from napari_unet.commands.inputs import (
    LABELS_ENDING,
    UNCERTAINTY_ENDING,
    Reading,
    Source,
    check_channels,
    find_sources,
    name_of,
)
from napari_unet.commands.segment_zarr import segment_zarr, zarr_target
from napari_unet.core.errors import InputError, NapariUnetError
from napari_unet.core.library import find_model
from napari_unet.core.linking import link_by_overlap, series_axis
from napari_unet.core.neighbours import through_axis
from napari_unet.core.planes import name_depth
from napari_unet.formats.annotations import Annotations
from napari_unet.formats.images import TIFF_SUFFIXES
from napari_unet.formats.labels import FORMATS, write_labels
from napari_unet.formats.ome_tiff import write_map
from napari_unet.formats.ome_zarr import is_ome_zarr
from napari_unet.formats.spacing import are_unlike, plane_distance, read_spacing

if TYPE_CHECKING:
    from napari_unet.core.model_file import Model
    from napari_unet.engine.cluster import Cluster

__all__ = ["SegmentOptions", "run", "segment_file", "what_counts"]

Progress = Callable[[float, float], None]


@dataclass(frozen=True)
class SegmentOptions:
    """How every file is segmented; see `core.segment`."""

    reading: Reading = field(default_factory=Reading)
    threshold: float | None = None
    min_size: int | None = None
    split: float | None = None
    diameter: float | None = None
    average: str = "none"
    uncertainty: bool = False
    device: str = "auto"
    precision: str = "auto"
    format: str | None = None
    link: bool = False


@dataclass(frozen=True)
class Job:
    """One image, where its labels go, and what stands for its content and the settings."""

    source: Source
    target: Path
    key: str
    again: bool = False


@dataclass(frozen=True)
class Means:
    """What every image is segmented with: by workers of a cluster, or here where there is none."""

    model: Model
    options: SegmentOptions
    cluster: Cluster | None
    debug: bool


def run(args: argparse.Namespace) -> int:
    """Segment every input; a bad one does not stop the rest, and is named at the end."""
    sources = find_sources(args.inputs, recursive=args.recursive)
    out = Path(args.out)
    targets = _targets(sources, out, args.format)
    options = SegmentOptions(
        Reading(args.axes, args.channel),
        args.threshold,
        args.min_size,
        args.split,
        args.diameter,
        args.average,
        args.uncertainty,
        args.device,
        args.precision,
        args.format,
        args.link,
    )
    _check_uncertainty(sources, options)
    if options.link and any(is_ome_zarr(source.path) for source in sources):
        raise InputError("Objects of OME-Zarr are not linked yet; leave --link out.")
    model = _ready_model(args.model, options)
    if options.uncertainty and model.config.is_volumetric:
        raise InputError("A model of volumes tells no uncertainty; leave --uncertainty out.")
    folder = None if targets == [out] or is_ome_zarr(out) else out
    journal = Journal(folder, what_counts(args.model, options))
    jobs = [
        Job(source, target, journal.key(source.path), args.again)
        for source, target in zip(sources, targets, strict=True)
    ]
    before = {} if args.again else _done_before(jobs, journal, uncertainty=options.uncertainty)
    with _cluster(args.cluster, sources) as cluster:
        means = Means(model, options, cluster, args.debug)
        outcomes, errors = _segment_all(jobs, before, means, journal)
    report = write_report(folder, outcomes) if folder else None
    _report_failed(outcomes, report)
    if not errors:
        return 0
    return 2 if all(isinstance(error, InputError) for error in errors) else 1


def segment_file(
    path: Path, target: Path, model: Model, options: SegmentOptions, progress: Progress
) -> tuple[int, float | None]:
    """Segment one file into another; return how many objects were found, and how large."""
    from napari_unet.core.segmentation import segment  # torch: not needed to read the options

    image, axes = options.reading.read(path)
    if model.config.is_volumetric:
        axes = name_depth(axes)
        _tell_if_unlike(path, model)
    if model.config.slices > 1:
        through_axis(axes, path.name)
    check_channels(image.shape, axes, model.config.image_channels, path)
    spatial = axes.replace("C", "")
    along = _axis_to_link(spatial, model, path) if options.link else ""
    result = segment(
        image,
        model,
        axes=axes,
        diameter=options.diameter,
        threshold=options.threshold,
        min_size=options.min_size,
        split=options.split,
        average=options.average,
        device=options.device,
        precision=options.precision,
        progress=progress,
    )
    labels = result.labels
    if options.link:
        labels = link_by_overlap(labels, spatial, along=along)
    numbers = np.unique(labels[labels > 0]).tolist()
    kinds = model.config.classes
    classes = {number: kinds[number if model.config.semantic else 1] for number in numbers}
    found = Annotations(labels, spatial, classes=classes)
    if options.uncertainty and result.uncertainty is not None:
        write_map(uncertainty_target(target), result.uncertainty)
    write_labels(target, found, kind=options.format, image=path.name)
    if options.link:
        return len(numbers), result.diameter
    seen = model.config.spatial_axes  # what is numbered by itself: a plane, or a volume
    ends = range(-len(seen), 0)
    parts = np.moveaxis(result.labels, [spatial.index(axis) for axis in seen], ends)
    objects = sum(int(part.max()) for part in parts.reshape(-1, *parts.shape[-len(seen) :]))
    return objects, result.diameter


def _axis_to_link(axes: str, model: Model, path: Path) -> str:
    """Return along which axis objects are linked; refuse where they cannot be, before any work."""
    if model.config.semantic:
        raise InputError("Classes are no objects that could be linked; leave --link out.")
    if model.config.is_volumetric and "T" not in axes:
        raise InputError(
            f"A model of volumes finds objects of {path.name} through all slices; leave --link out."
        )
    return axes[series_axis(axes, "T" if model.config.is_volumetric else None)]


def _tell_if_unlike(path: Path, model: Model) -> None:
    """Voxels of another shape than those that were learnt are segmented, but perhaps not well."""
    steps = read_spacing(path)
    if steps is None or "Z" not in steps:
        return
    here, learnt = plane_distance(steps), model.config.anisotropy
    if are_unlike(here, learnt):
        say_aside(
            f"\nnapari-unet: planes of {path.name} lie {here:.2g} pixels apart, and those that the "
            f"model has learnt {learnt:.2g}; it may find its objects badly."
        )


def uncertainty_target(target: Path) -> Path:
    """Return where it is written how unsure the network was of what is labelled in `target`."""
    return target.with_name(f"{name_of(target)}{UNCERTAINTY_ENDING}.tif")


def _check_uncertainty(sources: list[Source], options: SegmentOptions) -> None:
    """Refuse to write an uncertainty where there is none, before anything is computed."""
    if not options.uncertainty:
        return
    if options.average == "none":
        raise InputError(
            "--uncertainty tells how far versions of an image differ; "
            "give --average flips or --average rotations with it."
        )
    if any(is_ome_zarr(source.path) for source in sources):
        raise InputError("The uncertainty of an OME-Zarr is not written; leave --uncertainty out.")


def what_counts(model: str, options: SegmentOptions) -> str:
    """All that labels depend on beside the image; not the device, on which they are the same."""
    values = asdict(options)
    del values["device"]
    return json.dumps([digest(find_model(model)), __version__, values], sort_keys=True)


def _done_before(jobs: list[Job], journal: Journal, *, uncertainty: bool) -> dict[Path, Outcome]:
    """Return how it went with the images of which all that is asked for is there."""
    known = {
        job.target: journal.done(job.target, job.key)
        for job in jobs
        if not uncertainty or uncertainty_target(job.target).exists()
    }
    return {target: outcome for target, outcome in known.items() if outcome is not None}


def _segment_all(
    jobs: list[Job],
    before: dict[Path, Outcome],
    means: Means,
    journal: Journal,
) -> tuple[list[Outcome], list[Exception]]:
    """Go through the images under a bar; return how it went, and what went wrong."""
    outcomes: list[Outcome] = []
    errors: list[Exception] = []
    with progress_bar("Segmenting", len(jobs), " images", begun=len(before)) as bar:
        for job in jobs:
            if job.target in before:
                outcomes.append(before[job.target])
                continue
            bar.set_postfix_str(job.source.path.name, refresh=False)
            begun = bar.n

            def show(done: float, total: float, begun: float = begun) -> None:
                bar.update(begun + done / total - bar.n)

            outcome, error = _attempt(job, means, show)
            if error is None:
                journal.add(job.target, job.key, outcome)
                say(_told(outcome, means.options), bar)
            else:
                errors.append(error)
            outcomes.append(outcome)
            bar.update(begun + 1 - bar.n)
    return outcomes, errors


def _attempt(job: Job, means: Means, progress: Progress) -> tuple[Outcome, Exception | None]:
    """Segment one file; whatever is wrong with it becomes a sentence."""
    path, start = job.source.path, time.perf_counter()
    try:
        if is_ome_zarr(path):
            objects, diameter = segment_zarr(
                path,
                job.target,
                means.model,
                means.options,
                progress,
                key=job.key,
                again=job.again,
                cluster=means.cluster,
            )
        else:
            objects, diameter = segment_file(path, job.target, means.model, means.options, progress)
    except NapariUnetError as error:
        return _failed(job, start, str(error)), error
    except MemoryError as error:
        said = f"There is not enough memory for {path.name}; give smaller images."
        return _failed(job, start, said), error
    except Exception as error:  # the last resort: the other images are still to come
        if means.debug:
            raise
        said = " ".join(f"{type(error).__name__}: {error}".split())
        said = f"Something went wrong with {path.name} that should not ({said})"
        return _failed(job, start, f"{said}; run it alone with --debug."), error
    seconds = round(time.perf_counter() - start, 3)
    outcome = Outcome(
        str(path), str(job.target), objects=objects, diameter=diameter, seconds=seconds
    )
    return outcome, None


def _failed(job: Job, start: float, sentence: str) -> Outcome:
    seconds = round(time.perf_counter() - start, 3)
    where = "" if job.source.path.name in sentence else f"{job.source.path}: "
    return Outcome(
        str(job.source.path), "", "failed", seconds=seconds, problem=f"{where}{sentence}"
    )


def _told(outcome: Outcome, options: SegmentOptions) -> str:
    text = f"{outcome.image}: {outcome.objects} object{'s' * (outcome.objects != 1)}"
    if outcome.diameter is not None and options.diameter is None:
        text += f", measured {outcome.diameter:.0f} px across"
    return f"{text}, written to {outcome.labels}"


def _cluster(address: str | None, sources: list[Source]) -> AbstractContextManager[Cluster | None]:
    """Connect to the cluster that was named, before any file is read."""
    if address is None:
        return nullcontext()
    for source in sources:
        if not is_ome_zarr(source.path):
            raise InputError(
                f"A cluster segments OME-Zarr, and {source.path.name} is none; leave --cluster out."
            )
    from napari_unet.engine.cluster import Cluster  # for weight

    return Cluster(address)


def _ready_model(name: str, options: SegmentOptions) -> Model:
    """Load the model; say what is wrong with it or the device before any file is read."""
    from napari_unet.core.device import choose_device, choose_precision  # torch
    from napari_unet.core.model_file import load_model

    choose_precision(options.precision, choose_device(options.device))
    model = load_model(name)
    if options.diameter is not None and model.config.diameter is None:
        raise InputError(
            "This model does not know the size of its objects, so it cannot use --diameter; "
            "leave it out."
        )
    return model


def _targets(sources: list[Source], out: Path, kind: str | None) -> list[Path]:
    """Where each result goes: a folder, or one file for one image."""
    if len(sources) == 1 and is_ome_zarr(sources[0].path) and out.suffix.lower() == ".zarr":
        return [zarr_target(sources[0].path, out)]
    if out.suffix.lower() in (*TIFF_SUFFIXES, *FORMATS.values()) and not out.is_dir():
        if len(sources) > 1:
            raise InputError(
                f"{len(sources)} images cannot be written to the one file {out}; name a folder."
            )
        targets = [out]
    elif out.is_file() or (out.suffix and not out.is_dir() and len(sources) == 1):
        endings = ", ".join(ending for ending in FORMATS.values() if ending[0] == ".")
        raise InputError(f"{out} must be a folder, or end in one of {endings}.")
    else:
        targets = [
            out / source.below / f"{name_of(source.path)}{_ending(source.path, kind)}"
            for source in sources
        ]
    _check_targets(sources, targets)
    return targets


def _ending(path: Path, kind: str | None) -> str:
    if not is_ome_zarr(path):
        return f"{LABELS_ENDING}{FORMATS[kind or 'tiff']}"
    if kind is not None:
        raise InputError(f"Labels of {path.name} are OME-Zarr too; leave --format out.")
    return f"{LABELS_ENDING}.ome.zarr"


def _check_targets(sources: list[Source], targets: list[Path]) -> None:
    inputs = {source.path.resolve() for source in sources}
    taken: dict[Path, Path] = {}
    for source, target in zip(sources, targets, strict=True):
        place = target.resolve()
        if place in inputs:
            raise InputError(f"{target} is one of the images; choose another place for the labels.")
        if place in taken:
            raise InputError(
                f"{taken[place]} and {source.path} would both be written to {target}; "
                "segment them into different folders."
            )
        taken[place] = source.path


def _report_failed(outcomes: list[Outcome], report: Path | None) -> None:
    for outcome in outcomes:
        if outcome.problem:
            say_aside(f"napari-unet: {outcome.problem}")
    sentence = summary(outcomes, report)
    if sentence:
        say_aside(f"napari-unet: {sentence}")
