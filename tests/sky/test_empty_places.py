"""Empty places: nothing near them, nor they near each other."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from surveyfit.sky.box import Box
from surveyfit.sky.cutouts import Plane
from surveyfit.sky.detect import Detections
from surveyfit.sky.empty_places import MOST_COVERED, empty_places
from surveyfit.sky.reader import Pixels

CLEAR = 6.0
CORE, HALO = Box(100, 300, 50, 350), Box(80, 320, 30, 370)


@pytest.fixture
def scene() -> tuple[Plane, Detections]:
    """Make a tile with sources, masked and saturated pixels here and there."""
    rng = np.random.default_rng(3)
    kinds = rng.choice(4, HALO.shape, p=[0.9991, 0.0003, 0.0003, 0.0003])
    zeros = np.zeros(HALO.shape, np.float32)
    pixels = Pixels(zeros, kinds == 1, kinds == 2, None, None)
    segments = (kinds == 3).astype(np.int32)
    found = Detections(np.zeros(1, "f8,f8"), segments, np.zeros(1, np.int32))
    return Plane(HALO, (400, 400), pixels, zeros, zeros), found


def places_of(scene: tuple[Plane, Detections], most: int, seed: int = 1) -> np.ndarray:
    return empty_places(*scene, CORE, CLEAR, most, np.random.default_rng(seed))


def test_nothing_is_near_a_place(scene: tuple[Plane, Detections]) -> None:
    plane, found = scene
    places = places_of(scene, 60)
    full = plane.pixels.mask | plane.pixels.saturated | (found.segments > 0)
    y, x = np.nonzero(full)
    things = np.column_stack([x + HALO.x0, y + HALO.y0])
    assert len(places) == 60
    assert np.linalg.norm(places[:, None] - things, axis=2).min() > CLEAR
    assert pdist(places).min() > 2 * CLEAR
    x, y = places.T
    assert ((x - CLEAR >= CORE.x0) & (x + CLEAR <= CORE.x1 - 1)).all()
    assert ((y - CLEAR >= CORE.y0) & (y + CLEAR <= CORE.y1 - 1)).all()


def test_there_are_no_more_than_leave_the_sky_as_it_was(scene: tuple[Plane, Detections]) -> None:
    places = places_of(scene, 10_000)
    area = CORE.shape[0] * CORE.shape[1]
    covered = len(places) * np.pi * CLEAR**2 / area
    assert covered == pytest.approx(MOST_COVERED, abs=0.003)  # one place is 0.002


def test_a_seed_gives_the_same_places_again(scene: tuple[Plane, Detections]) -> None:
    np.testing.assert_array_equal(places_of(scene, 20), places_of(scene, 20))
    assert (places_of(scene, 20) != places_of(scene, 20, seed=2)).any()
