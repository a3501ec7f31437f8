"""A session.json that is damaged, newer or hostile is refused in one sentence."""

import json
from dataclasses import asdict

import pytest

from napari_unet.core.errors import InputError
from napari_unet.session.saved import (
    MOST_BYTES,
    Saved,
    SavedImage,
    SavedSettings,
    SavedVersion,
)
from napari_unet.session.saved_folder import SESSION, read_saved

IMAGE = SavedImage(
    file="cells",
    name="cells",
    relative="../cells.tif",
    absolute="/data/cells.tif",
    size=100,
    shape=(3, 40, 50),
    dtype="|u1",
    checksum="ab",
    axes="TYX",
    channels=(0,),
    pixel_size=(0.5, "µm"),
    typed=12.5,
    classes=("a", "b"),
    colours=("#ee7733", "#0077bb"),
)
VERSIONS = SavedVersion("nuclei-fluorescence", "Nuclei"), SavedVersion("v1", before=0.5, after=0.8)
SAVED = Saved(
    (IMAGE,), SavedSettings(0.6, 30, 0.1, 0.5, 30.0, "flips"), VERSIONS, 1, made_with="0.1.0"
)


def written(folder, values):
    text = values if isinstance(values, str) else json.dumps(values)
    (folder / SESSION).write_text(text, encoding="utf-8")
    return folder


def test_what_is_written_is_read(tmp_path):
    assert read_saved(written(tmp_path, SAVED.to_json())) == SAVED


def test_an_older_session_looks_once(tmp_path):
    values = SAVED.to_json()
    del values["settings"]["average"]
    assert read_saved(written(tmp_path, values)).settings.average == "none"


def with_image(**changes):
    return {**SAVED.to_json(), "images": [asdict(IMAGE) | changes]}


def with_value(**changes):
    return SAVED.to_json() | changes


HOSTILE = {
    "empty": "",
    "truncated": json.dumps(SAVED.to_json())[:200],
    "another file": {"a": 1},
    "a list": [1, 2],
    "nested": "[" * 100_000,
    "long number": '{"napari_unet_session": 1' + "0" * 5000 + "}",
    "another average": with_value(settings=asdict(SAVED.settings) | {"average": "many"}),
    "no version": with_value(napari_unet_session=None),
    "a yes as version": with_value(napari_unet_session=True),
    "negative version": with_value(napari_unet_session=-1),
    "path upwards": with_image(file="../../outside"),
    "absolute path": with_image(file="/etc/passwd"),
    "path of Windows": with_image(file="..\\outside"),
    "drive of Windows": with_image(file="C:outside"),
    "hidden": with_image(file=".saved"),
    "line end": with_image(file="cells\n"),
    "zero byte": with_image(absolute="/data\0"),
    "no name": with_image(file=""),
    "long name": with_image(file="a" * 5000),
    "huge shape": with_image(shape=[10**30, 40, 50]),
    "negative shape": with_image(shape=[-3, 40, 50]),
    "shape of text": with_image(shape=["3", 40, 50]),
    "no shape": with_image(shape=None),
    "many axes": with_image(shape=[1] * 40, axes="A" * 40),
    "axes of another shape": with_image(axes="YX"),
    "size of pixels": with_image(pixel_size=[-1, "µm"]),
    "size of pixels without unit": with_image(pixel_size=3),
    "NaN": json.dumps(with_image(typed=float("nan"))),
    "infinite": json.dumps(with_image(measured=float("inf"))),
    "colour that is none": with_image(colours=["red; url(x)"]),
    "version elsewhere": with_value(versions=[asdict(VERSIONS[0]) | {"file": "../x"}]),
    "no versions": with_value(versions=[]),
    "current that is none": with_value(current=7),
    "two of one file": with_value(images=[asdict(IMAGE)] * 2),
    "too many": with_value(images=[1] * 20_000),
    "threshold": with_value(settings=asdict(SAVED.settings) | {"threshold": 7}),
    "settings": with_value(settings="fast"),
}


@pytest.mark.parametrize("values", HOSTILE.values(), ids=HOSTILE)
def test_damaged_and_hostile_sessions_are_refused(tmp_path, values):
    with pytest.raises(InputError, match=r"cannot be opened: ") as caught:
        read_saved(written(tmp_path, values))
    sentence = str(caught.value)
    assert sentence.endswith(".") and "\n" not in sentence and len(sentence) < 500


def test_a_newer_one_is_refused_and_says_what_to_do(tmp_path):
    with pytest.raises(InputError, match="newer version; update napari-unet"):
        read_saved(written(tmp_path, with_value(napari_unet_session=2)))


def test_a_huge_one_is_not_read(tmp_path):
    written(tmp_path, " " * (MOST_BYTES + 1))
    with pytest.raises(InputError, match="larger than any session"):
        read_saved(tmp_path)


def test_where_there_is_none_it_is_said(tmp_path):
    with pytest.raises(InputError, match=r"no session in .*; choose a folder with a file session"):
        read_saved(tmp_path / "nowhere")
