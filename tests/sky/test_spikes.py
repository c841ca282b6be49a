"""Spikes: isolated outliers are told from sources, however sharp these are."""

import itertools

import numpy as np
import pytest
from noise_images import hit, star

from surveyfit.sky.spikes import find_spikes

NOTHING_MASKED = np.zeros((200, 200), bool)


def test_isolated_outliers_of_either_sign_are_found_and_noise_is_not() -> None:
    noise = np.random.default_rng(1).normal(size=(200, 200))
    data = hit(noise, 2, 0.02)
    struck = data != noise
    found = find_spikes(data.astype(np.float32), NOTHING_MASKED)
    assert not (found & ~struck).any()
    # One in 300 has two others of its sign beside it; measured with five seeds: 0.990 to 0.997.
    assert np.mean(found[struck]) > 0.98
    assert (data[found] < 0).any()
    assert (data[found] > 0).any()


@pytest.mark.parametrize("sigma", [0.8, 1.0, 2.0])
def test_stars_are_not_spikes(sigma: float) -> None:
    rng = np.random.default_rng(3)
    data = rng.normal(size=(200, 200))
    for y, x in itertools.product(range(10, 190, 20), repeat=2):
        dy, dx = rng.uniform(-0.5, 0.5, 2)
        data += star(200, (y + dy, x + dx), 10 * 10 ** rng.random(), sigma)
    assert not find_spikes(data.astype(np.float32), NOTHING_MASKED).any()


def test_beside_masked_pixels_nothing_is_called_a_spike() -> None:
    data = np.zeros((200, 200), np.float32)
    data[50, 50] = data[100, 100] = 30
    mask = NOTHING_MASKED.copy()
    mask[99, 99:102] = True
    assert np.argwhere(find_spikes(data, mask)).tolist() == [[50, 50]]


def test_a_spike_at_the_edge_is_found() -> None:
    data = np.zeros((200, 200), np.float32)
    data[0, 150] = -30
    assert np.argwhere(find_spikes(data, NOTHING_MASKED)).tolist() == [[0, 150]]
