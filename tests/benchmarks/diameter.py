"""Is the diameter of objects measured well, and is a rescaled image segmented as well?

python tests/benchmarks/diameter.py [DATA_DIR] [--model NAME] [--images held-out|N] [--given]

Held-out images as they are and rescaled by 0.5 and 2: how many diameters are within 25 % of the
true median, and AP at IoU 0.5 against labels rescaled alike. Then the same images with objects of
8 to 200 px. With --given also AP where the true diameter is told.
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pictures import DATA, Picture, chosen, pictures, rescaled, set_of
from planes import Segmenter
from tally import Tally, tally_of

from napari_unet.commands.console import progress_bar
from napari_unet.core import load_model

SCALES = (1.0, 0.5, 2.0)
DIAMETERS = (8, 16, 32, 64, 128, 200)
LARGEST = 2048  # rows and columns of an image whose objects are brought to a diameter
NEAR = 0.25  # part of the true diameter by which a measured one may be off
ENOUGH, CHANGE = 0.9, 0.05  # what is asked for


@dataclass
class Row:
    """What was found on all images, changed alike."""

    ratios: list[float] = field(default_factory=list)  # measured to true; NaN where not measured
    measured: Tally = field(default_factory=Tally)
    given: Tally | None = None

    @property
    def near(self) -> float:
        """Share of the images whose diameter is within 25 % of the true one."""
        return float(np.mean([abs(ratio - 1) <= NEAR for ratio in self.ratios]))

    def __str__(self) -> str:
        known = [ratio for ratio in self.ratios if np.isfinite(ratio)] or [np.nan]
        low, middle, high = np.percentile(known, (5, 50, 95))
        given = "" if self.given is None else f"  {self.given.precision(0.5):.3f}"
        return (
            f"{self.near:11.3f}  {np.isnan(self.ratios).sum():9}  "
            f"{low:4.2f}  {middle:4.2f}  {high:4.2f}  {self.measured.precision(0.5):7.3f}{given}"
        )


def main() -> int:
    """Print both tables; 1 if less is reached than is asked for."""
    options = parsed()
    model = load_model(options.model)
    folder = set_of(model.card, options.data)
    names = chosen(folder, options.images, model.card)
    if not names:
        print(f"No images in {folder}: give the data folder as the argument.")
        return 2
    every = list(pictures(folder, names))
    run = {"device": options.device, "precision": options.precision}
    measuring = Segmenter(model, "measured", run=run)
    telling = Segmenter(model, "true", run=run) if options.given else None
    print(f"{len(every)} images of {folder.name}, {model.card.name}, {model.config.diameter} px")
    told = "  told" * options.given
    print(f"           within 25 %  not found  5 %   50 %  95 %  AP 0.50{told}   (measured / true)")
    rows = {}
    for scale in SCALES:
        rows[scale] = measure(every, lambda one, by=scale: rescaled(one, by), measuring, telling)
        print(f"x {scale:<8g}  {rows[scale]}", flush=True)
    for diameter in [] if options.scales_only else DIAMETERS:
        row = measure(every, lambda one, to=diameter: brought_to(one, to), measuring, telling)
        print(f"{diameter:3} px      {row}", flush=True)
    return judged(rows)


def parsed() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="?", type=Path, default=DATA, help="folder of sets")
    parser.add_argument("--model", default="nuclei-fluorescence")
    parser.add_argument("--images", default="held-out", help="held-out, or how many others")
    parser.add_argument("--given", action="store_true", help="also tell the true diameter")
    parser.add_argument("--scales-only", action="store_true", help="leave 8 to 200 px out")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    return parser.parse_args()


def brought_to(picture: Picture, diameter: float) -> Picture | None:
    """Rescale so that the objects have this diameter; None where there are none."""
    true = picture.diameter
    return None if true is None else rescaled(picture, diameter / true, LARGEST)


def measure(
    every: list[Picture],
    change: Callable[[Picture], Picture | None],
    measuring: Segmenter,
    telling: Segmenter | None,
) -> Row:
    """Segment all images, changed alike."""
    row = Row(given=None if telling is None else Tally())
    with progress_bar("Segmenting", len(every), " images") as bar:
        for picture in map(change, every):
            bar.update(1)
            if picture is None:
                continue
            labels, diameter = measuring.segment(picture)
            row.measured += tally_of(picture.truth, labels)
            if picture.diameter is not None:
                row.ratios.append((diameter or np.nan) / picture.diameter)
            if telling is not None and row.given is not None:
                row.given += tally_of(picture.truth, telling.segment(picture)[0])
    return row


def judged(rows: dict[float, Row]) -> int:
    """Say whether what is asked for is reached."""
    near = rows[1.0].near
    changes = [
        rows[scale].measured.precision(0.5) - rows[1.0].measured.precision(0.5)
        for scale in SCALES[1:]
    ]
    print(f"within 25 %: {near:.3f} of the images, asked {ENOUGH}")
    said = ", ".join(f"{change:+.3f}" for change in changes)
    print(f"AP 0.50 by rescaling by 0.5 and 2: {said}, asked less than {CHANGE}")
    return 0 if near >= ENOUGH and max(map(abs, changes)) < CHANGE else 1


if __name__ == "__main__":
    sys.exit(main())
