"""The list of Gaussians that PyBDSF writes (1.10 and later, ``catalog_type="gaul"``)."""

from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from numpy.typing import NDArray

from surveyfit.sky.styles.column import (
    ARCSEC_PER_DEGREE,
    FLUX,
    HALF_TURN,
    PEAK,
    Observed,
    Sources,
    Style,
    StyleColumn,
    column,
    in_degrees,
)


def _number(sources: Sources) -> NDArray[Any]:
    return np.arange(len(sources["x"]), dtype=np.int32)


def _zeros(sources: Sources) -> NDArray[Any]:
    return np.zeros(len(sources["x"]))


def _no_wavelet(sources: Sources) -> NDArray[Any]:
    return np.zeros(len(sources["x"]), np.int32)


def _unknown(sources: Sources) -> NDArray[Any]:
    return np.full(len(sources["x"]), np.nan)


def _image_plane(name: str) -> Callable[[Sources], NDArray[Any]]:
    """Bring a size from pixels to degrees by the area of the pixels at the source."""

    def scaled(sources: Sources) -> NDArray[Any]:
        on_sky = sources["maj_axis"] * sources["min_axis"]
        arcsec = np.sqrt(on_sky / (sources["maj_pix"] * sources["min_pix"]))
        return sources[name] * arcsec / ARCSEC_PER_DEGREE

    return scaled


def _from_up(sources: Sources) -> NDArray[Any]:
    """Angle of the major axis from +y towards -x, where +y is north if the image is not turned."""
    return (sources["pa_pix"] - HALF_TURN / 2) % HALF_TURN


def _resolved(axis: str) -> Callable[[Sources], NDArray[Any]]:
    """Return the deconvolved axis in degrees; 0, as PyBDSF has it, where we have a limit."""

    def size(sources: Sources) -> NDArray[Any]:
        resolved = np.isfinite(sources[f"{axis}_deconv_err"])
        values = np.where(resolved, sources[f"{axis}_deconv"], 0.0)
        return _with_a_beam(sources, values) / ARCSEC_PER_DEGREE

    return size


def _error_of(axis: str) -> Callable[[Sources], NDArray[Any]]:
    """Return the error of a deconvolved axis; where unresolved, as PyBDSF, the fitted axis's."""

    def error(sources: Sources) -> NDArray[Any]:
        deconvolved = sources[f"{axis}_deconv_err"]
        known = np.isfinite(deconvolved)
        return np.where(known, deconvolved, sources[f"{axis}_err"]) / ARCSEC_PER_DEGREE

    return error


def _resolved_angle(sources: Sources) -> NDArray[Any]:
    angle = sources["pos_ang_deconv"]
    return _with_a_beam(sources, np.where(np.isfinite(angle), angle, 0.0))


def _resolved_angle_error(sources: Sources) -> NDArray[Any]:
    error = sources["pos_ang_deconv_err"]
    return np.where(np.isfinite(error), error, sources["pos_ang_err"])


def _resolved_angle_from_up(sources: Sources) -> NDArray[Any]:
    turned = (sources["pos_ang_deconv"] + _from_up(sources) - sources["pos_ang"]) % HALF_TURN
    return _with_a_beam(sources, np.where(np.isfinite(turned), turned, 0.0))


def _with_a_beam(sources: Sources, values: NDArray[Any]) -> NDArray[Any]:
    return np.where(np.isfinite(sources["deconv_code"]), values, np.nan)


def _of_island(sources: Sources, of_sources: NDArray[np.float64]) -> NDArray[np.float64]:
    """Add up over the sources of each island."""
    island = sources["island"]
    return np.bincount(island, weights=of_sources).astype(float)[island]


def _island_flux(sources: Sources) -> NDArray[Any]:
    return _of_island(sources, sources["flux_int"])


def _island_flux_error(sources: Sources) -> NDArray[Any]:
    return np.sqrt(_of_island(sources, np.square(sources["flux_int_err"])))


def _code(sources: Sources) -> NDArray[Any]:
    return np.where(sources["n_components"] > 1, "C", "S")


# fmt: off
COLUMNS = tuple(StyleColumn(*row) for row in (
    ("Gaus_id", "", "number of the Gaussian, from 0", _number),
    ("Isl_id", "", "number of the island, from 0", column("island")),
    ("Source_id", "", "as Gaus_id: a source is one Gaussian", _number),
    ("Wave_id", "", "0: no wavelets", _no_wavelet),
    ("RA", "deg", "right ascension", column("ra")),
    ("E_RA", "deg", "its error, a length on the sky", in_degrees("ra_err")),
    ("DEC", "deg", "declination", column("dec")),
    ("E_DEC", "deg", "its error", in_degrees("dec_err")),
    ("Total_flux", FLUX, "integrated flux", column("flux_int")),
    ("E_Total_flux", FLUX, "its error", column("flux_int_err")),
    ("Peak_flux", PEAK, "peak", column("flux_peak")),
    ("E_Peak_flux", PEAK, "its error", column("flux_peak_err")),
    ("Xposn", "pixel", "column, the first is 0", column("x")),
    ("E_Xposn", "pixel", "its error", column("x_err")),
    ("Yposn", "pixel", "row, the first is 0", column("y")),
    ("E_Yposn", "pixel", "its error", column("y_err")),
    ("Maj", "deg", "major axis, FWHM, the beam not removed", in_degrees("maj_axis")),
    ("E_Maj", "deg", "its error", in_degrees("maj_axis_err")),
    ("Min", "deg", "minor axis, FWHM", in_degrees("min_axis")),
    ("E_Min", "deg", "its error", in_degrees("min_axis_err")),
    ("PA", "deg", "position angle, east of north", column("pos_ang")),
    ("E_PA", "deg", "its error", column("pos_ang_err")),
    ("Maj_img_plane", "deg", "major axis on the pixels", _image_plane("maj_pix")),
    ("E_Maj_img_plane", "deg", "its error", _image_plane("maj_pix_err")),
    ("Min_img_plane", "deg", "minor axis on the pixels", _image_plane("min_pix")),
    ("E_Min_img_plane", "deg", "its error", _image_plane("min_pix_err")),
    ("PA_img_plane", "deg", "angle from +y to -x", _from_up),
    ("E_PA_img_plane", "deg", "its error", column("pa_pix_err")),
    ("DC_Maj", "deg", "major axis, the beam removed; 0: not resolved", _resolved("maj_axis")),
    ("E_DC_Maj", "deg", "its error; of Maj if not resolved", _error_of("maj_axis")),
    ("DC_Min", "deg", "minor axis, the beam removed; 0: not resolved", _resolved("min_axis")),
    ("E_DC_Min", "deg", "its error; of Min if not resolved", _error_of("min_axis")),
    ("DC_PA", "deg", "its position angle; 0: not resolved", _resolved_angle),
    ("E_DC_PA", "deg", "its error; of PA if not resolved", _resolved_angle_error),
    ("DC_Maj_img_plane", "deg", "as DC_Maj", _resolved("maj_axis")),
    ("E_DC_Maj_img_plane", "deg", "as E_DC_Maj", _error_of("maj_axis")),
    ("DC_Min_img_plane", "deg", "as DC_Min", _resolved("min_axis")),
    ("E_DC_Min_img_plane", "deg", "as E_DC_Min", _error_of("min_axis")),
    ("DC_PA_img_plane", "deg", "DC_PA from +y to -x", _resolved_angle_from_up),
    ("E_DC_PA_img_plane", "deg", "its error", _resolved_angle_error),
    ("Isl_Total_flux", FLUX, "sum of Total_flux over the island", _island_flux),
    ("E_Isl_Total_flux", FLUX, "its error", _island_flux_error),
    ("Isl_rms", PEAK, "noise of a pixel at the peak", column("local_rms")),
    ("Isl_mean", PEAK, "background at the peak", column("local_bkg")),
    ("Resid_Isl_rms", PEAK, "not measured: NaN", _unknown),
    ("Resid_Isl_mean", PEAK, "not measured: NaN", _unknown),
    ("Wave_Isl_rms", PEAK, "0: no wavelets", _zeros),
    ("Wave_Isl_mean", PEAK, "0: no wavelets", _zeros),
    ("S_Code", "", "S alone in its island, C with others", _code),
))
# fmt: on


def write_gaul(table: Table, images: Mapping[str, Observed], path: Path) -> None:
    """Write CSV as PyBDSF does: four comments, an empty line, and names behind a '# '."""
    name = next(iter(images)) if len(images) == 1 else f"{len(images)} images"
    frequencies = {image.frequency for image in images.values() if image.frequency is not None}
    frequency = frequencies.pop() if len(frequencies) == 1 else np.nan
    head = (
        f"# Gaussian list for {name}",
        f"# Generated by surveyfit {version('surveyfit')} in the form of PyBDSF",
        f'# Reference frequency of the detection ("ch0") image: {frequency:.5e} Hz',
        "# Equinox : 2000.0 ",
        "",
        f"# {', '.join(table.colnames)}",
    )
    rows = zip(*(map(_word, column.tolist()) for column in table.itercols()), strict=True)
    lines = [*head, *(", ".join(row) for row in rows)]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _word(value: float | str) -> str:
    """Spell a value; a text with a comma or a quote in quotes."""
    if isinstance(value, str) and set(value) & set(',"'):
        return '"' + value.replace('"', '""') + '"'
    return str(value)


PYBDSF = Style("PyBDSF", COLUMNS, needs_sky=True, only_good=True, writers={".csv": write_gaul})
