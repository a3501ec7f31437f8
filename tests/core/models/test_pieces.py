"""Levels of a network piece by piece, on a processor."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from napari_unet.core.config import ModelConfig
from napari_unet.core.models import pieces
from napari_unet.core.models.build import build_network
from napari_unet.core.models.network import Box
from napari_unet.core.models.pieces import PIECE, in_pieces, pieces_of


@pytest.mark.parametrize("size", [(2048, 2048), (30, 9000), (9000, 30), (1, 1), (600, 600)])
@pytest.mark.parametrize("strides", [(1, 1), (2, 2)])
@pytest.mark.parametrize("pixel_bytes", [2, 64, 2048])
def test_pieces_cover_a_map_once_and_are_small(size, strides, pixel_bytes):
    times = np.zeros(size, int)
    for box in pieces_of(size, pixel_bytes, strides):
        sides = np.subtract(box.stop, box.start)
        assert (sides > 0).all()
        assert all(start % stride == 0 for start, stride in zip(box.start, strides, strict=True))
        assert np.prod(sides) * pixel_bytes <= 1.2 * PIECE
        times[box.start[0] : box.stop[0], box.start[1] : box.stop[1]] += 1
    assert (times == 1).all()


def test_pieces_are_nearly_square_as_far_as_the_map_allows():
    assert len(pieces_of((2048, 2048), 64)) == 36  # 268 MB
    assert len(pieces_of((16, 100_000), 64)) == 13
    for box in pieces_of((2048, 2048), 64):
        height, width = np.subtract(box.stop, box.start)
        assert 0.5 <= height / width <= 2


def test_what_is_wrong_along_a_cut_is_left_out(monkeypatch):
    """A mean over 3 x 3 pixels is wrong in one pixel along a cut, where zeros are padded."""
    monkeypatch.setattr(pieces, "PIECE", 4 * 50)
    image = torch.rand(2, 3, 31, 47)

    def mean(box):
        return functional.avg_pool2d(box.cut(image), 3, 1, 1)

    made = in_pieces(mean, (31, 47), 4, rim=1)
    assert torch.equal(made, functional.avg_pool2d(image, 3, 1, 1))
    wrong = in_pieces(mean, (31, 47), 4, rim=0)
    assert not torch.equal(wrong, made)


def test_a_map_of_one_piece_is_what_the_layers_return():
    image = torch.rand(1, 1, 4, 4)
    assert in_pieces(lambda box: image, (4, 4), 4, rim=2) is image


@pytest.mark.parametrize("box", [Box(0, 0, 96, 112), Box(16, 33, 64, 48), Box(95, 0, 96, 1)])
@pytest.mark.parametrize("compress", [0.0, 0.1])
def test_a_network_in_pieces_says_what_it_says_at_once(monkeypatch, box, compress):
    config = ModelConfig(architecture="unet", width=3, depth=3, compress=compress)
    network = build_network(config, torch.Generator().manual_seed(0)).eval()
    image = torch.rand(1, 1, 96, 112, generator=torch.Generator().manual_seed(1))
    monkeypatch.setattr(pieces, "PIECE", 4 * 3 * 20 * 20)
    seen = []
    network.down[0].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape))
    with torch.inference_mode():
        part, whole = network.part(image, box), network(image)
    assert len(seen) > 10, "it was not computed in pieces"
    torch.testing.assert_close(part, box.cut(whole), atol=1e-5, rtol=0)


def test_in_training_a_network_is_computed_at_once():
    """Dropout would be drawn anew for each piece."""
    network = build_network(ModelConfig(width=2, depth=1)).train()
    calls = []
    network.dropout.register_forward_hook(lambda *_: calls.append(1))
    network.part(torch.rand(1, 1, 8, 8), Box(0, 0, 8, 8))
    assert len(calls) == 2
