"""Step 1: run the network, and choose how objects are made of its probabilities."""

from __future__ import annotations

from magicgui.widgets import FloatSlider, ProgressBar, Slider
from qtpy.QtWidgets import QAbstractSpinBox

from napari_unet.core.errors import NapariUnetError
from napari_unet.session.pair import UNSET, ObjectSettings
from napari_unet.widgets.header import Header
from napari_unet.widgets.parts import (
    Choice,
    Note,
    Panel,
    button,
    fields,
    follow,
    heading,
    row,
    set_enabled,
)
from napari_unet.widgets.workbench import Workbench

__all__ = ["SegmentPanel"]

SEGMENT_TIP = "Find all objects in the image; what you have checked stays as it is."
STOP_TIP = "Stop; the tiles that are done stay."
SPLIT_TIP = "Cut objects at their waists, ever more eagerly; acts at once."
NO_OBJECTS = "Classes are not cut: there are no objects."
MOST_SMALLEST = 500  # px, where the usual smallest object is of 20
MINE = ("Segment", "Measure")  # what this panel shows and stops
THIS, ALL = "this slice", "all slices"
LOOKS = [
    ("once", "none"),
    ("4 times, mirrored", "flips"),
    ("8 times, mirrored and turned", "rotations"),
]
LOOK_TIP = (
    "How often the model looks at the image. The mean of several looks is a little better, takes 4 "
    "or 8 times as long, and a layer glows where the model is unsure. For the next Segment."
)
VOLUMES_ONCE = "A model of volumes looks once. Several looks are for models of single slices."


class SegmentPanel(Panel):
    """Segment, progress, stop, and the live sliders."""

    def __init__(self, bench: Workbench, header: Header) -> None:
        self._bench = bench
        self._header = header
        self.segment = button("Segment", SEGMENT_TIP, self.press)
        self.scope = Choice(tooltip="Which slices to segment.")
        self.scope.offer([(THIS, THIS), (ALL, ALL)], THIS)
        self.stop = button("Stop", STOP_TIP, bench.session.stop)
        self.stop.native.setFixedWidth(60)
        self.progress = ProgressBar(min=0, max=1000, value=0, label="")
        self.progress.native.setTextVisible(False)
        self.progress.native.setFixedHeight(8)
        self.note = Note(keeps_room=True)
        self.threshold = FloatSlider(
            label="Threshold", min=0.05, max=0.95, step=0.01, value=0.5,
            tooltip="How sure the network must be; acts at once.",
        )  # fmt: skip
        self.smallest = Slider(
            label="Smallest", min=0, max=MOST_SMALLEST, value=20,
            tooltip="Objects of fewer pixels are left out; acts at once.\n"
            "Of what the border of the image cuts off a quarter is enough.",
        )  # fmt: skip
        typed = self.smallest.native.findChild(QAbstractSpinBox)
        typed.setKeyboardTracking(False)  # superqt's field would take the keys when it is set
        self.split = FloatSlider(
            label="Split", min=0.0, max=1.0, step=0.05, value=0.0, tooltip=SPLIT_TIP
        )
        self.look = Choice(label="Look", tooltip=LOOK_TIP)
        super().__init__(
            [
                heading("1  Segment"),
                row(self.segment, self.scope, self.stop),
                self.progress,
                self.note,
                fields(self.threshold, self.smallest, self.split, self.look),
            ]
        )
        self._own_smallest = False
        self._connect()
        if bench.session.settings is UNSET:
            self._take_defaults()
        else:
            self._take_settings(bench.session.settings)
        self._show_look()
        self._show_state()

    def _connect(self) -> None:
        self.threshold.changed.connect(self._on_slider)
        self.smallest.changed.connect(self._on_smallest)
        self.split.changed.connect(self._on_slider)
        self.look.changed.connect(self._on_look)
        session, workspace = self._bench.session, self._bench.workspace
        follow(self.native, session.state_changed, self._show_state)
        follow(self.native, session.progress, self._show_progress)
        follow(self.native, session.models_changed, self._take_defaults)
        follow(self.native, session.size_changed, self._show_smallest)
        follow(self.native, session.settings_changed, self._on_settings)
        follow(self.native, workspace.chosen_changed, self._show_smallest)
        follow(self.native, workspace.chosen_changed, self._show_state)

    def press(self) -> None:
        """Segment the chosen image, what is seen first."""
        workspace = self._bench.workspace
        try:
            item, config = workspace.current, self._bench.session.model[0]
            if config.semantic and (item is None or not item.pair.classes):
                item = workspace.open_classes(config.classes[1:])
            else:
                item = workspace.open()
            image = item.pair.image
            shown = workspace.shown(item)
            places = [shown]
            if self.scope.value == ALL:
                places += [place for place in image.places() if place != shown]
            center = workspace.center(item)
            self._bench.session.segment(item.pair, places, center)
        except NapariUnetError as error:
            self.note.say(str(error), failure=True)

    def _show_look(self) -> None:
        """Show how often the model looks, which is once where it sees all of a volume."""
        once = self._is_of_volumes()
        self.look.offer(LOOKS, "none" if once else self._bench.session.average)
        set_enabled(self.look, VOLUMES_ONCE if once else "", LOOK_TIP)

    def _on_look(self, average: str) -> None:
        self._bench.session.average = average

    def _on_smallest(self) -> None:
        """From now on the user's own counts, whatever the size of the objects is."""
        self._own_smallest = True
        self._on_slider()

    def _show_smallest(self) -> None:
        """Show the usual smallest object, which grows with the objects, or the user's own."""
        item = self._bench.workspace.current
        usual = self._bench.session.usual_min_size(None if item is None else item.pair)
        with self.smallest.changed.blocked():
            self.smallest.max = max(MOST_SMALLEST, MOST_SMALLEST * usual // 20, self.smallest.value)
            if not self._own_smallest:
                self.smallest.value = usual

    def _on_slider(self) -> None:
        smallest = self.smallest.value if self._own_smallest else None
        settings = ObjectSettings(self.threshold.value, smallest, self.split.value)
        workspace = self._bench.workspace
        item = workspace.current
        if item is None:
            self._bench.session.set_objects(settings, None, ())
            return
        shown = workspace.shown(item)
        self._bench.session.set_objects(settings, item.pair, shown, workspace.seen(item))

    def _on_settings(self) -> None:
        self._own_smallest = False
        self._show_look()
        self._take_settings(self._bench.session.settings)

    def _take_settings(self, settings: ObjectSettings) -> None:
        """A dock that is opened again shows what was chosen before."""
        for slider, value in ((self.threshold, settings.threshold), (self.split, settings.split)):
            with slider.changed.blocked():
                slider.value = value
        self._show_smallest()
        if settings.min_size is not None:
            self._own_smallest = True
            with self.smallest.changed.blocked():
                self.smallest.max = max(self.smallest.max, settings.min_size)
                self.smallest.value = settings.min_size

    def _take_defaults(self) -> None:
        """Another model has other defaults."""
        try:
            config = self._bench.session.model[0]
        except NapariUnetError:
            return  # the header says so
        self._show_look()
        defaults = (
            (self.threshold, config.threshold),
            (self.split, config.split),
        )
        for slider, value in defaults:
            with slider.changed.blocked():
                slider.value = min(max(value, slider.min), slider.max)
        self._own_smallest = False
        self._show_smallest()
        self._on_slider()

    def _show_state(self) -> None:
        busy = self._bench.session.busy
        reason = self._header.reason()
        if busy:
            reason = f"{busy} is running; stop it first or wait."
        set_enabled(self.segment, reason, SEGMENT_TIP)
        is_mine = busy in MINE
        set_enabled(self.stop, "" if is_mine else "Nothing is being segmented.", STOP_TIP)
        workspace = self._bench.workspace
        item, layer = workspace.current, workspace.chosen
        is_of_classes = item is not None and bool(item.pair.classes)
        set_enabled(self.split, NO_OBJECTS if is_of_classes else "", SPLIT_TIP)
        self.split.native.setEnabled(not is_of_classes)  # its number too
        is_stack = False
        if layer is not None and not self._header.reason():
            # A model of volumes segments all slices of one in one go.
            is_stack = len(workspace.image().stack_shape) > self._is_of_volumes()
        self.scope.visible = is_stack
        if not busy:
            self.note.say("")

    def _is_of_volumes(self) -> bool:
        try:
            return self._bench.session.model[0].is_volumetric
        except NapariUnetError:
            return False  # the header says so

    def _show_progress(self, fraction: float, text: str) -> None:
        is_mine = self._bench.session.busy in MINE
        self.progress.value = round(1000 * fraction) if is_mine else 0
        if is_mine:
            self.note.say(text.capitalize() + ".")
