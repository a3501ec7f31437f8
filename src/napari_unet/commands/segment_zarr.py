"""`napari-unet segment` of an OME-Zarr: plane by plane, in as much memory as a small one takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_unet.commands.inputs import check_channels
from napari_unet.commands.lazy_planes import Picked, PlaneOf
from napari_unet.core.errors import InputError
from napari_unet.core.large_plan import plan_large
from napari_unet.core.library import bundled_models_dir
from napari_unet.core.neighbours import reader_for, through_axis
from napari_unet.core.planes import plane_places
from napari_unet.engine.large import Choices, LargeJob, WorkFolder, run_here, segment_job
from napari_unet.formats.ome_zarr import open_ome_zarr
from napari_unet.formats.ome_zarr_labels import LabelsWriter

if TYPE_CHECKING:
    from napari_unet.commands.segment import SegmentOptions
    from napari_unet.core.model_file import Model
    from napari_unet.engine.cluster import Cluster

__all__ = ["segment_zarr", "zarr_target"]

INSIDE = "napari-unet"  # what labels are called in the image's own OME-Zarr

# Pixels of a plane that is segmented in one piece: objects take about 100 bytes for each, so that
# no plane takes more than 3 GB (chosen). Larger ones are segmented in parts.
MAX_WHOLE = 2**24

# The same where that cannot be done in parts: probabilities and labels take about 20 bytes.
MAX_PLANE = 2**27

# Side of a part in which objects are made; whole chunks of labels (see `BlockSettings`).
BLOCK = 2048

Progress = Callable[[float, float], None]


def zarr_target(source: Path, out: Path) -> Path:
    """Return where the labels of an OME-Zarr go; if it is named itself, they go into it."""
    return out / "labels" / INSIDE if out.resolve() == source.resolve() else out


def segment_zarr(
    path: Path,
    target: Path,
    model: Model,
    options: SegmentOptions,
    progress: Progress,
    *,
    key: str,
    again: bool,
    cluster: Cluster | None = None,
) -> tuple[int, float | None]:
    """Segment an OME-Zarr into another, going on where an earlier run was stopped.

    Parameters
    ----------
    path, target : Path
        Image and labels.
    model, options, progress
        See `segment_file`.
    key : str
        See `LabelsWriter`.
    again : bool
        Do anew what is done.
    cluster : Cluster, optional
        Its workers compute; None computes here.

    Returns
    -------
    tuple of int and float or None
        How many objects there are, and how large.

    Raises
    ------
    InputError
        If it cannot be read, or a plane is too large for what is asked.
    """
    if model.config.is_volumetric:
        raise InputError(
            f"{path.name} is OME-Zarr, which a model of volumes cannot segment yet; save the "
            "volume as a TIFF, or choose a model of planes."
        )
    image = open_ome_zarr(path)
    axes = options.reading.named(image.data.shape, image.axes, path)
    picked = Picked(image.data, axes, options.reading, path)
    check_channels(picked.shape, picked.axes, model.config.image_channels, path)
    if model.config.slices > 1:
        through_axis(picked.axes, path.name)
    in_parts = _goes_in_parts(picked, path, model, options, cluster)
    writer = LabelsWriter(target, image, axes=axes, key=key, again=again)
    places = list(plane_places(picked.shape, picked.axes))
    kind = _InParts if in_parts else _Whole
    if again:
        WorkFolder(target, key).remove()
    work = kind(path.resolve(), picked, model, options, writer, key, cluster)
    is_left = not all(map(writer.is_done, places))
    choices = work.choices(places) if is_left else Choices(options.diameter, options.precision)
    for number, place in enumerate(places):

        def show(done: int, total: int, number: int = number) -> None:
            progress(number + done / total, len(places))

        if not writer.is_done(place):
            work.segment(place, choices, show)
        progress(number + 1, len(places))
    return writer.objects(), choices.diameter


@dataclass(frozen=True)
class _Whole:
    """An image on its way to labels, each plane in memory."""

    path: Path
    picked: Picked
    model: Model
    options: SegmentOptions
    writer: LabelsWriter
    key: str
    cluster: Cluster | None

    def choices(self, places: list[tuple[int, ...]]) -> Choices:
        """Choose what is the same for all planes."""
        diameter = self.options.diameter
        if diameter is None:
            diameter = self.measured(places)
        return Choices(diameter, self.options.precision)

    def measured(self, places: list[tuple[int, ...]]) -> float | None:
        """Measure how large objects are."""
        from napari_unet.core.measure import measure_stack  # torch

        return measure_stack(
            self.picked,
            self.picked.axes,
            self.model,
            device=self.options.device,
            precision=self.options.precision,
        )

    def segment(
        self, place: tuple[int, ...], choices: Choices, show: Callable[[int, int], None]
    ) -> None:
        """Segment a plane."""
        from napari_unet.core.segmentation import segment  # torch

        result = segment(
            reader_for(self.model.config, self.picked, self.picked.axes)(place),
            self.model,
            axes="CYX",
            diameter=choices.diameter or self.model.config.diameter,
            threshold=self.options.threshold,
            min_size=self.options.min_size,
            split=self.options.split,
            average=self.options.average,
            device=self.options.device,
            precision=choices.precision,
            progress=show,
        )
        self.writer.write(place, result.labels, int(result.labels.max()))


class _InParts(_Whole):
    """The same from file to file, here or on a cluster."""

    def choices(self, places: list[tuple[int, ...]]) -> Choices:
        """Choose as before a stop; otherwise choose."""
        from napari_unet.core.device import choose_device, choose_precision  # torch

        before = WorkFolder(self.writer.path, self.key).choices
        if before is not None:
            return before
        device = choose_device(self.options.device)
        precision = choose_precision(self.options.precision, device)
        return Choices(super().choices(places).diameter, precision)

    def measured(self, places: list[tuple[int, ...]]) -> float | None:
        """Measure on the first, the middle and the last plane; the middle value counts."""
        from napari_unet.core.measure import measure_large  # torch

        if self.model.config.diameter is None:
            return None
        where = {"device": self.options.device, "precision": self.options.precision}
        some = sorted({0, len(places) // 2, len(places) - 1})
        found = [
            measure_large(
                PlaneOf(self.path, self.options.reading, places[n])(), self.model, **where
            )
            for n in some
        ]
        known = [diameter for diameter in found if diameter is not None]
        return float(np.median(known)) if known else None

    def segment(
        self, place: tuple[int, ...], choices: Choices, show: Callable[[int, int], None]
    ) -> None:
        """Segment a plane, going on with what an earlier run has done of it."""
        source = PlaneOf(self.path, self.options.reading, place)
        plan = plan_large(
            source(),
            self.model.config,
            diameter=choices.diameter,
            threshold=self.options.threshold,
            min_size=self.options.min_size,
            split=self.options.split,
            block=BLOCK,
        )
        work = WorkFolder(self.writer.path, self.key, place)
        done = work.begin(plan, choices, BLOCK)
        levels = range(len(self.writer.plane_shapes()))
        job = LargeJob(
            source,
            _found_anywhere(Path(self.model.card.path)),
            plan,
            work.path,
            tuple(self.writer.plane(place, level) for level in levels),
            self.options.device,
            choices.precision,
        )
        run = run_here(job, self.model) if self.cluster is None else self.cluster.run(job)
        objects = segment_job(job, run, work, done=done, progress=show)
        self.writer.finish(place, objects)
        work.remove()


def _found_anywhere(model: Path) -> str:
    """Return by what each worker finds a model: the name of one of the package, else its path."""
    is_bundled = model.resolve().parent == bundled_models_dir().resolve()
    return model.stem if is_bundled else str(model.resolve())


def _goes_in_parts(
    picked: Picked, path: Path, model: Model, options: SegmentOptions, cluster: Cluster | None
) -> bool:
    """Whether planes are segmented in parts; refuse what can be done neither so nor whole."""
    sizes = dict(zip(picked.axes, picked.shape, strict=True))
    pixels = sizes["Y"] * sizes["X"]
    is_deep = model.config.slices > 1
    if not model.config.semantic and options.average == "none" and not is_deep:
        return cluster is not None or pixels > MAX_WHOLE
    what = "classes" if model.config.semantic else "averages"
    what = "neighbouring slices" if is_deep else what
    if cluster is not None:
        raise InputError(f"A cluster does not compute {what}; leave --cluster out.")
    if pixels > MAX_PLANE:
        raise InputError(
            f"{path.name} has planes of {pixels / 1e6:,.0f} million pixels; with {what} up to "
            f"{MAX_PLANE / 1e6:,.0f} million are segmented, cut it into parts."
        )
    return False
