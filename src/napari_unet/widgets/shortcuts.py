"""One-letter keys of the labels that are corrected; each presses a button of the dock."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from magicgui.widgets import PushButton
from napari.layers import Labels
from napari.utils.key_bindings import coerce_keybinding
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QApplication,
    QDockWidget,
    QLineEdit,
    QPlainTextEdit,
    QTextEdit,
    QWidget,
)

from napari_unet.bridge.workspace import Workspace
from napari_unet.widgets.parts import is_alive

__all__ = ["Shortcuts", "taken_keys"]

TYPED_INTO = (QLineEdit, QAbstractSpinBox, QTextEdit, QPlainTextEdit)


class Shortcuts:
    """Binds keys to the labels layer that is worked on, and to no other.

    A key that napari or another plugin uses there, be it by the user's own settings, is left to
    them.

    Parameters
    ----------
    workspace : Workspace
    say : callable
        Takes the reason why a button cannot be pressed, in a sentence.
    """

    def __init__(self, workspace: Workspace, say: Callable[[str], None]) -> None:
        self._workspace, self._say = workspace, say
        self._panels: list[tuple[QWidget, dict[str, PushButton]]] = []
        self._open: list[dict[str, PushButton]] = []
        self._layer: Labels | None = None
        self._bound: dict[str, Callable[[Labels], None]] = {}
        workspace.layers_changed.connect(self.bind)
        workspace.chosen_changed.connect(self.bind)

    @property
    def bound(self) -> list[str]:
        """The keys that work now."""
        return list(self._bound)

    def offer(self, panel: QWidget, buttons: dict[str, PushButton]) -> None:
        """Let keys press the buttons of a panel while its dock is open; see `notice`."""
        self._panels.append((panel, buttons))

    def notice(self) -> bool:
        """Bind or give back keys where a dock was opened, hidden or closed since the last call.

        napari tells of none of these. Returns whether any dock with tools is open.
        """
        self._panels = [(panel, buttons) for panel, buttons in self._panels if is_alive(panel)]
        is_open = [buttons for panel, buttons in self._panels if _is_open(panel)]
        if is_open != self._open:
            self._open = is_open
            self.bind()
        return bool(is_open)

    def close(self) -> None:
        """Give all keys back."""
        self._unbind()
        self._panels.clear()
        self._open.clear()
        self._workspace.layers_changed.disconnect(self.bind)
        self._workspace.chosen_changed.disconnect(self.bind)

    def bind(self) -> None:
        """Bind the keys of the docks that are open to the labels that are worked on now."""
        self._unbind()
        item = self._workspace.current
        if item is None or item.pair.classes:
            return
        keys = dict.fromkeys(key for buttons in self._open for key in buttons)
        taken = taken_keys(self._workspace.viewer, item.labels, keys)
        self._layer = item.labels
        for key in keys:
            if key not in taken:
                self._bound[key] = self._action(key)
                item.labels.bind_key(key, self._bound[key])

    def _unbind(self) -> None:
        layer, bound = self._layer, self._bound
        self._layer, self._bound = None, {}
        if layer is not None:
            for key, action in bound.items():
                if layer.keymap.get(coerce_keybinding(key)) is action:
                    layer.bind_key(key, None)

    def _action(self, key: str) -> Callable[[Labels], None]:
        """Return a function, since napari asks every action for its `__name__`."""

        def press(layer: Labels) -> None:
            self._press(key)

        return press

    def _press(self, key: str) -> None:
        if isinstance(QApplication.focusWidget(), TYPED_INTO):
            return
        button = next(buttons[key] for buttons in self._open if key in buttons)
        if button.enabled:
            button.native.click()
        else:
            self._say(str(button.tooltip))


def taken_keys(viewer: Any, layer: Labels, keys: Iterable[str]) -> set[str]:
    """Return which keys do something already while a layer is selected."""
    used = {*viewer.keymap, *layer.keymap}
    for cls in (*type(viewer).__mro__, *type(layer).__mro__):
        used.update(getattr(cls, "class_keymap", ()))
    return {key for key in keys if coerce_keybinding(key) in used}


def _is_open(panel: QWidget) -> bool:
    """Whether the dock of a panel is there; it may lie under another in a tab."""
    parent: QWidget | None = panel
    while parent is not None and not isinstance(parent, QDockWidget):
        parent = parent.parentWidget()
    return parent is not None and not parent.isHidden()
