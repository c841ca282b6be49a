"""Draw artificial sources for the images of a run: how many in which, and how bright."""

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from surveyfit.errors import InputError
from surveyfit.run.config import Config
from surveyfit.run.directory import RunDirectory
from surveyfit.run.validation.images import Rows, check_unchanged
from surveyfit.run.validation.places import NoPlaceError, place_sources, share
from surveyfit.sky.described import described
from surveyfit.sky.image import Image
from surveyfit.sky.injected import INJECTED_COLUMNS

SNR = (2.0, 300.0)
"""Faintest and brightest artificial source, spread evenly in the logarithm between."""

FILES = 8
"""Files over which the sources are spread if there are so many; more only where these have too few
empty places. Measuring a file again costs as much as the first time."""


class Drawn(NamedTuple):
    """What was drawn.

    Attributes
    ----------
    table : Table
        The columns of `injected.INJECTED_COLUMNS`, a row an artificial source.
    images : list of Image
        Those that hold at least one.
    notes : list of str
        What the user should know: fewer places than wanted, images that were left out.
    """

    table: Table
    images: list[Image]
    notes: list[str]


def draw_sources(
    directory: RunDirectory, images: Sequence[Image], config: Config, wanted: int, seed: int
) -> Drawn:
    """Draw artificial sources for empty places of a run's images.

    The same run, number and seed give the same sources.

    Parameters
    ----------
    directory : RunDirectory
        A finished run.
    images : sequence of Image
        All that it has measured, those of a file one after the other.
    config : Config
        Of the run.
    wanted : int
    seed : int

    Raises
    ------
    InputError
        If an image has changed since the run, or there is no empty place at all.
    """
    order, spread = _in_random_order(images, seed)
    notes: list[str] = []
    placed: list[Rows] = []
    used: list[Image] = []
    left = wanted
    for turn, image in enumerate(order):
        if left == 0:
            break
        check_unchanged(image, config)
        most = share(left, turn, spread)
        try:
            placed.append(place_sources(directory, image, config, most, seed))
        except NoPlaceError as error:
            notes.append(f"{image.name}: {error}")
            continue
        used.append(image)
        left -= len(placed[-1]["x"])
    if not placed:
        why = "; ".join(notes) or "the run has measured no image"
        raise InputError(f"{directory.path}: nowhere to put an artificial source", why)
    if left:
        notes.append(f"only {wanted - left} of {wanted} artificial sources found an empty place")
    together = {name: np.concatenate([p[name] for p in placed]) for name in placed[0]}
    return Drawn(_with_brightness(together, seed), used, notes)


def _in_random_order(images: Sequence[Image], seed: int) -> tuple[list[Image], int]:
    """Return images file by file, and how many of them the first `FILES` files hold."""
    files = [list(of_file) for _, of_file in groupby(images, key=lambda image: image.path)]
    shuffled = [files[i] for i in np.random.default_rng(seed).permutation(len(files))]
    return [image for file in shuffled for image in file], sum(map(len, shuffled[:FILES]))


def _with_brightness(placed: Rows, seed: int) -> Table:
    """Give sources their S/N, from each of equal shares of the range once, and so their peak."""
    rng = np.random.default_rng([seed, len(placed["x"])])
    n = len(placed["x"])
    faintest, brightest = np.log(SNR)
    at: NDArray[np.float64] = (rng.permutation(n) + rng.random(n)) / n
    snr = np.exp(faintest + at * (brightest - faintest))
    # The error grows with the peak: amp**2 = snr**2 * (sky + photons * amp), solved for amp.
    sky, photons = placed.pop("sky_variance"), placed.pop("photon_variance")
    half = snr**2 * photons / 2
    values = placed | {
        "number": np.arange(n, dtype=np.int32),
        "snr": snr,
        "amp": half + np.sqrt(half**2 + snr**2 * sky),
        "noise_seed": rng.integers(2**62, size=n),
    }
    return described(INJECTED_COLUMNS, values, image_unit=None)
