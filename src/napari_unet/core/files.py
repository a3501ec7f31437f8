"""Files are written beside and renamed: nobody ever meets half of one."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["write_beside"]


def write_beside(path: Path, content: bytes) -> None:
    """Write a file beside `path`, wait until it is on the disk, and rename it into place.

    Its folder is made if need be.

    Raises
    ------
    OSError
        If that fails; `path` is as it was then.
    """
    beside = path.with_name(f".{path.stem}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
