"""Read a JSON file of a stranger, within bounds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any  # JSON values: whoever reads them checks their types

from napari_unet.core.errors import InputError

__all__ = ["read_json"]

# A file of outlines is smaller; parsed, it takes about ten times as much memory (chosen).
MAX_BYTES = 2**29


def read_json(path: Path, largest: int | None = None) -> Any:
    """Return what a JSON file holds; `largest` is how many bytes it may have, else `MAX_BYTES`.

    Raises
    ------
    InputError
        If it is too large, nested too deeply, or no JSON.
    """
    largest = MAX_BYTES if largest is None else largest
    if path.stat().st_size > largest:
        raise InputError(f"{path.name} is larger than {largest >> 20} MB; split it.")
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        said = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise InputError(f"{path.name} cannot be read as JSON: {said}.") from error
