"""`napari-unet view`: napari with the plugin docked."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from napari_unet.core.errors import InputError
from napari_unet.session.saved_folder import find_session

if TYPE_CHECKING:
    from napari.viewer import Viewer

__all__ = ["check_viewer", "open_viewer", "run"]

PLUGIN, DOCK = "napari-unet-interactive", "U-Net"
OURS = (".safetensors", ".zip", ".roi", ".geojson", ".zarr")  # as in napari.yaml
PROBE = "from qtpy.QtWidgets import QApplication; QApplication([])"


def run(args: argparse.Namespace) -> int:
    """Open what is named in napari beside the dock, and wait until the window is closed."""
    missing = [path for path in args.images if not Path(path).exists()]
    if missing:
        raise InputError(f"There is no file {missing[0]}; check the path.")
    check_viewer()
    import napari  # optional, and slow

    from napari_unet.widgets.session_menu import open_session  # Qt is optional
    from napari_unet.widgets.workbench import Workbench

    viewer = open_viewer()
    for path in map(Path, args.images):
        if path.is_dir() and find_session(path) is not None:
            open_session(Workbench.of(viewer), path)
        else:
            is_ours = path.suffix.lower() in OURS
            viewer.open(path, plugin=PLUGIN if is_ours else "napari")
    napari.run()
    return 0


def open_viewer() -> Viewer:
    """Return a viewer with the plugin docked."""
    import napari  # optional, and slow

    viewer = napari.Viewer()
    viewer.window.add_plugin_dock_widget(PLUGIN, DOCK)
    return viewer


def check_viewer() -> None:
    """Find out whether a window can be opened, before Qt ends the program.

    Raises
    ------
    InputError
        If napari, Qt or a display is missing.
    """
    try:
        import napari  # noqa: F401  # optional, and slow
        import qtpy  # noqa: F401
    except ImportError as error:  # of qtpy too, where it finds no binding
        raise InputError(
            "The viewer needs napari and Qt; "
            'install them with: pip install "napari-unet-interactive[all]".'
        ) from error
    if not sys.platform.startswith("linux"):
        return
    has_display = any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    if not has_display and os.environ.get("QT_QPA_PLATFORM") is None:
        raise InputError(
            "There is no display to open a window on; run this on a desktop, "
            "or use napari-unet demo and segment, which need none."
        )
    # Qt aborts the whole process where a library or the display does not answer.
    probe = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, check=False)
    if probe.returncode:
        raise InputError(
            "Qt could not open a window; check the display, and on Debian or Ubuntu install "
            "libegl1, libxkbcommon-x11-0, libxcb-cursor0, libxcb-icccm4 and libxcb-keysyms1."
        )
