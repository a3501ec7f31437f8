"""Edits of a plane of labels, each of which a hand asks for by one gesture.

Each takes labels (Y, X), of any integer dtype and perhaps a view of a stack, with 0 for
background. It changes nothing itself: it returns a `Change`, or None where nothing changes.
"""

from napari_unet.core.edits.change import Change
from napari_unet.core.edits.line import numbers_along
from napari_unet.core.edits.outline import fill_holes, grow, new_object, shrink, smooth
from napari_unet.core.edits.renumber import delete, delete_in, merge, objects_in, relabel
from napari_unet.core.edits.split import split_along, split_touching
from napari_unet.core.edits.stack import places_through

__all__ = [
    "Change",
    "delete",
    "delete_in",
    "fill_holes",
    "grow",
    "merge",
    "new_object",
    "numbers_along",
    "objects_in",
    "places_through",
    "relabel",
    "shrink",
    "smooth",
    "split_along",
    "split_touching",
]
