"""Files that say which running process uses another file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import psutil

__all__ = ["has_other_owner", "is_locked", "lock", "unlock"]


def lock(path: Path) -> bool:
    """Take a file for this process; False if a running one has it already.

    Raises
    ------
    OSError
        If the lock cannot be written.
    """
    beside = _beside(path)
    if is_locked(path):
        return False
    beside.unlink(missing_ok=True)  # of a process that is dead
    try:
        descriptor = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:  # another was faster
        return False
    with os.fdopen(descriptor, "w") as file:
        json.dump({"pid": os.getpid(), "started": psutil.Process().create_time()}, file)
    return True


def unlock(path: Path) -> None:
    """Give a file up."""
    _beside(path).unlink(missing_ok=True)


def is_locked(path: Path) -> bool:
    """Whether a running process, this one or another, has a file."""
    return _owner(path) is not None


def has_other_owner(path: Path) -> bool:
    """Whether another running process has a file."""
    return _owner(path) not in (None, os.getpid())


def _owner(path: Path) -> int | None:
    """The process of a lock; a number that went to another process since is not it."""
    try:
        said = json.loads(_beside(path).read_text())
        pid, started = int(said["pid"]), float(said["started"])
        is_it = abs(psutil.Process(pid).create_time() - started) < 1.0
        is_dead = psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except (OSError, ValueError, TypeError, KeyError, RecursionError, psutil.Error):
        return None
    return pid if is_it and not is_dead else None


def _beside(path: Path) -> Path:
    return path.with_name(path.name + ".lock")
