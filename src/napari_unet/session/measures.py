"""A table of the objects of an image, measured by a second thread."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial
from typing import Any  # labels may be any array that can be sliced

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_unet.core.errors import InputError
from napari_unet.core.regions import Columns, measure_regions, placed, stacked
from napari_unet.session.image import Image, Place
from napari_unet.session.label_maker import LabelMaker

__all__ = ["Measures", "Scope", "Subject", "unit_of"]

NO_DEPTH = (
    "The labels have a size of pixels along Y and X and none along Z; give their layer a unit "
    "and a scale along Z too, or measure plane by plane."
)
LENGTHS = ("centroid_", "equivalent_diameter", "feret_", "major_axis", "minor_axis", "perimeter")


class Scope(Enum):
    """Which objects of a stack are measured."""

    SHOWN = "shown plane"
    PLANES = "every plane"
    VOLUMES = "volumes through Z"


@dataclass(frozen=True, eq=False)
class Subject:
    """Labels, and the images whose intensities are measured in them.

    Attributes
    ----------
    labels : array-like of int
        0 is background; read plane by plane, in a second thread.
    axes : str
        One letter a dimension of the labels, ending in YX; Z among them makes volumes possible.
    images : tuple of (str, Image)
        What to call each in the columns, and the image; all its channels are measured. Without
        their channels they have the shape of the labels.
    spacing : dict of str to float, or None
        Micrometres a pixel along Z, Y and X; None measures in pixels.
    """

    labels: Any
    axes: str
    images: tuple[tuple[str, Image], ...] = ()
    spacing: dict[str, float] | None = None

    @property
    def unit(self) -> str:
        """In which all lengths are, as `napari-unet measure` calls it."""
        return "px" if self.spacing is None else "um"

    @property
    def channels(self) -> list[str]:
        """What the measured channels are called."""
        return [
            f"{name}_{number}" if name and image.channel_count > 1 else name or str(number)
            for name, image in self.images
            for number in range(image.channel_count)
        ]


class Measures:
    """Keeps the latest table of measured objects.

    All methods are for the viewer's thread; `pump` has to be called there every now and then.
    """

    changed = Signal()
    """There is another table."""

    def __init__(self) -> None:
        self.table: Columns = {}
        self.subject: Subject | None = None  # of the table
        self._maker: LabelMaker[tuple[Subject, Columns | None]] = LabelMaker()
        self._wanted: Subject | None = None

    @property
    def busy(self) -> bool:
        """Whether a table is being made."""
        return self._maker.busy

    def request(self, subject: Subject, scope: Scope, shown: Place) -> None:
        """Measure; what an earlier request is doing is given up."""
        self._wanted = subject
        self._maker.request("table", partial(self._measured, subject, scope, shown))

    def forget(self) -> None:
        """Show no table, and give up what is under way."""
        self._wanted, self.subject, self.table = None, None, {}
        self.changed.emit()

    def pump(self) -> None:
        """Take the table that was made since the last call; never waits.

        Raises
        ------
        InputError
            If labels or images could not be read.
        """
        for _, (subject, table) in self._maker.take():
            if table is not None and subject is self._wanted:
                self.subject, self.table = subject, table
                self.changed.emit()
        for error in self._maker.take_errors():
            raise error

    def close(self) -> None:
        """End the thread."""
        self._wanted = None
        self._maker.close()

    def _measured(
        self, subject: Subject, scope: Scope, shown: Place
    ) -> tuple[Subject, Columns | None]:
        if scope is Scope.VOLUMES and subject.spacing is not None and "Z" not in subject.spacing:
            raise InputError(NO_DEPTH)
        outer = _outer(subject, scope)
        tables = []
        for place in _places(subject, scope, shown):
            if self._wanted is not subject:
                return subject, None
            tables.append(placed(_measured_at(subject, outer, place), outer, place))
        table = stacked(tables)
        table["unit"] = np.full(len(table["label"]), subject.unit)
        return subject, table


def unit_of(column: str, unit: str) -> str:
    """Return the unit of a column of a table whose lengths are in `unit`; empty if it has none."""
    power = {"area": "²", "volume": "³"}.get(column)
    if power is None and not column.startswith(LENGTHS):
        return "°" if column == "orientation" else ""
    return unit.replace("um", "µm") + (power or "")


def _outer(subject: Subject, scope: Scope) -> str:
    """The axes along which objects are measured one by one."""
    inner = "ZYX" if scope is Scope.VOLUMES else "YX"
    return "".join(axis for axis in subject.axes if axis not in inner)


def _places(subject: Subject, scope: Scope, shown: Place) -> Iterator[Place]:
    if scope is Scope.SHOWN:
        return iter([shown])
    outer = _outer(subject, scope)
    sizes = zip(subject.labels.shape, subject.axes, strict=True)
    return itertools.product(*(range(size) for size, axis in sizes if axis in outer))


def _measured_at(subject: Subject, outer: str, place: Place) -> Columns:
    """Measure one plane or volume; the labels are copied, since they may be painted meanwhile."""
    inner = "".join(axis for axis in subject.axes if axis not in outer)
    at = dict(zip(outer, place, strict=True))
    labels = np.array(subject.labels[tuple(at.get(axis, slice(None)) for axis in subject.axes)])
    images = [_read(image, subject.axes, at, inner) for _, image in subject.images]
    return measure_regions(
        labels,
        np.concatenate(images) if images else None,
        spacing=None if subject.spacing is None else [subject.spacing[axis] for axis in inner],
        channels=subject.channels,
    )


def _read(image: Image, axes: str, at: dict[str, int], inner: str) -> NDArray[Any]:
    """Return all channels of a plane, (C, Y, X), or of a volume, (C, Z, Y, X)."""
    image = replace(image, channels=tuple(range(image.channel_count)))
    if "Z" not in inner:
        return image.read_plane(tuple(at[axis] for axis in axes if axis in at))
    depth = image.stack_shape[axes.index("Z")]
    planes = [
        image.read_plane(tuple(({**at, "Z": z})[axis] for axis in axes[:-2])) for z in range(depth)
    ]
    return np.stack(planes, axis=1)
