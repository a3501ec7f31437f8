"""Threads for work on large arrays, most of which numpy and scipy do without Python's lock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["in_threads"]

Item = TypeVar("Item")
Result = TypeVar("Result")

LEAST = 2**19  # pixels; for less, threads cost more than they spare (measured at 512 x 512)


def in_threads(work: Callable[[Item], Result], items: Sequence[Item], pixels: int) -> list[Result]:
    """Return what a function makes of each item, in a thread each where there are many pixels."""
    if len(items) < 2 or pixels < LEAST:
        return [work(item) for item in items]
    with ThreadPoolExecutor(len(items), "napari-unet objects") as threads:
        return list(threads.map(work, items))
