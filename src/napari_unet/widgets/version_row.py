"""The versions of a model: choose one, go back, rename and delete."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

from magicgui.widgets import Container, PushButton, Widget
from qtpy.QtWidgets import QInputDialog, QMenu

from napari_unet.core.errors import NapariUnetError
from napari_unet.session.versions import UNTAUGHT, Version
from napari_unet.widgets.parts import Choice, button, follow, row, set_enabled
from napari_unet.widgets.workbench import Workbench

__all__ = ["VersionRow"]

BACK_WIDTH = 76  # pixels; the list needs the rest for titles and scores
BACK_TIP = "Segment with the version that this one was taught from again."
MENU_TIP = (
    "Rename or delete this version, compare it with another; what is remembered for later rounds."
)


class VersionRow:
    """A list of versions, the way back, and a menu; `row` is what goes into a panel."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self.version = Choice(tooltip="The version that segments.")
        self.back = button("Go back", BACK_TIP, self._go_back)
        self.back.native.setFixedWidth(BACK_WIDTH)
        self.menu = PushButton(text="…", tooltip=MENU_TIP, label="")
        self.menu.native.setFixedWidth(36)
        menu = QMenu(self.menu.native)
        self._of_version = [
            entry(menu, "Rename this version…", self._ask_and_rename),
            entry(menu, "Delete this version", self.delete),
        ]
        self._others: Any = menu.addMenu("Compare with")
        menu.addSeparator()
        self._remember = entry(menu, "Remember corrections for later rounds", self._on_remember)
        self._remember.setCheckable(True)
        self._remember.setChecked(bench.session.remembers)
        self._forget = entry(menu, "Forget what is remembered", self.forget)
        menu.aboutToShow.connect(self._show_menu)
        self.menu.native.setMenu(menu)
        self.row: Container[Widget] = row(self.version, self.back, self.menu)
        self.version.changed.connect(self._on_version)
        follow(self.row.native, bench.session.versions_changed, self._show)
        follow(self.row.native, bench.session.state_changed, self._show_state)
        self._show()

    def rename(self, title: str) -> None:
        """Give the current version another title; a problem is shown in the dock."""
        session = self._bench.session
        session.guarded(lambda: self._renamed(title))

    def _renamed(self, title: str) -> None:
        self._bench.session.versions.rename(title)
        self._bench.session.versions_changed.emit()

    def delete(self) -> None:
        """Put the current version away; what it was taught from segments again."""
        self._bench.session.guarded(self._deleted)

    def _deleted(self) -> None:
        session = self._bench.session
        title = session.versions.current.title
        session.versions.delete()
        session.versions_changed.emit()
        kept = "its file is kept in the folder versions/deleted"
        session.said.emit(f"{title!r} was deleted; {kept}.", False)
        self._segment_again(quiet=True)

    def forget(self) -> None:
        """Forget what was taught to this model in earlier rounds; its versions stay."""
        session = self._bench.session
        count = session.memory.count

        def forget() -> None:
            session.memory.forget()
            session.said.emit(f"{images(count).capitalize()} forgotten; versions stay.", False)

        session.guarded(forget)

    def _on_remember(self) -> None:
        self._bench.session.remembers = self._remember.isChecked()

    def compare(self, index: int) -> None:
        """Show another version beside the current one; a problem is shown in the dock."""
        self._bench.session.guarded(lambda: self._bench.compare.start(index))

    def _show_menu(self) -> None:
        """When the menu opens: another dock may have changed it."""
        session = self._bench.session
        versions = session.versions
        self._others.clear()
        for n, item in enumerate(versions.items):
            if n != versions.index:
                name = described(item) if n else UNTAUGHT
                entry(self._others, name, partial(self.compare, n))
        self._others.setEnabled(len(versions.items) > 1)
        self._remember.setChecked(session.remembers)
        count = session.memory.count
        self._forget.setEnabled(count > 0)
        self._forget.setText(f"Forget what is remembered ({images(count)})")

    def _ask_and_rename(self) -> None:
        title, agreed = QInputDialog.getText(
            self.menu.native, "Rename this version", "Name of the version:",
            text=self._bench.session.versions.current.title,
        )  # fmt: skip
        if agreed:
            self.rename(title)

    def _go_back(self) -> None:
        self._go_to(self._bench.session.versions.before)

    def _on_version(self, index: int | None) -> None:
        if index is not None:
            self._go_to(index)

    def _go_to(self, index: int) -> None:
        """Make a version current, and show what it makes of the planes that were segmented."""
        self._bench.session.go_to_version(index)
        self._segment_again()

    def _segment_again(self, *, quiet: bool = False) -> None:
        """The version that is current now also measures objects: another may have been far off."""
        session = self._bench.session
        for item in self._bench.workspace.items():
            key = session.size_key(item.pair.image)
            if key is not None:
                item.pair.size.measure_again(key)
        session.size_changed.emit()
        visited = self._bench.workspace.visited()
        if visited is not None and visited[0].segmented and not session.busy:
            session.guarded(lambda: session.segment(*visited, quiet=quiet))

    def _show(self) -> None:
        versions = self._bench.session.versions
        names = [described(item) if n else UNTAUGHT for n, item in enumerate(versions.items)]
        self.version.offer(list(zip(names, range(len(names)), strict=True)), versions.index)
        summary = versions.current.summary
        self.version.tooltip = summary.sentence if summary else "The version that segments."
        self._show_state()

    def _show_state(self) -> None:
        busy = self._bench.session.busy
        reason = f"{busy} is running; stop it first or wait." if busy else ""
        try:
            versions = self._bench.session.versions
        except NapariUnetError as error:  # the model's file is gone
            reason = str(error)
        is_base = not reason and versions.index == 0
        set_enabled(
            self.back, "There is no version before this one." if is_base else reason, BACK_TIP
        )
        set_enabled(self.menu, reason, MENU_TIP)
        for action in self._of_version:
            action.setEnabled(not is_base)
        self.version.enabled = not reason and len(versions.items) > 1


def entry(menu: QMenu, text: str, chosen: Callable[[], None]) -> Any:  # a QAction of any binding
    """Add an entry to a menu and return it."""
    action: Any = menu.addAction(text)
    action.triggered.connect(lambda _=False: chosen())
    return action


def images(count: int) -> str:
    """Return a number of images in words."""
    return f"{count} image{'s' * (count != 1)}"


def described(version: Version) -> str:
    """Return a version's title, its day if that was not today, and its score."""
    text = version.title
    try:
        day = datetime.fromisoformat(version.created).astimezone().date()
    except ValueError:
        day = datetime.now().astimezone().date()
    if day != datetime.now().astimezone().date():
        text += f", {day:%d %b}"
    if version.summary is not None and version.summary.after is not None:
        text += f" ({version.summary.after:.2f})"
    return text
