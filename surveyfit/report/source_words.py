"""What a row of the catalogue says, in words: for the terminal and for the picture."""

import math
from collections.abc import Iterator

from astropy.coordinates import Angle

from surveyfit.report.quantities import ERROR_DIGITS, plain, readable_unit, with_error
from surveyfit.report.source_view import Row, SourceView
from surveyfit.schema import FIT_STATUS_WORDS, FLAG_WORDS, GOOD, FitStatus

Line = tuple[str, str]
"""What is told, and what it is."""

UNRESOLVED = 2
"""Of ``deconv_code``: both axes are limits; below it the major one is not."""

NOT_GOOD = "\N{MULTIPLICATION SIGN}"
"""Mark of a flag that spoils a row."""


def describe(view: SourceView) -> list[Line]:
    """Return position, flux, size, noise, fit and flags of a source, a line each."""
    row = view.row
    return [
        ("source", f"{row['name'] or 'no name (no sky position)'}, source_id {row['source_id']}"),
        ("image", _image(row)),
        *_position(row),
        *_flux(row),
        *_sizes(row),
        *_quality(row),
        ("flags", flag_summary(row)),
        *(("", words) for words in flag_words(row)),
    ]


def _image(row: Row) -> str:
    words = f"{row['image']}, tile {row['tile']}"
    return words if row["is_primary"] else f"{words} (not primary: a better image shows this sky)"


def flag_summary(row: Row) -> str:
    """Say whether a row is good."""
    flags = int(row["flags"])
    if flags & GOOD:
        return f"not a good row ({NOT_GOOD} below says why)"
    return "none: a checked success" if flags == 0 else "a good row, but"


def flag_words(row: Row) -> list[str]:
    """Return the flags of a row in words, those first that spoil it."""
    raised = [flag for flag in FLAG_WORDS if flag & int(row["flags"])]
    raised.sort(key=lambda flag: not flag & GOOD)
    return [
        f"{NOT_GOOD if flag & GOOD else '-'} {str(flag.name).lower()}: {FLAG_WORDS[flag]}"
        for flag in raised
    ]


def _position(row: Row) -> Iterator[Line]:
    if math.isfinite(row["ra"]):
        ra = Angle(row["ra"], "deg").to_string("hour", sep=":", precision=3, pad=True)
        dec = Angle(row["dec"], "deg").to_string(sep=":", precision=2, pad=True, alwayssign=True)
        yield "ICRS", f"{ra} {dec} = {row['ra']:.6f} {row['dec']:+.6f} deg"
        along = (plain(row[name], ERROR_DIGITS) for name in ("ra_err", "dec_err"))
        yield "", "\N{PLUS-MINUS SIGN} {} arcsec in ra, {} in dec".format(*along)
    x, y = (with_error(row[name], row[f"{name}_err"]) for name in ("x", "y"))
    yield "pixel", f"x {x}, y {y}" if math.isfinite(row["x"]) else "unknown"


def _flux(row: Row) -> Iterator[Line]:
    unit = str(row["flux_unit"])
    yield "peak", f"{_measured(row, 'flux_peak', unit)}, S/N {plain(row['snr'])}"
    total = unit.removesuffix("/beam")
    factor, _ = readable_unit(total, row["flux_int"])
    aperture = plain(row["flux_aper"] / factor)
    yield "flux", f"{_measured(row, 'flux_int', total)} (aperture {aperture})"
    if math.isfinite(row["mag"]):
        yield "mag", with_error(row["mag"], row["mag_err"])


def _measured(row: Row, name: str, unit: str) -> str:
    factor, words = readable_unit(unit, row[name])
    return with_error(row[name] / factor, row[f"{name}_err"] / factor, words)


def _sizes(row: Row) -> Iterator[Line]:
    if math.isfinite(row["maj_axis"]):
        yield "FWHM", _ellipse(row, "maj_axis", "min_axis", "pos_ang", "arcsec", "east of north")
    yield "in pixels", _ellipse(row, "maj_pix", "min_pix", "pa_pix", "px", "from +x to +y")
    code = row["deconv_code"]
    if math.isfinite(code):
        axes = ("maj_axis_deconv", "min_axis_deconv")
        limits = (code >= UNRESOLVED, code > 0)
        texts = [_axis(row, axis, is_limit) for axis, is_limit in zip(axes, limits, strict=True)]
        words = " \N{MULTIPLICATION SIGN} ".join(texts) + " arcsec"
        if math.isfinite(row["pos_ang_deconv"]):
            words += f", {with_error(row['pos_ang_deconv'], row['pos_ang_deconv_err'])} deg"
        yield "deconvolved", words
        ratio = with_error(row["compactness"], row["compactness_err"])
        yield "compactness", f"{ratio} (1 for a point source)"


def _axis(row: Row, name: str, is_limit: bool) -> str:
    if is_limit:
        return f"< {plain(row[name])}"
    return with_error(row[name], row[f"{name}_err"])


def _ellipse(row: Row, major: str, minor: str, angle: str, unit: str, sense: str) -> str:
    if not math.isfinite(row[major]):
        return "unknown"
    axes = (with_error(row[name], row[f"{name}_err"]) for name in (major, minor))
    words = " \N{MULTIPLICATION SIGN} ".join(axes)
    turned = f"{with_error(row[angle], row[f'{angle}_err'])} deg {sense}"
    return f"{words} {unit}, {turned}"


def _quality(row: Row) -> Iterator[Line]:
    factor, unit = readable_unit(str(row["flux_unit"]), row["local_rms"])
    noise, level = (plain(row[name] / factor) for name in ("local_rms", "local_bkg"))
    yield "noise", f"{noise} {unit} a pixel, background {level} {unit}"
    status = FIT_STATUS_WORDS[FitStatus(int(row["fit_status"]))]
    yield "fit", f"{status}, {row['n_iter']} steps; goodness {plain(row['gof'])} (1: perfect)"
    yield (
        "pixels",
        f"{row['n_pix']} used, {row['n_outlier']} of them outliers; largest residual "
        f"{plain(row['resid_max'])} noises",
    )
