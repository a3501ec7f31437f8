"""`napari-unet models`: what models there are, what is known of one; take in, prune, export."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import textwrap
from pathlib import Path

from napari_unet.commands.console import say, table
from napari_unet.commands.export import export_model
from napari_unet.commands.pruning import prune_model
from napari_unet.core.config import ModelCard, ModelConfig
from napari_unet.core.errors import InputError
from napari_unet.core.library import (
    available_models,
    bundled_models_dir,
    find_model,
    read_model_header,
    user_model_file,
    user_models_dir,
)
from napari_unet.engine.process import ProcessRunner
from napari_unet.engine.tasks import ImportTask

__all__ = ["import_model", "run"]


def run(args: argparse.Namespace) -> int:
    """List, show, import, prune or export."""
    if args.action == "show":
        _show(args.model, args.json)
    elif args.action == "import":
        path = import_model(Path(args.file), args.name, force=args.force)
        say(f"The model is now called {path.stem}; it was copied to {path}.")
    elif args.action == "prune":
        prune_model(args)
    elif args.action == "export":
        export_model(args)
    else:
        _list(args.json)
    return 0


def import_model(file: Path, name: str | None = None, *, force: bool = False) -> Path:
    """Copy a model file to the user's models, after a look at what it says of itself.

    A .zip file is taken for a package of BioImage.IO; see `napari_unet.formats.zoo`.

    Raises
    ------
    ModelFileError
        If it is no model of ours.
    InputError
        If there is one of that name already, or the name cannot be one of a file.
    """
    if file.suffix.lower() == ".zip":
        return _take_in(file, name or "", force)
    read_model_header(file)
    name = file.stem if name is None else name
    target = user_model_file(name, force=force)
    beside = target.with_name(f".{name}.{os.getpid()}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, beside)
        beside.replace(target)
    except OSError as error:
        raise InputError(
            f"The model could not be copied to {target}: {error.strerror or error}."
        ) from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
    return target


def _take_in(file: Path, name: str, force: bool) -> Path:
    """Take a BioImage.IO package in; what it computes is computed in a process of its own."""
    runner = ProcessRunner()
    try:
        task = ImportTask(str(file), str(user_models_dir()), name, force)
        return Path(runner.submit(task).result())
    finally:
        runner.close()


def _list(as_json: bool) -> None:
    cards = available_models()
    if as_json:
        say(json.dumps([{**_named(card), "path": card.path} for card in cards], indent=2))
        return
    if not cards:
        say("There are no models; train one, or take one in with napari-unet models import FILE.")
        return
    rows = [["name", "title", "AP 0.50", "from"]]
    for card in cards:
        known = card.scores.get("AP 0.50")
        is_ours = Path(card.path).parent == bundled_models_dir()
        rows.append(
            [
                Path(card.path).stem,
                card.title,
                "" if known is None else f"{known:.2f}",
                "the package" if is_ours else "your own",
            ]
        )
    say(table(rows, right=False))


def _show(name: str, as_json: bool) -> None:
    path = find_model(name)
    config, card = read_model_header(path)
    if as_json:
        values = {"card": _named(card), "config": config.to_json(), "path": str(path)}
        say(json.dumps(values, indent=2))
        return
    for key, text in _lines(config, card).items():
        if text:
            start = f"{key + ':':<13}"
            say(textwrap.fill(text, 96, initial_indent=start, subsequent_indent=" " * 13))


def _named(card: ModelCard) -> dict[str, object]:
    """The card, under the name by which the model is loaded."""
    return {**card.to_json(), "name": Path(card.path).stem}


def _lines(config: ModelConfig, card: ModelCard) -> dict[str, str]:
    network = f"{config.architecture}, width {config.width}, depth {config.depth}"
    network += "" if config.norm == "auto" else f", {config.norm} norm"
    size = "" if config.diameter is None else f"; objects of about {config.diameter:.0f} px"
    return {
        "Name": Path(card.path).stem,
        "Title": card.title,
        "Purpose": card.purpose,
        "Takes": f"{config.takes}{size}",
        "Finds": ", ".join(config.classes[1:]),
        "Network": network,
        "Data": card.data,
        "Licence": card.licence,
        "Scores": ", ".join(f"{name} {value:.3g}" for name, value in card.scores.items()),
        "Held out": ", ".join(card.held_out),
        "Fails on": card.failures,
        "Taught from": card.parent,
        "History": "; ".join(card.history),
        "Made": card.created,
        "Command": card.command,
        "File": card.path,
    }
