"""What the user prefers, from napari's Preferences: where to compute, and how to teach.

napari draws the settings that our manifest declares since 0.9; an older one has none, and all
stays as it is by default.
"""

from __future__ import annotations

from typing import Any  # napari makes the settings' classes of the manifest

from napari_unet.session.session import Session

__all__ = ["Preferences"]

PLUGIN = "napari-unet-interactive"
LESSONS = {"quick": 30.0, "normal": 120.0, "thorough": 600.0}  # seconds; as the manifest names them


class Preferences:
    """Follows napari's settings, and tells the session.

    Parameters
    ----------
    session : Session
        Takes what is preferred at once, and again whenever that changes.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._settings = _settings()
        if self._settings is None:
            return
        self._take_computing()
        self._take_teaching()
        self._settings.computing.events.connect(self._on_computing)
        self._settings.teaching.events.connect(self._on_teaching)

    def close(self) -> None:
        """Follow no more."""
        if self._settings is not None:
            self._settings.computing.events.disconnect(self._on_computing)
            self._settings.teaching.events.disconnect(self._on_teaching)
            self._settings = None

    def compute_on(self, address: str) -> None:
        """Compute there, see `Session.compute_on`, also when napari is started again."""
        if self._settings is None:
            self._session.compute_on(address)
        else:
            self._settings.computing.address = address

    def _on_computing(self, _: object) -> None:
        before = self._session.address
        self._take_computing()
        if self._session.address == before:
            self._session.probe()  # the dock says what computes now, or why it cannot

    def _on_teaching(self, _: object) -> None:
        self._take_teaching()
        self._session.settings_changed.emit()

    def _take_computing(self) -> None:
        assert self._settings is not None
        computing = self._settings.computing
        self._session.prefer(computing.device, computing.precision)
        self._session.compute_on(computing.address.strip())

    def _take_teaching(self) -> None:
        assert self._settings is not None
        teaching = self._settings.teaching
        self._session.teach_seconds = LESSONS[teaching.lesson]
        self._session.keep = teaching.keep


def _settings() -> Any | None:
    """Return napari's settings of this plugin; None where napari has none."""
    try:
        from napari.settings import get_plugin_settings  # since napari 0.9
    except ImportError:
        return None
    return get_plugin_settings().get(PLUGIN)  # not among them while the plugin is switched off
