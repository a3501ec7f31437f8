"""What a person may do at the wrong moment: no traceback, and the next press works."""

import numpy as np

from napari_unet.sample_data import nuclei
from person import settle, wait_until


def open_big(user):
    user.viewer.add_image(nuclei((1024, 1024))[0], name="big")
    dock = user.dock()
    return dock, dock.steps


def test_labels_are_deleted_while_it_segments(user):
    dock, (segment, _, _) = open_big(user)
    user.press(segment.segment)
    wait_until(lambda: user.bench.workspace.current is not None)
    user.viewer.layers.remove(user.bench.workspace.current.labels)
    user.wait()
    assert user.bench.workspace.current is None
    assert "⚠" not in dock.status.value
    user.press(segment.segment)
    user.wait()
    assert user.bench.workspace.current.labels.data.max() > 50


def test_another_image_is_opened_while_it_segments(user):
    dock, (segment, _, _) = open_big(user)
    user.press(segment.segment)
    user.viewer.add_image(np.zeros((40, 50)), name="small")
    user.wait()
    assert dock.header.image.native.currentText() == "big"
    assert user.bench.workspace.current.labels.data.max() > 50


def test_image_gets_other_data_of_another_size(user):
    user.viewer.add_image(nuclei((96, 128))[0], name="image")
    dock = user.dock()
    user.press(dock.steps[0].segment)
    user.wait()
    old = user.bench.workspace.current.labels
    user.viewer.layers["image"].data = nuclei((128, 128), seed=1)[0]
    user.press(dock.steps[0].segment)
    user.wait()
    assert user.bench.workspace.current.labels.data.shape == (128, 128)
    assert user.bench.workspace.current.labels.data.any()
    assert old in user.viewer.layers  # what was painted there is not thrown away
    assert not old.visible


def test_stroke_while_it_segments_stays(user):
    _, (segment, correct, _) = open_big(user)
    user.press(segment.segment)
    user.press(correct.new)
    labels = user.bench.workspace.current.labels
    number = labels.selected_label
    where = np.zeros((1024, 1024), bool)
    where[500:530, 500:530] = True
    user.paint(labels, where, number)
    user.wait()
    assert (labels.data[where] == number).all()
    assert labels.data.max() > 50


def test_closing_the_viewer_while_it_segments(make_napari_viewer, worker):
    from qtpy.QtWidgets import QApplication

    from person import Shared, User

    viewer = make_napari_viewer(show=True)
    user = User(viewer, Shared(worker))
    _, (segment, _, _) = open_big(user)
    user.press(segment.segment)
    settle(0.3)
    bench = user.bench
    viewer.close()
    user.__dict__.clear()
    del viewer, segment
    settle(0.5)
    QApplication.processEvents()
    assert not bench.session.busy
    assert not bench._timer.isActive()


def test_stack_in_three_dimensions(user):
    planes = np.stack([nuclei((96, 128), seed=seed)[0] for seed in range(3)])
    user.viewer.add_image(planes, scale=(4, 2, 2))
    dock = user.dock()
    user.viewer.dims.ndisplay = 3
    user.press(dock.steps[0].segment)
    user.wait()
    assert "⚠" not in dock.status.value
    assert user.bench.workspace.current.labels.data.any()
    user.viewer.dims.ndisplay = 2


def test_corrections_of_two_images_are_taught_together(user):
    first = user.viewer.add_image(nuclei((96, 128))[0], name="first")
    dock = user.dock()
    segment, correct, teach = dock.steps
    for name in ("first", "second"):
        if name == "second":
            user.viewer.add_image(nuclei((96, 128), seed=1)[0], name=name)
            settle(0.1)
        user.press(segment.segment)
        user.wait()
        user.press(correct.new)
        labels = user.bench.workspace.current.labels
        where = np.zeros((96, 128), bool)
        where[40:52, 40:52] = True
        user.paint(labels, where, labels.selected_label)
    assert len(user.bench.workspace.pairs()) == 2
    user.press(teach.teach)
    run = user.bench.session._run
    wait_until(lambda: run._job is not None)
    assert len(run._job.task.examples) == 2
    user.press(teach.stop)
    user.wait()
    user.bench.workspace.choose(first)
    settle(0.1)
    count = user.bench.workspace.find(first).pair.checked_cells
    assert count >= 1
    assert f"{count} cell" in correct.title.value
