"""What happens where memory is too short: smaller tiles, then the processor, and one sentence."""

import logging

import numpy as np
import pytest
import torch

from brightness import brightness_model
from napari_unet.core import inference, plane_run
from napari_unet.core.errors import OutOfMemoryError
from napari_unet.core.inference import ReadyNetwork
from napari_unet.core.plane_run import ON_THE_CPU, SMALLER_TILES
from napari_unet.core.predict import predict_plane, predict_tiles

CPU = {"device": "cpu", "precision": "float32"}
IMAGE = np.random.default_rng(0).integers(0, 999, (1, 150, 260)).astype(np.uint16)
ERRORS = (
    torch.OutOfMemoryError("CUDA out of memory"),
    MemoryError(),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes"),
    RuntimeError("could not create a primitive"),
    RuntimeError("MPS backend out of memory (MPS allocated: 8.00 GB, max allowed: 9.07 GB)"),
)


@pytest.fixture
def short(monkeypatch):
    """Let a network fail for images of more pixels; the sizes that it was given are noted."""
    seen = []

    def begin(most, error=MemoryError(), device="cpu"):  # noqa: B008  # it is only raised
        run = plane_run._run

        def limited(network, image, box):
            seen.append((network.device.type, image[0].size))
            if network.device.type == device and image[0].size > most:
                raise error
            return run(network, image, box)

        monkeypatch.setattr(plane_run, "_run", limited)
        return seen

    return begin


def pieced(tiles):
    out = np.zeros((2, *IMAGE.shape[1:]), np.float32)
    covered = np.zeros(IMAGE.shape[1:], int)
    for tile in tiles:
        height, width = tile.probability.shape[1:]
        place = np.s_[tile.y : tile.y + height, tile.x : tile.x + width]
        out[:, *place] = tile.probability
        covered[place] += 1
    assert (covered == 1).all()
    return out


@pytest.mark.parametrize("error", ERRORS, ids=["GPU", "Python", "torch", "oneDNN", "MPS"])
def test_tiles_are_halved_until_they_fit_and_the_result_is_the_same(short, error):
    model = brightness_model()
    whole = predict_plane(IMAGE, model, **CPU)
    sizes = short(16_000, error)
    told = []
    tiles = list(predict_tiles(IMAGE, model, tell=told.append, **CPU))
    assert np.abs(pieced(tiles) - whole).max() < 1e-5
    assert told == [SMALLER_TILES]
    assert [size > 16_000 for _, size in sizes] == [True, True] + [False] * len(tiles)
    assert [tile.index for tile in tiles] == list(range(len(tiles)))
    assert {tile.count for tile in tiles} == {len(tiles)}


def test_without_a_listener_the_log_is_told(short, caplog):
    short(16_000)
    with caplog.at_level(logging.WARNING):
        predict_plane(IMAGE, brightness_model(), **CPU)
    assert [record.message for record in caplog.records] == [SMALLER_TILES]


def test_what_was_chosen_is_logged(caplog):
    with caplog.at_level(logging.INFO, "napari_unet.core.plane_run"):
        predict_plane(IMAGE, brightness_model(), **CPU)
    assert len(caplog.records) == 1
    assert caplog.records[0].message.startswith("150 x 260 pixels in 1 tile of 150 x 260, it fits")


def test_where_no_tile_is_small_enough_the_error_is_a_sentence(short):
    short(0)
    with pytest.raises(OutOfMemoryError, match="not enough memory"):
        predict_plane(IMAGE, brightness_model(), **CPU)


def test_the_processor_takes_over_from_a_graphics_card_that_is_too_small(short, monkeypatch):
    class Card(ReadyNetwork):
        def __init__(self, model, device, precision, sample=None):
            super().__init__(model, "cpu", precision, sample)
            if device == "cuda":
                self.device = torch.device("cuda")

        memory = inference.Memory("cuda", 10**10)
        given_back = 0

        def give_back(self):
            Card.given_back += 1

    monkeypatch.setattr(inference, "ReadyNetwork", Card)
    model = brightness_model()
    whole = predict_plane(IMAGE, model, **CPU)
    sizes = short(0, torch.OutOfMemoryError("CUDA out of memory"), "cuda")
    told = []
    tiles = predict_tiles(IMAGE, model, device="cuda", precision="float32", tell=told.append)
    assert np.abs(pieced(tiles) - whole).max() < 1e-5
    assert told == [SMALLER_TILES, ON_THE_CPU]
    assert Card.given_back > 0
    devices = [device for device, _ in sizes]
    assert devices == sorted(devices, reverse=True)  # never back to the card


def test_a_result_that_has_come_is_kept_where_memory_gets_short_later(monkeypatch):
    run, calls = plane_run._run, []

    def second_fails(network, image, box):
        calls.append(image.shape)
        if len(calls) == 2:
            raise MemoryError
        return run(network, image, box)

    monkeypatch.setattr(plane_run, "_run", second_fails)
    options = {"tile": 132, "tell": lambda _: None}
    tiles = list(predict_tiles(IMAGE, brightness_model(), **options, **CPU))
    assert [tile.count for tile in tiles] == [4] + [7] * 6
    pieced(tiles)
