"""What went wrong, in one sentence for the person at the screen."""

from __future__ import annotations

import logging

from psygnal import EmitLoopError

from napari_unet.core.errors import NapariUnetError

__all__ = ["UNEXPECTED", "error_sentence"]

UNEXPECTED = "Something went wrong that was not foreseen ({}); nothing you painted is lost."


def error_sentence(error: BaseException, log: logging.Logger) -> str:
    """Return an error's own sentence; what is not ours is logged with its traceback."""
    while isinstance(error, EmitLoopError) and error.__cause__ is not None:
        error = error.__cause__  # what an observer raised
    if isinstance(error, NapariUnetError):
        return str(error)
    log.error("The session failed", exc_info=error)
    first_line = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    return UNEXPECTED.format(first_line)
