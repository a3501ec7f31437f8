"""Labels are made of probabilities in threads of their own, and written in the viewer's."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial

from psygnal import Signal

from napari_unet.core.boxes import Box
from napari_unet.engine.runner import Runner
from napari_unet.session.image import Place
from napari_unet.session.label_maker import LabelMaker
from napari_unet.session.live_objects import LiveObjects, is_worth_while
from napari_unet.session.pair import UNSET, ObjectSettings, Pair, Proposal
from napari_unet.session.work import Work

__all__ = ["Labelling"]

# Labels of a volume are written for so long at a time, then the viewer draws (chosen).
WRITE_S = 0.01


class Labelling(Work):
    """The part of a session that has labels made, and writes them unless anything was edited since.

    Parameters
    ----------
    runner : Runner, optional
        See `Work`.
    """

    labels_changed = Signal(object, tuple)
    """New labels were written: pair and place."""
    labels_restored = Signal(object, tuple)
    """Undo or redo brought back labels that Segment made or replaced: pair and place."""

    def __init__(self, runner: Runner | None = None) -> None:
        super().__init__(runner)
        self._maker: LabelMaker[tuple[Pair, dict[Place, Proposal]]] = LabelMaker()
        self._live_objects = LiveObjects()
        self._to_write: dict[tuple[int, Place], tuple[Pair, Proposal]] = {}
        self.settings = UNSET

    def close(self) -> None:
        """End the worker and all threads; what runs is dropped."""
        super().close()
        self._maker.close()
        self._live_objects.close()

    def set_objects(
        self,
        settings: ObjectSettings,
        pair: Pair | None,
        shown: Place,
        seen: Box | None = None,
    ) -> None:
        """Make objects anew from the probabilities that are there, the shown plane first.

        Of a large plane what is `seen` comes first, rows and columns, and the rest when nothing
        has been set for a moment.
        """
        self.settings = settings
        if pair is None:
            return
        pair.remade_by = "objects"
        self._live_objects.forget()
        if seen is not None and is_worth_while(pair, shown, seen):
            how = self._object_settings(pair)
            self._live_objects.request(
                pair, shown, seen, how, partial(self._request_all, pair, shown)
            )
        else:
            self._request_all(pair, shown)

    def _made_by(self, pair: Pair) -> str:
        """The model whose probabilities a pair has."""
        return pair.made_by

    def _object_settings(self, pair: Pair) -> ObjectSettings:
        settings = replace(self.settings, score=self.object_score(self._made_by(pair)))
        if settings.min_size is None:
            settings = replace(settings, min_size=self.usual_min_size(pair))
        return settings

    def _request_all(self, pair: Pair, shown: Place) -> None:
        for place in pair.segmented:
            self._request_labels(pair, place, first=place == shown)

    def _request_labels(self, pair: Pair, place: Place, *, first: bool = False) -> None:
        volume = pair.volume_of(place)
        if volume is not None:
            self._request_volume(pair, volume)
            return
        settings = self._object_settings(pair)

        def work() -> tuple[Pair, dict[Place, Proposal]]:
            return pair, {place: pair.propose(place, settings)}

        self._maker.request((id(pair), place), work, first=first)

    def _request_volume(self, pair: Pair, volume: Place) -> None:
        settings = self._object_settings(pair)

        def work() -> tuple[Pair, dict[Place, Proposal]]:
            return pair, pair.propose_volume(volume, settings)

        self._maker.request((id(pair), "volume", volume), work)

    @property
    def _has_labels_to_come(self) -> bool:
        return self._maker.busy or self._live_objects.busy or bool(self._to_write)

    def _pump_labels(self) -> None:
        """Write what was made since the last call, and say what went wrong."""
        seen, errors = self._live_objects.pump()
        for error in [*errors, *self._maker.take_errors()]:
            self._failed(error)
        for pair, place, glimpse in seen:
            self.guarded(partial(self._write_glimpse, pair, place, glimpse))
        for _, (pair, proposals) in self._maker.take():
            if self._live_objects.overtakes(pair):
                continue
            for place, proposal in proposals.items():
                self._to_write[id(pair), place] = pair, proposal
        self._write_some()

    def _write_some(self) -> None:
        """Write labels that are made: of a volume a few planes at a time, the viewer goes on."""
        end = time.monotonic() + WRITE_S
        while self._to_write:
            key = next(iter(self._to_write))
            pair, proposal = self._to_write.pop(key)
            self.guarded(partial(self._write_labels, pair, key[1], proposal))
            if pair.volume_of(key[1]) is not None and time.monotonic() > end:
                return

    def _write_glimpse(self, pair: Pair, place: Place, glimpse: Proposal) -> None:
        """Write what is seen, unless anything has changed meanwhile: all of it comes after."""
        if glimpse.made_at == pair.ledger.changes and pair.accept(place, glimpse):
            self.labels_changed.emit(pair, place)

    def _write_labels(self, pair: Pair, place: Place, proposal: Proposal) -> None:
        if pair.accept(place, proposal):
            self.labels_changed.emit(pair, place)
        else:
            self._request_labels(pair, place)
