"""When an image was observed, as its header tells: modified Julian dates, UTC."""

import re
import warnings

from astropy.io import fits
from astropy.time import Time

from surveyfit.sky.cards import positive, text

START_CARDS = ("MJD-OBS", "DATE-OBS", "MJD-BEG", "DATE-BEG")
"""Start of the observation; the first that can be read counts."""

MIDDLE_CARDS = ("MJD-AVG", "DATE-AVG")
END_CARDS = ("MJD-END", "DATE-END")

CLOCK = "TIME-OBS"
"""The time of day where ``DATE-OBS`` is a date alone."""

SCALES = {"TAI": "tai", "TT": "tt", "TDT": "tt", "ET": "tt", "TDB": "tdb"}
"""Values of ``TIMESYS`` that are not UTC; what else it may say is taken for UTC."""

SECONDS_A_DAY = 86400.0


def start_mjd(header: fits.Header) -> float | None:
    """Return when the observation began."""
    return _first(header, START_CARDS)


def middle_mjd(header: fits.Header, exposure: float | None) -> float | None:
    """Return the middle of the observation.

    Parameters
    ----------
    header : Header
    exposure : float or None
        Seconds; half of it after the start is the middle, where the header tells neither it nor
        the end.
    """
    middle = _first(header, MIDDLE_CARDS)
    start, end = start_mjd(header), _first(header, END_CARDS)
    if middle is not None or start is None:
        return middle
    if end is not None and end >= start:
        return (start + end) / 2
    return None if exposure is None else start + exposure / 2 / SECONDS_A_DAY


def _first(header: fits.Header, keywords: tuple[str, ...]) -> float | None:
    for keyword in keywords:
        if (mjd := _mjd(header, keyword)) is not None:
            return mjd
    return None


def _mjd(header: fits.Header, keyword: str) -> float | None:
    """Read a date, also as 29/11/51."""
    value: float | str | None
    if keyword.startswith("MJD"):
        value, form = positive(header, keyword), "mjd"
    else:
        value, form = _date(header, keyword), "fits"
    if value is None:
        return None
    scale = SCALES.get(text(header, "TIMESYS").upper(), "utc")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ERFA: "dubious year" before 1960
            time = Time(value, format=form, scale=scale)
            # UTC as it stands: its leap seconds would cost the last digits of an MJD.
            return float(time.mjd if scale == "utc" else time.utc.mjd)
    except ValueError:
        return None


def _date(header: fits.Header, keyword: str) -> str:
    date = text(header, keyword)
    if old := re.fullmatch(r"(\d\d)/(\d\d)/(\d\d)", date):
        date = f"19{old[3]}-{old[2]}-{old[1]}"
    clock = text(header, CLOCK) if keyword == "DATE-OBS" else ""
    return f"{date}T{clock}" if clock and "T" not in date else date
