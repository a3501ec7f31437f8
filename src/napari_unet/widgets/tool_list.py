"""The tools of the Correct step: what they are called, their keys, and how they are used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from napari_unet.bridge import tools
from napari_unet.bridge.gestures import Gesture, Kind
from napari_unet.bridge.tools import Target

__all__ = ["ERASE", "NAPARI_KEYS", "NEW", "NEXT_KEY", "TOOLS", "VIEW_KEY", "Tool", "with_key"]

NEXT_KEY, VIEW_KEY = "Q", "Y"

# What napari binds itself while labels are selected, and is good to know here.
NAPARI_KEYS = {
    "Ctrl+Z": "Undo",
    "Ctrl+Shift+Z": "Redo",
    "Space": "Hold to move the image while a tool is in hand",
    "[ ]": "Narrower and wider brush",
}


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool.

    Attributes
    ----------
    name : str
        How the program calls it.
    text : str
        What stands on the button.
    key : str
        One letter that neither napari's viewer nor its labels use.
    how : str
        The gesture, in a few words.
    tip : str
        What it does, in a sentence or two.
    kind : Kind, optional
        The gesture that it waits for; None for napari's brushes.
    act : callable, optional
        What it does with a gesture.
    """

    name: str
    text: str
    key: str
    how: str
    tip: str
    kind: Kind | None = None
    act: Callable[[Target, Gesture], None] | None = None


def with_key(text: str, key: str) -> str:
    """Return what stands on a button: its text and its key."""
    return f"{text}  {key}"


NEW = Tool(
    "new", "New", "N", "paint a cell that was missed",
    "Take the next free number and napari's brush: paint a cell that was missed.",
)  # fmt: skip
ERASE = Tool(
    "erase", "Erase", "I", "brush inside of one cell",
    "napari's eraser, but only inside of the cell on which you press.",
)  # fmt: skip

TOOLS = (
    NEW,
    Tool(
        "outline", "Outline", "O", "drag around a cell that was missed",
        "Drag once around a cell that was missed. Other cells keep their pixels.",
        Kind.OUTLINE, tools.outline,
    ),
    ERASE,
    Tool(
        "delete", "Delete", "D", "click cells, or drag a box",
        "Click on objects to remove them, or drag a box: those go that lie in it with more than "
        "half. Press again to end.",
        Kind.BOX, tools.delete,
    ),
    Tool(
        "split", "Split", "S", "draw a line through a cell",
        "Draw a line through a cell, from side to side: two cells. Every cell that it cuts "
        "through is split.",
        Kind.LINE, tools.split_along,
    ),
    Tool(
        "waist", "Waist", "W", "click cells that were taken for one",
        "Click on cells that were taken for one: they are split at the waist between them.",
        Kind.CLICK, tools.split_touching,
    ),
    Tool(
        "merge", "Merge", "J", "drag across the pieces of a cell",
        "Join the pieces of a cell: drag from one across the others, touching or not. All get "
        "the number of the first.",
        Kind.LINE, tools.merge,
    ),
    Tool(
        "relabel", "Relabel", "R", "click a cell: a free number (Shift: the chosen one)",
        "Click on a cell to give it a number that is free; with Shift the number that is chosen "
        "in napari's controls.",
        Kind.CLICK, tools.relabel,
    ),
    Tool(
        "fill", "Holes", "H", "click a cell: its holes are filled",
        "Click on a cell to fill the holes in it.",
        Kind.CLICK, tools.fill_holes,
    ),
    Tool(
        "smooth", "Smooth", "T", "click a cell: its outline becomes rounder",
        "Click on a cell to round off its outline; its neighbours stay as they are.",
        Kind.CLICK, tools.smooth,
    ),
    Tool(
        "grow", "Grow", "G", "click a cell: a pixel wider",
        "Click on a cell to make it wider by a pixel, where no other cell is.",
        Kind.CLICK, tools.grow,
    ),
    Tool(
        "shrink", "Shrink", "K", "click a cell: a pixel narrower",
        "Click on a cell to make it narrower by a pixel.",
        Kind.CLICK, tools.shrink,
    ),
    Tool(
        "right", "Right", "A", "click cells that are right, or drag a box",
        "Click on objects that are right as they are, so that they are learnt too; or drag a box "
        "around what is all right, the empty places too.",
        Kind.BOX, tools.accept,
    ),
    Tool(
        "unsure", "Unsure", "U", "click cells to learn nothing from, or drag a box",
        "Click on checked cells of which you are not sure, or drag a box: they are not learnt. "
        "The labels stay.",
        Kind.BOX, tools.unaccept,
    ),
)  # fmt: skip
