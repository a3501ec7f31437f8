"""How near a taught model stays to what was known, and to which model."""

from __future__ import annotations

from napari_unet.core.config import ModelConfig
from napari_unet.core.model_file import Model
from napari_unet.engine import TeachTask
from napari_unet.engine.compute import base_of, cached_model, kept


def saved(path, **config):
    return Model.fresh(ModelConfig(width=2, depth=1, **config)).save(path).card.path


def test_what_knows_objects_does_not_hold_back_classes(tmp_path):
    objects = saved(tmp_path / "objects.safetensors")
    classes = saved(tmp_path / "classes.safetensors", classes=("background", "a"), semantic=True)
    assert kept(TeachTask(objects, (), keep=0.5)) == 0.5
    assert kept(TeachTask(objects, (), keep=0.5, classes=("a",))) == 0.0
    assert kept(TeachTask(classes, (), keep=0.5, classes=("a", "b"))) == 0.5


def test_the_base_is_the_model_before_all_rounds_if_it_is_there(tmp_path):
    base, taught = saved(tmp_path / "base.safetensors"), saved(tmp_path / "taught.safetensors")
    start = cached_model(taught)
    assert base_of(TeachTask(taught, (), base=base), start) is cached_model(base)
    for task in (
        TeachTask(taught, ()),
        TeachTask(taught, (), base=taught),
        TeachTask(taught, (), base=base, classes=("a",)),
        TeachTask(taught, (), base=str(tmp_path / "gone.safetensors")),
    ):
        assert base_of(task, start) is None
