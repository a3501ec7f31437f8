"""What is left to look at: doubts about each segmented plane, handed out one by one."""

from __future__ import annotations

from functools import partial
from weakref import WeakKeyDictionary

from psygnal import Signal

from napari_unet.core.uncertainty import WORTH_LOOKING, Doubt
from napari_unet.session.image import Place
from napari_unet.session.label_maker import LabelMaker
from napari_unet.session.pair import Pair
from napari_unet.session.session import Session

__all__ = ["Review"]


class Review:
    """Keeps what is worth a look up to date with the labels of a session.

    All methods are for the viewer's thread; `pump` has to be called there every now and then.

    Parameters
    ----------
    session : Session
        Its labels are followed.
    """

    changed = Signal(object)
    """There is more or less to look at in a pair."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._maker: LabelMaker[tuple[Pair, Place, list[Doubt]]] = LabelMaker()
        self._doubts: WeakKeyDictionary[Pair, dict[Place, list[Doubt]]] = WeakKeyDictionary()
        self._handed_out: WeakKeyDictionary[Pair, set[tuple[Place, Doubt]]] = WeakKeyDictionary()
        session.labels_changed.connect(self._on_labels)
        session.labels_restored.connect(self._on_labels)  # then others are doubtful

    def close(self) -> None:
        """Follow the session no more."""
        self._session.labels_changed.disconnect(self._on_labels)
        self._session.labels_restored.disconnect(self._on_labels)
        self._maker.close()

    @property
    def busy(self) -> bool:
        """Whether a plane is being looked through."""
        return self._maker.busy

    def pump(self) -> None:
        """Take what was found since the last call; never waits."""
        for error in self._maker.take_errors():
            raise error
        for _, (pair, place, doubts) in self._maker.take():
            self._doubts.setdefault(pair, {})[place] = doubts
            self._handed_out.pop(pair, None)
            self.changed.emit(pair)

    def knows(self, pair: Pair) -> bool:
        """Whether a plane of a pair was looked through."""
        return pair in self._doubts

    def left(self, pair: Pair) -> int:
        """Return how many places of a pair are worth a look and not checked yet."""
        return sum(len(self._open(pair, place)) for place in self._doubts.get(pair, {}))

    def has_objects(self, pair: Pair) -> bool:
        """Whether there is an object in any plane of a pair that was looked through."""
        return any(bool(pair.labels[place].any()) for place in self._doubts.get(pair, {}))

    def next(self, pair: Pair, shown: Place) -> tuple[Place, Doubt] | None:
        """Return the most doubtful place that was not handed out yet, of the shown plane first.

        When all were handed out those that are still not checked come again; None if there is
        nothing left.
        """
        planes = sorted(self._doubts.get(pair, {}), key=lambda place: (place != shown, place))
        left = [(place, doubt) for place in planes for doubt in self._open(pair, place)]
        handed_out = self._handed_out.setdefault(pair, set())
        fresh = [one for one in left if one not in handed_out]
        if left and not fresh:
            handed_out.clear()
        if not left:
            return None
        one = (fresh or left)[0]
        handed_out.add(one)
        return one

    def _open(self, pair: Pair, place: Place) -> list[Doubt]:
        """What is worth a look and neither checked nor changed since it was found."""
        labels, checked = pair.labels[place], pair.checked[place]
        still = []
        for doubt in self._doubts[pair][place]:
            if doubt.score < WORTH_LOOKING:
                break
            here = labels[doubt.box] == doubt.number
            if here.any() and 2 * (checked[doubt.box][here] != 0).sum() < here.sum():
                still.append(doubt)
        return still

    def _on_labels(self, pair: Pair, place: Place) -> None:
        if place in pair.probability:
            work = partial(self._work, pair, place)
            self._maker.request((id(pair), place), work)

    def _work(self, pair: Pair, place: Place) -> tuple[Pair, Place, list[Doubt]]:
        return pair, place, pair.doubts(place, self._session.settings)
