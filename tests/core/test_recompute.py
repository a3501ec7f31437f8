import copy

import pytest
import torch

from napari_unet.core.architectures import ARCHITECTURES
from napari_unet.core.config import ModelConfig
from napari_unet.core.model_file import Model
from napari_unet.core.recompute import recompute_activations
from napari_unet.core.tiling import network_geometry


@pytest.mark.parametrize("architecture", ["unet", "unet-valid", "unet++", "resunet", "segnet"])
def test_gradients_and_statistics_are_those_without_it_in_less_memory(architecture):
    torch.set_num_threads(1)
    depth = 2 if ARCHITECTURES[architecture].depth < 5 else 3
    config = ModelConfig(architecture, width=4, depth=depth, dropout=0.3)
    plain = Model.fresh(config, seed=0).network.train()
    again = copy.deepcopy(plain)
    recompute_activations(again)
    side = network_geometry(config).patch_side(48)
    image = torch.randn(2, 1, side, side, generator=torch.Generator().manual_seed(1))
    kept = []
    for network in (plain, again):
        seen = {}
        with torch.autograd.graph.saved_tensors_hooks(
            lambda t, seen=seen: (seen.setdefault(t.data_ptr(), t.nbytes), t)[1], lambda t: t
        ):
            torch.manual_seed(5)
            output = network(image)
        output = output if isinstance(output, tuple) else (output,)
        sum(one.square().mean() for one in output).backward()
        kept.append(sum(seen.values()))
    assert kept[1] < 0.8 * kept[0]
    for a, b in zip(plain.parameters(), again.parameters(), strict=True):
        assert torch.allclose(a.grad, b.grad, atol=1e-6)
    buffers = dict(again.named_buffers())
    for name, value in plain.named_buffers():
        if "num_batches" not in name:
            assert torch.allclose(value, buffers[name]), name
