"""Which losses there are, and a weighted sum of some: what `--loss` reads.

It knows nothing of torch; `napari_unet.core.losses` computes them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from napari_unet.core.errors import InputError

__all__ = ["LOSSES", "LossConfig", "LossKind", "LossTerm"]


@dataclass(frozen=True, slots=True)
class Setting:
    """A number that a loss can be told: what it is if it is not, and its bounds."""

    default: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class LossKind:
    """One loss of the list.

    Attributes
    ----------
    name : str
        What a user calls it.
    sentence : str
        What it is, in a few words.
    paper : str
        Where it comes from.
    settings : dict
        By name, what it can be told.
    weighted : bool
        Whether pixels weigh by how near two cells are and how rare their class is. Otherwise every
        checked pixel counts alike, as in the paper: a loss minds rare classes in its own way, or
        not at all.
    """

    name: str
    sentence: str
    paper: str
    settings: dict[str, Setting] = field(default_factory=dict)
    weighted: bool = False


_SMOOTH = Setting(1.0, 1e-6, 1e6)

_LIST = (
    LossKind(
        "weighted-ce",
        "cross-entropy, more between touching cells",
        "Ronneberger et al. 2015, equations 1 and 2",
        weighted=True,
    ),
    LossKind("ce", "cross-entropy, every checked pixel alike", "the same without weights"),
    LossKind(
        "balanced-ce",
        "cross-entropy, every class alike however rare",
        "Eigen and Fergus 2015, with the mean in place of the median",
    ),
    LossKind(
        "bce",
        "binary cross-entropy, each class against the others",
        "Zhou et al. 2018, section 3.2, beside Dice",
    ),
    LossKind(
        "dice",
        "overlap, with a beta above 1 minding misses more",
        "Milletari et al. 2016; with beta the F measure of van Rijsbergen 1979",
        {"beta": Setting(1.0, 0.01, 100.0), "smooth": _SMOOTH},
    ),
    LossKind(
        "generalised-dice",
        "overlap, every class alike however small",
        "Sudre et al. 2017, section 2",
    ),
    LossKind(
        "tversky",
        "overlap, alpha minding what is too much and beta what is missed",
        "Salehi et al. 2017, section 2",
        {"alpha": Setting(0.3, 0.0, 10.0), "beta": Setting(0.7, 0.0, 10.0), "smooth": _SMOOTH},
    ),
    LossKind(
        "focal",
        "cross-entropy that minds sure pixels less",
        "Lin et al. 2017, equation 5",
        {"alpha": Setting(0.25, 0.0, 1.0), "gamma": Setting(2.0, 0.0, 10.0)},
    ),
    LossKind(
        "ms-ssim",
        "whether edges and shapes are alike, at several scales",
        "Wang et al. 2003; a part of the hybrid loss of Huang et al. 2020, section 2.2",
    ),
    LossKind(
        "boundary",
        "how far from the outline it is wrong, to be added to another",
        "Kervadec et al. 2019, section 2",
    ),
)

LOSSES = {loss.name: loss for loss in _LIST}

_TERM = re.compile(r"(?:(?P<weight>[\d.]+)\*)?(?P<name>[a-z-]+)(?:\((?P<settings>[^()]*)\))?")


@dataclass(frozen=True, slots=True)
class LossTerm:
    """One loss of a sum.

    Attributes
    ----------
    name : str
        One of `LOSSES`.
    weight : float
        What it counts, above 0.
    settings : tuple of (str, float)
        What it is told, see `LossKind.settings`.
    """

    name: str
    weight: float = 1.0
    settings: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        if self.name not in LOSSES:
            raise InputError(f"Loss {self.name!r} is not known; use {', '.join(LOSSES)}.")
        if not 0 < self.weight <= 1e6:
            raise InputError(f"Loss {self.name} has the weight {self.weight:g}; give one above 0.")
        known = LOSSES[self.name].settings
        for name, value in self.settings:
            if name not in known:
                told = f"it takes {', '.join(known)}" if known else "it takes none"
                raise InputError(f"Loss {self.name} has no setting {name!r}; {told}.")
            low, high = known[name].low, known[name].high
            if not low <= value <= high:
                raise InputError(
                    f"{name} of loss {self.name} is {value:g}; it must be from {low:g} to {high:g}."
                )

    @classmethod
    def parse(cls, text: str) -> LossTerm:
        """Read one term, such as ``0.5*dice(beta=2)``."""
        match = _TERM.fullmatch("".join(text.split()))
        try:
            if match is None:
                raise ValueError
            pairs = [pair.split("=") for pair in (match["settings"] or "").split(",") if pair]
            return cls(
                match["name"],
                float(match["weight"] or 1.0),
                tuple((name, float(value)) for name, value in pairs),
            )
        except InputError:
            raise
        except ValueError:
            raise InputError(
                f"Loss {text.strip()!r} cannot be read; write it as 0.5*dice or tversky(alpha=0.3)."
            ) from None


@dataclass(frozen=True, slots=True)
class LossConfig:
    """A weighted sum of losses.

    Attributes
    ----------
    terms : tuple of LossTerm
        At least one.
    """

    terms: tuple[LossTerm, ...] = (LossTerm("weighted-ce"),)

    def __post_init__(self) -> None:
        if not self.terms:
            raise InputError(f"A loss is missing; use {', '.join(LOSSES)}.")

    @classmethod
    def parse(cls, text: str) -> LossConfig:
        """Read a sum, such as ``weighted-ce + 0.5*dice``.

        Raises
        ------
        InputError
            If a loss or a setting is not known, or out of its bounds.
        """
        return cls(tuple(LossTerm.parse(term) for term in text.split("+")))
