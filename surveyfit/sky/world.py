"""World coordinates: from pixels to ICRS, with the local linear map that errors and sizes need."""

import re
import warnings
from typing import Any, NamedTuple

import numpy as np
from astropy import log
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning
from astropy.wcs import WCS, NoConvergence
from astropy.wcs.utils import wcs_to_celestial_frame

HALF_STEP = 0.5
"""Pixels on either side of a position between which the Jacobian is taken. Unit vectors are exact
to 1e-16 rad, so even 0.01 arcsec pixels keep nine digits."""

ARCSEC = np.degrees(1.0) * 3600
"""Arcsec in a radian."""

GUARD = 1e-7
"""Fraction of the last digit of a name by which a decimal may fall short of itself in binary."""


WCS_CARD = re.compile(
    r"WCSAXES$|NAXIS[12]?$|C(TYPE|RVAL|RPIX|DELT|UNIT|ROTA)\d$|CD\d_\d$|PC\d+_?\d+$|P[VS]\d+_\d+$"
    r"|[AB]P?_(\d_\d|ORDER|DMAX)$|L(ON|AT)POLE$|RADESYS$|RADECSYS$|EQUINOX$|EPOCH$|PROJP\d$"
    r"|AMD[XY]\d+$|PLT(RA|DEC)|PLATEID$|CNPIX\d$|PPO\d$|[XY]PIXELSZ$|WAT\d_\d+$|DATE-OBS$|MJD-OBS$"
)
"""Keywords of which world coordinates are made, those of digitised plates (AMDX1) and of IRAF (WAT)
among them, but for distortions kept as tables."""

ROUND_TRIP = 0.5
"""Pixels by which a position may miss itself on its way to a pixel and back: beyond the domain of
its polynomials a distorted projection has no inverse, and the iteration ends anywhere."""


class Positions(NamedTuple):
    """Where pixels are on the sky; NaN where the projection is not defined.

    Attributes
    ----------
    ra, dec : array (n,)
        ICRS, degrees, right ascension in [0, 360).
    jacobian : array (n, 2, 2)
        Arcsec a pixel on the sky: rows east and north, columns x and y.
    """

    ra: np.ndarray
    dec: np.ndarray
    jacobian: np.ndarray


class World:
    """World coordinates of an image.

    Parameters
    ----------
    header : Header
    hdulist : HDUList, optional
        The open file, for distortions kept as tables.

    Attributes
    ----------
    ok : bool
        Whether the first two axes have usable celestial coordinates.
    pixel_scale : float
        Square root of the pixel area at the reference pixel, arcsec; NaN if not `ok`.
    """

    def __init__(self, header: fits.Header, hdulist: fits.HDUList | None = None) -> None:
        self._wcs, self._frame = _celestial(header, hdulist)
        self.ok = self._frame is not None
        self.pixel_scale = float("nan")
        if self.ok:
            x, y = self._wcs.wcs.crpix - 1
            area = np.linalg.det(self.positions(np.array([x]), np.array([y])).jacobian[0])
            self.pixel_scale = float(np.sqrt(np.abs(area)))

    def positions(self, x: np.ndarray, y: np.ndarray) -> Positions:
        """Sky positions of pixels ``x``, ``y``, each (n,), zero-based with centres on integers."""
        x, y = np.asarray(x, float), np.asarray(y, float)
        centre = self._vectors(x, y)
        ra, dec = np.arctan2(centre[1], centre[0]), np.arcsin(np.clip(centre[2], -1, 1))
        east = np.stack([-np.sin(ra), np.cos(ra), np.zeros_like(ra)])
        north = np.stack([-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)])
        along_x = self._vectors(x + HALF_STEP, y) - self._vectors(x - HALF_STEP, y)
        along_y = self._vectors(x, y + HALF_STEP) - self._vectors(x, y - HALF_STEP)
        steps = np.stack([along_x, along_y]) * ARCSEC / (2 * HALF_STEP)
        jacobian = np.einsum("rkn,ckn->nrc", np.stack([east, north]), steps)
        return Positions(np.degrees(ra) % 360, np.degrees(dec), jacobian)

    def pixels(self, ra: np.ndarray, dec: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pixels ``x``, ``y`` of ICRS positions in degrees, each (n,); NaN where there is none."""
        sky = SkyCoord(ra, dec, unit="deg", frame="icrs")
        if not self.ok or not len(sky):
            return np.full(len(sky), np.nan), np.full(len(sky), np.nan)
        native = sky.transform_to(self._frame).spherical
        world = np.empty((len(sky), 2))
        world[:, self._wcs.wcs.lng] = native.lon.deg
        world[:, self._wcs.wcs.lat] = native.lat.deg
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # of positions that have no pixel
            x, y = self._wcs.all_world2pix(world, 0, quiet=True).T
            away = np.linalg.norm(self._vectors(x, y) - sky.cartesian.xyz.value, axis=0) * ARCSEC
            lost = ~(away < ROUND_TRIP * self.pixel_scale)
        return np.where(lost, np.nan, x), np.where(lost, np.nan, y)

    def _vectors(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """ICRS unit vectors (3, n)."""
        if not self.ok:
            return np.full((3, len(x)), np.nan)
        with warnings.catch_warnings(), np.errstate(invalid="ignore"):
            warnings.simplefilter("ignore", AstropyWarning)
            world = self._wcs.all_pix2world(x, y, 0)
            lon, lat = world[self._wcs.wcs.lng], world[self._wcs.wcs.lat]
            defined = np.isfinite(lon) & np.isfinite(lat) & (np.abs(lat) <= 90)
            vectors = np.full((3, len(x)), np.nan)
            sky = SkyCoord(lon[defined], lat[defined], unit="deg", frame=self._frame)
            vectors[:, defined] = sky.icrs.cartesian.xyz.value
        return vectors


def wcs_cards(header: fits.Header) -> str:
    """Return the cards of a header of which a `World` is made, as text for `Header.fromstring`."""
    cards = [card for card in header.cards if WCS_CARD.match(card.keyword)]
    return str(fits.Header(cards).tostring(endcard=False, padding=False))


def world_from_cards(cards: str) -> World:
    """Make the world coordinates of the text that `wcs_cards` returned."""
    return World(fits.Header.fromstring(cards))


def iau_name(ra: np.ndarray, dec: np.ndarray) -> np.ndarray:
    """IAU-style names of ICRS positions in degrees, each (n,); empty where not finite.

    Digits are truncated, not rounded, as the IAU asks (https://cds.unistra.fr/Dic/iau-spec.html).
    ``iau_name([188.73659], [12.58242])`` is ``["SFIT J123456.78+123456.7"]``.
    """
    ra, dec = np.atleast_1d(ra).astype(float), np.atleast_1d(dec).astype(float)
    return np.array([_name(a, d) for a, d in zip(ra.tolist(), dec.tolist(), strict=True)], str)


def _name(ra: float, dec: float) -> str:
    if not (np.isfinite(ra) and np.isfinite(dec)):
        return ""
    centiseconds = int(ra % 360 / 15 * 360000 + GUARD) % (24 * 360000)
    deciseconds = int(abs(dec) * 36000 + GUARD)
    hours, centiseconds = divmod(centiseconds, 360000)
    minutes, centiseconds = divmod(centiseconds, 6000)
    degrees, deciseconds = divmod(deciseconds, 36000)
    arcmin, deciseconds = divmod(deciseconds, 600)
    return (
        f"SFIT J{hours:02d}{minutes:02d}{centiseconds // 100:02d}.{centiseconds % 100:02d}"
        f"{'-' if dec < 0 else '+'}{degrees:02d}{arcmin:02d}{deciseconds // 10:02d}"
        f".{deciseconds % 10}"
    )


def _celestial(header: fits.Header, hdulist: fits.HDUList | None) -> tuple[Any, Any]:
    """Return the WCS of the first two axes, in their order, and its frame; no frame if unusable.

    `astropy.wcs.WCS.celestial` would swap the pixel axes of an image with declination first.
    """
    level = log.level
    try:
        log.setLevel("WARNING")  # astropy.wcs tells of harmless SIP oddities by log messages
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AstropyWarning)
            wcs = WCS(header, hdulist, naxis=[1, 2])
            return wcs, wcs_to_celestial_frame(wcs) if wcs.has_celestial else None
    except (ValueError, TypeError, KeyError, AttributeError, NoConvergence, fits.VerifyError):
        # wcslib's errors are ValueErrors; the others come of cards it cannot read.
        return None, None
    finally:
        log.setLevel(level)
