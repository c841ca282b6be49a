"""Filter, exposure and zero point in the spellings of many observatories."""

import numpy as np
import pytest
from astropy.io import fits

from surveyfit.sky.header import read_facts


def facts(*cards):
    return read_facts(fits.Header([fits.Card(*card) for card in cards]))


@pytest.mark.parametrize(
    ("cards", "name"),
    [
        ([("FILTER", "r DECam c0002 6415.0"), ("BAND", "r")], "r DECam c0002 6415.0"),
        ([("FILTER", "_unknown_"), ("BAND", "z")], "z"),
        ([("FILTNAM", "F555W")], "F555W"),
        ([("FILTER1", "CLEAR1S"), ("FILTER2", "F814W")], "F814W"),
        ([("FILTER1", "Ha"), ("FILTER2", "pol 60")], "Ha+pol 60"),
        ([("FILTER1", "OPEN"), ("FILTER2", "CLEAR")], ""),
        ([("HIERARCH ESO INS FILT1 NAME", "R_SPECIAL")], "R_SPECIAL"),
        ([("FILTER", True)], ""),
        ([("FILTER", "N/A")], ""),
        ([("FILTER", "Clear")], "Clear"),
    ],
)  # fmt: skip
def test_filters(cards, name):
    assert facts(*cards).filter == name


@pytest.mark.parametrize(
    ("cards", "seconds"),
    [
        ([("EXPTIME", 45.0, "[s] Exposure duration"), ("EXPOSURE", 1.0)], 45),
        ([("EXPOSURE", 50.0, "Exposure time minutes")], 3000),  # the digitised plate of M67
        ([("EXPOSURE", 50.0, "minimum")], 50),
        ([("EXPOSURE", 0.5, "[d] time on source")], 43200),
        ([("EXPTIME", 100.0, "[s] sum of 5 min exposures")], 100),
        ([("EXPTIME", 30.0, "exposure time (s), min 1")], 30),
        ([("EXPTIME", 30.0, "seconds, min 1")], 30),
        ([("EXPTIME", 2.0, "time (Hours)")], 7200),
        ([("EXPTIME", 2.0, "[ min ]")], 120),
        ([("XPOSURE", "12.5")], 12.5),
        ([("EXPTIME", 0.0), ("EXP_TIME", 3.0)], 3),
        ([("TELAPSE", 100.0)], None),  # with the pauses
    ],
)
def test_exposures(cards, seconds):
    assert facts(*cards).exposure == seconds


@pytest.mark.parametrize(
    ("cards", "zero_point"),
    [
        # The header of decam_z_sci.fits, which gives both.
        ([("MAGZERO", 29.915), ("MAGZPT", 24.842), ("EXPTIME", 107.0)], 29.915),
        ([("MAGZPT", 24.842), ("EXPTIME", 107.0)], 29.915),
        ([("MAGZPT", 24.842)], None),  # of how many seconds?
        ([("MAGZPT", 24.842), ("BUNIT", "electron/s")], 24.842),
        ([("PHOTZP", 30.0)], 30),
        ([("MAGZP", 20.5)], 20.5),
        ([("FLUXMAG0", 6.30957e10)], 27),
        ([("FLUXMAG0", 0.0)], None),
        ([("BUNIT", "nanomaggies")], 22.5),
        ([("BUNIT", "nJy")], None),
        ([("ABMAGLIM", 24.0)], None),  # a depth
        ([("PHOTFLAM", 1e-19)], None),
    ],
)
def test_zero_points(cards, zero_point):
    """They agree to 0.001 mag, as their digits are written."""
    found = facts(*cards).zeropoint
    assert found == (None if zero_point is None else pytest.approx(zero_point, abs=1e-3))


def test_the_zero_point_of_a_flux_of_magnitude_0_makes_that_flux_magnitude_0():
    zero_point = facts(("FLUXMAG0", 3.7e10)).zeropoint
    assert zero_point - 2.5 * np.log10(3.7e10) == pytest.approx(0, abs=1e-12)


def test_who_observed_what():
    known = facts(("TELESCOP", "AMI-LA "), ("INSTRUME", 3), ("OBJECT", ""))
    assert (known.telescope, known.instrument, known.object) == ("AMI-LA", "3", "")
