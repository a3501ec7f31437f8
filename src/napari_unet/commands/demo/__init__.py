"""`napari-unet demo`: the loop on a sample image, with figures and a report."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from napari_unet.commands.console import say
from napari_unet.commands.demo.loop import SAMPLES, DemoResult, DemoSettings, run_loop
from napari_unet.commands.demo.report import closing_lines, write_all
from napari_unet.commands.learning import budget_seconds, stop_key
from napari_unet.core.errors import InputError
from napari_unet.core.model_file import load_model

__all__ = ["run"]


def run(args: argparse.Namespace) -> int:
    """Go through the loop, write what came of it, say how it went; 1 if nothing was learnt."""
    settings = DemoSettings(
        sample=args.sample,
        model=args.model,
        seconds=budget_seconds(args),
        steps=args.steps,
        seed=args.seed,
        device=args.device,
        precision=args.precision,
    )
    folder = _ready_folder(args.out)
    if args.view:
        from napari_unet.commands.view import check_viewer  # optional parts

        check_viewer()
    model = load_model(settings.model)
    with stop_key() as stop:
        result = run_loop(settings, model, stop)
    card = replace(result.taught.card, name="taught", title=f"Taught on {settings.sample}")
    result = replace(result, taught=replace(result.taught, card=card))
    write_all(folder, settings, result)
    for line in closing_lines(settings, result, folder):
        say(line)
    if args.view:
        _view(settings, result)
    return 0 if result.has_risen else 1


def _ready_folder(name: str) -> Path:
    folder = Path(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"The folder {folder} cannot be made: {reason}.") from error
    return folder


def _view(settings: DemoSettings, result: DemoResult) -> None:
    """Show the same in napari: image, before, corrected, checked area, after."""
    import napari  # optional, and slow

    from napari_unet.commands.view import open_viewer

    viewer = open_viewer()
    viewer.add_image(result.image, name=SAMPLES[settings.sample].noun)
    viewer.add_labels(result.before, name="before", visible=False)
    viewer.add_labels(result.correction.labels, name="corrected", visible=False)
    checked = result.correction.checked.astype("uint8")
    viewer.add_labels(checked, name="checked area", opacity=0.3, visible=False)
    viewer.add_labels(result.after, name="after")
    napari.run()
