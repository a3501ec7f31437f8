"""The tools of the Correct step: what a gesture over the labels does to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any  # labels may be any integer dtype

from numpy.typing import NDArray

from napari_unet.bridge import corrections
from napari_unet.bridge.gestures import Gesture
from napari_unet.bridge.open_pair import OpenPair
from napari_unet.bridge.workspace import Workspace
from napari_unet.core import edits
from napari_unet.core.edits import Change
from napari_unet.core.edits.renumber import EMPTY_BOX
from napari_unet.core.errors import InputError
from napari_unet.session.image import Place

__all__ = [
    "Target",
    "accept",
    "delete",
    "fill_holes",
    "grow",
    "merge",
    "outline",
    "relabel",
    "shrink",
    "smooth",
    "split_along",
    "split_touching",
    "unaccept",
]

NO_CELL = "There is no cell; click on one."
NO_NUMBER = "Choose a number above 0 in napari's controls of the labels first."

Edit = Callable[[NDArray[Any], int], Change | None]


@dataclass(frozen=True, slots=True, eq=False)
class Target:
    """What a tool works on.

    Attributes
    ----------
    workspace : Workspace
    item : OpenPair
    through_stack : bool
        Follow the objects into other planes; see `places_through`. Splitting, smoothing, growing
        and shrinking are for the plane that is shown.
    """

    workspace: Workspace
    item: OpenPair
    through_stack: bool = False

    def plane(self, place: Place) -> NDArray[Any]:
        """Return the labels of a plane."""
        plane: NDArray[Any] = self.item.pair.labels[place]
        return plane

    def number(self, gesture: Gesture) -> int:
        """Return the object under a press.

        Raises
        ------
        InputError
            If there is none.
        """
        number = gesture.number(self.plane(gesture.place))
        if number <= 0:
            raise InputError(NO_CELL)
        return number

    def numbers(self, gesture: Gesture) -> list[int]:
        """Return the object that was clicked, or those in the box that was drawn.

        Raises
        ------
        InputError
            If there is none.
        """
        if gesture.is_click:
            return [self.number(gesture)]
        plane = self.plane(gesture.place)
        found = edits.objects_in(plane, gesture.box(self.item.pair.image.plane_shape))
        if not found:
            raise InputError(EMPTY_BOX)
        return found

    def spread(self, place: Place, numbers: list[int]) -> dict[Place, list[int]]:
        """Return which of some objects of a plane there are in which planes."""
        if not self.through_stack:
            return {place: numbers}
        found: dict[Place, list[int]] = {}
        for number in numbers:
            for there in edits.places_through(self.item.pair.labels, place, number):
                found.setdefault(there, []).append(number)
        return found

    def write(self, *changes: tuple[Place, Change | None]) -> None:
        """Write changes as one step of undo."""
        corrections.apply_changes(self.workspace, self.item, changes)


def split_along(target: Target, gesture: Gesture) -> None:
    """Split the objects that a line cuts through."""
    first_new = corrections.free_number(target.item)
    plane = target.plane(gesture.place)
    target.write((gesture.place, edits.split_along(plane, gesture.path, first_new)))


def split_touching(target: Target, gesture: Gesture) -> None:
    """Split an object at its waist."""
    number, first_new = target.number(gesture), corrections.free_number(target.item)
    plane = target.plane(gesture.place)
    target.write((gesture.place, edits.split_touching(plane, number, first_new)))


def merge(target: Target, gesture: Gesture) -> None:
    """Make one object of those that a drag passes over."""
    plane = target.plane(gesture.place)
    numbers = edits.numbers_along(plane, gesture.path)
    changes = [(gesture.place, edits.merge(plane, numbers))]  # says what is wrong with them
    for place, others in target.spread(gesture.place, numbers[1:]).items():
        if place != gesture.place:
            changes.append((place, edits.merge(target.plane(place), [numbers[0], *others])))
    target.write(*changes)


def delete(target: Target, gesture: Gesture) -> None:
    """Remove the object that was clicked, or those in a box."""
    if not gesture.is_click and not target.through_stack:
        box = gesture.box(target.item.pair.image.plane_shape)
        target.write((gesture.place, edits.delete_in(target.plane(gesture.place), box)))
        return
    places = target.spread(gesture.place, target.numbers(gesture))
    target.write(*((p, edits.delete(target.plane(p), found)) for p, found in places.items()))


def relabel(target: Target, gesture: Gesture) -> None:
    """Give an object a free number; with shift the one that is chosen in napari's controls."""
    number = target.number(gesture)
    if gesture.with_shift:
        new = int(target.item.labels.selected_label)
        if new <= 0:
            raise InputError(NO_NUMBER)
    else:
        new = corrections.free_number(target.item)
    places = target.spread(gesture.place, [number])
    target.write(*((p, edits.relabel(target.plane(p), number, new)) for p in places))


def fill_holes(target: Target, gesture: Gesture) -> None:
    """Fill the holes of an object, slice by slice."""
    number = target.number(gesture)
    places = target.spread(gesture.place, [number])
    target.write(*((p, edits.fill_holes(target.plane(p), number)) for p in places))


def smooth(target: Target, gesture: Gesture) -> None:
    """Smooth the outline of an object."""
    _reshape(target, gesture, edits.smooth)


def grow(target: Target, gesture: Gesture) -> None:
    """Make an object wider by a pixel."""
    _reshape(target, gesture, edits.grow)


def shrink(target: Target, gesture: Gesture) -> None:
    """Make an object narrower by a pixel."""
    _reshape(target, gesture, edits.shrink)


def _reshape(target: Target, gesture: Gesture, edit: Edit) -> None:
    number = target.number(gesture)
    target.write((gesture.place, edit(target.plane(gesture.place), number)))


def outline(target: Target, gesture: Gesture) -> None:
    """Make a new object of what was drawn around."""
    plane = target.plane(gesture.place)
    number = corrections.free_number(target.item)
    target.write((gesture.place, edits.new_object(plane, gesture.path, number)))


def accept(target: Target, gesture: Gesture) -> None:
    """Say that an object is right, or all that is in a box."""
    if gesture.is_click:
        corrections.looks_right(target.workspace, target.item, target.number(gesture))
    else:
        box = gesture.box(target.item.pair.image.plane_shape)
        corrections.check_box(target.workspace, target.item, gesture.place, box)


def unaccept(target: Target, gesture: Gesture) -> None:
    """Forget that an object is right, or what is checked in a box."""
    if gesture.is_click:
        corrections.uncheck_object(target.workspace, target.item, target.number(gesture))
    else:
        box = gesture.box(target.item.pair.image.plane_shape)
        corrections.uncheck(target.workspace, target.item, box)
