"""How the learning rate goes over a run, by name: what `--schedule` reads. No torch in here."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["SCHEDULES", "Schedule", "rate_of"]

# Of all but one-cycle: over this part of the run the rate rises from nearly 0 (chosen: Adam's
# moments are guesses at first, and SGD with much momentum leaps).
RISE = 0.02
START = 1e-3

DROP = 0.1  # what step and plateau multiply the rate by (He et al. 2016, section 4.2)
DROPS_AT = (0.5, 0.75)  # He et al. 2016, section 4.2: after half and three quarters of the run
CYCLES = 3  # of warm restarts; each is twice as long as the one before
PEAK_AT, BELOW_PEAK, END_BELOW = 0.3, 25.0, 1e4  # as in torch's OneCycleLR


@dataclass(frozen=True, slots=True)
class Schedule:
    """One schedule of the list.

    Attributes
    ----------
    sentence : str
        What it is, in a few words.
    paper : str
        Where it comes from.
    factor : callable
        From the part of the run that is over, 0 to 1, to the part of the highest rate.
    """

    sentence: str
    paper: str
    factor: Callable[[float], float]


def rate_of(schedule: str, fraction: float) -> float:
    """Return the part, 0 to 1, of the highest rate when a part, 0 to 1, of the run is over."""
    return SCHEDULES[schedule].factor(fraction)


def _rise(fraction: float) -> float:
    return min(1.0, (fraction + START) / RISE)


def _cosine(fraction: float) -> float:
    return _rise(fraction) * _half_wave(fraction)


def _step(fraction: float) -> float:
    return _rise(fraction) * DROP ** sum(fraction >= at for at in DROPS_AT)


def _restarts(fraction: float) -> float:
    """With n cycles, each twice as long as the one before, the first takes 1 / (2^n - 1)."""
    first = 1 / (2**CYCLES - 1)
    cycle = min(CYCLES - 1, int(math.log2(fraction / first + 1)))
    begun, length = first * (2**cycle - 1), first * 2**cycle
    return _rise(fraction) * _half_wave(min(1.0, (fraction - begun) / length))


def _one_cycle(fraction: float) -> float:
    if fraction < PEAK_AT:
        low = 1 / BELOW_PEAK
        return low + (1 - low) * (1 - _half_wave(fraction / PEAK_AT))
    low = 1 / (BELOW_PEAK * END_BELOW)
    return low + (1 - low) * _half_wave((fraction - PEAK_AT) / (1 - PEAK_AT))


def _half_wave(fraction: float) -> float:
    """From 1 down to 0 as half a period of a cosine."""
    return 0.5 + 0.5 * math.cos(math.pi * fraction)


SCHEDULES = {
    "cosine": Schedule(
        "a short rise, then half a cosine to 0",
        "Loshchilov and Hutter 2017, arXiv:1608.03983, without restarts",
        _cosine,
    ),
    "constant": Schedule("a short rise, then the same", "Ronneberger et al. 2015", _rise),
    "step": Schedule(
        "a tenth after half of the run, and again after three quarters",
        "He et al. 2016, arXiv:1512.03385, section 4.2",
        _step,
    ),
    "restarts": Schedule(
        "three cosines, each twice as long as the one before",
        "Loshchilov and Hutter 2017, arXiv:1608.03983, section 3",
        _restarts,
    ),
    "one-cycle": Schedule(
        "up for three tenths of the run, then down to almost nothing",
        "Smith and Topin 2018, arXiv:1708.07120",
        _one_cycle,
    ),
    "plateau": Schedule(
        "a short rise, then a tenth whenever the loss that is watched falls no more",
        "as torch's ReduceLROnPlateau",
        _rise,
    ),
}
