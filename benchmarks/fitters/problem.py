"""What every fitter is given."""

from typing import NamedTuple

import numpy as np
from drawn_sources import Truth, draw_sources, outliers, rough_starts

SIDE = 32
SNR = (5.0, 100.0)


class Problem(NamedTuple):
    """Cutouts (n, side, side) with noise of 1, and linear parameters (n, 7) to start from.

    The pixels are float32, as images and the store of cutouts hold them.
    """

    pixels: np.ndarray
    start: np.ndarray

    def part(self, chosen: slice) -> "Problem":
        """Return some of the cutouts."""
        return Problem(self.pixels[chosen], self.start[chosen])


def draw_problem(n: int, seed: int, hit: float) -> tuple[Truth, Problem]:
    """Return true sources, and their cutouts and starts; ``hit`` of the pixels are spoilt."""
    rng = np.random.default_rng(seed)
    truth = draw_sources(n, rng, SIDE, SNR)
    start = rough_starts(truth, rng)
    noise = rng.normal(size=(n, SIDE, SIDE))
    pixels = truth.images(SIDE) + noise + outliers(noise.shape, hit, rng)
    return truth, Problem(pixels.astype(np.float32), start)
