"""Tables out: CSV, and Parquet where pyarrow is there."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any  # columns of any dtype

from numpy.typing import NDArray

from napari_unet.core.errors import InputError
from napari_unet.core.files import write_beside

__all__ = ["TABLE_SUFFIXES", "Columns", "write_table"]

TABLE_SUFFIXES = (".csv", ".parquet")
Columns = Mapping[str, NDArray[Any]]


def write_table(path: str | Path, columns: Columns) -> None:
    """Write columns of equal length beside their place, then rename the file into it.

    Parameters
    ----------
    path : str or Path
        Ending in .csv or .parquet.
    columns : mapping of str to ndarray, each of shape (rows,)

    Raises
    ------
    InputError
        If the ending is another, pyarrow is missing, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in TABLE_SUFFIXES:
        raise InputError(f"{path.name} must end in {' or '.join(TABLE_SUFFIXES)}.")
    write = _csv if path.suffix.lower() == ".csv" else _parquet
    try:
        write_beside(path, write(columns))
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"The table could not be written to {path}: {reason}.") from error


def _csv(columns: Columns) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    writer.writerows([_shown(value) for value in row] for row in rows)
    return text.getvalue().encode()


def _shown(value: Any) -> Any:
    """Numbers to nine digits; a text that a spreadsheet would run as a formula is quoted."""
    if isinstance(value, float):
        return f"{value:.9g}"
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    return value


def _parquet(columns: Columns) -> bytes:
    try:
        import pyarrow  # optional
        import pyarrow.parquet
    except ImportError as error:
        raise InputError(
            "Parquet needs pyarrow; write .csv, or install it with: "
            'pip install "napari-unet-interactive[parquet]".'
        ) from error
    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(dict(columns)), out)
    return out.getvalue()
