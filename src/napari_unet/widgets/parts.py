"""Small parts that the panels share, in napari's own look."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any  # what is chosen from

from magicgui.widgets import ComboBox, Container, Label, PushButton, Widget
from psygnal import SignalInstance
from qtpy.QtCore import QEvent, QObject, Qt, QTimer
from qtpy.QtGui import QResizeEvent
from qtpy.QtWidgets import QApplication, QFrame, QLabel, QScrollArea, QSizePolicy, QWidget

__all__ = [
    "Choice",
    "Note",
    "Panel",
    "bring_into_view",
    "button",
    "fields",
    "follow",
    "frame",
    "heading",
    "is_alive",
    "let_shrink",
    "row",
    "set_enabled",
]

MARGIN, SPACING = 4, 3
LABEL_WIDTH = 76
SETTLED_MS = 50  # until a sentence of several lines has its place
NO_BREAK = "\u00a0"


class Note(Label):
    """A sentence under a field or a button; it takes no room while it is empty.

    With `keeps_room` it does, so that what is below stays where it is.
    """

    def __init__(self, text: str = "", *, keeps_room: bool = False) -> None:
        self._empty = NO_BREAK if keeps_room else ""
        super().__init__(value=text, label="")
        self.native.setWordWrap(True)
        self.native.setTextFormat(Qt.TextFormat.PlainText)  # names in it come from anybody's files
        self.native.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.native.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.say(text)

    def say(self, text: str, *, failure: bool = False) -> None:
        """Show a sentence, or nothing."""
        self.value = f"⚠ {text}" if failure and text else text or self._empty
        self.native.setVisible(bool(self.value))


class Choice(ComboBox):
    """A list to choose from, refilled without telling anybody."""

    def __init__(self, *, label: str = "", tooltip: str = "") -> None:
        self._offered: list[tuple[str, Any]] = []
        super().__init__(choices=self._current_offer, label=label, tooltip=tooltip)

    def _current_offer(self, _: Widget) -> list[tuple[str, Any]]:
        return self._offered

    def offer(self, choices: Sequence[tuple[str, Any]], value: Any) -> None:
        """Replace the choices, pairs of text and value, and choose one of them."""
        texts: dict[str, Any] = {}
        for text, data in choices:  # Qt's list knows its items by text
            number = 2
            unique = text
            while unique in texts:
                unique, number = f"{text} ({number})", number + 1
            texts[unique] = data
        with self.changed.blocked():
            if list(texts) != [text for text, _ in self._offered]:
                self._offered = []  # magicgui would add what is new at the end
                self.reset_choices()
            self._offered = list(texts.items())
            self.reset_choices()
            if any(data == value for data in texts.values()):
                self.value = value


class Panel(Container[Widget]):
    """Widgets from top to bottom, close together."""

    def __init__(self, widgets: list[Widget]) -> None:
        super().__init__(widgets=widgets, layout="vertical", labels=False)
        self.native.layout().setContentsMargins(MARGIN, 0, MARGIN, 0)
        self.native.layout().setSpacing(SPACING)


def fields(*widgets: Widget) -> Container[Widget]:
    """Return fields from top to bottom, each with its label before it."""
    for widget in widgets:
        let_shrink(widget)
    form = Container(widgets=list(widgets), layout="vertical", labels=True)
    form.native.layout().setContentsMargins(0, 0, 0, 0)
    form.native.layout().setSpacing(SPACING)
    for line in form.native.children():
        for label in line.findChildren(QLabel, options=Qt.FindChildOption.FindDirectChildrenOnly):
            label.setFixedWidth(LABEL_WIDTH)
    return form


def frame(inner: QWidget) -> Container[Widget]:
    """Return a plain Qt widget as one that goes among the others."""
    box: Container[Widget] = Container(widgets=[], labels=False)
    box.native.layout().setContentsMargins(0, 0, 0, 0)
    box.native.layout().addWidget(inner)
    return box


class _Scrolled(QScrollArea):
    """Scrolls up and down; what is inside always has the height that its sentences need.

    Qt's layouts do not count lines that are broken when they say how little height will do, and
    would squeeze the fields beside them.
    """

    def __init__(self) -> None:
        super().__init__()
        self._wanted: list[QWidget] = []
        self._settled = QTimer(self)
        self._settled.setSingleShot(True)
        self._settled.setInterval(SETTLED_MS)
        self._settled.timeout.connect(self._scroll)
        bar = self.verticalScrollBar()
        if bar is not None:
            bar.actionTriggered.connect(self._let_go)  # not where we scroll

    def reveal(self, widgets: list[QWidget]) -> None:
        """Scroll to widgets, now and whenever a sentence moves them, until a person scrolls."""
        self._wanted = widgets
        self._scroll()
        self._settled.start()

    def _scroll(self) -> None:
        QApplication.sendPostedEvents(None, QEvent.Type.LayoutRequest.value)
        for widget in filter(is_alive, self._wanted):
            self.ensureWidgetVisible(widget, 0, MARGIN)

    def _let_go(self) -> None:
        self._wanted = []

    def _keep_in_view(self) -> None:
        if self._wanted:
            self._settled.start()

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._make_room()
        self._keep_in_view()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Notice that something inside has another size now."""
        if event is not None and event.type() == QEvent.Type.LayoutRequest:
            self._make_room()
        return bool(super().eventFilter(watched, event))

    def _make_room(self) -> None:
        inner, view = self.widget(), self.viewport()
        layout = None if inner is None else inner.layout()
        if inner is not None and layout is not None and view is not None:
            needed = layout.totalHeightForWidth(view.width())
            needed = max(needed, layout.totalMinimumSize().height())
            if needed != inner.minimumHeight():
                inner.setMinimumHeight(needed)
                self._keep_in_view()


def scrolled(inner: QWidget) -> QScrollArea:
    """Return a widget that can be scrolled up and down where the screen is too low for it."""
    area = _Scrolled()
    area.setWidget(inner)
    inner.installEventFilter(area)
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    return area


def bring_into_view(*widgets: Widget) -> None:
    """Scroll a dock so that these are seen, the last one for certain."""
    parent = widgets[0].native.parentWidget()
    while parent is not None and not isinstance(parent, _Scrolled):
        parent = parent.parentWidget()
    if parent is not None:
        parent.reveal([widget.native for widget in widgets])


def let_shrink(widget: Widget) -> None:
    """Let a widget be as narrow as the dock is, whatever it holds."""
    policy = widget.native.sizePolicy()
    policy.setHorizontalPolicy(QSizePolicy.Policy.Ignored)
    widget.native.setSizePolicy(policy)


def row(*widgets: Widget, label: str = "") -> Container[Widget]:
    """Return widgets side by side."""
    line = Container(widgets=list(widgets), layout="horizontal", labels=False, label=label)
    for widget in widgets:
        if isinstance(widget, ComboBox):
            let_shrink(widget)
    line.native.layout().setContentsMargins(0, 0, 0, 0)
    line.native.layout().setSpacing(SPACING)
    return line


def heading(text: str) -> Label:
    """Return the title of a step."""
    label = Label(value=f"<b>{text}</b>", label="")
    label.native.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return label


def button(text: str, tooltip: str, pressed: Callable[[], object]) -> PushButton:
    """Return a button that says what it does when the mouse rests on it."""
    made = PushButton(text=text, tooltip=tooltip, label="")
    made.clicked.connect(pressed)
    return made


def set_enabled(widget: Widget, reason: str, tooltip: str) -> None:
    """Switch a widget on, or off with the reason why."""
    widget.enabled = not reason
    widget.tooltip = reason or tooltip


def follow(widget: QWidget, signal: SignalInstance, slot: Callable[..., object]) -> None:
    """Call a method at a signal that outlives its widget, as long as the widget is there."""
    signal.connect(slot)
    widget.destroyed.connect(lambda *_: signal.disconnect(slot, missing_ok=True))


def is_alive(widget: QWidget) -> bool:
    """Whether Qt has not deleted a widget yet."""
    try:
        widget.objectName()
    except RuntimeError:  # its C++ side was deleted
        return False
    return True
