"""Where an image has usable pixels."""

import numpy as np
import pytest

from surveyfit.sky.box import Box
from surveyfit.sky.coverage import CoverageCounter, Zone, blocks_of, zone_of_blocks, zones


def covered_by(usable, strips=(0, 20, 33)):
    """Count an image in strips of rows."""
    height, width = usable.shape
    counter = CoverageCounter(usable.shape)
    for y0, y1 in zip(strips, (*strips[1:], height), strict=True):
        counter.add(Box(y0, y1, 0, width), usable[y0:y1])
    return counter.covered()


def test_a_block_is_covered_if_half_of_its_64_pixels_are_usable():
    usable = np.ones((40, 48), bool)
    usable[8:16, 8:12] = False  # half of a block: covered still
    usable[8:16, 16:20] = False
    usable[8, 20] = False  # one more
    covered = covered_by(usable)
    expected = np.ones((5, 6), bool)
    expected[1, 2] = False
    np.testing.assert_array_equal(covered, expected)


def test_strips_do_not_matter():
    usable = np.random.default_rng(3).random((45, 50)) < 0.5
    whole = covered_by(usable, strips=(0,))
    assert 0 < whole.sum() < whole.size
    np.testing.assert_array_equal(whole, covered_by(usable, strips=(0, 3, 11, 40)))


def test_of_a_block_across_the_edge_of_the_image_only_the_pixels_inside_count():
    covered = covered_by(np.ones((44, 43), bool))
    assert covered.shape == (6, 6)
    assert covered[-1, :-1].all()  # 4 of 8 rows
    assert not covered[:, -1].any()  # 3 of 8 columns


@pytest.mark.parametrize(
    ("x", "y", "zone"),
    [
        (24.0, 24.0, Zone.INSIDE),
        (-0.5, 24.0, Zone.BORDER),
        (7.4, 24.0, Zone.BORDER),
        (7.5, 24.0, Zone.INSIDE),
        (55.4, 24.0, Zone.INSIDE),
        (55.6, 24.0, Zone.BORDER),
        (63.4, 24.0, Zone.BORDER),
        (63.6, 24.0, Zone.OUTSIDE),
        (-0.6, 24.0, Zone.OUTSIDE),
        (44.0, 44.0, Zone.OUTSIDE),  # the hole
        (36.0, 44.0, Zone.BORDER),  # beside it
        (36.0, 36.0, Zone.BORDER),  # at its corner
        (np.nan, 24.0, Zone.OUTSIDE),
    ],
)
def test_zones_of_an_image_with_a_hole(x, y, zone):
    usable = np.ones((64, 64), bool)
    usable[40:48, 40:48] = False
    assert zones(zone_of_blocks(covered_by(usable)), np.array([x]), np.array([y])) == [zone]


def test_blocks_that_a_box_touches():
    assert blocks_of(Box(8, 17, 0, 24)) == (slice(1, 3), slice(0, 3))
