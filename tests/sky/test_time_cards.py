"""Start and middle of an observation, judged by astropy's times."""

import pytest
from astropy.io import fits
from astropy.time import Time

from surveyfit.sky.header import read_facts

AT_6 = "2017-11-13T06:00:00"
CLOCK = {"DATE-OBS": "2017-11-13", "TIME-OBS": "06:00:00"}
START = Time(AT_6, scale="utc")


@pytest.mark.parametrize(
    ("cards", "start", "middle"),
    [
        ({"MJD-OBS": 58070.25, "MJD-END": 58070.35, "EXPTIME": 3.0}, 58070.25, 58070.30),
        ({"MJD-OBS": 58070.25, "MJD-AVG": 58070.26, "MJD-END": 59000.0}, 58070.25, 58070.26),
        ({"MJD-OBS": 58070.25, "EXPTIME": 8640.0}, 58070.25, 58070.30),
        ({"MJD-OBS": 58070.25, "MJD-END": 0.0}, 58070.25, None),
        ({"MJD-OBS": 58070.25, "MJD-END": 58070.0, "EXPTIME": 8640.0}, 58070.25, 58070.30),
        ({"DATE-BEG": AT_6, "DATE-AVG": "2017-11-13T07:12:00"}, 58070.25, 58070.30),
        ({"MJD-BEG": 58070.25}, 58070.25, None),
        ({"DATE-AVG": AT_6}, None, 58070.25),
        ({"MJD-OBS": -1.0, "DATE-OBS": AT_6}, 58070.25, None),
        ({**CLOCK, "DATE-END": "2017-11-13T08:24:00"}, 58070.25, 58070.30),
    ],
)  # fmt: skip
def test_start_and_middle(cards, start, middle):
    known = read_facts(fits.Header(cards))
    for found, expected in ((known.epoch_mjd, start), (known.epoch_mid_mjd, middle)):
        assert found == (None if expected is None else pytest.approx(expected, abs=1e-8))


@pytest.mark.parametrize(("word", "scale"), [("TAI", "tai"), ("TT", "tt"), ("tdb", "tdb")])
def test_other_scales_become_utc(word, scale):
    """An MJD in double precision is good to 1e-6 s."""
    cards = {"TIMESYS": word, "MJD-OBS": getattr(START, scale).mjd}
    assert read_facts(fits.Header(cards)).epoch_mjd == pytest.approx(START.mjd, abs=2e-11)


@pytest.mark.parametrize("word", ["UTC", "LOCAL", ""])
def test_utc_stays_as_it_is(word):
    known = read_facts(fits.Header({"TIMESYS": word, "MJD-OBS": 58070.25254673}))
    assert known.epoch_mjd == 58070.25254673
