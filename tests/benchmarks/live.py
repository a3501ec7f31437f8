"""How long after a stroke napari shows what was learnt from it, with "Learn as I correct".

xvfb-run -a -s "-screen 0 1366x768x24" python tests/benchmarks/live.py 512

Drawn nuclei as a negative, which the bundled model does not know: it is segmented, and eight
nuclei are drawn one after the other. Printed are the seconds from each stroke to a change of
labels that the user did not make, the longest gap of a 10 ms timer meanwhile, and how good
the other nuclei are in the end.
"""

# ruff: noqa: T201
from __future__ import annotations

import os
import sys
import tempfile
import time

import napari
import numpy as np
from heartbeat import DOCK, PLUGIN, Heart, pause, wait
from numpy.typing import NDArray

from napari_unet.core.metrics import score
from napari_unet.sample_data import nuclei

CELLS = 8
ASKED_S = 10.0


def main(side: int) -> None:
    """Correct, and print a line for each stroke."""
    viewer = napari.Viewer()
    image, truth = nuclei((side, side))
    viewer.add_image(image.max() - image)
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, DOCK)
    session, (segment, correct, teach) = dock.bench.session, dock.steps
    pause(8)  # the worker is up
    segment.segment.native.click()
    wait(lambda: not session.busy and session.settled)
    labels = dock.bench.workspace.current.labels
    print(f"before: AP {others(truth, labels.data, []):.2f} at IoU 0.5")
    heart = Heart()
    teach.live.native.click()
    delays, drawn = [], largest(truth)[:CELLS]
    for number in drawn:
        correct.new.native.click()
        with labels.block_history():
            labels.data_setitem(np.nonzero(truth == number), labels.selected_label)
        pause(0.3)
        seen, start = labels.data.copy(), time.monotonic()
        wait(lambda seen=seen: not np.array_equal(seen, labels.data))
        delays.append(time.monotonic() - start + 0.3)
        print(f"{len(delays)} drawn: shown after {delays[-1]:.1f} s")
    heart.report("meanwhile")
    pause(20)
    teach.live.native.click()
    wait(lambda: not session.busy and session.settled)
    print(f"after: AP {others(truth, labels.data, drawn):.2f} at IoU 0.5 of those not drawn")
    print(f"median {np.median(delays):.1f} s, longest {max(delays):.1f} s (asked: {ASKED_S:.0f} s)")
    viewer.close()


def largest(truth: NDArray[np.int32]) -> list[int]:
    """Number nuclei from the largest on."""
    return [int(number) for number in np.argsort(-np.bincount(truth.ravel())) if number]


def others(truth: NDArray[np.int32], labels: NDArray[np.int32], drawn: list[int]) -> float:
    """AP at IoU 0.5 without those that were drawn."""
    there = np.isin(truth, drawn) & (truth > 0)
    left = np.where(there, 0, truth), np.where(there, 0, labels)
    return score(*left).average_precision[0.5]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home:
        os.environ["NAPARI_UNET_HOME"] = home
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 512)
