"""The dock that compares labels with the truth: measures, objects, and colours of what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any  # labels are any array, lazy ones too

import numpy as np
from magicgui.widgets import CheckBox, Container, FloatSlider, Widget
from napari.layers import Labels
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFileDialog, QSizePolicy, QTabWidget

from napari_unet.bridge.layers import told_by
from napari_unet.bridge.verdict_layer import (
    COLOURS,
    VerdictLayer,
    labels_layers,
    labels_problem,
    shown_plane,
)
from napari_unet.core.errors import NapariUnetError
from napari_unet.core.evaluation import Evaluation, measures
from napari_unet.core.verdicts import ObjectVerdicts, Verdict
from napari_unet.formats.tables import Columns, write_table
from napari_unet.session.evaluator import Evaluator, Wanted
from napari_unet.widgets.object_table import ObjectTable
from napari_unet.widgets.parts import (
    Choice,
    Note,
    Panel,
    button,
    fields,
    frame,
    is_alive,
    row,
    set_enabled,
)

if TYPE_CHECKING:
    import napari

__all__ = ["EvaluateDock"]

PUMP_EVERY_MS = 30
MIN_WIDTH = 300
MOST = 1000
EVERY, WRONG = 0, -1
PLANES, SHOWN, VOLUME = "planes", "shown", "volume"
SCOPES = [
    ("all slices, each by itself", PLANES),
    ("the slice that is shown", SHOWN),
    ("the volume, objects reach through it", VOLUME),
]
EVALUATE_TIP = "Compare the two, object by object and pixel by pixel."
COLOUR_TIP = (
    "Show a layer that colours objects: hit green, missed blue, false orange, split yellow, "
    "merged pink. What was compared is hidden meanwhile."
)
NO_TABLE = "Press Evaluate first."
OUT_OF_DATE = "Out of date: the labels have changed since."
NO_LAYERS = "Open or make two labels layers: the truth, and what is compared with it."
TABLES = "Tables (*.csv *.parquet)"


class EvaluateDock(Container[Widget]):
    """Choose truth and prediction, and see how good it is and where it is wrong."""

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        self._viewer = napari_viewer
        self._evaluator = Evaluator()
        self._verdicts = VerdictLayer(napari_viewer)
        self.result: Evaluation | None = None
        self._said = ""  # of the result
        self._is_stale = False
        self._place: tuple[int, ...] = ()
        self._compared: tuple[Labels, Labels] | None = None
        self._taken: list[Any] = []  # what was compared of them
        self._make()
        inside = Panel([self.form, self.evaluate, self.note, self.row, self.tabs, self.saving])
        inside.native.layout().setStretch(4, 1)  # the tables take what room there is
        super().__init__(widgets=[inside], labels=False)
        self.native.layout().setStretch(0, MOST)  # napari may add a spacer of its own
        self.native.layout().setContentsMargins(0, 2, 0, 2)
        self.native.setMinimumWidth(MIN_WIDTH)
        self._connect()
        self._show_layers()

    def _make(self) -> None:
        self.truth = Choice(label="Truth", tooltip="The labels that are right.")
        self.prediction = Choice(label="Prediction", tooltip="The labels to be judged.")
        self.scope = Choice(label="Over", tooltip="What of a stack is compared.")
        self.scope.offer(SCOPES, PLANES)
        self.iou = FloatSlider(
            label="Hit from",
            min=0.1,
            max=0.95,
            step=0.05,
            value=0.5,
            tooltip="So much two objects must overlap to be a hit: intersection over union.",
        )
        self.form = fields(self.truth, self.prediction, self.scope, self.iou)
        self.evaluate = button("Evaluate", EVALUATE_TIP, self.start)
        self.note = Note()
        self.colour = CheckBox(text="Colour by verdict", value=True, tooltip=COLOUR_TIP, label="")
        self.only = Choice(label="List", tooltip="Which objects the table lists.")
        self.row = Panel([self.colour, fields(self.only)])
        self.row.native.layout().setContentsMargins(0, 0, 0, 0)
        self.objects, self.measures = ObjectTable(), ObjectTable()
        pages = QTabWidget()
        pages.addTab(self.objects, "Objects")
        pages.addTab(self.measures, "Measures")
        pages.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)
        self.pages = pages
        self.tabs = frame(pages)
        self.save_objects = button("Save objects…", "", self._save_objects)
        self.save_measures = button("Save measures…", "", self._save_measures)
        self.saving = row(self.save_objects, self.save_measures)

    def _connect(self) -> None:
        events = self._viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered):
            event.connect(self._show_layers)
        for choice in (self.truth, self.prediction):
            choice.changed.connect(self._show_state)
        self.colour.changed.connect(self._verdicts.set_visible)
        self.only.changed.connect(self._filter)
        self.objects.rowClicked.connect(self._go_to)
        self._evaluator.done.connect(self._on_done)
        self._evaluator.failed.connect(self._on_failed)
        self._evaluator.progressed.connect(self._on_progress)
        self._timer = QTimer(self.native)
        self._timer.setInterval(PUMP_EVERY_MS)
        self._timer.timeout.connect(self._evaluator.pump)
        self._timer.start()
        self.native.destroyed.connect(self._evaluator.close)

    # What there is to choose

    def _show_layers(self) -> None:
        if not is_alive(self.native):  # the dock was closed, napari's events go on
            return
        layers = labels_layers(self._viewer)
        names = [(layer.name, str(layer.unique_id)) for layer in layers]
        last = names[-1][1] if names else None  # what was opened first is mostly the truth
        truth = next((identity for name, identity in names if "truth" in name.lower()), last)
        found = next((identity for _, identity in names if identity != truth), truth)
        known = [identity for _, identity in names]
        are_two = self.truth.value != self.prediction.value  # else there was but one layer
        for choice, usual in ((self.truth, truth), (self.prediction, found)):
            stays = are_two and choice.value in known
            choice.offer(names, choice.value if stays else usual)
            choice.enabled = bool(names)
        for layer in layers:
            layer.events.name.connect(self._show_layers)
        self._show_state()

    def _show_state(self) -> None:
        pair = self._pair()
        self.scope.visible = pair is not None and pair[0].ndim > 2
        reason = NO_LAYERS if pair is None else labels_problem(*pair)
        set_enabled(self.evaluate, reason, EVALUATE_TIP)
        stale = self._is_stale and not reason
        self.note.say(OUT_OF_DATE if stale else reason or self._said, failure=stale)
        for widget, what in ((self.save_objects, "objects"), (self.save_measures, "measures")):
            set_enabled(
                widget,
                "" if self.result is not None else NO_TABLE,
                f"Write the table of {what} to a file, for a spreadsheet.",
            )
        self.row.visible = self.result is not None

    def _pair(self) -> tuple[Labels, Labels] | None:
        layers = {str(layer.unique_id): layer for layer in labels_layers(self._viewer)}
        truth, prediction = layers.get(self.truth.value), layers.get(self.prediction.value)
        return None if truth is None or prediction is None else (truth, prediction)

    # Comparing

    def start(self) -> None:
        """Compare what is chosen; the viewer goes on meanwhile."""
        pair = self._pair()
        if pair is None or labels_problem(*pair):
            self._show_state()
            return
        scope = self.scope.value if pair[0].ndim > 2 else SHOWN
        try:
            self._place = shown_plane(self._viewer, pair[1]) if scope == SHOWN else ()
        except NapariUnetError as error:
            self._on_failed(str(error))
            return
        self._follow(pair)
        truth, prediction = (_snapshot(layer.data, self._place) for layer in pair)
        self._taken = [truth, prediction]
        self._evaluator.start(Wanted(truth, prediction, self.iou.value, scope == VOLUME))
        self.note.say("Comparing…")

    def _follow(self, pair: tuple[Labels, Labels]) -> None:
        """Notice when what is compared is painted in."""
        for layer in self._compared or ():
            for event in told_by(layer):
                event.disconnect(self._on_changed)
        self._compared, self._is_stale = pair, False
        for layer in pair:
            for event in told_by(layer):
                event.connect(self._on_changed)

    def _on_changed(self, event: Any) -> None:  # napari's
        if self._is_stale or not is_alive(self.native):
            return
        if event.type == "set_data" and not self._is_changed():
            return
        self._is_stale = True
        self._show_state()

    def _is_changed(self) -> bool:
        """Whether what is seen is not what was compared: napari tells of other slices alike."""
        for layer, taken in zip(self._compared or (), self._taken, strict=True):
            if not isinstance(taken, np.ndarray):
                return True
            try:
                shown = shown_plane(self._viewer, layer)
            except NapariUnetError:
                shown = ()
            if self._place:
                shown, now = (), layer.data[self._place]
            else:
                now = layer.data
            if now.shape != taken.shape or not np.array_equal(now[shown], taken[shown]):
                return True
        return False

    def _on_progress(self, done: int, total: int) -> None:
        self.note.say(f"Comparing, slice {done} of {total}…")

    def _on_failed(self, sentence: str) -> None:
        self.note.say(sentence, failure=True)

    def _on_done(self, result: Evaluation) -> None:
        if self._compared is None or self._compared[1] not in self._viewer.layers:
            self._on_failed("The layer that was compared is gone.")
            return
        over = self._compared[1]
        self.result = result
        painted = result.map
        if self._place:  # the map of one slice goes into a stack of nothing
            painted = np.zeros(over.data.shape, np.uint8)
            painted[self._place] = result.map
        self._verdicts.show(painted, self._compared, visible=self.colour.value)
        self.objects.set_columns(self._columns(), {v.name.lower(): c for v, c in COLOURS.items()})
        named = measures(result.scores)
        self.measures.set_columns(
            {
                "measure": np.array(list(named)),
                "value": np.array([_shown(value) for value in named.values()]),
            }
        )
        counts = self._counts(result.objects)
        self.only.offer(counts, counts[0][1])
        self._filter(counts[0][1])
        self._said = _sentence(result)
        self._show_state()

    def _columns(self) -> dict[str, Any]:
        assert self.result is not None
        objects = self.result.objects
        names = "TZYX"[-objects.center.shape[1] :]
        return objects.columns(names)

    def _counts(self, objects: ObjectVerdicts) -> list[tuple[str, int]]:
        """What can be listed; what is wrong comes first, where anything is."""
        count = {verdict: int((objects.verdict == verdict).sum()) for verdict in Verdict}
        wrong = len(objects) - count[Verdict.HIT]
        return [
            *([(f"what is wrong ({wrong})", WRONG)] if wrong else []),
            (f"all ({len(objects)})", EVERY),
            *((f"{v.name.lower()} ({number})", int(v)) for v, number in count.items() if number),
        ]

    # The tables

    def _filter(self, verdict: int | None) -> None:
        if self.result is not None and verdict is not None:
            every = self.result.objects.verdict
            if verdict in (EVERY, WRONG):
                self.objects.keep((every != Verdict.HIT) | (verdict == EVERY))
            else:
                self.objects.keep(every == verdict)

    def _go_to(self, number: int) -> None:
        if self.result is not None:
            self._verdicts.go_to(self.result.objects, number, self._place)

    def _save_objects(self) -> None:
        self._save("objects.csv", self._columns())

    def _save_measures(self) -> None:
        assert self.result is not None
        named = measures(self.result.scores)
        values = np.array(list(named.values()), float)
        self._save("measures.csv", {"measure": np.array(list(named)), "value": values})

    def _save(self, usual: str, columns: Columns) -> None:
        path, _ = QFileDialog.getSaveFileName(self.native, "Save the table", usual, TABLES)
        if path:
            self.write(Path(path), columns)

    def write(self, path: Path, columns: Columns) -> None:
        """Write a table; a file name without an ending becomes CSV."""
        path = path if path.suffix else path.with_suffix(".csv")
        try:
            write_table(path, columns)
        except NapariUnetError as error:
            self._on_failed(str(error))
        else:
            self.note.say(f"Written to {path}.")


def _snapshot(data: Any, place: tuple[int, ...]) -> Any:
    """Copy what may be painted in meanwhile; lazy arrays are read by the one who compares."""
    part = data[place] if place else data
    return part.copy() if isinstance(part, np.ndarray) else part


def _shown(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.3f}"


def _sentence(result: Evaluation) -> str:
    """Say in words how it went."""
    scores, objects = result.scores, result.objects
    became = {
        verdict: int((objects.is_true & (objects.verdict == verdict)).sum()) for verdict in Verdict
    }
    lost = (Verdict.MISSED, Verdict.SPLIT, Verdict.MERGED)
    said = [f"{became[verdict]} {verdict.name.lower()}" for verdict in lost if became[verdict]]
    false = int((objects.verdict == Verdict.FALSE).sum())
    return (
        f"{', '.join([f'{became[Verdict.HIT]} of {scores.n_truth} objects are hit', *said])}; "
        f"{false} that {'is' if false == 1 else 'are'} false. "
        f"AP {scores.average_precision[0.5]:.2f}, Dice {scores.dice:.2f}."
    )
