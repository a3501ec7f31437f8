"""What the commands say: results on standard output, progress on standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from tqdm import tqdm

    from napari_unet.core.events import KeptAsideScore, TrainProgress

__all__ = ["follow", "is_first_process", "progress_bar", "say", "say_aside", "table"]

Result = TypeVar("Result")

OFTEN = "NAPARI_UNET_PROGRESS_S"  # how often the dock wants to hear of progress, in seconds


def is_first_process() -> bool:
    """Whether this process speaks and writes: of those that torchrun started the first one does."""
    return os.environ.get("RANK", "0") == "0" or os.environ.get("WORLD_SIZE", "1") == "1"


def say(text: str = "", bar: tqdm[object] | None = None) -> None:
    """Write a line to standard output; above a bar, if one is being shown."""
    if not is_first_process():
        return
    if bar is not None and sys.stderr.isatty():
        bar.write(text, sys.stdout)
    else:
        sys.stdout.write(f"{text}\n")


def say_aside(text: str) -> None:
    """Write a line to standard error, where progress is told."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


@contextmanager
def progress_bar(
    what: str, total: float, unit: str = "", *, begun: float | None = None
) -> Generator[tqdm[object]]:
    """Show a bar on standard error; where that is no terminal, a line now and then.

    With `begun`, how much of it was done before, it also tells the time that is left.
    """
    from tqdm import tqdm  # not needed for help and lists

    tqdm.monitor_interval = 0  # its thread outlives the bar
    is_terminal = sys.stderr.isatty()
    layout = "{desc}: {percentage:3.0f}%|{bar}| {n:.0f}/{total:.0f}{unit}"
    layout += " {postfix}" if begun is None else ", {remaining} left{postfix}"
    bar: tqdm[object] = tqdm(
        desc=what,
        total=total,
        initial=begun or 0,
        smoothing=0.05,
        unit=unit,
        bar_format=layout,
        dynamic_ncols=is_terminal,
        mininterval=0.1 if is_terminal else float(os.environ.get(OFTEN, 10)),
        miniters=0,  # by time alone: a run that goes on begins with a jump
        leave=not is_terminal,
        disable=not is_first_process(),
        file=sys.stderr,
    )
    with bar:
        yield bar


def follow(
    events: Generator[TrainProgress | KeptAsideScore, None, Result],
    what: str,
    history: list[TrainProgress | KeptAsideScore] | None = None,
) -> Result:
    """Run training to its end under a progress bar; return what it returns.

    Parameters
    ----------
    events : generator
        Of `core.train`.
    what : str
        Said before the bar.
    history : list, optional
        Every event is appended to it.
    """
    from napari_unet.core.events import KeptAsideScore  # numpy: not needed for help

    said: dict[str, str] = {}
    with progress_bar(what, 100, "%") as bar:
        while True:
            try:
                event = next(events)
            except StopIteration as end:
                bar.update(100 - bar.n)
                result: Result = end.value
                return result
            if history is not None:
                history.append(event)
            if isinstance(event, KeptAsideScore):
                said["kept aside"] = f"{event.score:.2f}"
            else:
                said["loss"] = f"{event.loss:.3f}"
                bar.update(100 * event.fraction - bar.n)
            bar.set_postfix(said, refresh=False)


def table(rows: list[list[str]], right: bool = True) -> str:
    """Lay rows out in columns; the first column to the left, the others to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for first, *rest in rows:
        cells = [first.ljust(widths[0])]
        for cell, width in zip(rest, widths[1:], strict=True):
            cells.append(cell.rjust(width) if right else cell.ljust(width))
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
