"""Sky positions and the local linear map, judged by astropy's own geometry on the sphere."""

import warnings
from decimal import ROUND_DOWN, Decimal

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning
from hypothesis import given
from hypothesis import strategies as st

from surveyfit.sky.world import World, iau_name, wcs_cards, world_from_cards


def header(
    projection="TAN", lon="RA--", lat="DEC-", at=(150.0, 40.0), cdelt=2.0, turn=30.0, **more
):
    """Two axes with `cdelt` arcsec a pixel, turned by `turn` degrees."""
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    cards = {"NAXIS": 2, "NAXIS1": 400, "NAXIS2": 300}
    cards |= {"CTYPE1": f"{lon}-{projection}", "CTYPE2": f"{lat}-{projection}"}
    cards |= {"CRVAL1": at[0], "CRVAL2": at[1], "CRPIX1": 200.5, "CRPIX2": 150.5}
    cards |= {"CDELT1": -cdelt / 3600, "CDELT2": cdelt / 3600}
    cards |= {"PC1_1": c, "PC1_2": -s, "PC2_1": s, "PC2_2": c}
    return fits.Header({**cards, **more})


SIP = {"A_ORDER": 2, "B_ORDER": 2, "A_2_0": 3e-5, "A_1_1": 1e-5, "B_0_2": -2e-5, "B_1_1": 2e-5}
TPV = {"PV1_1": 1.01, "PV1_4": 0.02, "PV2_1": 0.99, "PV2_5": -0.03}
CASES = {
    "tan": header(),
    "near the pole": header(at=(10.0, 89.99)),
    "across zero": header(at=(0.0, -30.0)),
    "sip": header("TAN-SIP", **SIP),
    "tpv": header("TPV", **TPV),
    "sin": header("SIN", at=(150.0, -70.0), cdelt=120.0),
    "ncp": header("NCP", at=(257.0, -43.0)),
    "galactic": header(lon="GLON", lat="GLAT", at=(120.0, 5.0)),
    "fk4": header(EQUINOX=1950.0, RADESYS="FK4"),
    "fk5": header(EQUINOX=1975.0, RADESYS="FK5"),
    "declination first": header(lon="DEC-", lat="RA--", at=(40.0, 150.0)),
}
X, Y = (a.ravel() for a in np.meshgrid([3.0, 140.25, 199.5, 396.0], [2.0, 149.5, 150.0, 297.0]))


def sky(case, x, y):
    """ICRS positions by astropy's high-level interface."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FITSFixedWarning)  # NCP is rewritten as SIN
        return WCS(CASES[case]).pixel_to_world(x, y).icrs


@pytest.mark.parametrize("case", CASES)
def test_positions_are_icrs(case):
    """astropy.wcs's high-level interface agrees to its rounding: 1e-6 arcsec."""
    truth = sky(case, X, Y)
    ra, dec, _ = World(CASES[case]).positions(X, Y)
    assert ((ra >= 0) & (ra < 360)).all()
    assert truth.separation(SkyCoord(ra, dec, unit="deg")).arcsec.max() < 1e-6


@pytest.mark.parametrize("case", CASES)
def test_jacobian_moves_as_the_sky_does(case):
    """Offsets on the sky of a step of 0.1 pixel, by astropy's spherical trigonometry.

    The curvature of these projections over such a step, and rounding of the trigonometry, are
    below 2e-5 of a pixel's size; a swapped axis, sign or missing cos(dec) is of order 1.
    """
    _, _, jacobian = World(CASES[case]).positions(X, Y)
    centre, scale = sky(case, X, Y), np.abs(jacobian).max()
    for dx, dy in ((0.1, 0.0), (0.0, 0.1), (-0.07, 0.07)):
        moved = sky(case, X + dx, Y + dy)
        angle, distance = centre.position_angle(moved), centre.separation(moved)
        measured = distance.arcsec * np.array([np.sin(angle), np.cos(angle)])
        predicted = jacobian @ [dx, dy]
        np.testing.assert_allclose(predicted.T, measured, atol=2e-5 * scale)


@pytest.mark.parametrize("case", ["tan", "galactic", "fk4"])
def test_directional_offset_by_the_jacobian_lands_on_the_pixel(case):
    ra, dec, jacobian = World(CASES[case]).positions(X, Y)
    east, north = (jacobian @ [0.3, -0.2]).T
    start = SkyCoord(ra, dec, unit="deg")
    end = start.directional_offset_by(
        np.arctan2(east, north) * u.rad, np.hypot(east, north) * u.arcsec
    )
    x, y = WCS(CASES[case]).world_to_pixel(end)
    np.testing.assert_allclose([x - X, y - Y], np.broadcast_to([[0.3], [-0.2]], (2, 16)), atol=1e-5)


def test_pixel_scale():
    assert World(header(cdelt=2.0)).pixel_scale == pytest.approx(2.0, rel=1e-6)


def test_degenerate_and_stray_axes_change_nothing():
    plain = World(CASES["sin"]).positions(X, Y)
    extra = {"CTYPE3": "FREQ", "CRVAL3": 1e9, "CRPIX3": 1.0, "CDELT3": 1e6, "CTYPE4": "STOKES",
             "CRVAL4": 1.0, "CRPIX4": 1.0, "CDELT4": 1.0}  # fmt: skip
    stray = CASES["sin"].copy()
    stray.update(extra)
    four = stray.copy()
    four.update({"NAXIS": 4, "NAXIS3": 1, "NAXIS4": 1})
    for cards in (stray, four):
        for a, b in zip(World(cards).positions(X, Y), plain, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12)


def test_outside_the_projection_is_nan_and_does_not_harm_its_neighbours():
    world = World(header("SIN", cdelt=2000.0))
    ra, dec, jacobian = world.positions(np.array([200.0, -1000.0]), np.array([150.0, -1000.0]))
    np.testing.assert_array_equal(np.isnan(ra), [False, True])
    np.testing.assert_array_equal(np.isnan(dec), [False, True])
    assert np.isfinite(jacobian[0]).all()
    assert np.isnan(jacobian[1]).all()


@pytest.mark.parametrize(
    "cards",
    [
        {},
        {"CTYPE1": "PIXEL", "CTYPE2": "PIXEL"},
        {"CTYPE1": "WAVE", "CTYPE2": "OFFSET"},
        {"CTYPE1": "HPLN-TAN", "CTYPE2": "HPLT-TAN"},
        {"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CDELT1": 0.0, "CDELT2": 0.0},
        {"CTYPE1": "RA---TAN", "CTYPE2": "GLAT-TAN"},
        {"CTYPE1": "RA---TAN", "CTYPE2": "FREQ", "CTYPE3": "DEC--TAN"},
    ],
)
def test_no_usable_coordinates_give_nan(cards):
    world = World(fits.Header(cards))
    assert not world.ok
    assert np.isnan(world.pixel_scale)
    ra, dec, jacobian = world.positions(np.zeros(3), np.zeros(3))
    assert np.isnan(ra).all()
    assert np.isnan(dec).all()
    assert np.isnan(jacobian).all()


def test_no_positions_asked_none_given():
    ra, dec, jacobian = World(CASES["tan"]).positions(np.array([]), np.array([]))
    assert (ra.shape, dec.shape, jacobian.shape) == ((0,), (0,), (0, 2, 2))


def test_nothing_is_printed_about_odd_headers(capfd):
    odd = header("TAN", RADECSYS="FK5", **SIP)
    odd["DATE-OBS"] = "29/11/51"
    assert World(odd).ok
    assert capfd.readouterr() == ("", "")


def exact_name(ra: float, dec: float) -> str:
    """Truncate in decimal arithmetic, which has no binary rounding; from the shortest decimals."""

    def sexagesimal(value: Decimal, places: str) -> str:
        whole, rest = divmod(value, 1)
        minutes, rest = divmod(rest * 60, 1)
        seconds = (rest * 60).quantize(Decimal(places), ROUND_DOWN)
        return f"{int(whole):02d}{int(minutes):02d}{seconds:0{len(places) + 1}f}"

    hours = sexagesimal(Decimal(repr(ra)) / 15, "0.01")
    degrees = sexagesimal(abs(Decimal(repr(dec))), "0.1")
    return f"SFIT J{hours}{'-' if dec < 0 else '+'}{degrees}"


@pytest.mark.parametrize(
    ("ra", "dec", "name"),
    [
        (188.7365941, 12.58242, "SFIT J123456.78+123456.7"),
        (0.0, 0.0, "SFIT J000000.00+000000.0"),
        (359.99999999, -0.00001, "SFIT J235959.99-000000.0"),
        (10.7, 0.7, "SFIT J004248.00+004200.0"),
        (15.0, 90.0, "SFIT J010000.00+900000.0"),
        (14.9999999, -89.9999999, "SFIT J005959.99-895959.9"),
        (np.nan, 1.0, ""),
        (1.0, np.nan, ""),
    ],
)
def test_names_are_truncated(ra, dec, name):
    assert iau_name(np.array([ra]), np.array([dec])).tolist() == [name]


@given(st.decimals(0, 360, places=7).filter(lambda v: v < 360), st.decimals(-90, 90, places=7))
def test_names_agree_with_decimal_arithmetic(ra, dec):
    ra, dec = float(ra), float(dec)
    assert iau_name(np.array([ra]), np.array([dec])).tolist() == [exact_name(ra, dec)]


def test_names_of_many():
    names = iau_name(np.array([1.0, np.nan, 3.0]), np.array([1.0, 2.0, -3.0]))
    assert names.tolist() == ["SFIT J000400.00+010000.0", "", "SFIT J001200.00-030000.0"]
    assert iau_name(np.array([]), np.array([])).shape == (0,)


WORST = 1e-7
"""Pixels; 5e-8 is the most that was seen, of the iteration that undoes SIP."""

GENTLE_TPV = header("TPV", PV1_1=1.001, PV1_4=2e-6, PV2_1=0.999, PV2_5=-3e-6)
"""The distortion of the case above is so strong that two pixels show the same position."""


@pytest.mark.parametrize("cards", [*(CASES[case] for case in CASES if case != "tpv"), GENTLE_TPV])
def test_pixels_of_positions_are_found_again(cards):
    ra, dec, _ = World(cards).positions(X, Y)
    np.testing.assert_allclose(World(cards).pixels(ra, dec), [X, Y], rtol=0, atol=WORST)


@pytest.mark.parametrize("case", CASES)
def test_the_other_side_of_the_sky_has_no_pixel_in_the_image(case):
    """A tangential projection has none there at all; a polynomial must not bring one into it."""
    ra, dec, _ = World(CASES[case]).positions(X, Y)
    x, y = World(CASES[case]).pixels((ra + 180) % 360, -dec)
    inside = (x > -0.5) & (x < 399.5) & (y > -0.5) & (y < 299.5)
    assert not inside.any()


def test_without_sky_coordinates_no_position_has_a_pixel():
    x, y = World(fits.Header({"NAXIS": 2})).pixels(np.array([1.0]), np.array([2.0]))
    assert np.isnan([x, y]).all()
    assert World(CASES["tan"]).pixels(np.zeros(0), np.zeros(0))[0].shape == (0,)


@pytest.mark.parametrize("case", CASES)
def test_a_few_cards_hold_the_world_coordinates(case):
    full = CASES[case].copy()
    full["OBJECT"] = "not needed"
    text = wcs_cards(full)
    assert "OBJECT" not in text
    for kept, whole in zip(
        world_from_cards(text).positions(X, Y), World(full).positions(X, Y), strict=True
    ):
        np.testing.assert_array_equal(kept, whole)
