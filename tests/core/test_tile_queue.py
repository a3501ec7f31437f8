from napari_unet.core.tile_queue import TileQueue
from napari_unet.core.tiling import NetworkGeometry, plan_tiles

GEOMETRY = NetworkGeometry(grid=16, halo=32, valid=False)
SHAPE = (96, 160)


def queue_of(center=None, side=32):
    return TileQueue(plan_tiles(SHAPE, GEOMETRY, side), SHAPE, GEOMETRY, center)


def places(queue):
    found = []
    while (tile := queue.next()) is not None:
        found.append((tile.y, tile.x))
        queue.finish(tile)
    return found


def test_every_tile_has_its_turn_once():
    found = places(queue_of())
    assert found[0] == (32, 64)
    assert sorted(found) == [(y, x) for y in range(0, 96, 32) for x in range(0, 160, 32)]


def test_what_is_nearest_comes_first_when_the_view_has_moved():
    view = [(0.0, 0.0)]
    queue = queue_of(lambda: view[0])
    first = queue.next()
    queue.finish(first)
    view[0] = (95.0, 159.0)
    second = queue.next()
    queue.finish(second)
    view[0] = (0.0, 0.0)
    third = queue.next()
    assert [(tile.y, tile.x) for tile in (first, second)] == [(0, 0), (64, 128)]
    assert (third.y, third.x) in ((0, 32), (32, 0))
    assert (queue.done, len(queue)) == (2, 13)


def test_a_tile_stays_until_it_is_finished():
    queue = queue_of()
    assert queue.next() is queue.next()
    assert queue.after() is not queue.next()


def test_halved_tiles_cover_what_is_left_and_nothing_else():
    queue = queue_of(side=64)
    done = queue.next()
    queue.finish(done)
    left = len(queue)
    assert queue.halve()
    assert len(queue) > left
    covered = {(y, x): 0 for y in range(SHAPE[0]) for x in range(SHAPE[1])}
    tiles = [done]
    while (tile := queue.next()) is not None:
        assert tile.height * tile.width <= 64 * 32
        tiles.append(tile)
        queue.finish(tile)
    for tile in tiles:
        for y in range(tile.y, tile.y + tile.height):
            for x in range(tile.x, tile.x + tile.width):
                covered[y, x] += 1
    assert set(covered.values()) == {1}


def test_tiles_of_one_pixel_of_the_grid_are_not_halved():
    queue = queue_of(side=16)
    assert not queue.halve()
    assert len(queue) == 60
