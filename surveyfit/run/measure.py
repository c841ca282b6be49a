"""From a group of cutouts to catalogue columns."""

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from surveyfit.run.config import Config
from surveyfit.run.gather import Batch
from surveyfit.schema import Flag
from surveyfit.sky.background import NoiseGrid
from surveyfit.sky.header import Facts
from surveyfit.sky.image import Image
from surveyfit.sky.magnitudes import magnitudes
from surveyfit.sky.reader import ImageReader
from surveyfit.sky.sources import CutoutGroup
from surveyfit.sky.world import Positions, iau_name

if TYPE_CHECKING:
    from surveyfit.fit.batch import Cutouts, FitResult

Columns = dict[str, NDArray[Any]]


def measure_batch(
    batch: Batch,
    image: Image,
    opened: ImageReader,
    grid: NoiseGrid,
    config: Config,
) -> Columns:
    """Fit cutouts of one side and derive every column, rows in the order of the cutouts.

    Beside the catalogue's columns the mapping holds ``peak_x`` and ``peak_y``, the peak pixel.
    """
    from surveyfit.fit.columns import model_columns, quality_columns
    from surveyfit.fit.derived import pixel_quantities, sky_quantities
    from surveyfit.fit.flags import fit_flags

    use_compilation_cache()
    group = batch.group
    sources, facts = group.sources, opened.facts
    cutouts, fitted = _fit(group, facts, grid, config)
    params = fitted.params.copy()
    params[:, 0] += sources.corner_x
    params[:, 1] += sources.corner_y
    where = opened.world.positions(params[:, 0], params[:, 1])
    in_pixels = pixel_quantities(params, fitted.cov)
    on_sky = sky_quantities(params, fitted.cov, where.jacobian, _beams(facts, len(params)))
    shapes = {k: v for k, v in (in_pixels | on_sky).items() if not k.startswith("flux_int")}
    flags = sources.sky_flags.astype(np.int32) | fit_flags(cutouts, fitted)
    flags |= np.where(np.isfinite(where.ra), 0, int(Flag.NO_WCS)).astype(np.int32)
    flags |= np.where(on_sky["deconv_code"] == 2, int(Flag.DECONV_POINT), 0).astype(np.int32)
    return (
        _identity(batch, image, where)
        | model_columns(params, fitted.cov, fitted.cov_crb)
        | quality_columns(fitted)
        | _fluxes(in_pixels, sources.aperture, where, facts)
        | shapes
        | {"local_rms": sources.local_rms, "local_bkg": sources.local_bkg}
        | {"ra": where.ra, "dec": where.dec, "flags": flags}
    )


def _fit(
    group: CutoutGroup, facts: Facts, grid: NoiseGrid, config: Config
) -> tuple["Cutouts", "FitResult"]:
    from surveyfit.fit.batch import Cutouts, FitSettings, fit_batch
    from surveyfit.fit.noise_law import noise_law

    sources = group.sources
    gain = np.nan if facts.gain is None else facts.gain
    noise = sources.local_rms if group.noise is None else group.noise
    cutouts = Cutouts(group.pixels, noise, sources.start, np.full(len(group.pixels), gain))
    start = FitSettings().gamma if config.gamma == "fit" else config.gamma
    settings = FitSettings(
        gamma=start,
        fit_gamma=config.gamma == "fit",
        model_error=config.model_error,
        dtype=config.dtype,
    )
    return cutouts, fit_batch(cutouts, settings, noise_law(grid.quantiles), grid.correlation)


def _beams(facts: Facts, n: int) -> NDArray[np.float64]:
    """Return the beam (n, 3) once for every source; NaN where none is known."""
    beam = facts.beam
    row = (np.nan,) * 3 if beam is None else (beam.major, beam.minor, beam.pa)
    return np.tile(row, (n, 1))


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


def _identity(batch: Batch, image: Image, where: Positions) -> Columns:
    sources = batch.group.sources
    n = len(batch.tile)
    return {
        "source_id": source_ids(image, sources.peak_x, sources.peak_y),
        "name": iau_name(where.ra, where.dec),
        "image": np.full(n, image.name),
        "tile": batch.tile,
        "island_id": source_ids(image, sources.island_x, sources.island_y),
        "n_components": sources.n_components.astype(np.int32),
        "is_primary": np.ones(n, bool),  # settled when all images are known
        "peak_x": sources.peak_x,
        "peak_y": sources.peak_y,
    }


def _fluxes(
    in_pixels: Columns,
    aperture: NDArray[np.float64],
    where: Positions,
    facts: Facts,
) -> Columns:
    area = _beam_area(where, facts)
    flux, flux_err = in_pixels["flux_int"] / area, in_pixels["flux_int_err"] / area
    mag, mag_err = magnitudes(flux, flux_err, facts.zeropoint)
    return {
        "flux_int": flux,
        "flux_int_err": flux_err,
        "flux_aper": aperture / area,
        "flux_unit": np.full(len(flux), facts.unit),
        "mag": mag,
        "mag_err": mag_err,
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
