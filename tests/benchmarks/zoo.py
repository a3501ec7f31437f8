"""Packages as a stranger makes them, in Segment against bioimageio.core.

A plain U-Net of torch, written here, learns discs of noise for some seconds; bioimageio.spec packs
it: as TorchScript in 0.5, as ONNX in 0.5 with percentiles, as TorchScript in 0.4; all answer with
foreground
and boundary. None of our code makes the packages. Each is tested by bioimageio.core, taken in and
segmented by `napari-unet`; its probabilities are compared with those of bioimageio.core, and the
objects that the same steps make of both.

python tests/benchmarks/zoo.py [--steps 200]

Needs bioimageio.core, onnx and onnxruntime.
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import os
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import Any  # descriptions are YAML

import numpy as np
import tifffile
import torch
import yaml
from bioimageio.core import create_prediction_pipeline, load_model_description, test_model
from bioimageio.core.digest_spec import create_sample_for_model
from bioimageio.spec import save_bioimageio_package
from bioimageio.spec.model import v0_5 as spec
from numpy.typing import NDArray
from package import objects
from torch import nn

os.environ.setdefault("NAPARI_UNET_HOME", tempfile.mkdtemp())  # the user's own models stay apart
from napari_unet import cli  # after the line above
from napari_unet.core import load_model
from napari_unet.core.metrics import score
from napari_unet.core.predict import predict_plane

SIDE = 256
HALO = 16
BORDER = 32  # pixels; along it each program continues the image in its own way
ALLOWED = 1e-4


class Plain(nn.Module):
    """A U-Net of three levels with padded convolutions, as tutorials write it."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()

        def block(ins: int, outs: int) -> nn.Sequential:
            return nn.Sequential(
                nn.Conv2d(ins, outs, 3, padding=1), nn.ReLU(),
                nn.Conv2d(outs, outs, 3, padding=1), nn.ReLU(),
            )  # fmt: skip

        self.one, self.two, self.three = (
            block(1, width), block(width, 2 * width), block(2 * width, 4 * width),
        )  # fmt: skip
        self.up_two, self.up_one = block(6 * width, 2 * width), block(3 * width, width)
        self.last = nn.Conv2d(width, 2, 1)
        self.pool = nn.MaxPool2d(2)
        self.wider = nn.Upsample(scale_factor=2.0)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        one = self.one(image)
        two = self.two(self.pool(one))
        three = self.three(self.pool(two))
        two = self.up_two(torch.cat([self.wider(three), two], 1))
        one = self.up_one(torch.cat([self.wider(two), one], 1))
        return torch.sigmoid(self.last(one))


def scene(seed: int, side: int = SIDE) -> tuple[NDArray[np.uint16], NDArray[np.float32]]:
    """Draw discs in noise, and where they and their edges are."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    image = rng.normal(500, 25, (side, side))
    inside, edge = np.zeros((side, side), bool), np.zeros((side, side), bool)
    for _ in range(side**2 // 1600):
        y, x, radius = *rng.uniform(0, side, 2), rng.uniform(7, 13)
        distance = np.hypot(rows - y, columns - x)
        disc = distance < radius
        edge = (edge & ~disc) | (np.abs(distance - radius) < 1.5)
        image[disc & ~inside] += rng.uniform(300, 900)
        inside |= disc
    image = np.clip(image, 0, 65535).astype(np.uint16)
    return image, np.stack([inside & ~edge, edge]).astype(np.float32)


def learnt(prepare: Any, steps: int) -> Plain:
    """Train one network on drawn scenes."""
    torch.manual_seed(0)
    network = Plain()
    optimiser = torch.optim.Adam(network.parameters(), 2e-3)
    for step in range(steps):
        image, truth = scene(step, 128)
        answer = network(torch.from_numpy(prepare(image))[None, None])
        loss = nn.functional.binary_cross_entropy(answer, torch.from_numpy(truth)[None])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    print(f"loss of the last of {steps} scenes {loss.item():.3f}")
    return network.eval()


def standardised(image: NDArray[Any]) -> NDArray[np.float32]:
    """Zero mean and unit variance."""
    return ((image - image.mean()) / (image.std() + 1e-6)).astype(np.float32)


def stretched(image: NDArray[Any]) -> NDArray[np.float32]:
    """Percentiles 1 and 99.8 to 0 and 1."""
    low, high = np.percentile(image, (1.0, 99.8))
    return ((image - low) / (high - low + 1e-6)).astype(np.float32)


def pack(folder: Path, network: Plain, kind: str, prepare: Any) -> Path:
    """Write a package of 0.5 with bioimageio.spec."""
    folder.mkdir()
    image, _ = scene(1000)
    image = image.astype(np.float32)
    with torch.no_grad():
        answer = network(torch.from_numpy(prepare(image))[None, None]).numpy()
    np.save(folder / "test_in.npy", image[None, None])
    np.save(folder / "test_out.npy", answer)
    (folder / "README.md").write_text("# Discs\nFinds discs. ## Validation\nBy eye.\n")
    weights = spec.WeightsDescr(**written(folder, network, kind))
    size = spec.ParameterizedSize(min=64, step=16)
    axes = [spec.SpaceInputAxis(id=spec.AxisId(name), size=size) for name in "yx"]
    channel = [spec.Identifier("raw")]
    steps: list[Any] = [
        spec.ZeroMeanUnitVarianceDescr(
            kwargs=spec.ZeroMeanUnitVarianceKwargs(axes=["channel", "y", "x"])
        )
        if prepare is standardised
        else spec.ScaleRangeDescr(
            kwargs=spec.ScaleRangeKwargs(
                axes=["channel", "y", "x"], min_percentile=1.0, max_percentile=99.8
            )
        )
    ]
    outputs = [
        spec.SpaceOutputAxisWithHalo(
            id=spec.AxisId(name),
            halo=HALO,
            size=spec.SizeReference(tensor_id=spec.TensorId("input0"), axis_id=spec.AxisId(name)),
        )
        for name in "yx"
    ]
    names = [spec.Identifier(name) for name in ("foreground", "boundary")]
    described = spec.ModelDescr(
        name=f"Discs {kind}",
        description="Finds discs and their boundaries.",
        authors=[spec.Author(name="A. Stranger")],
        cite=[spec.CiteEntry(text="nowhere", url=spec.HttpUrl("https://example.com"))],
        license=spec.LicenseId("CC-BY-4.0"),
        documentation=spec.FileDescr(source=folder / "README.md"),
        inputs=[
            spec.InputTensorDescr(
                id=spec.TensorId("input0"),
                axes=[spec.BatchAxis(), spec.ChannelAxis(channel_names=channel), *axes],
                test_tensor=spec.FileDescr(source=folder / "test_in.npy"),
                preprocessing=steps,
            )
        ],
        outputs=[
            spec.OutputTensorDescr(
                id=spec.TensorId("output0"),
                axes=[spec.BatchAxis(), spec.ChannelAxis(channel_names=names), *outputs],
                test_tensor=spec.FileDescr(source=folder / "test_out.npy"),
            )
        ],
        weights=weights,
    )
    return Path(save_bioimageio_package(described, output_path=folder.with_suffix(".zip")))


def written(folder: Path, network: Plain, kind: str) -> dict[str, Any]:
    """Write the weights, and say what they are."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch says that TorchScript is old; the zoo is full of it
        if kind == "torchscript":
            torch.jit.script(network).save(str(folder / "weights.pt"))
            version = spec.Version(torch.__version__.partition("+")[0])
            found = spec.TorchscriptWeightsDescr(
                source=folder / "weights.pt", pytorch_version=version
            )
            return {kind: found}
        free = {name: {0: "b", 2: "y", 3: "x"} for name in ("raw", "answer")}
        torch.onnx.export(
            network, (torch.zeros(1, 1, 64, 64),), str(folder / "weights.onnx"), dynamo=False,
            input_names=["raw"], output_names=["answer"], dynamic_axes=free, opset_version=17,
        )  # fmt: skip
    return {kind: spec.OnnxWeightsDescr(source=folder / "weights.onnx", opset_version=17)}


def pack_0_4(folder: Path, like: Path) -> Path:
    """Write what a package of 0.5 holds in the format before, by hand as it was then written."""
    with zipfile.ZipFile(like) as archive:
        archive.extractall(folder)
    size = {"min": [1, 1, 64, 64], "step": [0, 0, 16, 16]}
    steps = [{"name": "zero_mean_unit_variance", "kwargs": {"mode": "per_sample", "axes": "cyx"}}]
    ranges = {"data_type": "float32", "data_range": ["-inf", "inf"]}
    reference = {
        "reference_tensor": "input0", "scale": [1.0, 0.0, 1.0, 1.0], "offset": [0.0, 1.0, 0.0, 0.0],
    }  # fmt: skip
    values = {
        "format_version": "0.4.9",
        "type": "model",
        "name": "Discs of 0.4",
        "description": "Finds discs and their boundaries.",
        "authors": [{"name": "A. Stranger"}],
        "cite": [{"text": "nowhere", "url": "https://example.com"}],
        "license": "CC-BY-4.0",
        "documentation": "README.md",
        "timestamp": "2022-01-01T00:00:00",
        "inputs": [
            {"name": "input0", "axes": "bcyx", "shape": size, "preprocessing": steps, **ranges}
        ],
        "outputs": [
            {
                "name": "output0", "axes": "bcyx", "shape": reference, "halo": [0, 0, HALO, HALO],
                **ranges,
            }
        ],
        "test_inputs": ["test_in.npy"],
        "test_outputs": ["test_out.npy"],
        "weights": {"torchscript": {"source": "weights.pt"}},
    }  # fmt: skip
    target = folder.with_suffix(".zip")
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("rdf.yaml", yaml.safe_dump(values))
        for name in ("weights.pt", "test_in.npy", "test_out.npy", "README.md"):
            archive.write(folder / name, name)
    return target


def compare(package: Path, image: NDArray[Any], folder: Path) -> bool:
    """Print what bioimageio.core and `napari-unet` make of a package; whether they agree."""
    summary = test_model(package)
    failed = [
        f"{detail.name}: {error.msg}" for detail in summary.details for error in detail.errors
    ]
    name = package.stem.replace("_", "-")
    done = cli.main(["models", "import", str(package), "--name", name])
    tifffile.imwrite(folder / "image.tif", image)
    labels = folder / f"{name}.tif"
    done |= cli.main(["segment", str(folder / "image.tif"), "-o", str(labels), "--model", name,
                      "--device", "cpu", "--precision", "float32"])  # fmt: skip
    if done:
        return False
    model = load_model(name)
    described = load_model_description(package)
    float_image = image.astype(np.float32)[None, None]
    ours = predict_plane(image[None].astype(np.float32), model, precision="float32")
    labels_of_ours = tifffile.imread(labels)
    print(f"{package.name}: bioimageio.core {summary.status} {'; '.join(failed)}")
    errors = []
    for way, whole in (("as a whole", True), ("continued", False)):
        sample = create_sample_for_model(described, inputs={"input0": float_image})
        found = create_prediction_pipeline(described).predict_sample_without_blocking(
            sample, skip_input_padding=whole, skip_output_cropping=whole
        )
        theirs = classes(np.asarray(next(iter(found.members.values())).data)[0])
        error = np.abs(ours - theirs)
        errors.append(float(error[:, BORDER:-BORDER, BORDER:-BORDER].max()))
        reference = objects(theirs, model)
        scores = score(reference, labels_of_ours).average_precision
        print(
            f"  {way:10}  {reference.max()} objects, AP {scores[0.5]:.3f} / {scores[0.9]:.3f} at "
            f"IoU 0.5 / 0.9; probabilities off by {error.max():.1e}, {errors[-1]:.1e} in from "
            f"{BORDER} pixels off the border"
        )
    return summary.status == "passed" and errors[0] < ALLOWED


def classes(answer: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return what is background and what is cell, of foreground and boundary."""
    inside = answer[0] * (1 - answer[1])
    return np.stack([1 - inside, inside])


def main() -> int:
    """Print a line for each package; 1 where one fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=200)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        one = learnt(standardised, args.steps)
        first = pack(folder / "script", one, "torchscript", standardised)
        packages = [
            first,
            pack(folder / "onnx", learnt(stretched, args.steps), "onnx", stretched),
            pack_0_4(folder / "older", first),
        ]
        image, _ = scene(2000, 512)
        good = [compare(package, image, folder) for package in packages]
        return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
