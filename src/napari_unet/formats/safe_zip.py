"""Read a zip file of a stranger: nothing is unpacked to the disk, and nothing grows without end."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from napari_unet.core.errors import InputError

__all__ = ["MAX_TOTAL_BYTES", "entry_names", "read_zip"]

# Bounds of what is read from one zip file (chosen: far above any set of outlines).
MAX_ENTRIES = 200_000
MAX_ENTRY_BYTES = 2**26
MAX_TOTAL_BYTES = 2**30

# What outlines and packages are packed with. zipfile unpacks the others in one go, and a kilobyte
# of bzip2 or LZMA unpacks to gigabytes.
PACKED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

# What zipfile raises of damaged and of encrypted files; ValueError of names that are no text.
DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    OSError,
    ValueError,
)


def entry_names(path: Path) -> list[str]:
    """Return the names of all entries.

    Raises
    ------
    InputError
        If it is no zip file, or is damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except DAMAGED as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(f"{path.name} cannot be read as a zip file: {' '.join(str(error).split())}.")


def read_zip(path: Path, suffix: str, *, largest: int | None = None) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the entries whose names have an ending, in their order.

    Names are only told, never used as paths. No entry may hold more bytes than `largest`,
    which is `MAX_ENTRY_BYTES` where it is not given.

    Raises
    ------
    InputError
        If it is no zip file, is damaged, encrypted or packed by bzip2 or LZMA, or holds more than
        the bounds above.
    """
    largest = MAX_ENTRY_BYTES if largest is None else largest
    total = 0
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [one for one in archive.infolist() if one.filename.lower().endswith(suffix)]
            if len(entries) > MAX_ENTRIES:
                raise InputError(
                    f"{path.name} holds {len(entries):,} entries; at most {MAX_ENTRIES:,} are read."
                )
            for entry in entries:
                if entry.compress_type not in PACKED:
                    raise InputError(
                        f"{path.name} is packed in a way that is not read (method "
                        f"{entry.compress_type}); pack it again as a usual zip file."
                    )
                with archive.open(entry) as file:
                    content = file.read(largest + 1)  # what is declared may be a lie
                total += len(content)
                if len(content) > largest or total > MAX_TOTAL_BYTES:
                    raise InputError(
                        f"{path.name} unpacks to more than "
                        f"{MAX_TOTAL_BYTES >> 20} MB, or one of its entries to more than "
                        f"{largest >> 20} MB; it is not read."
                    )
                yield entry.filename, content
    except InputError:
        raise
    except DAMAGED as error:
        raise _unreadable(path, error) from error
