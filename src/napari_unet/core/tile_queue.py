"""Tiles that wait to be computed: nearest to where somebody looks first, halved if need be."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from napari_unet.core.tiling import NetworkGeometry, Tile, halve_tile, nearest_first

__all__ = ["Center", "TileQueue"]

Point = tuple[float, float]
Center = Point | Callable[[], Point | None] | None


class TileQueue:
    """The tiles of an image that are left.

    Parameters
    ----------
    tiles : sequence of Tile
        They cover the image.
    shape_yx : tuple of int
        Rows and columns of the image.
    geometry : NetworkGeometry
        Of the network.
    center : tuple of float, or callable, optional
        Row and column where somebody looks, or what returns them: it is asked before each tile.
        None is the middle of the image.
    """

    def __init__(
        self,
        tiles: Sequence[Tile],
        shape_yx: tuple[int, int],
        geometry: NetworkGeometry,
        center: Center = None,
    ) -> None:
        self._left = list(tiles)
        self._shape_yx = shape_yx
        self._geometry = geometry
        self._center = center
        self._sorted_for: Point | None = None
        self.done = 0

    def __len__(self) -> int:
        return len(self._left)

    def next(self) -> Tile | None:
        """Return the tile whose turn it is, None at the end; it stays in the queue."""
        at = self._center() if callable(self._center) else self._center
        at = at or (self._shape_yx[0] / 2, self._shape_yx[1] / 2)
        if at != self._sorted_for:
            self._left = nearest_first(self._left, at)
            self._sorted_for = at
        return self._left[0] if self._left else None

    def after(self) -> Tile | None:
        """Return the tile that comes then, if nobody looks elsewhere meanwhile."""
        return self._left[1] if len(self._left) > 1 else None

    def finish(self, tile: Tile) -> None:
        """Take out a tile that was computed."""
        self._left.remove(tile)
        self.done += 1

    def halve(self) -> bool:
        """Cut all tiles that are left in two; whether the next one has become smaller."""
        before = self._left
        self._left = [
            half for tile in before for half in halve_tile(tile, self._shape_yx, self._geometry)
        ]
        self._sorted_for = None
        return len(self._left) > len(before)
