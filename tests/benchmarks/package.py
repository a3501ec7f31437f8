"""A BioImage.IO package under bioimageio.core: its own test, and objects against ours.

python tests/benchmarks/package.py PACKAGE.zip [IMAGE ...]

Needs bioimageio.core. With images, each is run with the package's weights through bioimageio.core,
as a whole and continued by its halo, which is bioimageio.core's default, and with our own model
file that is in it; objects are made of all by the same steps. Continued by a halo objects at the
border may differ: we mirror less of the image.
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from bioimageio.core import create_prediction_pipeline, load_model_description, test_model
from bioimageio.core.digest_spec import create_sample_for_model
from numpy.typing import NDArray

from napari_unet.core.instances import probability_to_labels
from napari_unet.core.metrics import score
from napari_unet.core.model_file import Model, load_model
from napari_unet.core.predict import predict_plane
from napari_unet.core.tiling import network_geometry
from napari_unet.formats.images import read_image


def main() -> int:
    """Print what bioimageio.core says; 1 where its test fails or objects differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", type=Path)
    parser.add_argument("images", nargs="*", type=Path)
    args = parser.parse_args()
    summary = test_model(args.package)
    for detail in summary.details:
        print(f"{detail.status:8} {detail.name}")
        for error in detail.errors:
            print(f"         {error.msg}")
    print(f"bioimageio.core: {summary.status}")
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(args.package) as archive:
        ours = load_model(archive.extract("model.safetensors", folder))
    aps = [compare(args.package, ours, image) for image in args.images]
    return 0 if summary.status == "passed" and all(ap == 1 for ap in aps) else 1


def compare(package: Path, model: Model, file: Path) -> float:
    """Return the AP at IoU 0.9 of objects by bioimageio.core, with ours as the truth."""
    image, _ = read_image(file)
    height, width = network_fit(model, image.shape)
    image = image[:height, :width].astype(np.float32)
    described = load_model_description(package)
    mine = predict_plane(image[None], model, precision="float32")
    halo = network_geometry(model.config).halo
    print(file.name)
    aps = []
    for name, whole in (("as a whole", True), ("continued", False)):
        sample = create_sample_for_model(described, inputs={"image": image[None, None]})
        found = create_prediction_pipeline(described).predict_sample_without_blocking(
            sample, skip_input_padding=whole, skip_output_cropping=whole
        )
        theirs = np.asarray(found.members["probability"].data)[0]
        scores = score(objects(mine, model), objects(theirs, model))
        error = np.abs(mine - theirs)
        inner = error[:, halo:-halo, halo:-halo].max(initial=0)
        ap = scores.average_precision
        print(
            f"  {name:10}  {scores.n_truth} objects, AP {ap[0.5]:.3f} / {ap[0.9]:.3f} at IoU 0.5 / "
            f"0.9; probabilities off by {error.max():.1e}, beyond the halo {inner:.1e}"
        )
        aps.append(ap[0.9])
    return aps[0]


def network_fit(model: Model, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the largest legal size within an image."""
    grid = network_geometry(model.config).grid
    return tuple(side // grid * grid for side in shape)


def objects(probability: NDArray[np.float32], model: Model) -> NDArray[np.int32]:
    """Make objects as the model's config says."""
    config = model.config
    return probability_to_labels(
        1 - probability[0],
        threshold=config.threshold,
        min_size=config.min_size,
        split=config.split,
        score=config.score,
    )


if __name__ == "__main__":
    sys.exit(main())
