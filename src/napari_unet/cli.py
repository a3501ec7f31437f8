"""The command `napari-unet`: runs what the options ask for, turns errors into sentences."""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence

from napari_unet.commands.parser import WRONG_USE, build_parser
from napari_unet.core.errors import InputError, ModelFileError, NapariUnetError

__all__ = ["main"]

DONE, OUR_FAILURE, STOPPED = 0, 1, 130
WRONG_FILES = (FileNotFoundError, PermissionError, FileExistsError, IsADirectoryError)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return 0 when done, 2 for wrong use or bad input, 1 if we failed."""
    parser = build_parser()
    try:
        args = parser.parse_args(argv)
    except SystemExit as end:  # argparse ends the program: for --help, and for wrong use
        return end.code if isinstance(end.code, int) else WRONG_USE
    try:
        command = importlib.import_module(f"napari_unet.commands.{args.module}")
        code: int = command.run(args)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return _end("stopped.", STOPPED)
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:  # the last resort: a sentence instead of a traceback
        if args.debug:
            traceback.print_exc()
        return _end(*_sentence(error))


def _sentence(error: Exception) -> tuple[str, int]:
    """What to tell the user, and the exit code."""
    if isinstance(error, InputError | ModelFileError):
        return str(error), WRONG_USE
    if isinstance(error, NapariUnetError):
        return str(error), OUR_FAILURE
    if isinstance(error, OSError) and error.strerror:
        where = f" {error.filename}" if error.filename else ""
        is_theirs = isinstance(error, WRONG_FILES)
        return f"The file{where} cannot be used: {error.strerror}.", (
            WRONG_USE if is_theirs else OUR_FAILURE
        )
    if isinstance(error, MemoryError):
        return "There is not enough memory; give smaller images.", OUR_FAILURE
    said = " ".join(f"{type(error).__name__}: {error}".split())
    return f"Something went wrong that should not ({said}); run it with --debug.", OUR_FAILURE


def _end(sentence: str, code: int) -> int:
    sys.stderr.write(f"napari-unet: {sentence}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
