"""What is open goes into a folder and comes back, also elsewhere and after a crash."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import EpsImagePlugin

from desks import CELL, OTHER, SHAPE, assert_back, corrected, never, noise
from napari_unet.bridge.undo import UNDO
from napari_unet.core.config import ModelConfig
from napari_unet.core.errors import InputError
from napari_unet.core.library import read_model_header
from napari_unet.core.model_file import Model
from napari_unet.session.class_pair import ClassPair
from napari_unet.session.journal import journals_dir
from napari_unet.session.pair import ObjectSettings
from napari_unet.session.saved_folder import SESSION
from napari_unet.session.versions import versions_dir
from strokes import press


@pytest.mark.parametrize("shape", [SHAPE, (3, *SHAPE), (2, 3, *SHAPE), (*SHAPE, 3)])
def test_labels_and_checked_area_come_back(desks, tmp_path, shape):
    first, second = desks(), desks()
    photometric = "rgb" if shape[-1] == 3 else "minisblack"
    tifffile.imwrite(tmp_path / "cells.tif", noise(shape), photometric=photometric)
    layer = first.open_image(tmp_path / "cells.tif")
    assert layer.rgb == (shape[-1] == 3)
    item = first.workspace.open()
    where = np.zeros(item.pair.labels.shape, bool)
    where[..., CELL] = True
    first.stroke(item, where, 70_000)
    sentence, is_failure = first.save(tmp_path / "session")
    assert sentence == f"Saved 1 image and 1 version to {tmp_path / 'session'}."
    assert not is_failure

    second.open(tmp_path / "session", never)
    assert second.said[-1] == (f"Opened 1 image of {tmp_path / 'session'}.", False)
    again = second.workspace.current
    assert again.pair.labels.max() == 70_000
    assert_back(again, item.pair.labels, item.pair.checked)
    assert again.pair.checked_cells == item.pair.checked_cells > 0
    assert again.image.name == "cells" and not again.pair.history.strokes


def test_other_programs_read_the_labels_with_their_axes(desks, tmp_path):
    desk = desks()
    layer = desk.viewer.add_image(noise((3, *SHAPE)), name="cells", scale=(1, 0.5, 0.5))
    layer.units = ("pixel", "nm", "nm")
    item = desk.workspace.open()
    desk.stroke(item, np.broadcast_to(CELL, (3, *SHAPE)), 4)
    desk.save(tmp_path / "session")
    with tifffile.TiffFile(tmp_path / "session" / "labels" / "cells.ome.tif") as file:
        assert file.is_ome and file.series[0].axes == "ZYX"
        np.testing.assert_array_equal(file.asarray(), item.pair.labels)
        assert 'PhysicalSizeX="0.0005"' in file.ome_metadata


def test_channels_come_back_as_they_were_chosen(desks, tmp_path):
    first, second = desks(), desks()
    tifffile.imwrite(tmp_path / "cells.tif", noise((2, *SHAPE)), photometric="minisblack")
    first.open_image(tmp_path / "cells.tif")
    first.workspace.choose_channels(0, (1,))
    item = first.workspace.open()
    item.pair.labels[CELL] = 4
    item.pair.absorb(())
    first.save(tmp_path / "session")
    second.open(tmp_path / "session", never)
    assert (second.workspace.channel_axis, second.workspace.channels) == (0, (1,))
    again = second.workspace.current
    assert_back(again, item.pair.labels, item.pair.checked)
    assert again.labels.data.shape == (2, *SHAPE)


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(x) print\n%%EOF\n"


def test_a_link_that_is_none_is_told(desks, data, monkeypatch):
    first, second = desks(), desks()
    corrected(first, data / "cells.tif")
    first.save(data / "session")
    saved = json.loads((data / "session" / SESSION).read_text())
    ran = data / "ran"
    for name in ("evil.py", "EVIL.PY"):
        (data / "session" / name).write_text(f"open({str(ran)!r}, 'w').close()")
    (data / "session" / "evil.png").write_bytes(POSTSCRIPT)
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *_, **__: ran.touch())
    links = ("a" * 4000, "/dev/zero", "http://localhost/cells.tif", "evil.py", "EVIL.PY")
    for link in (*links, "evil.png"):
        saved["images"][0] |= {"relative": link, "absolute": link}
        (data / "session" / SESSION).write_text(json.dumps(saved))
        second.open(data / "session", lambda _: None)
        sentence, is_failure = second.said[-1]
        assert sentence.startswith("Opened 0 of 1 images") and is_failure
        assert not second.viewer.layers and not ran.exists()


def test_labels_of_another_shape_are_told_and_nothing_is_changed(desks, data):
    first, second = desks(), desks()
    corrected(first, data / "cells.tif")
    first.save(data / "session")
    for name in ("labels/cells.ome.tif", "checked/cells.tif"):
        whole = (data / "session" / name).read_bytes()
        for damage in (lambda p: tifffile.imwrite(p, np.ones((9, 9), np.uint8)), Path.unlink):
            damage(data / "session" / name)
            second.open(data / "session", never)
            assert "Opened 0 of 1 images" in second.said[-1][0] and second.said[-1][1]
            assert not second.workspace.pairs()
        (data / "session" / name).write_bytes(whole)
    second.open(data / "session", never)
    assert second.workspace.current.pair.labels.any()


def test_two_images_with_equal_names_come_back(desks, tmp_path):
    first, second = desks(), desks()
    items = []
    for n, where in enumerate((CELL, OTHER)):
        (tmp_path / str(n)).mkdir()
        tifffile.imwrite(tmp_path / str(n) / "cells.tif", noise(seed=n))
        items.append(corrected(first, tmp_path / str(n) / "cells.tif", where))
    assert first.save(tmp_path / "session")[0].startswith("Saved 2 images")
    second.open(tmp_path / "session", never)
    assert len(second.workspace.images()) == 2
    for n, item in enumerate(items):
        layer = next(
            layer for layer in second.workspace.images() if (layer.data == item.image.data).all()
        )
        again = second.workspace.find(layer)
        assert_back(again, item.pair.labels, item.pair.checked)
        assert (again is second.workspace.current) == (n == 1)


def test_classes_come_back_with_names_and_colours(desks, data):
    first, second = desks(), desks()
    first.open_image(data / "cells.tif")
    item = first.workspace.open_classes(["nucleus", "cytoplasm"])
    first.stroke(item, CELL, 2)
    first.save(data / "session")
    [saved] = json.loads((data / "session" / SESSION).read_text())["images"]
    assert saved["classes"] == ["nucleus", "cytoplasm"]
    assert saved["colours"] == ["#ee7733", "#0077bb"]
    second.open(data / "session", never)
    again = second.workspace.current
    assert isinstance(again.pair, ClassPair) and again.pair.classes == ("nucleus", "cytoplasm")
    assert_back(again, item.pair.labels, item.pair.checked)


def test_objects_and_classes_of_one_image_come_back(desks, data):
    first, second = desks(), desks()
    objects = corrected(first, data / "cells.tif")
    classes = first.workspace.open_classes(["nucleus"])
    first.stroke(classes, OTHER, 1)
    first.save(data / "session")
    second.open(data / "session", never)
    again = {bool(item.pair.classes): item for item in second.workspace.items()}
    assert_back(again[False], objects.pair.labels, objects.pair.checked)
    assert_back(again[True], classes.pair.labels, classes.pair.checked)
    assert second.workspace.current is again[True]


def test_settings_and_size_come_back(desks, data):
    first, second = desks(), desks()
    item = corrected(first, data / "cells.tif")
    first.session.settings = ObjectSettings(0.7, 33, 0.25)
    first.session.keep, first.session.teach_seconds = 0.2, 600.0
    item.pair.size.measured(first.session.size_key(item.pair.image), 12.0)
    item.pair.size.type(17.0)
    first.save(data / "session")
    second.open(data / "session", never)
    assert second.session.settings == ObjectSettings(0.7, 33, 0.25)
    assert (second.session.keep, second.session.teach_seconds) == (0.2, 600.0)
    again = second.workspace.current.pair
    key = second.session.size_key(again.image)
    assert (again.size.typed, again.size.measured_at(key)) == (17.0, 12.0)


def test_the_image_and_its_session_can_be_moved(desks, data, tmp_path):
    first, second = desks(), desks()
    item = corrected(first, data / "cells.tif")
    first.save(data)
    moved = tmp_path / "elsewhere" / "deeper"
    moved.parent.mkdir()
    shutil.move(data, moved)
    second.open(moved, never)
    assert_back(second.workspace.current, item.pair.labels, item.pair.checked)
    assert Path(second.workspace.current.image.source.path).resolve() == moved / "cells.tif"


def test_a_session_moved_without_its_image_finds_it(desks, data, tmp_path):
    first, second = desks(), desks()
    item = corrected(first, data / "cells.tif")
    first.save(data / "session")
    shutil.move(data / "session", tmp_path / "far away")
    second.open(tmp_path / "far away", never)
    assert_back(second.workspace.current, item.pair.labels, item.pair.checked)


def test_an_image_that_is_open_is_used(desks, data):
    first, second = desks(), desks()
    item = corrected(first, data / "cells.tif")
    first.save(data / "session")
    layer = second.viewer.add_image(noise(), name="the same")
    (data / "cells.tif").unlink()
    second.open(data / "session", never)
    assert second.workspace.images() == [layer]
    assert_back(second.workspace.current, item.pair.labels, item.pair.checked)


def test_where_an_image_is_gone_the_user_says_where_it_is(desks, data, tmp_path):
    first, second = desks(), desks()
    item = corrected(first, data / "cells.tif")
    first.save(data / "session")
    (data / "cells.tif").rename(tmp_path / "renamed.tif")
    tifffile.imwrite(tmp_path / "wrong.tif", noise(seed=9))
    asked, answers = [], [tmp_path / "wrong.tif", tmp_path / "renamed.tif"]

    def where(sentence):
        asked.append(sentence)
        return answers.pop(0)

    second.open(data / "session", where)
    assert asked == [
        f"cells is not at {data / 'cells.tif'} any more; choose where the image is.",
        f"{tmp_path / 'wrong.tif'} has changed since, or is not cells; choose where the image is.",
    ]
    assert len(second.workspace.images()) == 1
    assert_back(second.workspace.current, item.pair.labels, item.pair.checked)


def test_an_image_that_has_changed_is_told_and_the_others_are_opened(desks, data):
    first, second = desks(), desks()
    tifffile.imwrite(data / "more.tif", noise(seed=1))
    corrected(first, data / "cells.tif")
    item = corrected(first, data / "more.tif", OTHER)
    first.save(data / "session")
    tifffile.imwrite(data / "cells.tif", noise(seed=5))
    second.open(data / "session", lambda _: None)
    sentence, is_failure = second.said[-1]
    assert sentence.startswith(f"Opened 1 of 2 images of {data / 'session'}.")
    assert "cells.tif has changed since" in sentence and is_failure
    assert [layer.name for layer in second.workspace.images()] == ["more"]
    assert_back(second.workspace.current, item.pair.labels, item.pair.checked)


def test_an_image_that_was_left_out_is_not_lost_by_the_next_save(desks, data):
    first, second = desks(), desks()
    tifffile.imwrite(data / "more.tif", noise(seed=1))
    corrected(first, data / "cells.tif")
    corrected(first, data / "more.tif", OTHER)
    first.save(data / "session")
    (data / "cells.tif").rename(data / "hidden.tif")
    second.open(data / "session", lambda _: None)
    assert "1 other image saved before stayed there" in second.save()[0]
    (data / "hidden.tif").rename(data / "cells.tif")
    third = desks()
    third.open(data / "session", never)
    assert len(third.workspace.pairs()) == 2


def test_an_image_from_no_file_is_saved_along(desks, tmp_path):
    first, second = desks(), desks()
    for shape in (SHAPE, (2, 3, *SHAPE), (*SHAPE, 3)):
        first.viewer.add_image(noise(shape), name="drawn")
        item = first.workspace.open()
        where = np.zeros(item.pair.labels.shape, bool)
        where[..., CELL] = True
        first.stroke(item, where, 5)
    first.save(tmp_path / "session")
    shutil.move(tmp_path / "session", tmp_path / "moved")
    second.open(tmp_path / "moved", never)
    assert len(second.workspace.pairs()) == 3
    assert all((pair.labels == 5).any() for pair in second.workspace.pairs())


def test_the_second_save_asks_nothing_and_keeps_the_names(desks, data):
    desk, again = desks(), desks()
    item = corrected(desk, data / "cells.tif")
    with pytest.raises(InputError, match="Choose a folder"):
        desk.sessions.save()
    desk.save(data / "session")
    desk.stroke(item, OTHER, 6)
    desk.save()
    assert [path.name for path in (data / "session" / "labels").iterdir()] == ["cells.ome.tif"]
    again.open(data / "session", never)
    assert_back(again.workspace.current, item.pair.labels, item.pair.checked)


def test_in_a_folder_with_other_things_the_session_gets_its_own(desks, data):
    desk, again = desks(), desks()
    corrected(desk, data / "cells.tif")
    desk.save(data)
    assert sorted(path.name for path in data.iterdir()) == ["cells.tif", "napari-unet session"]
    again.open(data, never)
    assert again.workspace.current.pair.labels.any()


def test_nothing_to_save_is_said(desks, data):
    desk = desks()
    desk.open_image(data / "cells.tif")
    with pytest.raises(InputError, match="no labels to save"):
        desk.sessions.save(data / "session")


def test_labels_that_are_open_come_back_with_undo(desks, data):
    desk = desks()
    item = corrected(desk, data / "cells.tif")
    desk.save(data / "session")
    saved = item.pair.labels.copy()
    desk.stroke(item, OTHER, 6)
    newer = item.pair.labels.copy()
    desk.open(data / "session", never)
    np.testing.assert_array_equal(item.pair.labels, saved)
    press(desk.viewer, UNDO, item.labels)
    np.testing.assert_array_equal(item.pair.labels, newer)


def test_what_is_saved_is_not_offered_again_and_what_is_newer_is(desks, data):
    for n_strokes, offered in ((0, 0), (1, 1)):
        desk = desks()
        item = corrected(desk, data / "cells.tif")
        desk.save(data / f"session {n_strokes}")
        assert desk.workspace.keeper.flush() and list(journals_dir().glob("*.journal"))
        for _ in range(n_strokes):
            desk.stroke(item, OTHER, 6)
        desk.close()
        later = desks()
        later.open_image(data / "cells.tif")
        later.pump()
        assert len(later.workspace.keeper.kept) == offered


def test_a_crash_after_opening_and_painting_loses_nothing(desks, data):
    first, second, third = desks(), desks(), desks()
    corrected(first, data / "cells.tif")
    first.save(data / "session")
    first.close()
    second.open(data / "session", never)
    item = second.workspace.current
    second.stroke(item, OTHER, 6)
    labels, checked = item.pair.labels.copy(), item.pair.checked.copy()
    second.close()
    third.open_image(data / "cells.tif")
    third.pump()
    third.workspace.restore()
    third.pump()
    assert_back(third.workspace.current, labels, checked)


@pytest.fixture
def taught(tmp_path):
    """A model of the user's own and two versions that were taught to it."""
    base = Model.fresh(ModelConfig(width=2, depth=1, diameter=20.0), name="mine")
    base.save(tmp_path / "My model.safetensors")
    identity = read_model_header(tmp_path / "My model.safetensors")[1].identity

    def add(session, number, parent):
        path = versions_dir() / f"2026-01-0{number}-000000-000000-mine.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        card = replace(base.card, title=f"mine, taught {number}", origin=identity, parent=parent)
        made = Model.fresh(ModelConfig(width=2, depth=1, diameter=20.0), name="mine", seed=number)
        replace(made, card=card).save(path)
        return session.versions.add(str(path), None, parent)

    return tmp_path / "My model.safetensors", add


def test_versions_come_back_on_another_computer(desks, data, taught, tmp_path, monkeypatch):
    path, add = taught
    first = desks()
    first.session.load_model_file(str(path))
    one = add(first.session, 1, path.stem)
    add(first.session, 2, Path(one.model).stem)
    corrected(first, data / "cells.tif")
    assert "3 versions" in first.save(data / "session")[0]
    saved = json.loads((data / "session" / SESSION).read_text())
    assert [v["title"] for v in saved["versions"]] == ["mine", "taught 1", "taught 2"]
    assert saved["versions"][2]["parent"] == saved["versions"][1]["file"]

    monkeypatch.setenv("NAPARI_UNET_HOME", str(tmp_path / "other home"))
    second = desks()
    second.open(data / "session", never)
    versions = second.session.versions
    assert second.said[-1][1] is False
    assert [item.title for item in versions.items] == ["mine", "taught 1", "taught 2"]
    assert versions.index == 2 and versions.before == 1
    assert Path(versions.current.model).is_relative_to(tmp_path / "other home")
    second.open(data / "session", never)
    assert len(versions.items) == 3 and len(list(versions_dir().glob("*.safetensors"))) == 2


def test_a_version_of_the_same_name_is_not_overwritten(desks, data, taught, tmp_path, monkeypatch):
    path, add = taught
    first = desks()
    first.session.load_model_file(str(path))
    one = Path(add(first.session, 1, path.stem).model)
    corrected(first, data / "cells.tif")
    first.save(data / "session")
    monkeypatch.setenv("NAPARI_UNET_HOME", str(tmp_path / "other home"))
    there = versions_dir() / one.name
    there.parent.mkdir(parents=True)
    Model.fresh(ModelConfig(width=2, depth=1), name="another", seed=7).save(there)
    before = there.read_bytes()
    second = desks()
    second.open(data / "session", never)
    assert there.read_bytes() == before
    assert Path(second.session.versions.current.model).stem == f"{one.stem}-2"


def test_a_damaged_version_is_left_out_and_the_others_come(
    desks, data, taught, tmp_path, monkeypatch
):
    path, add = taught
    first = desks()
    first.session.load_model_file(str(path))
    for number in (1, 2):
        add(first.session, number, path.stem)
    corrected(first, data / "cells.tif")
    first.save(data / "session")
    damaged = sorted((data / "session" / "models").glob("2026*"))[0]
    damaged.write_bytes(b"\x80\x04cos\nsystem\n")  # a pickle dressed as a model
    monkeypatch.setenv("NAPARI_UNET_HOME", str(tmp_path / "other home"))
    second = desks()
    second.open(data / "session", never)
    assert "The version taught 1 was left out" in second.said[-1][0]
    assert [item.title for item in second.session.versions.items] == ["mine", "taught 2"]
    assert second.session.versions.index == 1
