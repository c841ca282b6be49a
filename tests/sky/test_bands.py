"""Which images show the same light, and whose noise is less."""

import numpy as np
import pytest
from astropy.io import fits

from surveyfit.sky.bands import NO_BAND, bands, depth
from surveyfit.sky.header import read_facts

PLACE = {"NAXIS": 2, "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 10.0, "CRVAL2": 20.0}


def facts(scale=0.5, **cards):
    """Of an image with pixels of `scale` arcsec."""
    steps = {"CDELT1": -scale / 3600, "CDELT2": scale / 3600}
    return read_facts(fits.Header(PLACE | steps | cards))


def named(*images, noise=1.0):
    """Return the bands of some images."""
    return bands(images, [depth(image, noise) for image in images])


def test_the_same_filter_and_unit_is_the_same_band():
    first, second, third, fourth = named(
        facts(FILTER="r", MAGZERO=25.0),
        facts(FILTER="R ", MAGZERO=30.0),
        facts(FILTER="i", MAGZERO=25.0),
        facts(FILTER="r", BUNIT="adu"),
    )
    assert first == second == "r (flux of magnitude 0)"
    assert len({first, third, fourth}) == 3


@pytest.mark.parametrize(
    "image",
    [
        facts(MAGZERO=25.0),  # which light is not known
        facts(FILTER="r"),  # in which unit is not known
        read_facts(fits.Header({"FILTER": "r", "MAGZERO": 25.0})),  # where is not known
    ],
)
def test_what_is_not_known_competes_with_nothing(image):
    assert named(image, image) == [NO_BAND, NO_BAND]


def test_frequencies_within_a_hundredth_are_one_band():
    radio = [facts(BUNIT="Jy/beam", RESTFRQ=f * 1e9) for f in (1.4, 0.888, 1.41, 1.43, 1.419)]
    assert named(*radio) == [
        "1.4 GHz (Jy/beam)",
        "0.888 GHz (Jy/beam)",
        "1.4 GHz (Jy/beam)",
        "1.4 GHz (Jy/beam)",  # linked through 1.419, though 2 % from 1.4
        "1.4 GHz (Jy/beam)",
    ]
    assert named(*radio[:4])[3] == "1.43 GHz (Jy/beam)"


def test_noise_in_other_units_of_the_same_sky_is_the_same_depth():
    """Pixels of white noise: a sum over an area does not depend on how finely it is cut."""
    assert depth(facts(BUNIT="mJy/beam"), 2.0).noise == pytest.approx(2e-3)
    one = depth(facts(MAGZERO=25.0), 1.0).noise
    assert depth(facts(MAGZERO=27.5), 10.0).noise == pytest.approx(one)
    assert depth(facts(MAGZERO=25.0, scale=1.0), 2.0).noise == pytest.approx(one)
    counts, rate = depth(facts(BUNIT="adu", EXPTIME=20.0), 40.0), depth(facts(BUNIT="adu/s"), 2.0)
    assert counts == (rate.unit, pytest.approx(rate.noise))
    coarse = depth(facts(BUNIT="MJy/sr", scale=1.0), 1.0)
    assert coarse.unit == "Jy/sr"
    assert depth(facts(BUNIT="MJy/sr"), 2.0).noise == pytest.approx(coarse.noise)


@pytest.mark.parametrize("noise", [0.0, np.nan])
def test_an_image_without_noise_competes_with_nothing(noise):
    assert depth(facts(MAGZERO=25.0), noise) is None
