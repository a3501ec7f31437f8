"""Measured objects of a labels layer: kept up to date, attached to the layer, found by a click."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any  # napari's events; layers' data is any array

import numpy as np
from napari.layers import Image as ImageLayer
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap, ensure_colormap
from numpy.typing import NDArray
from psygnal import Signal

from napari_unet.bridge.layers import guess_channel_axis, read_image, told_by
from napari_unet.bridge.look import Ring
from napari_unet.bridge.open_pair import OpenPair
from napari_unet.bridge.units import micrometres_of
from napari_unet.bridge.workspace import Workspace
from napari_unet.core.errors import InputError
from napari_unet.core.regions import Columns
from napari_unet.session.image import Place
from napari_unet.session.measures import Measures, Scope, Subject

__all__ = ["Measuring"]

# A shown plane is measured again when nothing was painted for so long (chosen: a stroke is over).
QUIET_S = 0.4
COLOURS = "viridis"  # told apart by people who see red and green alike, and in grey
MARGIN = 4  # pixels of the image between an object and its ring
CLICK = 3  # pixels of the screen: a press that moves less is a click, as in `gestures`
RING = "measured cell"


class Measuring:
    """The table of one labels layer.

    All methods are for the viewer's thread; `pump` has to be called there every now and then.

    Parameters
    ----------
    workspace : Workspace
    """

    changed = Signal()
    """There is another table, or it is out of date now, or up to date again."""
    pointed = Signal(int)
    """The user clicked on the cell of a row of the table."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._measures = Measures()
        self._ring = Ring(workspace.viewer)
        self.labels: Labels | None = None
        self.images: tuple[ImageLayer, ...] = ()
        self.scope = Scope.SHOWN
        self.is_stale = False
        self._axes = ""
        self._changed_at = 0.0
        self._shown: Place = ()  # as it was measured
        self._drawn: Place = ()  # as napari drew it last
        self._columns: set[str] = set()  # of the layer's features that are ours
        self._colours: tuple[Labels, Any] | None = None  # as they were before ours
        self._draws = False  # what napari tells meanwhile is of our own making
        self.colour_by = ""
        self._measures.changed.connect(self._on_table)
        workspace.corrected.connect(self._on_corrected)
        workspace.session.labels_changed.connect(self._on_corrected)
        workspace.viewer.dims.events.point.connect(self._on_point)
        workspace.viewer.mouse_drag_callbacks.append(self._on_press)

    def close(self) -> None:
        """Follow the viewer no more; features and colours stay."""
        self.follow(None, ())
        viewer = self._workspace.viewer
        self._workspace.corrected.disconnect(self._on_corrected)
        self._workspace.session.labels_changed.disconnect(self._on_corrected)
        viewer.dims.events.point.disconnect(self._on_point)
        if self._on_press in viewer.mouse_drag_callbacks:
            viewer.mouse_drag_callbacks.remove(self._on_press)
        self._ring.remove()
        self._measures.close()

    # What is measured

    @property
    def table(self) -> Columns:
        """The columns of the last measurement."""
        return self._measures.table

    @property
    def unit(self) -> str:
        """Of the lengths in the table."""
        return "px" if self._measures.subject is None else self._measures.subject.unit

    @property
    def busy(self) -> bool:
        """Whether a table is being made."""
        return self._measures.busy

    def scopes(self) -> list[Scope]:
        """Return what can be measured of the layer that is followed."""
        if self.labels is None:
            return []
        axes = self._subject().axes
        return [Scope.SHOWN, *[Scope.PLANES] * (len(axes) > 2), *[Scope.VOLUMES] * ("Z" in axes)]

    def images_of(self, labels: Labels) -> list[ImageLayer]:
        """Return the image layers that lie under labels pixel by pixel, its own one first."""
        item = self._workspace.of_labels(labels)
        own = [] if item is None else [item.image]
        shape = self._pixels(labels).shape
        fitting = [layer for layer in self._workspace.images() if _shape(layer) == shape]
        return own + [layer for layer in fitting if not own or layer is not own[0]]

    def follow(self, labels: Labels | None, images: tuple[ImageLayer, ...]) -> None:
        """Measure other labels, or other images in them."""
        if self.labels is not None:
            self._uncolour()
            for event in told_by(self.labels):
                event.disconnect(self._on_changed)
        is_other = labels is not self.labels
        self.labels, self.images, self._columns = labels, images, set()
        if labels is not None:
            for event in told_by(labels):
                event.connect(self._on_changed)
            self._drawn = self._place()
        if is_other:
            self._measures.forget()
        self._must_measure()
        self._changed_at = 0.0  # at once

    def take(self, scope: Scope) -> None:
        """Measure other objects of a stack."""
        self.scope = scope
        self._must_measure()
        self._changed_at = 0.0

    def measure(self) -> None:
        """Measure now, in a second thread.

        Raises
        ------
        InputError
            If the images do not fit the labels any more.
        """
        if self.labels is None:
            return
        self._shown = self._place()
        self.is_stale = False
        self._measures.request(self._subject(), self.scope, self._shown)
        self.changed.emit()

    def pump(self) -> None:
        """Take what was measured, and measure a plane again that is out of date.

        Raises
        ------
        InputError
            If labels or images could not be read.
        """
        self._measures.pump()
        is_quiet = time.monotonic() - self._changed_at >= QUIET_S
        if self.is_stale and is_quiet and not self.busy and self._is_live:
            self.measure()

    @property
    def _is_live(self) -> bool:
        """A whole stack is measured when the user asks for it: that takes a while."""
        return self.labels is not None and (self.scope is Scope.SHOWN or not self.table)

    def _subject(self) -> Subject:
        assert self.labels is not None
        axes = _axes(self.labels, self._pixels(self.labels).ndim)
        images = []
        for layer in self.images:
            name = layer.name if len(self.images) > 1 else ""
            images.append((name, read_image(layer, (), guess_channel_axis(layer))))
        pixels = self._pixels(self.labels)
        wrong = next((image for _, image in images if image.shape != pixels.shape), None)
        if wrong is not None:
            raise InputError(
                f"{wrong.name} has the shape {wrong.shape} and the labels {pixels.shape}; "
                "choose an image of the same size."
            )
        return Subject(pixels, axes, tuple(images), micrometres_of(self.labels, axes))

    def _pixels(self, labels: Labels) -> Any:
        """The labels' array: without the axis of channels where it is ours."""
        item = self._workspace.of_labels(labels)
        if item is not None and item.labels is labels:
            return item.pair.labels
        return labels.data[0] if labels.multiscale else labels.data

    def _place(self) -> Place:
        """The plane of the labels that the viewer shows."""
        assert self.labels is not None
        shape = self._pixels(self.labels).shape[:-2]
        point = self.labels.world_to_data(self._workspace.viewer.dims.point)
        steps = [round(float(value)) for value in point]
        if len(steps) > len(shape) + 2:
            del steps[self._channel_axis()]
        return tuple(min(max(step, 0), size - 1) for step, size in zip(steps, shape, strict=False))

    def _channel_axis(self) -> int:
        item = self._item()
        return 0 if item is None else item.pair.image.axes.index("C")

    def _item(self) -> OpenPair | None:
        return None if self.labels is None else self._workspace.of_labels(self.labels)

    # What has changed

    def _must_measure(self) -> None:
        self.is_stale = True
        self._changed_at = time.monotonic()
        self.changed.emit()

    def _on_changed(self, event: Any) -> None:
        """It was painted, undone or replaced; drawing another plane or colour is no change."""
        if self._draws:
            return
        before, self._drawn = self._drawn, self._place()
        if event.type != "set_data" or self._drawn == before:
            self._must_measure()

    def _on_corrected(self, *_: object) -> None:
        """Labels of the loop were written without a word from napari."""
        item = self._item()
        if item is not None:
            self._must_measure()

    def _on_point(self, event: Any) -> None:
        if self.labels is not None and self.scope is Scope.SHOWN and self._place() != self._shown:
            self._must_measure()

    # What becomes of the table

    def _on_table(self) -> None:
        if self.table and self.labels is not None and not (self.is_stale and self._is_live):
            self._attach()
            self.colour(self.colour_by)
        self.changed.emit()

    def _attach(self) -> None:
        """Write the table to the layer's features; the user's own columns stay.

        Not where a number stands for several objects, as in planes that are numbered each anew.
        """
        import pandas as pd  # slow to import; napari's own tables are made of it

        assert self.labels is not None
        numbers = self.table["label"]
        if len(np.unique(numbers)) != len(numbers):
            return
        ours = pd.DataFrame({"index": numbers, **self.table}).drop(columns="label")
        before = self.labels.features
        own = [name for name in before.columns if name not in {*ours.columns, *self._columns}]
        if own and "index" in before:
            ours = ours.merge(before[["index", *own]], on="index", how="outer")
        self._columns = set(ours.columns) - set(own) - {"index"}
        self.labels.features = ours

    def colour(self, column: str) -> None:
        """Colour the cells by a column of the table; by their numbers if it is empty."""
        self.colour_by = column
        if not column or self.labels is None or column not in self.table:
            self._uncolour()
            return
        if self._colours is None:
            self._colours = self.labels, self.labels.colormap
        values = np.asarray(self.table[column], float)
        known = np.isfinite(values)
        low, high = np.percentile(values[known], (2, 98)) if known.any() else (0.0, 1.0)
        part = np.clip((values[known] - low) / max(high - low, 1e-300), 0, 1)
        colours = ensure_colormap(COLOURS).map(part)
        numbers = self.table["label"][known].tolist()
        by_number: dict[int | None, Any] = {None: "transparent", 0: "transparent"}
        by_number |= dict(zip(numbers, colours, strict=True))
        with self._drawing():
            self.labels.colormap = DirectLabelColormap(color_dict=by_number)

    def _uncolour(self) -> None:
        colours, self._colours = self._colours, None
        if colours is not None:
            with self._drawing():
                colours[0].colormap = colours[1]

    @contextmanager
    def _drawing(self) -> Iterator[None]:
        self._draws = True
        try:
            yield
        finally:
            self._draws = False

    # Rows and cells

    def go_to(self, row: int) -> None:
        """Bring the cell of a row into view, with a ring around it."""
        if self.labels is None or row >= len(self.table.get("label", ())):
            return
        middle, half = self._position(row), self._radius(row) + MARGIN
        corners = np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]]) * half
        points = np.tile(middle, (4, 1))
        points[:, -2:] += corners
        with self._drawing():
            self._ring.show_around(self.labels, points, RING)
            self.labels.selected_label = int(self.table["label"][row])

    def _position(self, row: int) -> NDArray[np.float64]:
        """The middle of a row's object in the layer's own dimensions."""
        assert self.labels is not None and self._measures.subject is not None
        subject = self._measures.subject
        steps = []
        for axis in subject.axes:
            if axis.lower() in self.table:
                steps.append(float(self.table[axis.lower()][row]))
            else:
                size = (subject.spacing or {}).get(axis, 1.0)
                steps.append(float(self.table[f"centroid_{axis.lower()}"][row]) / size)
        if self.labels.ndim > len(steps):
            now = self.labels.world_to_data(self._workspace.viewer.dims.point)
            steps.insert(self._channel_axis(), round(now[self._channel_axis()]))
        return np.array(steps)

    def _radius(self, row: int) -> float:
        """Half the greatest extent of a row's object, in pixels."""
        spacing = self._measures.subject.spacing if self._measures.subject else None
        return float(self.table["feret_max"][row]) / 2 / (spacing or {}).get("X", 1.0)

    def row_of(self, number: int, place: Place) -> int | None:
        """Return the row of the object of that number in a plane; None if it has none."""
        if not self.table or self._measures.subject is None:
            return None
        there = self.table["label"] == number
        stack = self._measures.subject.axes[:-2].lower()
        for axis, step in zip(stack, place, strict=True):
            if axis in self.table:
                there &= self.table[axis] == step
        rows = np.flatnonzero(there)
        return int(rows[0]) if len(rows) else None

    def _on_press(self, viewer: Any, event: Any) -> Iterator[None]:
        """A click, with a mouse that does not paint, marks the row of the cell under it."""
        if self.labels is None or event.button != 1 or self._paints():
            return
        begun = np.array(event.pos)
        yield
        while event.type == "mouse_move":
            yield
        if np.abs(np.array(event.pos) - begun).max() >= CLICK or not self.labels.visible:
            return
        number = self.labels.get_value(
            event.position,
            view_direction=event.view_direction,
            dims_displayed=event.dims_displayed,
            world=True,
        )
        row = self.row_of(int(number), self._place()) if number else None
        if row is not None:
            self.pointed.emit(row)

    def _paints(self) -> bool:
        active = self._workspace.viewer.layers.selection.active
        return isinstance(active, Labels) and active.mode not in ("pan_zoom", "pick")

    def written(self) -> Columns:
        """Return the table as `napari-unet measure` writes it.

        Raises
        ------
        InputError
            If nothing was measured.
        """
        if not self.table:
            raise InputError("Nothing is measured yet; choose labels first.")
        return dict(self.table)


def _axes(labels: Labels, ndim: int) -> str:
    """A letter for each axis: the layer's own where all are one letter, else the last of TZYX."""
    names = "".join(map(str, getattr(labels, "axis_labels", ()))).upper()
    is_named = len(names) == ndim and names.isalpha() and len(set(names)) == ndim
    if is_named and names.endswith("YX") and "C" not in names:
        return names
    return ("ABDEFGHIJKL" + "TZYX")[-ndim:]


def _shape(layer: ImageLayer) -> tuple[int, ...]:
    """The shape that labels of an image have; none if it cannot be measured."""
    try:
        return read_image(layer, (), guess_channel_axis(layer)).shape
    except InputError:
        return ()
