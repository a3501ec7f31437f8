"""What a lesson is: how many cells it is learnt from, as the dock counts them."""

import numpy as np

from napari_unet.core.example import Example
from napari_unet.core.lay_around import count_checked
from napari_unet.core.lesson import count_cells


def test_a_cell_that_a_box_touches_is_not_counted_as_learnt():
    """Three cells: one is in the checked box, one half, and of one it has a corner."""
    labels = np.zeros((20, 30), np.int32)
    labels[2:8, 2:8] = 1
    labels[10:16, 2:8] = 2
    labels[2:8, 20:26] = 3
    checked = np.zeros(labels.shape, bool)
    checked[:13, :21] = True
    example = Example(np.zeros(labels.shape), labels, checked)
    assert count_cells(example) == count_checked(labels, checked) == 2
