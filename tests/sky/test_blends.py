"""Blends: every pixel of an island has one owner, and what is measured is what the owner holds."""

import numpy as np
from numpy.typing import NDArray

from surveyfit.sky.blends import divide
from surveyfit.sky.detect import Detections, detect
from surveyfit.sky.scene import ACTIVE_PIXELS, Scene

SIZE = 400
Y, X = np.mgrid[:SIZE, :SIZE]


def gaussian(y: float, x: float, peak: float, sigma: float = 1.5) -> NDArray[np.float64]:
    return peak * np.exp(-((X - x) ** 2 + (Y - y) ** 2) / (2 * sigma**2))


def crowd(seed: int) -> NDArray[np.float32]:
    """Draw stars over white noise of 1, most of them in pairs 5 to 9 pixels apart."""
    rng = np.random.default_rng(seed)
    data = rng.normal(size=(SIZE, SIZE))
    for y, x in rng.uniform(20, SIZE - 20, (100, 2)):
        angle, apart = rng.uniform(0, 2 * np.pi), rng.uniform(5, 9)
        data += gaussian(y, x, rng.uniform(30, 100))
        data += gaussian(y + apart * np.sin(angle), x + apart * np.cos(angle), rng.uniform(10, 60))
    return data.astype(np.float32)


def found_in(data: NDArray[np.float32]) -> Detections:
    noise, mask = np.ones_like(data), np.zeros(data.shape, bool)
    return detect(data, noise, mask, thresh=5.0, filter_factor=0.27, filter_fwhm=2.5)


def test_objects_are_measured_in_their_own_segments() -> None:
    data = crowd(1)
    found = found_in(data)
    members = np.bincount(found.islands)
    assert np.sum(members[members > 1]) > 100  # most are in blends
    for number, row in enumerate(found.objects, start=1):
        y, x = np.nonzero(found.segments == number)
        assert row["npix"] == len(y)
        assert (row["ymin"], row["ymax"]) == (y.min(), y.max())
        assert (row["xmin"], row["xmax"]) == (x.min(), x.max())
        brightest = np.argmax(data[y, x])
        assert (row["ypeak"], row["xpeak"]) == (y[brightest], x[brightest])
    assert found.segments.max() == len(found.objects)


def test_a_blend_is_shared_out_alike_in_a_larger_and_a_smaller_piece() -> None:
    data = crowd(2)
    corner = 37, 53
    whole, part = found_in(data), found_in(data[corner[0] :, corner[1] :].copy())

    def rows(found: Detections, y: int, x: int) -> set[tuple[float, ...]]:
        o = found.objects
        inner = (o["ymin"] + y > corner[0] + 20) & (o["xmin"] + x > corner[1] + 20)
        columns = (o["ypeak"] + y, o["xpeak"] + x, o["npix"], o["ymin"] + y, o["xmin"] + x)
        return set(zip(*(c[inner].tolist() for c in columns), strict=True))

    assert len(rows(whole, 0, 0)) > 100
    assert rows(whole, 0, 0) == rows(part, *corner)


def test_a_peak_that_is_left_a_single_pixel_is_no_source() -> None:
    data = (gaussian(200, 200, 100, 4.0) + gaussian(200, 220, 100, 4.0)).astype(np.float32)
    data[200, 205] = 6  # a pit: the slope of the first peak is flooded all around it
    island = (data > 5).astype(np.int32)
    scene = Scene(data, np.ones_like(data), np.zeros(data.shape, bool), None)
    peaks = np.array([200, 200, 200]), np.array([200, 205, 220])
    ((_, (objects, shares)),) = divide(scene, 5.0, peaks, island, np.array([1]))
    assert objects["xpeak"].tolist() == [200, 220]
    assert objects["npix"].tolist() == np.bincount(shares[shares > 0])[1:].tolist()
    assert objects["npix"].sum() == island.sum()


def test_an_object_larger_than_the_first_room_is_found() -> None:
    data = gaussian(200, 200, 1000, 60.0).astype(np.float32)
    scene = Scene(data, np.ones_like(data), np.zeros(data.shape, bool), None)
    objects, segments = scene.find(4.0, 0.005, clean=True)
    assert len(objects) == 1
    assert ACTIVE_PIXELS < np.count_nonzero(data > 4) == np.count_nonzero(segments)
