"""One image with classes painted over it: each label is a kind of pixel, not an object."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any  # labels may be any integer dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.boxes import Box
from napari_unet.core.checked import checked_patches
from napari_unet.core.class_labels import class_map
from napari_unet.core.errors import InputError
from napari_unet.core.events import TileResult
from napari_unet.core.example import Example
from napari_unet.core.uncertainty import Doubt
from napari_unet.session.image import Image, Place
from napari_unet.session.object_size import ObjectSize
from napari_unet.session.pair import Pair
from napari_unet.session.proposal import ObjectSettings, Proposal, proposal_of

__all__ = ["BACKGROUND", "MOST_CLASSES", "ClassPair"]

BACKGROUND = 255  # painted where there is none of the classes; it becomes 0, and checked
MOST_CLASSES = 100


class ClassPair(Pair):
    """As `Pair`, with classes: what is painted is checked, pixel by pixel.

    Parameters
    ----------
    image, labels, checked, size
        See `Pair`; label k is the class ``names[k - 1]``.
    names : list of str
        Of the classes, without background; it grows when classes are added.
    """

    def __init__(
        self,
        image: Image,
        labels: NDArray[Any],
        checked: NDArray[np.uint8],
        size: ObjectSize | None = None,
        *,
        names: list[str],
    ) -> None:
        super().__init__(image, labels, checked, size)
        self.names = names
        self._beliefs: dict[Place, NDArray[np.uint8]] = {}  # (C, Y, X) of what the network sees
        self._of_model = np.arange(256, dtype=np.uint8)  # our label for a class of the model
        self._to_model = np.arange(256)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes."""
        return tuple(self.names)

    def add_class(self, name: str) -> int:
        """Add a class, and return its label.

        Raises
        ------
        InputError
            If the name is empty or taken, or there are too many.
        """
        name = name.strip()
        if not name or name in self.names or name == "background":
            raise InputError("Give the class a name that no other class has.")
        if len(self.names) >= MOST_CLASSES:
            raise InputError(f"There are {MOST_CLASSES} classes already; more are not possible.")
        self.names.append(name)
        return len(self.names)

    def speaks_with(self, classes: Sequence[str]) -> None:
        """Learn which class of a model, the background first, is which of these by its name.

        Classes that only the model has are added.
        """
        for name in classes[1:]:
            if name not in self.names:
                self.add_class(name)
        self._of_model = np.zeros(256, np.uint8)
        self._to_model = np.zeros(256, np.int64)
        for index, name in enumerate(classes[1:], 1):
            label = self.names.index(name) + 1
            self._of_model[index], self._to_model[label] = label, index

    @property
    def checked_cells(self) -> int:
        """How many patches of 32 x 32 pixels have something checked, in all planes."""
        for place in self._edited - self._counts.keys():
            self._counts[place] = len(checked_patches(self.checked[place] != 0))
        return sum(self._counts.values())

    def absorb(self, place: Place, within: Box | None = None) -> Box | None:
        """Notice what the user has painted in a plane since the last call: it is checked."""
        with self._lock:
            box = self.ledger.box(place, self.labels[place], within=within)
            if box is None:
                return None
            live, seen = self.labels[place][box], self.ledger.labels[place][box]
            changed = live != seen
            self._name_what_is_new(live[changed])
            is_class = (live <= len(self.names)) | (live == BACKGROUND)
            self.checked[place][box][changed & is_class] = 1
            live[changed & (live == BACKGROUND)] = 0
            self._note_edit(place, box)
        return box

    def _name_what_is_new(self, painted: NDArray[Any]) -> None:
        """Who paints with a number that has no name has begun another class."""
        highest = int(painted[painted <= MOST_CLASSES].max(initial=0))
        for number in range(len(self.names) + 1, highest + 1):
            name = f"class {number}"
            while name in self.names:
                name += "'"
            self.names.append(name)

    def place_tile(self, place: Place, tile: TileResult) -> None:
        """Put a tile's probabilities where they belong."""
        super().place_tile(place, tile)
        found = tile.quantised().probability
        shape = (len(found), *self.probability[place].shape)
        beliefs = self._beliefs.get(place)
        if beliefs is None or beliefs.shape != shape:
            beliefs = self._beliefs[place] = np.zeros(shape, np.uint8)
            beliefs[0] = 255
        height, width = found.shape[1:]
        beliefs[:, tile.y : tile.y + height, tile.x : tile.x + width] = found

    def propose(self, place: Place, settings: ObjectSettings) -> Proposal:
        """Make classes of a plane's probabilities around what is checked; see `Pair.propose`."""
        with self._lock:
            edits, made_at = self.edits, self.ledger.changes
            current, checked = self.ledger.labels[place].copy(), self.checked[place] != 0
        found = class_map(
            self._beliefs[place],
            threshold=settings.threshold,
            min_size=settings.min_size or 0,
            shape=self.image.plane_shape,
        )
        predicted = np.where(checked, current, self._of_model[found]).astype(np.int32)
        return proposal_of(current, predicted, edits, made_at)

    def doubts(self, place: Place, settings: ObjectSettings) -> list[Doubt]:
        """There are no objects to doubt."""
        return []

    def read_example(
        self,
        place: Place,
        labels: NDArray[Any],
        checked: NDArray[np.bool_],
        diameter: float | None = None,
        slices: int = 1,
    ) -> Example:
        """Build what is learnt from, with the model's numbers of the classes."""
        image = self.image.read_seen(place, slices)
        classes = self._to_model[np.where(labels <= len(self.names), labels, 0)].astype(np.int32)
        return Example(image, classes, checked, axes="CYX", diameter=diameter, semantic=True)
