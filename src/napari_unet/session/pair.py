"""An image with its labels, its checked area, and the probabilities the labels were made of."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any  # labels may be any integer dtype

import numpy as np
from numpy.typing import NDArray

from napari_unet.core.blocks import BlockSettings
from napari_unet.core.boxes import Box
from napari_unet.core.checked import check_objects, uncheck_objects
from napari_unet.core.edit import joined_box
from napari_unet.core.events import TileResult, VolumeResult
from napari_unet.core.example import Example
from napari_unet.core.glimpse import MOST_MARGIN, labels_of_part, widened
from napari_unet.core.instances import PlaneObjects, volume_to_labels
from napari_unet.core.lay_around import keep_checked, keep_checked_through
from napari_unet.core.object_index import grow_near
from napari_unet.core.packed import pack
from napari_unet.core.rescale import resize_image
from napari_unet.core.uncertainty import Doubt, rank_doubts
from napari_unet.session.edited import Edited
from napari_unet.session.image import Image, Place
from napari_unet.session.object_size import ObjectSize
from napari_unet.session.proposal import (
    UNSET,
    USUAL_MIN_SIZE,
    ObjectSettings,
    Proposal,
    proposal_of,
)

__all__ = ["UNSET", "ObjectSettings", "Pair", "Proposal"]


# A stack of so many voxels is compared in some hundredths of a second (chosen).
SMALL = 2**24

# Pixels of a plane of which is kept what sliders leave as it was: 20 bytes each (chosen: 0.7 GB).
MOST_KEPT = 2**25


@dataclass(frozen=True, slots=True, eq=False)
class _Volume:
    """What a model of volumes said, (Z, Y, X); the pair has views of its planes."""

    foreground: NDArray[np.uint8]
    spacing: tuple[float, ...]


class Pair(Edited):
    """One image and what is known of it; planes are addressed by their place in the stack.

    Everything but `propose` and `read_example` is for the viewer's thread alone.

    Parameters
    ----------
    image : Image
        What is segmented.
    labels : ndarray of int, shape ``image.shape``
        Shared with the viewer: whoever paints, paints here. Objects that are already in it
        were made by the user and count as checked.
    checked : ndarray of uint8, shape ``image.shape``
        Shared with the viewer: nonzero where the labels are true.
    size : ObjectSize, optional
        Of the image's objects; it may be known before the pair is.
    """

    def __init__(
        self,
        image: Image,
        labels: NDArray[Any],
        checked: NDArray[np.uint8],
        size: ObjectSize | None = None,
    ) -> None:
        super().__init__(image, labels, checked)
        self.size = size or ObjectSize()
        self.used_diameter: float | None = None  # at which it was segmented last
        self.made_by = ""  # the model that it was segmented with last
        self.probability: dict[Place, NDArray[np.uint8]] = {}
        self.deviation: dict[Place, NDArray[np.uint8]] = {}
        """How far versions differ where they were averaged, of what the network sees; 255 is 1."""
        self._plane_shape: dict[Place, tuple[int, int]] = {}  # of what the network sees
        self._tiles = 0  # that have come
        self._objects: tuple[int, PlaneObjects] | None = None  # of the last proposal
        self._volumes: dict[Place, _Volume] = {}  # by their place: without that along Z
        self.remade_by: Hashable = "Segment"
        """Labels that are made of probabilities with an equal one are one step of undo.

        None adds them to the step before, be it a person's.
        """

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes that are painted; none where labels are objects."""
        return ()

    def speaks_with(self, classes: Sequence[str]) -> None:
        """Learn which class of a model is which; objects have none."""

    @property
    def segmented(self) -> list[Place]:
        """The planes that have probabilities."""
        return list(self.probability)

    @property
    def visited(self) -> list[Place]:
        """The planes that were segmented or edited."""
        return [*self.probability, *sorted(self._edited - self.probability.keys())]

    @property
    def checked_cells(self) -> int:
        """How many objects are checked, in all planes."""
        for place in self._edited - self._counts.keys():
            self._counts[place] = self.ledger.index(place).checked_objects
        return sum(self._counts.values())

    @property
    def has_checked(self) -> bool:
        """Whether anything is checked, be it background."""
        return any(bool(self.checked[place].any()) for place in self._edited)

    def absorb(self, place: Place, within: Box | None = None) -> Box | None:
        """Notice what the user has done to a plane since the last call.

        Parameters
        ----------
        place : Place
        within : tuple of slice, optional
            Look there alone: nothing was painted outside.

        Returns
        -------
        tuple of slice or None
            Where the checked area may have grown; None if nothing was done.
        """
        live, seen = self.labels[place], self.ledger.labels[place]
        with self._lock:
            changed = self.ledger.box(place, live, within=within)
            if changed is None:
                return None
            index, checked = self.ledger.index(place), self.checked[place]
            box = grow_near(checked, seen, live, changed, index, usual=self.used_diameter)
            self._in_users_hands = max(
                self._in_users_hands, index.highest, int(live[changed].max())
            )
            self._note_edit(place, changed if box is None else joined_box([changed, box]))
        return box

    def absorb_visited(self) -> None:
        """Notice what was done to planes that were worked on, of a small stack to any plane."""
        with self.one_step():
            for place in self.image.places() if self.labels.size <= SMALL else self.visited:
                self.absorb(place)

    def checked_was_edited(self, place: Place) -> None:
        """Take note that the user painted in the checked area itself."""
        self.absorb(place)
        self._note_edit(place)

    def looks_right(self, place: Place, numbers: NDArray[Any] | list[int]) -> Box | None:
        """Add objects that are right as they are to the checked area."""
        box = check_objects(
            self.checked[place],
            self.labels[place],
            np.asarray(numbers),
            usual=self.used_diameter,
        )
        if box is not None:
            self._note_edit(place, box)
        return box

    def check_box(self, place: Place, box: Box) -> None:
        """Add a box, with all that is in it, to the checked area."""
        self.checked[place][box] = 1
        self._note_edit(place, box)

    def check_background(self, place: Place, box: Box) -> None:
        """Add the background in a box to the checked area: there is no object that was missed."""
        self.checked[place][box][self.labels[place][box] == 0] = 1
        self._note_edit(place, box)

    def uncheck(self, place: Place, box: Box = (slice(None), slice(None))) -> None:
        """Forget the checked area of a plane; the labels stay until the next segmentation."""
        self.checked[place][box] = 0
        self._note_edit(place)

    def uncheck_objects(self, place: Place, numbers: list[int]) -> None:
        """Forget that objects are right."""
        labels, checked = self.labels[place], self.checked[place]
        box = uncheck_objects(checked, labels, np.asarray(numbers), usual=self.used_diameter)
        if box is not None:
            self._note_edit(place, box)

    def begin_plane(self, place: Place, shape_yx: tuple[int, int], diameter: float | None) -> None:
        """Make room for the tiles of a plane, which may be rescaled for the network.

        What was found before stays until it is found anew.
        """
        self.used_diameter = diameter
        self.deviation.pop(place, None)
        self._volumes.pop(place[:-1], None)  # its planes are no longer of one piece
        old = self.probability.get(place)
        self._plane_shape[place] = shape_yx
        if old is not None and old.shape != shape_yx:
            rows, columns = (
                np.arange(new) * size // new for new, size in zip(shape_yx, old.shape, strict=True)
            )
            self.probability[place] = old[np.ix_(rows, columns)]
            self._tiles += 1

    def place_tile(self, place: Place, tile: TileResult) -> None:
        """Put a tile's foreground probability where it belongs."""
        plane = self.probability.get(place)
        if plane is None:
            shape = self._plane_shape.get(place, self.image.plane_shape)
            plane = self.probability[place] = np.zeros(shape, np.uint8)
        tile = tile.quantised()
        background = tile.probability[0]
        height, width = background.shape
        box = np.s_[tile.y : tile.y + height, tile.x : tile.x + width]
        plane[box] = 255 - background
        if tile.deviation is not None:
            blank = self.deviation.setdefault(place, np.zeros(plane.shape, np.uint8))
            blank[box] = np.asarray(tile.deviation, np.uint8)
        self._tiles += 1  # afterwards: whoever reads meanwhile will have read too early

    def begin_volume(self, place: Place, spacing: Sequence[float]) -> None:
        """Make room for the tiles of a volume; what was found before stays until it is found anew.

        Parameters
        ----------
        place : tuple of int
            As of its planes, without the last index, which is that along Z.
        spacing : sequence of float
            How far voxels lie apart along Z, Y and X for the model, in pixels of a plane.
        """
        self.used_diameter = None
        shape = (self.image.stack_shape[-1], *self.image.plane_shape)
        known = self._volumes.get(place)
        foreground = np.zeros(shape, np.uint8) if known is None else known.foreground
        self._volumes[place] = _Volume(foreground, tuple(spacing))
        for z, plane in enumerate(foreground):
            self.probability[*place, z] = plane

    def place_part(self, place: Place, part: VolumeResult) -> None:
        """Put the foreground probability of a tile of a volume where it belongs."""
        self._volumes[place].foreground[part.place] = 255 - part.quantised().probability[0]

    def volume_of(self, place: Place) -> Place | None:
        """Return the place of the volume that a plane was segmented with; None if alone."""
        return place[:-1] if place and place[:-1] in self._volumes else None

    def propose_volume(self, volume: Place, settings: ObjectSettings) -> dict[Place, Proposal]:
        """Make labels through all planes of a volume, as `propose` does; for a second thread."""
        with self._lock:
            edits, above, made_at = self.edits, self._in_users_hands, self.ledger.changes
            current, checked = self.ledger.labels[volume].copy(), self.checked[volume] != 0
        found = self._volumes[volume]
        predicted = volume_to_labels(
            found.foreground,
            threshold=settings.threshold,
            min_size=USUAL_MIN_SIZE if settings.min_size is None else settings.min_size,
            split=settings.split,
            spacing=found.spacing,
        )
        if above or checked.any():
            predicted = keep_checked_through(current, predicted, checked, above=above)
        return {
            (*volume, z): proposal_of(current[z], plane, edits, made_at, checked[z])
            for z, plane in enumerate(predicted)
        }

    def propose(self, place: Place, settings: ObjectSettings) -> Proposal:
        """Make labels of a plane's probabilities around what is checked; for a second thread.

        It reads what `absorb` last saw, so that a stroke under way does not reach it.
        """
        with self._lock:
            edits, above, made_at = self.edits, self._in_users_hands, self.ledger.changes
            current, checked = self.ledger.labels[place].copy(), self.checked[place] != 0
        predicted = self._objects_of(place).labels(
            threshold=settings.threshold,
            min_size=USUAL_MIN_SIZE if settings.min_size is None else settings.min_size,
            split=settings.split,
            shape=self.image.plane_shape,
            score=settings.score,
        )
        if above or checked.any():
            predicted = keep_checked(current, predicted, checked, above=above)
        return proposal_of(current, predicted, edits, made_at, checked)

    def glimpse(self, place: Place, settings: ObjectSettings, seen: Box) -> Proposal:
        """Make labels of what is seen of a plane, soon; `propose` makes those of all of it.

        Objects get numbers above all that there are. For a second thread.
        """
        shape = self.image.plane_shape
        box = widened(seen, shape)
        with self._lock:
            edits, above, made_at = self.edits, self._in_users_hands, self.ledger.changes
            known = self.ledger.labels[place]
            current, checked = known[box].copy(), self.checked[place][box] != 0
            above = max(above, int(known.max(initial=0)))
        objects = self._objects
        is_known = objects is not None and objects[1].probability is self.probability[place]
        how = BlockSettings(
            settings.threshold,
            USUAL_MIN_SIZE if settings.min_size is None else settings.min_size,
            settings.split,
            settings.score,
            most_margin=MOST_MARGIN,
        )
        typical = objects[1].typical_areas if is_known and objects is not None else None
        predicted = labels_of_part(self.probability[place], box, how, shape, typical)
        predicted = keep_checked(current, predicted, checked, above=above)
        packed = pack(current), pack(predicted)
        return Proposal(predicted, edits, made_at, packed, box=box)

    def _objects_of(self, place: Place) -> PlaneObjects:
        """Return what makes objects of a plane, with what it knows if no tile came since."""
        tiles, known, probability = self._tiles, self._objects, self.probability[place]
        if known is not None and known[0] == tiles and known[1].probability is probability:
            return known[1]
        self._objects = None  # at no time are there two
        objects = PlaneObjects(probability)
        if probability.size <= MOST_KEPT:
            self._objects = tiles, objects
        return objects

    def doubts(self, place: Place, settings: ObjectSettings) -> list[Doubt]:
        """List what is worth a look in a plane that was segmented; for a second thread.

        It reads what `absorb` last saw, as `propose` does.
        """
        with self._lock:
            current, checked = self.ledger.labels[place].copy(), self.checked[place] != 0
        belief = self.probability[place].astype(np.float32)[None] / np.float32(255)
        return rank_doubts(
            current,
            resize_image(belief, self.image.plane_shape)[0],
            checked=checked,
            threshold=settings.threshold,
            min_size=USUAL_MIN_SIZE if settings.min_size is None else settings.min_size,
        )

    def accept(self, place: Place, proposal: Proposal) -> bool:
        """Write proposed labels; False if the user has edited since, then propose anew."""
        self.absorb(place)
        if proposal.edits != self.edits:
            return False
        if proposal.packed is None and proposal.made_at == self.ledger.changes:
            return True
        with self._lock:
            live = self.labels[place]
            to = live if proposal.box is None else live[proposal.box]
            np.copyto(to, proposal.labels, casting="same_kind")
            self.ledger.note_remade(
                place,
                live,
                proposal.packed,
                index=proposal.index,
                made_at=proposal.made_at,
                join=self.remade_by,
                box=proposal.box,
            )
        self._counts.pop(place, None)
        return True

    def next_number(self) -> int:
        """Return a number that no object has or had, and that no other will get."""
        self._in_users_hands = max(int(self.labels.max(initial=0)), self._in_users_hands) + 1
        self.edits += 1  # what was proposed before may use it
        return self._in_users_hands

    def taught_planes(self) -> list[tuple[Place, NDArray[Any], NDArray[np.bool_]]]:
        """Return copies of labels and checked area of each plane with anything checked."""
        return [
            (place, self.labels[place].copy(), self.checked[place] != 0)
            for place in sorted(self._edited)
            if self.checked[place].any()
        ]

    def read_example(
        self,
        place: Place,
        labels: NDArray[Any],
        checked: NDArray[np.bool_],
        diameter: float | None = None,
        slices: int = 1,
    ) -> Example:
        """Build what is learnt from; reads the image, so it is for a second thread."""
        image = self.image.read_seen(place, slices)
        return Example(image, labels, checked, axes="CYX", diameter=diameter)
