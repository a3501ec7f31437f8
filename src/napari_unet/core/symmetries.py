"""The ways to look at an image, mirrored and turned, over which what a network says is averaged.

A network that was taught all directions alike still says something else of an image that lies
upside down. The mean is a little better, and where the versions differ the network is unsure
(Ronneberger et al. 2015, section 4, average seven rotations and do not say by which angles).
Here it is by quarter turns and mirroring, which need no interpolation: of the eight symmetries of
a square, the four without a turn by 90 degrees, or all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any  # images come in any real dtype

from napari_unet.core.errors import InputError

if TYPE_CHECKING:
    from numpy.typing import NDArray  # slow to import, and the command line reads the names here

__all__ = ["AVERAGES", "Symmetry", "symmetries"]

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Symmetry:
    """One way to look at an image: first transposed or not, then gone through in steps of 1 or -1.

    Attributes
    ----------
    y_step, x_step : int
        1 or -1, through rows and columns of what is seen.
    is_transposed : bool
        Whether the image's rows are seen as columns.
    """

    y_step: int = 1
    x_step: int = 1
    is_transposed: bool = False

    def view(self, image_cyx: NDArray[Any]) -> NDArray[Any]:
        """Return the image as it is seen, (C, Y, X) or (C, X, Y), without a copy."""
        seen = image_cyx.transpose(0, 2, 1) if self.is_transposed else image_cyx
        return seen[:, :: self.y_step, :: self.x_step]

    def seen_at(self, point: Point, shape_yx: tuple[int, int]) -> Point:
        """Return the row and column at which a point of an image is seen."""
        y, x = point[::-1] if self.is_transposed else point
        rows, columns = shape_yx[::-1] if self.is_transposed else shape_yx
        return (
            y if self.y_step > 0 else rows - 1 - y,
            x if self.x_step > 0 else columns - 1 - x,
        )

    def corner(
        self, corner: tuple[int, int], size: tuple[int, int], shape_yx: tuple[int, int]
    ) -> tuple[int, int]:
        """Return where in the image, of shape (Y, X), a box begins that is seen at a corner."""
        rows, columns = shape_yx[::-1] if self.is_transposed else shape_yx
        y = corner[0] if self.y_step > 0 else rows - corner[0] - size[0]
        x = corner[1] if self.x_step > 0 else columns - corner[1] - size[1]
        return (x, y) if self.is_transposed else (y, x)


FLIPS = tuple(Symmetry(y, x) for x in (1, -1) for y in (1, -1))
AVERAGES = {
    "none": FLIPS[:1],
    "flips": FLIPS,
    "rotations": (*FLIPS, *(Symmetry(one.y_step, one.x_step, True) for one in FLIPS)),
}
"""The versions that are averaged, by name; the first is the image as it is."""


def symmetries(average: str) -> tuple[Symmetry, ...]:
    """Return the versions that a name stands for.

    Raises
    ------
    InputError
        If there is no such name.
    """
    if average not in AVERAGES:
        raise InputError(f"There is no average {average!r}; choose one of {', '.join(AVERAGES)}.")
    return AVERAGES[average]
