"""What one stroke of the brush costs: time in the viewer's thread, and bytes of journal.

    python tests/benchmarks/strokes.py [--size 4096] [--objects 5000] [--strokes 30]

Strokes are painted over objects that a segmentation has made. Each is noticed twice from the same
state: by comparing the whole plane, as was done before napari's word for where it was painted was
taken, and in the box of the stroke. Both have to check the same area.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from napari_unet.core.checked import grow_checked
from napari_unet.core.lay_around import count_checked
from napari_unet.session.image import Image
from napari_unet.session.journal import Journal
from napari_unet.session.journal_file import read_records
from napari_unet.session.pair import Pair
from napari_unet.session.proposal import proposal_of

BRUSH = 5  # pixels from its middle to its edge
LENGTH = 120


def plane_with_objects(size, count, generator):
    """Round objects on a grid, each moved and sized at random."""
    labels = np.zeros((size, size), np.int32)
    side = int(np.ceil(count**0.5))
    pitch = size // side
    rows, columns = np.ogrid[-pitch : pitch + 1, -pitch : pitch + 1]
    for number in range(1, count + 1):
        y, x = (
            int((place + 0.5) * pitch + generator.integers(-pitch // 8, pitch // 8 + 1))
            for place in divmod(number - 1, side)
        )
        radius = generator.uniform(0.25, 0.42, 2) * pitch
        disc = (rows / radius[0]) ** 2 + (columns / radius[1]) ** 2 <= 1
        box = slice(max(0, y - pitch), y + pitch + 1), slice(max(0, x - pitch), x + pitch + 1)
        part = labels[box]
        cut = disc[pitch - y + box[0].start :, pitch - x + box[1].start :]
        part[cut[: part.shape[0], : part.shape[1]]] = number
    return labels


def brush(labels, number, generator):
    """Paint a stroke; return the box that napari would tell."""
    size = labels.shape[0]
    start = generator.integers(LENGTH, size - LENGTH, 2)
    angle = generator.uniform(0, 2 * np.pi)
    steps = np.arange(LENGTH)[:, None] * [np.sin(angle), np.cos(angle)]
    path = np.rint(start + steps).astype(int)
    low, high = path.min(axis=0) - BRUSH, path.max(axis=0) + BRUSH + 1
    box = slice(max(0, low[0]), high[0]), slice(max(0, low[1]), high[1])
    rows, columns = np.ogrid[-BRUSH : BRUSH + 1, -BRUSH : BRUSH + 1]
    disc = rows**2 + columns**2 <= BRUSH**2
    for y, x in path:
        labels[y - BRUSH : y + BRUSH + 1, x - BRUSH : x + BRUSH + 1][disc] = number
    return box


def timed(work):
    """Return what it returns, and how many milliseconds it took."""
    start = time.perf_counter()
    result = work()
    return result, 1000 * (time.perf_counter() - start)


def run(size, objects, strokes, folder):
    """Paint and print."""
    generator = np.random.default_rng(0)
    image = Image("plane", generator.integers(0, 255, (size, size), np.uint8), "YX")
    pair = Pair(image, np.zeros(image.shape, np.int32), np.zeros(image.shape, np.uint8))
    journal = Journal(Path(folder), image)
    pair.ledger.keep = journal.append
    made = plane_with_objects(size, objects, generator)
    proposal = proposal_of(pair.labels, made, pair.edits, 0, pair.checked != 0)
    accepted = timed(lambda: pair.accept((), proposal))[1]

    times = {name: [] for name in ("whole plane", "box of the stroke", "undo", "redo")}
    counts = {"whole plane": [], "kept up to date": []}
    for _ in range(strokes):
        before = pair.labels.copy(), pair.checked.copy()
        number = pair.next_number()
        box = brush(pair.labels, number, generator)
        checked = before[1]
        known = before[0]

        def whole(checked=checked, known=known):
            grow_checked(checked, known, pair.labels)
            int(known.max()), int(pair.labels.max())
            np.copyto(known, pair.labels)

        times["whole plane"].append(timed(whole)[1])
        times["box of the stroke"].append(timed(lambda box=box: pair.absorb((), box))[1])
        np.testing.assert_array_equal(checked, pair.checked)
        expected, took = timed(lambda: count_checked(pair.labels, pair.checked))
        counts["whole plane"].append(took)
        found, took = timed(lambda: pair.checked_cells)
        counts["kept up to date"].append(took)
        assert found == expected, (found, expected)
        times["undo"].append(timed(pair.undo)[1])
        times["redo"].append(timed(pair.redo)[1])
        np.testing.assert_array_equal(checked, pair.checked)
    assert journal.flush(60), journal.take_news()
    journal.close()
    report(f"{size} x {size}, {objects} objects, {strokes} strokes; ms", times, "whole plane")
    report("counting what is checked; ms", counts, "whole plane")
    sys.stdout.write(f"accepting a segmentation {accepted:.1f} ms\n")
    report_journal(journal.path)
    sys.stdout.write(f"history {pair.history.n_bytes / 1000:.0f} kB\n")


def report(title, times, reference):
    """A table of medians and longest, and how many times shorter than the reference."""
    sys.stdout.write(f"{title}\n")
    usual = statistics.median(times[reference])
    for name, values in times.items():
        median = statistics.median(values)
        sys.stdout.write(
            f"  {name:20} median {median:8.2f}  longest {max(values):8.2f}"
            f"  {usual / median:8.1f} times shorter\n"
        )


def report_journal(path):
    """Bytes of the segmentation that was painted on, and of each stroke, undo and redo."""
    ends = [0, *(end for end, _ in read_records(path))]
    sizes = np.diff(ends)
    sys.stdout.write(
        f"journal: the segmentation {sizes[0] / 1000:.1f} kB, once; a stroke, undo or redo "
        f"median {np.median(sizes[1:]) / 1000:.2f} kB, most {sizes[1:].max() / 1000:.2f} kB\n"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--objects", type=int, default=5000)
    parser.add_argument("--strokes", type=int, default=30)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run(wanted.size, wanted.objects, wanted.strokes, folder)


if __name__ == "__main__":
    main()
