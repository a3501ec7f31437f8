"""Many images in the background: `napari-unet segment` in a process of its own, followed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from napari_unet.session.pair import ObjectSettings

__all__ = ["BatchRun", "batch_command"]

# What `napari_unet.commands.console.progress_bar` writes where there is no terminal.
BAR = re.compile(r"Segmenting:\s+(\d+)%\|.*\| (\d+)/(\d+) images, (\S+) left(?:, (.*))?")
BEGIN = (
    "import json, sys; paths, *words = json.loads(sys.argv[1]); sys.path[:] = paths; "
    "from napari_unet.cli import main; sys.exit(main(words))"
)
OURS = "napari-unet: "  # before each sentence of the command
PROGRESS_EVERY_S = "0.5"
GRACE_S = 10.0


def batch_command(
    source: Path,
    out: Path,
    model: str,
    *,
    recursive: bool = False,
    again: bool = False,
    diameter: float | None = None,
    settings: ObjectSettings | None = None,
) -> list[str]:
    """Return the words of `napari-unet segment` for a run, without the program's name.

    Parameters
    ----------
    source, out : Path
        A folder, or an OME-Zarr; and where its labels go.
    model : str
        Name or path.
    recursive, again : bool
        As the options of the command.
    diameter : float, optional
        Of the objects of all images, in pixels; None measures it in each.
    settings : ObjectSettings, optional
        How objects are made, as far as it was chosen.
    """
    words = ["segment", str(source), "-o", str(out), "--model", model]
    words += ["--recursive"] * recursive + ["--again"] * again
    words += [] if diameter is None else ["--diameter", f"{diameter:g}"]
    chosen = {} if settings is None else {
        "--threshold": settings.threshold,
        "--min-size": settings.min_size,
        "--split": settings.split,
    }  # fmt: skip
    for option, value in chosen.items():
        if value is not None:
            words += [option, f"{value:g}"]
    return words


class BatchRun:
    """One run; `pump` is called every now and then and never waits.

    Attributes
    ----------
    finished : bool
    fraction : float
        How much of it is done.
    text : str
        How many images are done, the time that is left, and which one is worked on.
    problems : list of str
        What was wrong, a sentence for each bad image.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.finished = self.cancelled = False
        self.fraction, self.text = 0.0, "starting"
        self.problems: list[str] = []
        self.done = 0
        self._lines: deque[str] = deque()
        flags = 0
        if sys.platform == "win32":  # no console window; the viewer comes first
            flags = subprocess.CREATE_NO_WINDOW | subprocess.BELOW_NORMAL_PRIORITY_CLASS
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", BEGIN, json.dumps([[str(p) for p in sys.path], *words])],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "NAPARI_UNET_PROGRESS_S": PROGRESS_EVERY_S, "PYTHONUNBUFFERED": "1"},
            creationflags=flags,
            encoding="utf-8",
            errors="replace",
        )
        self._streams = [one for one in (self._process.stdout, self._process.stderr) if one]
        self._threads = [
            threading.Thread(target=self._read, args=(one,), name="napari-unet batch", daemon=True)
            for one in self._streams
        ]
        for thread in self._threads:
            thread.start()

    @property
    def sentence(self) -> str:
        """What is told to the user at the end."""
        if self.cancelled:
            return "Stopped; the same run goes on where it was."
        count = f"{self.done} image{'s' * (self.done != 1)}"
        if self._process.returncode and not self.problems:
            return "The run ended before its time; start it again, it goes on where it was."
        if not self.problems:
            return f"{count} segmented."
        return f"{count} segmented. {self.problems[-1]}"

    def cancel(self) -> None:
        """Stop; what is done stays."""
        self.cancelled = True
        self._process.terminate()

    def close(self) -> None:
        """Stop and wait for the process to end."""
        if self._process.poll() is None:
            self.cancel()
            try:
                self._process.wait(GRACE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        for thread, stream in zip(self._threads, self._streams, strict=True):
            thread.join(GRACE_S)
            stream.close()

    def pump(self) -> bool:
        """Take what has come; return whether there was anything."""
        is_read = not any(thread.is_alive() for thread in self._threads)
        has_ended = is_read and self._process.poll() is not None
        has_news = bool(self._lines)
        while self._lines:
            self._take(self._lines.popleft())
        if has_ended and not self.finished:
            self.finished = has_news = True
            self.close()
        return has_news

    def _take(self, line: str) -> None:
        bar = BAR.search(line)
        if bar is not None:
            percent, done, total, left, name = bar.groups()
            self.fraction = int(percent) / 100
            self.text = f"{done} of {total} images, {left} left" + (f", {name}" if name else "")
        elif line.startswith(OURS):
            self.problems.append(line.removeprefix(OURS))
        elif ", written to " in line:
            self.done += 1

    def _read(self, stream: IO[str]) -> None:
        for line in stream:  # a bar that is drawn anew is a line too
            if line.strip():
                self._lines.append(line.rstrip("\n"))
