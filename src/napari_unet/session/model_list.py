"""The models to choose from: those of the library, and files that were loaded."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from napari_unet.core.config import ModelCard
from napari_unet.core.errors import ModelFileError
from napari_unet.core.library import available_models, read_model_header

__all__ = ["model_cards"]


def model_cards(loaded: Iterable[str]) -> list[ModelCard]:
    """Return the cards of all models; files that are gone are left out."""
    cards = available_models()
    known = {Path(card.path) for card in cards}
    for path in loaded:
        if Path(path) not in known:
            with suppress(ModelFileError):
                cards.append(read_model_header(path)[1])
    return cards
