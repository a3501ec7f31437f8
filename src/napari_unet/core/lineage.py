"""What a model's card says of where it comes from: its parent, and how each round went."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from napari_unet.core.budget import Budget
from napari_unet.core.config import ModelCard

__all__ = ["card_of_cut", "round_told", "timestamp"]


def timestamp() -> str:
    """Return the date and time as cards name them: ISO, in universal time."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def round_told(what: str, budget: Budget) -> str:
    """Return the line of a card's history for a round of training or teaching."""
    return f"{timestamp()}: {what} ({budget.step} steps, {budget.elapsed:.0f} s)"


def card_of_cut(card: ModelCard, what: str) -> ModelCard:
    """Return the card of a smaller model that was cut out of another one.

    What was measured of the larger one is not said of it: it has no scores.

    Parameters
    ----------
    card : ModelCard
        Of the larger one.
    what : str
        What was done, such as "cut from width 64 to 16".
    """
    now = timestamp()
    history = (*card.history, f"{now}: {what}")
    return replace(card, scores={}, parent=card.name, history=history, created=now)
