"""How work in a worker ends badly, in sentences for the person at the screen."""

from __future__ import annotations

import logging

from napari_unet.core.errors import ComputeError, NapariUnetError, OutOfMemoryError

__all__ = [
    "CLOSED",
    "NOT_BEGUN",
    "JobCancelledError",
    "WorkerDiedError",
    "as_sentence",
    "worker_died",
]

NOT_BEGUN = "The job was stopped before it began."
CLOSED = "The job was stopped because its runner was closed."
_log = logging.getLogger(__name__)


class JobCancelledError(NapariUnetError):
    """The job was stopped on request before it had a result; nothing is wrong."""


class WorkerDiedError(NapariUnetError):
    """The worker process ended while it computed; the next job gets a new one."""


def as_sentence(error: Exception) -> NapariUnetError:
    """Return the error as one of ours; those of others are logged with their traceback."""
    if isinstance(error, NapariUnetError):
        return error
    _log.error("A job failed", exc_info=error)
    if isinstance(error, MemoryError):
        return OutOfMemoryError(
            "There was not enough memory; close other programs or use a smaller image."
        )
    first_line = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    if isinstance(error, ImportError):
        return ComputeError(f"A library could not be loaded ({first_line}); install it again.")
    return ComputeError(f"The computation failed ({first_line}); the log tells more.")


def worker_died(exit_code: int | None) -> WorkerDiedError:
    """Say how the worker process ended; a negative exit code is that of a signal."""
    how = "for an unknown reason" if exit_code is None else f"exit code {exit_code}"
    if exit_code is not None and exit_code < 0:
        how = f"killed, signal {-exit_code}"
        if exit_code == -9:
            how += ": often the computer ran out of memory"
    return WorkerDiedError(
        f"The worker process ended unexpectedly ({how}). Click again; nothing you painted is lost."
    )
