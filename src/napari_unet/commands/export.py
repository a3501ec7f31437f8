"""`napari-unet models export`: a model for other programs."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_unet.commands.console import say, say_aside
from napari_unet.core.errors import InputError
from napari_unet.core.files import write_beside
from napari_unet.core.library import find_model

if TYPE_CHECKING:
    from napari_unet.core.model_file import Model
    from napari_unet.formats.bioimageio import Contents

__all__ = ["export_model"]

ENDINGS = {"torchscript": ".pt", "onnx": ".onnx", "bioimageio": ".zip"}


def export_model(args: argparse.Namespace) -> None:
    """Write the model in another format, after a check that it computes the same.

    Raises
    ------
    InputError
        If the ending is another, the file would replace the model, or it cannot be written.
    """
    from napari_unet.core import export  # torch: not needed to list models
    from napari_unet.core.model_file import load_model

    out, source = Path(args.out), find_model(args.model)
    if out.suffix.lower() != ENDINGS[args.format]:
        raise InputError(f"{args.format} is written to a file ending in {ENDINGS[args.format]}.")
    if args.format == "bioimageio" and not (args.author and args.licence):
        raise InputError(
            "A BioImage.IO package names its authors and the licence of the weights; give "
            "--author NAME and --licence, such as CC-BY-4.0 or BSD-3-Clause."
        )
    model = load_model(args.model)
    model.must_be_ours("exported")
    try:
        if args.format == "torchscript":
            write_beside(out, export.to_torchscript(model))
        elif args.format == "onnx":
            write_beside(out, export.to_onnx(model))
        else:
            _write_package(out, model, source, args.author, args.licence)
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"The model could not be written to {out}: {reason}.") from error
    say(f"{args.model} was written to {out} as {args.format}.")


def _write_package(out: Path, model: Model, source: Path, authors: list[str], licence: str) -> None:
    from napari_unet.formats.bioimageio import write_package

    contents = _contents(model, source)
    write_package(out, model.config, model.card, contents, authors=authors, licence=licence)


def _contents(model: Model, source: Path) -> Contents:
    import torch  # slow

    from napari_unet.core import export
    from napari_unet.formats.bioimageio import Contents

    try:
        onnx = export.to_onnx(model)
    except InputError as error:
        say_aside(f"napari-unet: The package has no ONNX weights. {error}")
        onnx = None
    image, normalised = _test_image(model)
    cover = source.with_suffix(".png")
    return Contents(
        model=source.read_bytes(),
        state_dict=export.to_state_dict(model),
        torchscript=export.to_torchscript(model),
        onnx=onnx,
        source=export.architecture_source(model),
        torch_version=torch.__version__.partition("+")[0],
        onnx_opset=export.OPSET,
        test_input=image,
        test_output=export.probabilities(model, normalised),
        cover=cover.read_bytes() if cover.is_file() else None,
    )


def _test_image(model: Model) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return drawn nuclei of a legal size, (1, C, [Z,] Y, X), as they come and normalised."""
    from napari_unet.core.drawn import nuclei
    from napari_unet.core.normalize import normalize
    from napari_unet.core.tiling import network_geometries

    *slow, along_y, along_x = network_geometries(model.config)
    least = 64 if slow else 256
    side = along_y.patch_side(max(least, 2 * max(along_y.halo, along_x.halo) + 1))
    channels = [nuclei((side, side), seed)[0] for seed in range(model.config.in_channels)]
    image = np.stack(channels).astype(np.float32)
    for geometry in slow:  # of a volume: brightest in the middle plane
        depth = geometry.patch_side(2 * geometry.halo + 1)
        image = image[:, None] * np.hanning(depth + 2)[1:-1, None, None].astype(np.float32)
    return image[None], normalize(image, model.config.percentiles)[None]
