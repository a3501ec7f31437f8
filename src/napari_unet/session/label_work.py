"""Labels are made of probabilities in threads of their own, and written in the viewer's."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from napari_unet.core.boxes import Box
from napari_unet.session.image import Place
from napari_unet.session.label_maker import LabelMaker
from napari_unet.session.live_objects import LiveObjects, is_worth_while
from napari_unet.session.pair import ObjectSettings, Pair, Proposal

__all__ = ["LabelWork"]

# Labels of a volume are written for so long at a time, then the viewer draws (chosen).
WRITE_S = 0.01


class LabelWork:
    """Has labels made, and writes them unless anything was edited since: then they are made anew.

    All methods are for the viewer's thread.

    Parameters
    ----------
    settings_of : callable
        Returns how objects of a pair are made now.
    guarded : callable
        Does a step and says what goes wrong in it, see `Work.guarded`.
    written : callable
        Is told of each plane that has got new labels: pair and place.
    """

    def __init__(
        self,
        settings_of: Callable[[Pair], ObjectSettings],
        guarded: Callable[[Callable[[], None]], None],
        written: Callable[[Pair, Place], None],
    ) -> None:
        self._settings_of = settings_of
        self._guarded = guarded
        self._written = written
        self._maker: LabelMaker[tuple[Pair, dict[Place, Proposal]]] = LabelMaker()
        self._live_objects = LiveObjects()
        self._to_write: dict[tuple[int, Place], tuple[Pair, Proposal]] = {}

    @property
    def busy(self) -> bool:
        """Whether labels are being made, or wait to be written."""
        return self._maker.busy or self._live_objects.busy or bool(self._to_write)

    def remake(self, pair: Pair, shown: Place, seen: Box | None) -> None:
        """Make the labels of all planes anew, of what is shown first; see `set_objects`."""
        self._live_objects.forget()
        if seen is not None and is_worth_while(pair, shown, seen):
            how = self._settings_of(pair)
            self._live_objects.request(
                pair, shown, seen, how, partial(self._request_all, pair, shown)
            )
        else:
            self._request_all(pair, shown)

    def _request_all(self, pair: Pair, shown: Place) -> None:
        for place in pair.segmented:
            self.request(pair, place, first=place == shown)

    def request(self, pair: Pair, place: Place, *, first: bool = False) -> None:
        volume = pair.volume_of(place)
        if volume is not None:
            self.request_volume(pair, volume)
            return
        settings = self._settings_of(pair)

        def work() -> tuple[Pair, dict[Place, Proposal]]:
            return pair, {place: pair.propose(place, settings)}

        self._maker.request((id(pair), place), work, first=first)

    def request_volume(self, pair: Pair, volume: Place) -> None:
        settings = self._settings_of(pair)

        def work() -> tuple[Pair, dict[Place, Proposal]]:
            return pair, pair.propose_volume(volume, settings)

        self._maker.request((id(pair), "volume", volume), work)

    def pump(self) -> list[Exception]:
        """Write what was made since the last call, and return what went wrong; never waits."""
        seen, errors = self._live_objects.pump()
        errors = [*errors, *self._maker.take_errors()]
        for pair, place, glimpse in seen:
            self._guarded(partial(self._write_glimpse, pair, place, glimpse))
        for _, (pair, proposals) in self._maker.take():
            if self._live_objects.overtakes(pair):
                continue
            for place, proposal in proposals.items():
                self._to_write[id(pair), place] = pair, proposal
        self._write_some()
        return errors

    def close(self) -> None:
        """End the threads."""
        self._maker.close()
        self._live_objects.close()

    def _write_some(self) -> None:
        """Write labels that are made: of a volume a few planes at a time, the viewer goes on."""
        end = time.monotonic() + WRITE_S
        while self._to_write:
            key = next(iter(self._to_write))
            pair, proposal = self._to_write.pop(key)
            self._guarded(partial(self._write_labels, pair, key[1], proposal))
            if pair.volume_of(key[1]) is not None and time.monotonic() > end:
                return

    def _write_glimpse(self, pair: Pair, place: Place, glimpse: Proposal) -> None:
        """Write what is seen, unless anything has changed meanwhile: all of it comes after."""
        if glimpse.made_at == pair.ledger.changes and pair.accept(place, glimpse):
            self._written(pair, place)

    def _write_labels(self, pair: Pair, place: Place, proposal: Proposal) -> None:
        if pair.accept(place, proposal):
            self._written(pair, place)
        else:
            self.request(pair, place)
