"""Numbers as people write them: with their errors, no more digits than these allow, and units."""

import math

PREFIXES = ((1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "\N{MICRO SIGN}"), (1e-9, "n"))
"""SI prefixes for flux densities, largest first."""

ERROR_DIGITS = 2
"""Digits of an error that mean something."""

DIGITS = 4
"""Digits of a number without an error."""

PLAIN = (1e-3, 1e6)
"""Numbers that are written out, without a power of ten."""

NO_UNIT = "image units"

SUPERSCRIPTS = str.maketrans(
    "-0123456789", "\u207b\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079"
)


def readable_unit(unit: str, size: float) -> tuple[float, str]:
    """Return the unit in which values of about this size are best told, and how many it is of.

    Parameters
    ----------
    unit : str
        VOUnit; empty if unknown.
    size : float
        In that unit; NaN is taken for 1.

    Returns
    -------
    factor : float
        A value in ``unit`` divided by this is one in the new unit.
    name : str

    Examples
    --------
    >>> readable_unit("Jy/beam", 0.0123)
    (0.001, 'mJy/beam')
    >>> readable_unit("", 50.0)
    (1.0, 'image units')
    """
    size = abs(size) if math.isfinite(size) and size else 1.0
    if unit.startswith("Jy"):
        factor, prefix = next((p for p in PREFIXES if size >= p[0]), PREFIXES[-1])
        return factor, prefix + unit
    name = unit or NO_UNIT
    if PLAIN[0] <= size < PLAIN[1]:
        return 1.0, name
    power = math.floor(math.log10(size))
    return 10.0**power, f"\N{MULTIPLICATION SIGN}10{str(power).translate(SUPERSCRIPTS)} {name}"


def with_error(value: float, error: float, unit: str = "") -> str:
    """Write a number and its error, to the second digit of the error, and the unit.

    >>> with_error(12.3456, 0.123, "arcsec")
    '12.35 ± 0.12 arcsec'
    >>> with_error(12.3456, float("nan"))
    '12.35 ± ?'
    """
    if not math.isfinite(value):
        return "unknown"
    end = f" {unit}" if unit else ""
    if not (math.isfinite(error) and error > 0):
        return f"{plain(value)} \N{PLUS-MINUS SIGN} ?{end}"
    decimals = max(0, ERROR_DIGITS - 1 - math.floor(math.log10(error)))
    return f"{value:.{decimals}f} \N{PLUS-MINUS SIGN} {error:.{decimals}f}{end}"


def plain(value: float, digits: int = DIGITS) -> str:
    """Write a number without an error.

    >>> plain(0.00123456), plain(123456.7), plain(1.5e-9), plain(float("nan"))
    ('0.001235', '123457', '1.5e-09', 'unknown')
    """
    if not math.isfinite(value):
        return "unknown"
    if not PLAIN[0] <= abs(value) < PLAIN[1]:
        return f"{value:.{digits}g}"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:.{decimals}f}"
