"""A small survey on disk with known truth: adjacent fields, and tables of what is in them."""

from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import Table, vstack
from astropy.wcs import WCS

from surveyfit.errors import InputError
from surveyfit.sky.artificial import READ_NOISE, Simulated, draw_image
from surveyfit.sky.atomic import check_writable

PIXEL_SCALE = 0.5
"""Arcseconds."""

FIRST_FIELD = (150.0, 2.0)
"""Right ascension and declination of the first field's centre, degrees."""

FIELDS_A_ROW = 10
"""Fields of the same declination; the next row lies north of them."""

EPOCH = "2026-01-15T03:00:00"
EXPOSURE = 120.0
"""Seconds."""


def simulate(
    folder: Path, *, images: int = 4, size: int = 512, sources: int = 150, seed: int = 1
) -> list[Path]:
    """Write a survey of adjacent fields and its truth; the same seed gives the same bytes.

    Parameters
    ----------
    folder : Path
        Made if it does not exist; an older simulation of the same images in it is replaced.
    images : int
        Number of images, ``sky_0001.fits`` onwards.
    size : int
        Rows and columns of an image.
    sources : int
        Sources in each image.
    seed : int
        Each image is drawn from the seed and its own number, so more images change none.

    Returns
    -------
    list of Path
        The images. Beside them lie truth.csv (the sources) and cosmic_rays.csv.

    Raises
    ------
    InputError
        The folder cannot be written, or holds other files, which would be taken for a part of the
        survey.
    """
    paths = [folder / f"sky_{number:04d}.fits" for number in range(1, images + 1)]
    tables = {name: folder / f"{name}.csv" for name in ("truth", "cosmic_rays")}
    check_writable(folder)
    folder.mkdir(parents=True, exist_ok=True)
    strangers = sorted({*folder.iterdir()} - {*paths, *tables.values()})
    if strangers:
        raise InputError(f"{folder} holds {strangers[0].name}", "name an empty or a new folder")
    truths, hits = [], []
    for index, path in enumerate(paths):
        simulated = draw_image(np.random.default_rng([seed, index]), size, sources)
        wcs = field_wcs(index, size)
        _write_image(path, simulated, wcs)
        truths.append(_named(path.name, _with_sky_positions(simulated.truth, wcs)))
        hits.append(_named(path.name, simulated.cosmic_rays))
    vstack(truths).write(tables["truth"], format="ascii.csv", overwrite=True)
    vstack(hits).write(tables["cosmic_rays"], format="ascii.csv", overwrite=True)
    return paths


def field_wcs(index: int, size: int) -> WCS:
    """Place a field beside the one before it, gnomonic about its own centre."""
    row, column = divmod(index, FIELDS_A_ROW)
    width = size * PIXEL_SCALE / 3600
    dec = FIRST_FIELD[1] + row * width
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [FIRST_FIELD[0] + column * width / np.cos(np.radians(dec)), dec]
    wcs.wcs.crpix = [(size + 1) / 2, (size + 1) / 2]
    wcs.wcs.cdelt = [-PIXEL_SCALE / 3600, PIXEL_SCALE / 3600]
    wcs.wcs.radesys = "ICRS"
    return wcs


def _with_sky_positions(truth: Table, wcs: WCS) -> Table:
    ra, dec = wcs.pixel_to_world_values(truth["x"], truth["y"])
    after_y = truth.colnames.index("y") + 1
    truth = truth.copy()
    truth.add_columns([ra, dec], names=["ra", "dec"], indexes=[after_y, after_y])
    return truth


def _named(image: str, table: Table) -> Table:
    """Put the image's name before every row."""
    table = table.copy()
    table.add_column(np.full(len(table), image), name="image", index=0)
    return table


def _write_image(path: Path, simulated: Simulated, wcs: WCS) -> None:
    header = wcs.to_header()
    cards: dict[str, Any] = {
        "BUNIT": "electron",
        "GAIN": (1.0, "electrons per unit"),
        "RDNOISE": (READ_NOISE, "electrons"),
        "EXPTIME": (EXPOSURE, "seconds"),
        "FILTER": "r",
        "DATE-OBS": EPOCH,
        "OBJECT": ("simulated", "surveyfit simulate"),
    }
    header.update(cards)
    science = fits.PrimaryHDU(simulated.pixels, header)
    mask = fits.ImageHDU(simulated.mask, name="MASK")
    fits.HDUList([science, mask]).writeto(path, overwrite=True)
