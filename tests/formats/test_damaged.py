"""Damaged files of every format: read, or refused in one sentence, whatever byte is wrong."""

from __future__ import annotations

import random
import warnings
import zipfile

import numpy as np
import pytest

from napari_unet.core.errors import InputError
from napari_unet.formats.labels import read_labels, write_labels

pytest.importorskip("roifile")
SHAPE = (20, 24)
TRIES = 100


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """One good file of each format, by its ending."""
    folder = tmp_path_factory.mktemp("good")
    labels = np.random.default_rng(0).integers(0, 3, SHAPE).astype(np.int32)
    labels[5:12, 5:12], labels[7:9, 7:9] = 7, 0
    for ending in (".tif", ".png", ".zip", ".geojson", ".json"):
        write_labels(folder / f"a{ending}", labels)
    np.save(folder / "a.npy", {"masks": labels, "other": [1, "b"]}, allow_pickle=True)
    with zipfile.ZipFile(folder / "a.zip") as archive:
        (folder / "a.roi").write_bytes(archive.read(archive.namelist()[-1]))
    return {path.suffix: path.read_bytes() for path in folder.iterdir()}


def damaged(content: bytes, draw: random.Random) -> bytes:
    """Change some bytes, and cut the file off now and then."""
    raw = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 5, 20))):
        at = draw.randrange(len(raw))
        raw[at] = draw.choice((0, 255, draw.randrange(256), raw[at] ^ 1, raw[at] ^ 128))
    return bytes(raw[: draw.randrange(len(raw))] if draw.random() < 0.2 else raw)


@pytest.mark.parametrize("ending", [".tif", ".png", ".zip", ".roi", ".geojson", ".json", ".npy"])
def test_a_damaged_file_is_read_or_refused_in_one_sentence(tmp_path, files, ending):
    draw = random.Random(ending)
    path = tmp_path / f"a{ending}"
    refused = []
    for _ in range(TRIES):
        path.write_bytes(damaged(files[ending], draw))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of decoders, on what they stumble over
            try:
                read_labels(path, SHAPE)
            except InputError as error:
                refused.append(str(error))
    assert refused
    assert not [sentence for sentence in refused if "\n" in sentence]
