"""Comparing labels with the truth on a second thread, the latest request only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any  # labels come as any array, lazy ones too

import numpy as np
from psygnal import Signal

from napari_unet.core.errors import NapariUnetError
from napari_unet.core.evaluation import Evaluation, evaluate
from napari_unet.session.label_maker import LabelMaker

__all__ = ["Evaluator", "Wanted"]


@dataclass(frozen=True, eq=False)
class Wanted:
    """What is compared, and how.

    Attributes
    ----------
    truth, prediction : array-like of int, (..., Y, X)
        Nobody may write to them meanwhile; lazy ones are read on the second thread.
    iou : float
        Smallest intersection over union of a hit.
    volume : bool
        Objects reach through the third axis.
    """

    truth: Any
    prediction: Any
    iou: float = 0.5
    volume: bool = False


class _StoppedError(Exception):
    """The dock was closed, or something else is wanted."""


class Evaluator:
    """Runs `evaluate` so that the viewer does not wait; all methods are for the viewer's thread."""

    done = Signal(object)
    """An `Evaluation`."""

    failed = Signal(str)
    """A sentence that says why there is none."""

    progressed = Signal(int, int)
    """So many planes of so many are compared."""

    def __init__(self) -> None:
        self._maker: LabelMaker[tuple[int, Evaluation | str]] | None = None
        self._latest = 0
        self._progress: tuple[int, int] | None = None

    @property
    def busy(self) -> bool:
        """Whether something is being compared."""
        return self._maker is not None and self._maker.busy

    def start(self, wanted: Wanted) -> None:
        """Compare; what is being compared is given up."""
        if self._maker is None:  # no thread before there is something to do
            self._maker = LabelMaker()
        self._latest += 1
        number = self._latest
        self._maker.request("evaluation", lambda: self._work(wanted, number))

    def pump(self) -> None:
        """Tell what has come since the last call; never waits."""
        if self._maker is None:
            return
        progress, self._progress = self._progress, None
        if progress is not None:
            self.progressed.emit(*progress)
        for error in self._maker.take_errors():
            self.failed.emit(f"They could not be compared: {error}")
        for _, (number, result) in self._maker.take():
            if number != self._latest:  # something else is wanted by now
                continue
            (self.failed if isinstance(result, str) else self.done).emit(result)

    def close(self, *_: object) -> None:
        """Give up what is being compared and end the thread."""
        self._latest += 1
        if self._maker is not None:
            self._maker.close()

    def _work(self, wanted: Wanted, number: int) -> tuple[int, Evaluation | str]:
        try:
            return number, evaluate(
                np.asarray(wanted.truth),
                np.asarray(wanted.prediction),
                iou=wanted.iou,
                volume=wanted.volume,
                progress=self._reporter(number),
            )
        except _StoppedError:
            return number, ""
        except NapariUnetError as error:
            return number, str(error)

    def _reporter(self, number: int) -> Callable[[int, int], None]:
        def report(done: int, total: int) -> None:
            if number != self._latest:
                raise _StoppedError
            self._progress = done, total

        return report
