"""Boxes: growing, indexing, containing."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from surveyfit.sky.box import Box

SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 40))


@st.composite
def boxes(draw):
    ny, nx = draw(SHAPES)
    y0, x0 = draw(st.integers(0, ny - 1)), draw(st.integers(0, nx - 1))
    box = Box(y0, draw(st.integers(y0 + 1, ny)), x0, draw(st.integers(x0 + 1, nx)))
    return box, (ny, nx)


@given(boxes(), st.integers(0, 50))
def test_grown_box_holds_exactly_the_pixels_within_the_margin(drawn, margin):
    box, shape = drawn
    y, x = np.indices(shape)
    below = np.maximum(box.y0 - y, box.x0 - x)
    above = np.maximum(y - box.y1 + 1, x - box.x1 + 1)
    near = np.maximum(below, above) <= margin
    grown = np.zeros(shape, bool)
    grown[box.grow(margin, shape).slices] = True
    np.testing.assert_array_equal(grown, near)


@given(boxes())
def test_contains_slices_and_shape_agree(drawn):
    box, shape = drawn
    inside = np.zeros(shape, bool)
    inside[box.slices] = True
    np.testing.assert_array_equal(box.contains(*np.indices(shape)), inside)
    assert inside.sum() == box.shape[0] * box.shape[1]


@given(boxes(), st.integers(0, 9))
def test_within_finds_the_box_in_a_larger_one(drawn, margin):
    box, shape = drawn
    image = np.arange(shape[0] * shape[1]).reshape(shape)
    wide = box.grow(margin, shape)
    np.testing.assert_array_equal(image[wide.slices][box.within(wide)], image[box.slices])
