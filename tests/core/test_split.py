import pytest

from napari_unet.core.errors import InputError
from napari_unet.core.split import hold_out

NAMES = [f"image_{number:03}" for number in range(50)]


@pytest.mark.parametrize(("fraction", "count"), [(0, 0), (0.1, 5), (0.5, 25), (0.99, 50)])
def test_that_part_of_the_names_is_held_out(fraction, count):
    chosen = hold_out(NAMES, fraction)
    assert len(chosen) == len(set(chosen)) == count
    assert set(chosen) <= set(NAMES)


def test_the_order_of_the_names_does_not_matter():
    assert hold_out(reversed(NAMES), 0.3, seed=4) == hold_out(NAMES, 0.3, seed=4)


def test_the_seed_decides():
    assert hold_out(NAMES, 0.3, seed=1) != hold_out(NAMES, 0.3, seed=2)
    assert hold_out(NAMES, 0.3, seed=1) == tuple(sorted(hold_out(NAMES, 0.3, seed=1)))


@pytest.mark.parametrize("fraction", [-0.1, 1, 1.5, float("nan")])
def test_other_fractions_are_refused(fraction):
    with pytest.raises(InputError, match="from 0 to below 1"):
        hold_out(NAMES, fraction)
