"""Values of header cards, whatever they were written as."""

import math

from astropy.io import fits

from surveyfit.sky.hdu import card


def number(header: fits.Header, keyword: str) -> float | None:
    """Value as a finite number, also where it was written as a string."""
    value = card(header, keyword)
    if isinstance(value, bool):
        return None
    try:
        written = float(value)
    except (TypeError, ValueError):
        return None
    return written if math.isfinite(written) else None


def positive(header: fits.Header, keyword: str) -> float | None:
    """Value as a number above zero."""
    written = number(header, keyword)
    return written if written is not None and written > 0 else None


def text(header: fits.Header, keyword: str) -> str:
    """Value as stripped text, numbers too; empty where there is none."""
    value = card(header, keyword)
    told = isinstance(value, str | int) and not isinstance(value, bool)
    return str(value).strip() if told else ""
