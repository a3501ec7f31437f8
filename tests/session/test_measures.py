"""Tables of measured objects, made by a second thread."""

import time

import numpy as np
import pytest

from napari_unet.core.errors import InputError
from napari_unet.core.regions import measure_planes
from napari_unet.session.image import Image
from napari_unet.session.measures import Measures, Scope, Subject, unit_of

LABELS = np.zeros((2, 6, 8), np.int32)  # ZYX
LABELS[0, 1:3, 1:4] = 1
LABELS[1, 1:4, 1:4] = 1
LABELS[1, 4:, 6:] = 2
STACK = np.arange(2 * 3 * 6 * 8, dtype=np.uint16).reshape(2, 3, 6, 8)  # ZCYX


@pytest.fixture
def measures():
    measures = Measures()
    yield measures
    measures.close()


def measured(measures, subject, scope, shown):
    measures.request(subject, scope, shown)
    end = time.monotonic() + 30
    while measures.busy:
        assert time.monotonic() < end
        measures.pump()
        time.sleep(0.002)
    return measures.table


@pytest.mark.parametrize("scope", [Scope.PLANES, Scope.VOLUMES])
def test_a_stack_gives_what_the_command_line_gives(measures, scope):
    spacing = {"Z": 2.0, "Y": 0.5, "X": 0.25}
    images = (("", Image("stack", STACK, "ZCYX")),)
    table = measured(measures, Subject(LABELS, "ZYX", images, spacing), scope, (0,))
    expected = measure_planes(
        LABELS, "ZYX", STACK, "ZCYX", spacing=spacing, volumes=scope is Scope.VOLUMES
    )
    assert [*expected, "unit"] == list(table)
    for name, values in expected.items():
        assert np.array_equal(table[name], values), name
    assert set(table["unit"]) == {"um"}


def test_the_shown_plane_alone(measures):
    table = measured(measures, Subject(LABELS, "ZYX"), Scope.SHOWN, (1,))
    assert table["label"].tolist() == [1, 2] and table["area"].tolist() == [9, 4]
    assert table["z"].tolist() == [1, 1] and set(table["unit"]) == {"px"}


def test_several_images_are_told_apart_by_name(measures):
    images = (("dapi", Image("dapi", LABELS * 3, "ZYX")), ("rgb", Image("rgb", STACK, "ZCYX")))
    table = measured(measures, Subject(LABELS, "ZYX", images), Scope.SHOWN, (0,))
    assert table["mean_dapi"].tolist() == [3.0]
    assert table["mean_rgb_2"][0] == STACK[0, 2, 1:3, 1:4].mean()


def test_a_newer_request_takes_the_place_of_an_older_one(measures):
    told = []
    measures.changed.connect(lambda: told.append(measures.table["z"].tolist()))
    for shown in (0, 1, 0, 1):
        measures.request(Subject(LABELS, "ZYX"), Scope.SHOWN, (shown,))
    measured(measures, Subject(LABELS, "ZYX"), Scope.SHOWN, (1,))
    assert told[-1] == [1, 1] and len(told) <= 2


def test_depth_without_a_length_is_refused(measures):
    subject = Subject(LABELS, "ZYX", (), {"Y": 1.0, "X": 1.0})
    with pytest.raises(InputError, match="none along Z"):
        measured(measures, subject, Scope.VOLUMES, ())
    assert measured(measures, subject, Scope.PLANES, ())["unit"].tolist() == ["um"] * 3


@pytest.mark.parametrize(
    ("column", "unit"),
    [
        ("area", "µm²"),
        ("volume", "µm³"),
        ("perimeter", "µm"),
        ("centroid_y", "µm"),
        ("orientation", "°"),
        ("mean_0", ""),
        ("label", ""),
    ],
)
def test_units_of_columns(column, unit):
    assert unit_of(column, "um") == unit
