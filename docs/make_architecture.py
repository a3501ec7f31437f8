"""Draw docs/images/architecture.svg: the house, and one image walking through it.

Run it as ``python docs/make_architecture.py``. The lower half is read from the imports
themselves (grimp, which comes with import-linter), so it shows what is, not what is meant.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from pathlib import Path

import grimp

TARGET = Path(__file__).parent / "images" / "architecture.svg"
PARTS = ("core", "formats", "engine", "session", "bridge", "widgets", "commands")
WIDTH, HEIGHT = 1000, 920
INK, FAINT, PAPER = "#1c2733", "#8895a3", "#ffffff"
VIEWER, WORKER, SHARED, STEP = "#dbe9f6", "#fbe3cf", "#e4eede", "#c2410c"

# The parts as bars: name, what it is, x, y, width, height, colour.
BARS = (
    ("widgets", "Qt and magicgui: the dock", 40, 70, 460, 64, VIEWER),
    ("bridge", "napari layers to arrays and back, main thread", 40, 165, 460, 64, VIEWER),
    ("session", "what the dock observes: model, jobs, checked area", 40, 261, 460, 64, VIEWER),
    ("engine", "hands a task to the worker, collects its events", 40, 356, 460, 64, VIEWER),
    ("engine", "runs the task, keeps the loaded model", 600, 356, 360, 64, WORKER),
    ("core, with torch", "predict, train, models, augment", 600, 438, 360, 64, WORKER),
    (
        "core, without torch",
        "tiling, normalize, instances, checked, targets, weight_map, metrics, library",
        40,
        540,
        920,
        64,
        SHARED,
    ),
)

# One image walking through the house: where the number stands, and what happens there.
STEPS = (
    (442, 183, "The layer becomes an array with named axes."),
    (442, 279, "A click becomes a job."),
    (550, 378, "The task crosses to the worker process."),
    (902, 456, "Measured, rescaled, the U-Net runs by tiles."),
    (550, 400, "Tiles come back, those in view first."),
    (902, 558, "Threshold and size make labels of them."),
    (474, 183, "Labels are shown, unless edited meanwhile."),
    (474, 279, "A stroke grows the checked area."),
    (934, 456, "Teach: checked cells make a new model."),
)


def main() -> None:
    """Write the picture."""
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text("\n".join(picture()) + "\n", encoding="utf-8")


def picture() -> Iterator[str]:
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" font-family="Helvetica, Arial, sans-serif">'
    )
    yield rect(0, 0, WIDTH, HEIGHT, PAPER, radius=12)
    yield from processes()
    for name, text, x, y, width, height, colour in BARS:
        yield rect(x, y, width, height, colour)
        yield label(x + 16, y + 27, name, size=18, bold=True)
        yield label(x + 16, y + 49, text, size=14)
    yield from steps()
    yield from imports(y=648)
    yield "</svg>"


def processes() -> Iterator[str]:
    """The two processes, and the pipe between them."""
    yield rect(20, 20, 500, 420, "none", line=FAINT)
    yield label(40, 50, "The viewer's process: torch is never imported", size=15, bold=True)
    yield rect(580, 306, 400, 216, "none", line=FAINT)
    yield label(600, 338, "One worker process", size=15, bold=True)
    yield arrow(500, 378, 600, 378)
    yield arrow(600, 400, 500, 400)


def steps() -> Iterator[str]:
    yield label(588, 40, "One image walking through the house", size=15, bold=True)
    for number, (x, y, text) in enumerate(STEPS, start=1):
        line = 66 + 26 * (number - 1)
        for circle_x, circle_y in ((x, y), (600, line)):
            yield f'<circle cx="{circle_x}" cy="{circle_y}" r="11" fill="{STEP}"/>'
            yield label(circle_x, circle_y + 5, str(number), 13, PAPER, bold=True, middle=True)
        yield label(620, line + 5, text, size=14)


def imports(y: int) -> Iterator[str]:
    """A table of how many modules of a row's part import the column's part."""
    counts = count_imports()
    text = "Modules of a row's part that import the column's part, counted in the source"
    yield label(40, y, text, size=15, bold=True)
    for column, imported in enumerate(PARTS[:-1]):
        yield label(240 + 110 * column, y + 22, imported, size=14, middle=True)
    for row, importer in enumerate(PARTS[1:]):
        top = y + 34 + 34 * row
        yield label(40, top + 19, importer, size=14)
        for column, imported in enumerate(PARTS[:-1]):
            count = counts[importer, imported]
            legal = column <= row
            yield rect(190 + 110 * column, top, 100, 28, SHARED if legal else "none", radius=4)
            text = str(count) if count else ""
            yield label(240 + 110 * column, top + 19, text, size=14, middle=True)


def count_imports() -> dict[tuple[str, str], int]:
    graph = grimp.build_graph("napari_unet")
    found: dict[tuple[str, str], set[str]] = {(a, b): set() for a in PARTS for b in PARTS}
    for module in graph.modules:
        for imported in graph.find_modules_directly_imported_by(module):
            pair = part_of(module), part_of(imported)
            if pair in found and pair[0] != pair[1]:
                found[pair].add(module)
    return {pair: len(modules) for pair, modules in found.items()}


def part_of(module: str) -> str:
    return [*module.split("."), ""][1]


def rect(
    x: int, y: int, width: int, height: int, fill: str, *, line: str = "none", radius: int = 8
) -> str:
    dash = "" if line == "none" else ' stroke-dasharray="6 4"'
    return (
        f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="{radius}" '
        f'fill="{fill}" stroke="{line}"{dash}/>'
    )


def label(
    x: int,
    y: int,
    text: str,
    size: int,
    colour: str = INK,
    *,
    bold: bool = False,
    middle: bool = False,
) -> str:
    weight = ' font-weight="bold"' if bold else ""
    anchor = ' text-anchor="middle"' if middle else ""
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" fill="{colour}"{weight}{anchor}>'
        f"{escape(text)}</text>"
    )


def arrow(x1: int, y1: int, x2: int, y2: int) -> str:
    """An arrow that lies level."""
    back = -9 if x2 > x1 else 9
    head = f"{x2},{y2} {x2 + back},{y2 - 5} {x2 + back},{y2 + 5}"
    return (
        f'<line x1="{x1}" y1="{y1}" x2="{x2 + back}" y2="{y2}" stroke="{STEP}" stroke-width="2"/>'
        f'<polygon points="{head}" fill="{STEP}"/>'
    )


if __name__ == "__main__":
    main()
