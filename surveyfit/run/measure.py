"""From a group of cutouts to catalogue columns."""

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from surveyfit.run.config import Config
from surveyfit.run.plan import Tile
from surveyfit.schema import PACKED, PARAMETERS, Flag
from surveyfit.sky.background import NoiseGrid
from surveyfit.sky.cutouts import CutoutGroup
from surveyfit.sky.header import Facts
from surveyfit.sky.image import Image
from surveyfit.sky.reader import ImageReader
from surveyfit.sky.world import Positions, iau_name

MAG_PER_RELATIVE_FLUX = 2.5 / np.log(10)

Columns = dict[str, NDArray[Any]]


def measure_group(
    group: CutoutGroup,
    image: Image,
    tile: Tile,
    opened: ImageReader,
    grid: NoiseGrid,
    config: Config,
) -> Columns:
    """Fit cutouts of one side and derive every column, rows in the order of the cutouts.

    Beside the catalogue's columns the mapping holds ``peak_x`` and ``peak_y``, the peak pixel.
    """
    from surveyfit.fit.batch import Cutouts, FitSettings, fit_batch
    from surveyfit.fit.derived import pixel_quantities, sky_quantities
    from surveyfit.fit.flags import fit_flags
    from surveyfit.fit.noise_law import noise_law

    use_compilation_cache()
    sources, facts = group.sources, opened.facts
    n = len(group.pixels)
    gain = np.nan if facts.gain is None else facts.gain
    noise = sources.local_rms if group.noise is None else group.noise
    cutouts = Cutouts(group.pixels, noise, sources.start, np.full(n, gain))
    settings = FitSettings(gamma=config.gamma, model_error=config.model_error, dtype=config.dtype)
    fitted = fit_batch(cutouts, settings, noise_law(grid.quantiles))

    params = fitted.params.copy()
    params[:, 0] += sources.corner_x
    params[:, 1] += sources.corner_y
    where = opened.world.positions(params[:, 0], params[:, 1])
    beam = np.full((n, 3), np.nan)
    if facts.beam is not None:
        beam[:] = facts.beam.major, facts.beam.minor, facts.beam.pa
    in_pixels = pixel_quantities(params, fitted.cov)
    on_sky = sky_quantities(params, fitted.cov, where.jacobian, beam)
    flags = sources.sky_flags.astype(np.int32) | fit_flags(cutouts, fitted)
    flags |= np.where(np.isfinite(where.ra), 0, int(Flag.NO_WCS)).astype(np.int32)
    flags |= np.where(on_sky["deconv_code"] == 2, int(Flag.DECONV_POINT), 0).astype(np.int32)
    shapes = {k: v for k, v in (in_pixels | on_sky).items() if not k.startswith("flux_int")}
    return (
        _identity(group, image, tile, where)
        | _model(params, fitted.cov, fitted.cov_crb)
        | _fluxes(params, fitted.cov, in_pixels, sources.aperture, where, facts)
        | shapes
        | {"ra": where.ra, "dec": where.dec}
        | {
            "local_rms": sources.local_rms,
            "local_bkg": sources.local_bkg,
            "gamma": fitted.gamma,
            "nll": fitted.nll,
            "gof": fitted.gof,
            "n_pix": fitted.n_pix,
            "n_outlier": fitted.n_outlier,
            "resid_max": fitted.resid_max,
            "n_iter": fitted.n_iter,
            "grad_norm": fitted.grad_norm,
            "hess_cond": fitted.hess_cond,
            "fit_status": fitted.status,
            "flags": flags,
        }
    )


def use_compilation_cache() -> None:
    """Keep compiled code between processes, in a folder that only this user can write.

    What the cache holds is run as code, hence the private folder. Where the environment names a
    folder already, that one is used.
    """
    import jax

    if jax.config.values["jax_compilation_cache_dir"] is None:
        try:
            base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
            folder = base / "surveyfit" / "jax"
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except (OSError, RuntimeError):
            # A user without a home (a container's, say) compiles anew in every process.
            return
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def source_ids(
    image: Image, peak_x: NDArray[np.float64], peak_y: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Stable identifiers: 63 bits of a hash of the image's content and the peak pixel."""
    base = f"{image.digest}|{image.hdu}|{image.plane}"
    digests = (
        hashlib.sha256(f"{base}|{int(x)}|{int(y)}".encode()).digest()
        for x, y in zip(peak_x, peak_y, strict=True)
    )
    return np.array([int.from_bytes(d[:8], "big") >> 1 for d in digests], np.int64)


def _identity(group: CutoutGroup, image: Image, tile: Tile, where: Positions) -> Columns:
    sources = group.sources
    n = len(group.pixels)
    return {
        "source_id": source_ids(image, sources.peak_x, sources.peak_y),
        "name": iau_name(where.ra, where.dec),
        "image": np.full(n, image.name),
        "tile": np.full(n, tile.label),
        "island_id": source_ids(image, sources.island_x, sources.island_y),
        "n_components": sources.n_components.astype(np.int32),
        "peak_x": sources.peak_x,
        "peak_y": sources.peak_y,
    }


def _model(
    params: NDArray[np.float64], cov: NDArray[np.float64], crb: NDArray[np.float64]
) -> Columns:
    columns: Columns = {}
    for i, name in enumerate(PARAMETERS):
        columns[f"fit_{name}"] = params[:, i]
        columns[f"fit_{name}_err"] = np.sqrt(cov[:, i, i])
        columns[f"fit_{name}_crb"] = np.sqrt(crb[:, i, i])
    rows, cols = np.array(PACKED).T
    columns["fit_cov"] = cov[:, rows, cols]
    columns["fit_cov_crb"] = crb[:, rows, cols]
    for axis in ("x", "y"):
        columns[axis] = columns[f"fit_{axis}0"]
        columns[f"{axis}_err"] = columns[f"fit_{axis}0_err"]
    return columns


def _fluxes(
    params: NDArray[np.float64],
    cov: NDArray[np.float64],
    in_pixels: Columns,
    aperture: NDArray[np.float64],
    where: Positions,
    facts: Facts,
) -> Columns:
    peak, peak_err = params[:, 2], np.sqrt(cov[:, 2, 2])
    area = _beam_area(where, facts)
    flux, flux_err = in_pixels["flux_int"] / area, in_pixels["flux_int_err"] / area
    positive = np.where(flux > 0, flux, np.nan)
    zero = np.nan if facts.zeropoint is None else facts.zeropoint
    return {
        "flux_peak": peak,
        "flux_peak_err": peak_err,
        "flux_int": flux,
        "flux_int_err": flux_err,
        "snr": peak / peak_err,
        "flux_aper": aperture / area,
        "flux_unit": np.full(len(peak), facts.unit),
        "mag": zero - 2.5 * np.log10(positive),
        "mag_err": MAG_PER_RELATIVE_FLUX * flux_err / positive + 0 * zero,
    }


def _beam_area(where: Positions, facts: Facts) -> NDArray[np.float64]:
    """Pixels in a beam, by which sums of Jy/beam are divided; 1 for other units.

    The area of a Gaussian beam is pi / (4 ln 2) x major x minor.
    """
    n = len(where.ra)
    if "/beam" not in facts.unit:
        return np.ones(n)
    if facts.beam is None:
        return np.full(n, np.nan)
    pixel = np.abs(np.linalg.det(where.jacobian))
    return np.pi / (4 * np.log(2)) * facts.beam.major * facts.beam.minor / pixel
