"""Tell what it costs to settle which sources are primary.

    python benchmarks/primaries.py

Images that overlap are found from their circles; then each source of an image is looked up in each
image that overlaps it. Both are done by the driver, at the end of a run.
"""

import time
from collections.abc import Callable
from functools import partial

import numpy as np
from astropy.io import fits
from timing import argument_parser, pin, print_setting, print_table

from surveyfit.run.primary import Contender, overlapping
from surveyfit.sky.coverage import zone_of_blocks, zones
from surveyfit.sky.footprint import Footprint, footprint_of
from surveyfit.sky.world import World

SIDE = 4096
SCALE = 0.25
"""Pixels a side of an image, and arcsec a pixel."""

DISTORTIONS = {
    "TAN": {},
    "TAN-SIP": {"A_ORDER": 2, "B_ORDER": 2, "A_2_0": 1e-7, "B_0_2": -1e-7},
    "TPV": {"PV1_1": 1.001, "PV1_4": 2e-6, "PV2_1": 0.999, "PV2_5": -3e-6},
}


def world_of(projection: str) -> World:
    """Return world coordinates of an image."""
    cards = {"NAXIS": 2, "CTYPE1": f"RA---{projection}", "CTYPE2": f"DEC--{projection}"}
    cards |= {"CRVAL1": 150.0, "CRVAL2": 2.0, "CRPIX1": SIDE / 2, "CRPIX2": SIDE / 2}
    cards |= {"CDELT1": -SCALE / 3600, "CDELT2": SCALE / 3600, **DISTORTIONS[projection]}
    return World(fits.Header(cards))


def scattered(n: int, rng: np.random.Generator) -> list[Contender]:
    """Return images all over the sky."""
    ra, dec = rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))
    return [
        Contender(str(i), "r", None, (1.0, str(i), 0, ()), Footprint(a, d, 0.2, ()), (), {})
        for i, (a, d) in enumerate(zip(ra.tolist(), dec.tolist(), strict=True))
    ]


def which_zones(blocks: np.ndarray, world: World, ra: np.ndarray, dec: np.ndarray) -> None:
    """Look positions up in an image."""
    zones(blocks, *world.pixels(ra, dec))


def seconds(work: Callable[[], object]) -> float:
    """Return how long some work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main() -> None:
    """Print the costs."""
    parser = argument_parser(__doc__)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--sources", type=int, default=100_000)
    options = parser.parse_args()
    pin(options.core)
    if options.quick:
        options.images, options.sources = 100, 1000
    rng = np.random.default_rng(1)
    print_setting()
    images = scattered(options.images, rng)
    print(f"overlaps of {options.images} images: {seconds(lambda: overlapping(images)):.2f} s")
    blocks = zone_of_blocks(np.ones((SIDE // 8, SIDE // 8), bool))
    x, y = rng.uniform(0, SIDE, (2, options.sources))
    rows = []
    world_of("TAN").pixels(
        np.array([150.0]), np.array([2.0])
    )  # the first time frames of the sky are loaded
    for projection in DISTORTIONS:
        world = world_of(projection)
        ra, dec, _ = world.positions(x, y)
        look_up = partial(which_zones, blocks, world, ra, dec)
        outline = seconds(partial(footprint_of, world, (SIDE, SIDE)))
        spent = seconds(look_up) / options.sources
        rows.append([projection, f"{spent * 1e6:.2f}", f"{outline * 1e3:.1f}"])
    print_table(["projection", "us a source", "ms a footprint"], rows)


if __name__ == "__main__":
    main()
