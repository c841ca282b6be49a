"""Tiles: every pixel has one owner, whatever the image and the tile."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from surveyfit.run.plan import tiles

SHAPES = st.tuples(st.integers(1, 500), st.integers(1, 500))


@given(shape=SHAPES, side=st.integers(1, 600), halo=st.integers(0, 100))
def test_every_pixel_is_owned_exactly_once(shape: tuple[int, int], side: int, halo: int) -> None:
    owners = np.zeros(shape, int)
    for tile in tiles(shape, max(side, 20), halo):
        owners[tile.core.slices] += 1
    assert (owners == 1).all()


@given(shape=SHAPES, side=st.integers(20, 600), halo=st.integers(0, 100))
def test_tiles_are_no_larger_than_asked_and_nearly_equal(
    shape: tuple[int, int], side: int, halo: int
) -> None:
    heights, widths = zip(*(t.core.shape for t in tiles(shape, side, halo)), strict=True)
    for lengths in (heights, widths):
        assert max(lengths) <= side
        assert max(lengths) - min(lengths) <= 1


@given(shape=SHAPES, side=st.integers(20, 600), halo=st.integers(0, 100))
def test_the_halo_reaches_as_far_as_asked_or_to_the_edge(
    shape: tuple[int, int], side: int, halo: int
) -> None:
    for tile in tiles(shape, side, halo):
        core, wide = tile.core, tile.halo
        assert wide.y0 == max(0, core.y0 - halo)
        assert wide.x0 == max(0, core.x0 - halo)
        assert wide.y1 == min(shape[0], core.y1 + halo)
        assert wide.x1 == min(shape[1], core.x1 + halo)


@given(shape=SHAPES, side=st.integers(20, 600), data=st.data())
def test_the_owner_found_by_brute_force_is_the_one_that_contains_the_pixel(
    shape: tuple[int, int], side: int, data: st.DataObject
) -> None:
    y = data.draw(st.integers(0, shape[0] - 1))
    x = data.draw(st.integers(0, shape[1] - 1))
    plan = tiles(shape, side, halo=3)
    brute = [
        t for t in plan if y in range(t.core.y0, t.core.y1) and x in range(t.core.x0, t.core.x1)
    ]
    assert [t for t in plan if t.core.contains(y, x)] == brute
    assert len(brute) == 1


@given(shape=SHAPES, side=st.integers(20, 600))
def test_labels_tell_tiles_apart(shape: tuple[int, int], side: int) -> None:
    plan = tiles(shape, side, halo=0)
    assert len({t.label for t in plan}) == len(plan)
