"""What is set in napari's Preferences is what the session does, at once and when it changes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import napari_unet
from napari_unet.bridge.preferences import LESSONS, PLUGIN, Preferences
from napari_unet.engine.preferred import PreferredRunner
from napari_unet.engine.tasks import ImportTask, ProbeTask
from napari_unet.session.session import Session
from napari_unet.widgets.teach_panel import KEEP, TIMES

MANIFEST = Path(napari_unet.__file__).with_name("napari.yaml")


class Heard:
    """A runner that takes tasks and does nothing."""

    def __init__(self):
        self.tasks = []

    def submit(self, task):
        self.tasks.append(task)

    def close(self):
        pass


@pytest.fixture
def settings(npe2pm, plugin_settings):
    from napari.settings import get_plugin_settings

    npe2pm.register(str(MANIFEST))
    return get_plugin_settings(PLUGIN)


@pytest.fixture
def runner():
    return Heard()


@pytest.fixture
def session(runner):
    session = Session(runner)
    yield session
    session.close()


def test_by_default_all_is_as_without_preferences(settings, session, runner):
    preferences = Preferences(session)
    session.probe()
    assert runner.tasks == [ProbeTask("auto", "auto")]
    assert (session.teach_seconds, session.keep) == (TIMES[0][1], KEEP)
    preferences.close()


def test_a_change_is_taken_at_once_and_the_dock_is_told(settings, session, runner):
    preferences = Preferences(session)
    told = []
    session.settings_changed.connect(lambda: told.append(session.teach_seconds))
    settings.computing.device = "cpu"
    settings.computing.precision = "float32"
    settings.teaching.lesson = "thorough"
    settings.teaching.keep = 0.9
    assert runner.tasks == [ProbeTask("cpu", "auto"), ProbeTask("cpu", "float32")]
    assert told == [600.0, 600.0] and session.keep == 0.9
    preferences.close()
    settings.teaching.keep = 0.1
    settings.computing.device = "auto"
    assert session.keep == 0.9 and len(runner.tasks) == 2


def test_a_task_that_says_where_it_is_computed_is_left_alone(runner):
    preferred = PreferredRunner(runner)
    preferred.device = "cuda"
    said, other = ProbeTask("cpu"), ImportTask("a.zip", "models")
    preferred.submit(said)
    preferred.submit(other)
    preferred.submit(ProbeTask())
    assert runner.tasks == [said, other, ProbeTask("cuda")]


def test_an_address_is_taken_kept_and_given_up(settings, session):
    preferences = Preferences(session)
    preferences.compute_on("tls://nowhere:8786")
    assert settings.computing.address == session.address == "tls://nowhere:8786"
    preferences.close()
    again = Preferences(session)
    settings.computing.address = "  "
    assert session.address == ""
    again.close()


def test_an_address_counts_without_preferences_too(session, monkeypatch):
    monkeypatch.setitem(sys.modules, "napari.settings", object())
    Preferences(session).compute_on("tls://nowhere:8786")
    assert session.address == "tls://nowhere:8786"


def test_an_older_napari_has_no_such_settings(session, monkeypatch):
    monkeypatch.setitem(sys.modules, "napari.settings", object())
    preferences = Preferences(session)
    assert session.teach_seconds is None
    preferences.close()


def test_a_plugin_that_is_not_among_the_settings_is_no_error(plugin_settings, session):
    Preferences(session).close()
    assert session.keep is None


def test_what_can_be_chosen_is_what_the_dock_and_the_network_know(settings):
    from napari_unet.core.device import PRECISIONS

    fields = type(settings.computing).model_fields
    assert tuple(fields["precision"].json_schema_extra["enum"]) == PRECISIONS
    lessons = type(settings.teaching).model_fields["lesson"].json_schema_extra["enum"]
    assert [LESSONS[name] for name in lessons] == [seconds for _, seconds in TIMES]
    assert all(text.startswith(name) for name, (text, _) in zip(lessons, TIMES, strict=True))
