"""Linking objects through slices or frames on a second thread, the latest request only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any  # labels come as any array, lazy ones too

import numpy as np
from psygnal import Signal

from napari_unet.core.errors import NapariUnetError
from napari_unet.core.linking import LEAST, link_by_overlap
from napari_unet.core.tracking import Tracked, track_by_motion
from napari_unet.session.label_maker import LabelMaker

__all__ = ["Linker", "ToLink"]


@dataclass(frozen=True, eq=False)
class ToLink:
    """What is linked, and how; see `link_by_overlap` and `track_by_motion`.

    Attributes
    ----------
    labels : array-like of int
        Nobody may write to it meanwhile; a lazy one is read on the second thread.
    axes, along : str
        One letter a dimension, and the one that is gone along.
    least, gap
        Of linking by overlap; the gap of both.
    distance : float or None
        None links by overlap, otherwise by motion.
    divisions : bool
        By motion: cells may divide.
    """

    labels: Any
    axes: str
    along: str
    least: float = LEAST
    gap: int = 0
    distance: float | None = None
    divisions: bool = False

    def linked(self) -> Tracked:
        """Link.

        Raises
        ------
        InputError
        """
        labels = np.asarray(self.labels)
        if self.distance is None:
            return Tracked(
                link_by_overlap(labels, self.axes, along=self.along, least=self.least, gap=self.gap)
            )
        return track_by_motion(
            labels,
            self.axes,
            distance=self.distance,
            along=self.along,
            gap=self.gap,
            divisions=self.divisions,
        )


class Linker:
    """Links so that the viewer does not wait; all methods are for the viewer's thread."""

    done = Signal(object)
    """A `Tracked`."""

    failed = Signal(str)
    """A sentence that says why there is none."""

    def __init__(self) -> None:
        self._maker: LabelMaker[tuple[int, Tracked | str]] | None = None
        self._latest = 0

    def start(self, wanted: ToLink) -> None:
        """Link; what is being linked is given up."""
        if self._maker is None:  # no thread before there is something to do
            self._maker = LabelMaker()
        self._latest += 1
        number = self._latest
        self._maker.request("linking", lambda: (number, _linked(wanted)))

    def pump(self) -> None:
        """Tell what has come since the last call; never waits."""
        if self._maker is None:
            return
        for error in self._maker.take_errors():
            self.failed.emit(f"They could not be linked: {error}")
        for _, (number, result) in self._maker.take():
            if number == self._latest:
                (self.failed if isinstance(result, str) else self.done).emit(result)

    def close(self, *_: object) -> None:
        """Give up what is being linked and end the thread."""
        self._latest += 1
        if self._maker is not None:
            self._maker.close()


def _linked(wanted: ToLink) -> Tracked | str:
    try:
        return wanted.linked()
    except NapariUnetError as error:
        return str(error)
