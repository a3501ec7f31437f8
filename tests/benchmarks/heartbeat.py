"""The longest gap between two ticks of a 10 ms timer in napari while the dock works.

xvfb-run -a -s "-screen 0 1366x768x24" python tests/benchmarks/heartbeat.py 512

Segments a drawn image of that side, corrects eight nuclei, moves a slider, teaches for 30 s. Beside
the gaps by the clock it prints the most processor time of the viewer's own thread between two
ticks: what a handler takes, also where others compute and a gap is mostly waiting for a core.
"""

# ruff: noqa: T201
from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import napari
import numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from napari_unet.sample_data import nuclei

PLUGIN, DOCK = "napari-unet-interactive", "U-Net"
LIMIT_S = 300


class Heart:
    """Beats every 10 ms, if the viewer lets it."""

    def __init__(self) -> None:
        self._beats: list[tuple[float, float]] = []
        self._timer = QTimer()
        self._timer.setInterval(10)
        self._timer.timeout.connect(self._beat)
        self._timer.start()

    def _beat(self) -> None:
        self._beats.append((time.monotonic(), time.thread_time()))

    def report(self, what: str) -> None:
        """Print the longest gap since the last report."""
        gaps, own = 1000 * np.diff(np.array(self._beats), axis=0).T
        late = np.count_nonzero(gaps > 100)
        print(
            f"{what:8} longest {gaps.max():4.0f} ms, {late} of {len(gaps)} above 100 ms; "
            f"processor time of the viewer's thread at the most {own.max():4.0f} ms"
        )
        self._beats.clear()


def wait(is_so: Callable[[], bool]) -> None:
    """Let Qt work until it is so."""
    end = time.monotonic() + LIMIT_S
    while not is_so() and time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.001)


def pause(seconds: float) -> None:
    """Let Qt work for a while."""
    end = time.monotonic() + seconds
    wait(lambda: time.monotonic() > end)


def main(side: int) -> None:
    """Go through the loop and print a line for each part of it."""
    viewer = napari.Viewer()
    image, truth = nuclei((side, side))
    viewer.add_image(image)
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, DOCK)
    session, (segment, correct, teach) = dock.bench.session, dock.steps
    pause(8)  # the worker is up
    heart = Heart()
    pause(2)
    heart.report("idle")
    segment.segment.native.click()
    wait(lambda: not session.busy and session.settled)
    heart.report("Segment")
    labels = dock.bench.workspace.current.labels
    for number in range(1, 9):
        correct.new.native.click()
        with labels.block_history():
            labels.data_setitem(np.nonzero(truth == number), labels.selected_label)
        pause(0.2)
    heart.report("Correct")
    for threshold in np.linspace(0.2, 0.8, 30):
        segment.threshold.value = float(threshold)
        pause(0.05)
    wait(lambda: session.settled)
    heart.report("slider")
    teach.teach.native.click()
    wait(lambda: not session.busy and session.settled)
    heart.report("Teach")
    viewer.close()
    pause(0.5)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        os.environ["NAPARI_UNET_HOME"] = str(Path(home))
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 512)
