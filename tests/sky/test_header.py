"""Facts of a header, in all the spellings that are about."""

import math

import pytest
from astropy.io import fits
from astropy.time import Time

from surveyfit.sky.header import Beam, merge_headers, read_facts


def facts(cards=None, **options):
    return read_facts(fits.Header(cards or {}), **options)


@pytest.mark.parametrize(
    ("written", "unit"),
    [
        ("JY/BEAM", "Jy/beam"), ("Jy/beam", "Jy/beam"), ("Jy beam-1", "Jy/beam"),
        ("mJy/beam", "mJy/beam"), ("JY/PIXEL", "Jy/pixel"), ("MJy/sr", "MJy/sr"),
        ("electron", "electron"), ("ELECTRONS", "electron"), ("e-", "electron"),
        ("ELECTRONS/S", "electron/s"), ("ADU", "adu"), ("DN", "adu"), ("counts", "count"),
        ("COUNTS/SEC", "count/s"), ("K", "K"), ("mag", "mag"), ("  ", ""), ("none at all", ""),
        ("MJY/BEAM", ""),  # mega or milli?
        (3, ""),
    ],
)  # fmt: skip
def test_units_have_one_spelling(written, unit):
    assert facts({"BUNIT": written}).unit == unit


def test_nothing_known_is_none():
    nothing = facts()
    assert nothing.unit == nothing.filter == ""
    assert math.isnan(nothing.pixel_scale)
    for name in ("beam", "gain", "saturate", "zeropoint", "exposure", "epoch_mjd", "frequency"):
        assert getattr(nothing, name) is None


@pytest.mark.parametrize(
    ("cards", "beam"),
    [
        ({"BMAJ": 0.002, "BMIN": 0.001, "BPA": 30.0}, Beam(7.2, 3.6, 30.0)),
        ({"BMAJ": 0.002, "BMIN": 0.001, "BPA": -30.0}, Beam(7.2, 3.6, 150.0)),
        ({"BMAJ": 0.002, "BMIN": 0.001}, Beam(7.2, 3.6, 0.0)),
        ({"BMAJ": 0.002}, None),
        ({"BMAJ": 0.0, "BMIN": 0.0, "BPA": 0.0}, None),
        ({"BMAJ": "unknown", "BMIN": 0.1}, None),
    ],
)
def test_beam_is_in_degrees_and_may_lack_its_angle(cards, beam):
    assert facts(cards).beam == beam


@pytest.mark.parametrize(
    ("cards", "gain"),
    [
        ({"GAIN": 1.7}, 1.7),
        ({"GAIN": 120, "EGAIN": 0.8}, 0.8),
        ({"GAIN": "2.5"}, 2.5),
        ({"GAIN": 0.0}, None),
        ({"GAIN": -1.0}, None),
        ({"GAIN": 2.0, "BUNIT": "electron"}, 1.0),
        ({"GAIN": 2.0, "BUNIT": "electron/s"}, None),
        ({"GAIN": 2.0, "BUNIT": "JY/BEAM"}, None),
        ({"GAIN": True}, None),
    ],
)
def test_gain(cards, gain):
    assert facts(cards).gain == gain


def test_the_user_knows_better():
    beam = Beam(1.0, 2.0, 3.0)
    known = facts({"GAIN": 2.0, "MAGZERO": 25.0}, gain=3.0, zeropoint=0.0, beam=beam)
    assert (known.gain, known.zeropoint, known.beam) == (3.0, 0.0, beam)


@pytest.mark.parametrize(
    ("cards", "when"),
    [
        ({"MJD-OBS": 58070.25}, 58070.25),
        ({"MJD-OBS": 58070.25, "DATE-OBS": "1999-01-01"}, 58070.25),
        ({"DATE-OBS": "2017-11-13T06:03:40.5"}, Time("2017-11-13T06:03:40.5").mjd),
        ({"DATE-OBS": "2017-11-13", "TIME-OBS": "06:00:00"}, 58070.25),
        ({"DATE-OBS": "29/11/51"}, 33979.0),  # the date of the digitised plate of M67
        ({"DATE-OBS": "2150-01-01"}, 106331.0),
        ({"DATE-OBS": "yesterday"}, None),
        ({"DATE-OBS": 2017}, None),
    ],
)
def test_epochs_old_and_new(cards, when):
    assert facts(cards).epoch_mjd == (None if when is None else pytest.approx(when, abs=1e-9))


@pytest.mark.parametrize(
    ("cards", "plane", "frequency"),
    [
        ({"CTYPE3": "FREQ", "CRVAL3": 8e8, "RESTFRQ": 1.42e9}, (), 8e8),
        ({"CTYPE4": "FREQ-LSR", "CRVAL4": 8e8, "CDELT4": 1e6, "CRPIX4": 1.0}, (0, 0), 8e8),
        ({"CTYPE4": "FREQ", "CRVAL4": 8e8, "CDELT4": 1e6, "CRPIX4": 1.0}, (3, 0), 8.03e8),
        ({"CTYPE3": "FREQ", "CRVAL3": 8e8, "CDELT3": 1e6, "CRPIX3": 2.0}, (0, 3), 8.02e8),
        ({"RESTFRQ": 1.4e9}, (), 1.4e9),
        ({"CTYPE3": "STOKES", "CRVAL3": 1.0}, (0,), None),
    ],
)
def test_frequency_of_the_plane(cards, plane, frequency):
    assert facts(cards, plane=plane).frequency == frequency


def test_filter_and_other_numbers():
    cards = {"FILTER": " r ", "EXPTIME": 15.0, "SATURATE": 54464.75, "MAGZERO": "29.9"}
    known = facts(cards)
    assert (known.filter, known.exposure, known.saturate) == ("r", 15.0, 54464.75)
    assert known.zeropoint == 29.9
    assert facts({"FILTER": "_unknown_"}).filter == ""


def test_a_card_that_cannot_be_parsed_says_nothing():
    header = fits.Header.fromstring("GAIN    = 1..2".ljust(80) + "EXPTIME = 3.0".ljust(80))
    known = read_facts(header)
    assert (known.gain, known.exposure) == (None, 3.0)


PRIMARY = fits.Header({"NAXIS": 0, "EXPTIME": 9.0, "GAIN": 1.0, "CRVAL1": 7.0, "BUNIT": "Jy"})


@pytest.mark.parametrize(
    ("extension", "naxis", "inherited"),
    [({}, 0, True), ({"INHERIT": True}, 2, True), ({"INHERIT": False}, 0, False), ({}, 2, False)],
)
def test_extension_inherits_what_is_said_of_the_whole_file(extension, naxis, inherited):
    primary = PRIMARY.copy()
    primary["NAXIS"] = naxis
    merged = merge_headers(primary, fits.Header({"GAIN": 2.0, **extension}))
    assert merged["GAIN"] == 2.0
    assert ("EXPTIME" in merged) == inherited
    assert "CRVAL1" not in merged
    assert "BUNIT" not in merged
