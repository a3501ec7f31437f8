"""Two versions of a model on the same plane, with a border between them that can be moved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels, Shapes
from numpy.typing import NDArray
from psygnal import Signal

from napari_unet.bridge.layers import over_channels, placement
from napari_unet.bridge.open_pair import OpenPair
from napari_unet.bridge.view import camera_of, visible_box
from napari_unet.bridge.workspace import COMPARED, Workspace
from napari_unet.core.errors import InputError
from napari_unet.core.matching import overlap_of
from napari_unet.session.class_pair import ClassPair
from napari_unet.session.image import Place
from napari_unet.session.pair import Pair
from napari_unet.session.session import Session

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["Compare"]

LINE = 2.0  # pixels of the screen
COLOUR = "#ffd400"  # as the ring of "Next"
MIDDLE = 0.5


class Compare:
    """Shows the current version left of a border, and another one right of it.

    The labels that are corrected are hidden meanwhile, and not changed; who goes on to correct them
    has them shown again, and the comparison ends.

    Parameters
    ----------
    viewer : napari.viewer.Viewer
    session : Session
    workspace : Workspace
    """

    changed = Signal()
    """It began, ended, or has something else to show."""

    def __init__(self, viewer: Viewer, session: Session, workspace: Workspace) -> None:
        self._viewer = viewer
        self._session = session
        self._workspace = workspace
        self._item: OpenPair | None = None
        self._pair: Pair | None = None
        self._place: Place = ()
        self._titles = ("", "")
        self._labels: Labels | None = None
        self._line: Shapes | None = None
        self._was_visible = True
        self._is_adding = False
        self._column = 0
        self._other = np.zeros((0, 0), np.int32)
        session.labels_changed.connect(self._on_labels)
        for signal in (session.versions_changed, session.models_changed):
            signal.connect(self.end)
        for signal in (workspace.chosen_changed, workspace.layers_changed):
            signal.connect(self._end_if_gone)
        viewer.dims.events.current_step.connect(self._end_if_gone)
        viewer.layers.selection.events.active.connect(self._end_if_corrected)

    @property
    def is_on(self) -> bool:
        """Whether two versions are shown."""
        return self._item is not None

    @property
    def sentence(self) -> str:
        """What is left and right of the border, in words."""
        if self._item is None:
            return ""
        left, right = self._titles
        here = self._plane()
        if self._item.pair.classes:
            part = float(np.mean(here != self._other))
            return f"Left: {left}. Right: {right}; they differ in {part:.0%} of the pixels."
        overlap = overlap_of(here, self._other)
        alike = len(overlap.matched(0.5)[0])
        return (
            f"Left: {left}, {overlap.n_truth} objects. Right: {right}, {overlap.n_predicted}; "
            f"alike are {alike}."
        )

    def start(self, index: int) -> None:
        """Segment the shown plane with another version, and show it right of the middle.

        Raises
        ------
        InputError
            If nothing was segmented yet, or something runs.
        """
        self.end()
        item = self._workspace.current
        if item is None or self._workspace.shown(item) not in item.pair.segmented:
            raise InputError("Press Segment first: versions are compared on what it has found.")
        versions = self._session.versions
        image, place = item.pair.image, self._workspace.shown(item)
        pair = _blank_like(item.pair)
        key = self._session.size_key(image)
        if key is not None and item.pair.used_diameter is not None:  # both at the same size
            pair.size.measured(key, item.pair.used_diameter)
        center = self._workspace.center(item)
        self._session.segment(pair, [place], center, model=versions.items[index].model)
        self._item, self._pair, self._place = item, pair, place
        self._titles = versions.title(versions.index), versions.title(index)
        self._other = np.zeros(image.plane_shape, np.int32)
        self._show()
        self.swipe(MIDDLE)

    def swipe(self, fraction: float) -> None:
        """Move the border: 0 is the left end of what is seen, 1 the right one."""
        if self._item is None or self._line is None:
            return
        _, columns = visible_box(self._viewer, self._item.image, self._item.pair.image)
        self._column = round(columns.start + fraction * (columns.stop - columns.start))
        self._line.data = [self._border()]
        self._draw()

    def end(self) -> None:
        """Show the labels that are corrected again."""
        item, pair = self._item, self._pair
        if item is None or pair is None:
            return
        self._item = self._pair = None
        if self._session.works_on(pair):
            self._session.stop()
        added, self._labels, self._line = (self._labels, self._line), None, None
        for layer in added:
            if layer is not None and layer in self._viewer.layers:
                self._viewer.layers.remove(layer)
        item.labels.visible = self._was_visible
        if item.labels in self._viewer.layers:
            self._workspace.select(item)
        self.changed.emit()

    def close(self) -> None:
        """Follow the session and the viewer no more."""
        self._item = None
        self._viewer.dims.events.current_step.disconnect(self._end_if_gone)
        self._viewer.layers.selection.events.active.disconnect(self._end_if_corrected)

    def _show(self) -> None:
        item = self._item
        assert item is not None
        marked = {"metadata": {COMPARED: True}, **placement(item.image)}
        self._was_visible, item.labels.visible = item.labels.visible, False
        composed = over_channels(item.pair.image, np.zeros(item.pair.image.shape, np.int32))
        self._labels = Labels(composed, name=f"{item.image.name} compared", **marked)
        self._labels.opacity, self._labels.contour = item.labels.opacity, item.labels.contour
        if item.pair.classes:
            self._labels.colormap = item.labels.colormap
        self._line = Shapes(
            [self._border()],
            shape_type="line",
            edge_color=COLOUR,
            edge_width=LINE / camera_of(self._viewer).zoom / float(np.abs(item.labels.scale[-1])),
            name=f"{item.image.name} border",
            **marked,
        )
        self._is_adding = True
        for layer in (self._labels, self._line):
            self._viewer.add_layer(layer)
            layer.editable = False
        self._is_adding = False
        self._viewer.layers.selection.active = self._labels
        self.changed.emit()

    def _border(self) -> NDArray[np.float64]:
        """The two ends of the border, in the axes of the labels layer."""
        assert self._item is not None
        labels = self._item.labels
        now = labels.world_to_data(self._viewer.dims.point[-labels.ndim :])
        ends = np.array([now, now], np.float64)
        ends[:, -1] = self._column - 0.5
        ends[:, -2] = (-0.5, self._item.pair.image.plane_shape[0] - 0.5)
        return ends

    def _plane(self) -> NDArray[Any]:
        assert self._item is not None
        plane: NDArray[Any] = self._item.pair.labels[self._place]
        return plane

    def _draw(self) -> None:
        assert self._item is not None and self._labels is not None
        image = self._item.pair.image
        whole: NDArray[Any] = np.asarray(self._labels.data).reshape(image.shape)
        composed = whole[self._place]
        composed[:, : self._column] = self._plane()[:, : self._column]
        composed[:, self._column :] = self._other[:, self._column :]
        self._labels.refresh(extent=False, thumbnail=False)

    def _on_labels(self, pair: Pair, place: Place) -> None:
        if self._item is None or self._pair is None or place != self._place:
            return
        if pair is self._item.pair:  # a slider was moved
            self._session.set_objects(self._session.settings, self._pair, place)
        elif pair is not self._pair:
            return
        other = self._pair.labels[place]
        self._other = other if pair.classes else _numbered_alike(self._plane(), other)
        self._draw()
        self.changed.emit()

    def _end_if_gone(self) -> None:
        """Another image or slice is looked at, or a layer was removed."""
        item = self._item
        if item is None or self._is_adding:
            return
        needed = (item.labels, self._labels, self._line)
        are_here = all(layer in self._viewer.layers for layer in needed)
        is_current = item is self._workspace.current
        if not (are_here and is_current and self._workspace.shown(item) == self._place):
            self.end()

    def _end_if_corrected(self) -> None:
        """The labels were chosen in the list, or a tool for them was taken up: show them."""
        item = self._item
        if item is not None and self._viewer.layers.selection.active == item.labels:
            self.end()


def _blank_like(pair: Pair) -> Pair:
    """A pair of the same image and kind with nothing in it."""
    image = pair.image
    labels, checked = np.zeros(image.shape, np.int32), np.zeros(image.shape, np.uint8)
    if pair.classes:
        return ClassPair(image, labels, checked, names=list(pair.classes))
    return Pair(image, labels, checked)


def _numbered_alike(here: NDArray[Any], other: NDArray[Any]) -> NDArray[np.int32]:
    """Give objects the number, and so the colour, of those that they are alike."""
    overlap = overlap_of(here, other)
    rows_here, rows_other, _ = overlap.matched(0.5)
    above = int(here.max(initial=0))
    number = np.where(overlap.predicted_names > 0, overlap.predicted_names + above, 0)
    number[rows_other] = overlap.truth_names[rows_here]
    lookup = np.zeros(int(other.max(initial=0)) + 1, np.int32)
    lookup[overlap.predicted_names] = number
    numbered: NDArray[np.int32] = lookup[other]
    return numbered
