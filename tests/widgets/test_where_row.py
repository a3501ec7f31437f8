"""Which computer computes, typed into the dock."""

from __future__ import annotations

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_unet.engine import elsewhere
from person import settle, wait_until

distributed = pytest.importorskip("distributed")
dask = pytest.importorskip("dask")


@pytest.fixture
def address():
    """Of a scheduler with a worker, that are threads of this process."""
    with (
        dask.config.set(scheduler=None),  # a worker makes itself the one of its process
        distributed.LocalCluster(
            n_workers=1,
            threads_per_worker=1,
            processes=False,
            protocol="tcp",
            dashboard_address="127.0.0.1:0",
        ) as cluster,
    ):
        yield cluster.scheduler_address


def typed(line, text):
    line.clear()
    QTest.keyClicks(line, text)
    QTest.keyClick(line, Qt.Key.Key_Return)


def test_the_open_image_is_segmented_at_the_address_that_is_typed(user, address, monkeypatch):
    monkeypatch.setattr(elsewhere, "PATIENCE", 2.0)
    user.viewer.open_sample("napari-unet-interactive", "nuclei")
    dock = user.dock()
    where, session = dock.where, user.bench.session
    line = where.address.native
    assert not line.isVisible()
    user.press(where.fold)
    assert line.isVisible()
    typed(line, "tcp://127.0.0.1:9")
    wait_until(lambda: user.bench.status_is_failure)
    assert user.bench.status.startswith("No dask scheduler answers at tcp://127.0.0.1:9")
    monkeypatch.setattr(elsewhere, "PATIENCE", 60.0)
    typed(line, address)
    wait_until(lambda: user.bench.status.endswith("ready"))
    assert user.bench.status.startswith(f"{address}: its processor")
    sent = []
    submit = elsewhere.ElsewhereRunner.submit
    monkeypatch.setattr(
        elsewhere.ElsewhereRunner,
        "submit",
        lambda runner, task: sent.append(type(task).__name__) or submit(runner, task),
    )
    user.press(dock.steps[0].segment)
    settle(0.1)
    assert not line.isEnabled() and "Segment is running" in where.address.tooltip
    user.wait()
    assert sent == ["SegmentTask"]
    (labels,) = [layer for layer in user.viewer.layers if layer.name.endswith("labels")]
    assert labels.data.max() > 50
    typed(line, "")
    assert session.address == ""
    wait_until(lambda: user.bench.status.startswith("this computer"))


def test_an_address_that_is_set_is_shown_in_every_dock(user):
    user.bench.session.compute_on("tls://nowhere:8786")
    where = user.dock("Segment").where
    assert where.address.native.isVisible()
    assert where.address.native.text() == "tls://nowhere:8786"
    user.bench.session.compute_on("")
    assert where.address.native.text() == ""
